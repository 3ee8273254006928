//! The end of a run: waits until nothing is under way, reads the records, audits and reports.

use crate::audit::audit;
use crate::bank::START;
use crate::cluster::aside;
use crate::faults::Done;
use crate::ledger::{self, Ledger};
use crate::play::Play;
use crate::report::{Report, say};
use chappe_hosts::Commands;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long what is under way may take.
const SETTLE: Duration = Duration::from_secs(60);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(250);
/// What no node may ever say in its log.
const ALARMS: [&str; 2] = ["panicked at", "a commit that had fallen with another one is durable"];

/// What a run must have done to count.
pub(crate) enum Wanted {
    /// Kills of every role, every reason, and so many transfers between servers; a crash of the database if there is one.
    All { least: i64, has_database: bool },
    /// So many transfers between servers.
    Transfers(i64),
}

/// What is wrong with a run whose players have ended. `log`: what its nodes have said.
pub(crate) async fn judge(
    play: &Play,
    commands: &Commands,
    log: &str,
    done: &Done,
    wanted: Wanted,
) -> Vec<String> {
    let mut failed: Vec<String> = settled(commands).await.err().into_iter().collect();
    let ledger = aside(commands, ledger::read).await.unwrap_or_else(|why| {
        failed.push(why);
        Ledger::new()
    });
    let dead_letters = aside(commands, dead_letters).await.unwrap_or_else(|why| vec![why]);
    failed.extend(dead_letters.iter().map(|letter| format!("a dead letter: {letter}")));
    let books = play.books.borrow();
    let (ends, wrong) = audit(&books, &ledger, &play.uids);
    failed.extend(wrong);
    let is_alarm = |line: &&str| ALARMS.iter().any(|alarm| line.contains(alarm));
    failed.extend(log.lines().filter(is_alarm).map(str::to_owned));
    let start = START * i64::try_from(play.uids.len()).unwrap_or_default();
    let report = Report {
        books: &books,
        ledger: &ledger,
        ends: &ends,
        done,
        sums: (start, ledger.values().map(|account| account.money).sum()),
        dead_letters,
        restarts: log.lines().filter(|line| line.contains("it is started again in")).count(),
    };
    report.show();
    let missing = match wanted {
        Wanted::All { least, has_database } => report.shortcomings(least, has_database),
        Wanted::Transfers(least) => report.too_few(least).into_iter().collect(),
    };
    failed.extend(missing.into_iter().map(|why| format!("the run does not count: {why}")));
    if failed.is_empty() {
        say("Every gift has ended exactly once, and every balance is what its player was told.");
    }
    failed
}

/// Waits until nothing is under way.
async fn settled(commands: &Commands) -> Result<(), String> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let page = aside(commands, |commands| commands.tell(&["notifications"], &["--limit", "5"])).await;
        let is_settled = |page: &Value| page["sent"] == 0 && page["decided"] == 0;
        if page.as_ref().is_ok_and(is_settled) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(match page {
                Ok(page) => format!("notifications are still under way after {SETTLE:?}: {page}"),
                Err(why) => why,
            });
        }
        sleep(LOOK).await;
    }
}

fn dead_letters(commands: &Commands) -> Result<Vec<String>, String> {
    let page = commands.tell(&["deadletters", "list"], &["--limit", "1000"])?;
    let letters = page["letters"].as_array().ok_or("`deadletters list` shows no list")?;
    Ok(letters.iter().map(Value::to_string).collect())
}
