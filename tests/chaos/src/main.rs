//! Real processes under `kill -9`, and whether money is lost or doubled.
//!
//! One program is every node's and the driver's:
//!
//! ```text
//! bank       the game: gifts of money, and counters of everything in each player's record
//! drive      the order of a run: start, play under faults, let it settle, judge
//! drive_hosts   the same on three hosts
//! cluster    the nodes' processes, and the commands that look into them
//! database   a PostgreSQL server of our own
//! faults     who is killed or frozen, and when: the seed decides
//! play       all players together
//! player     one player: gives, asks again, logs in again
//! books      what players asked for and were told
//! ledger     what the records say
//! audit      whether the two agree
//! judge      reads the records, audits, reports
//! report     the table, and whether the run counts
//! ```

mod audit;
mod bank;
mod books;
mod cluster;
mod database;
mod drive;
mod drive_hosts;
mod faults;
mod judge;
mod ledger;
mod play;
mod player;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next();
    let mut rest = args.peekable();
    if rest.peek().is_some_and(|arg| arg == "drive") {
        return drive::main(rest);
    }
    if rest.peek().is_some_and(|arg| arg == "drive-hosts") {
        return drive_hosts::main(rest);
    }
    bank::app().run(program.into_iter().chain(rest))
}
