//! The arena: a small game on a whole cluster. One program is every node's, its bots and its demo.
//!
//! ```text
//! lobby        greets, queues, takes players to their games      (NotifyToClient, RequestToService, transfers)
//! game, round  gathers a match, fights it, tells who has won     (NotifyToMultiClients, NotifyToMaster, ...)
//! matchmaking, queues   finds matches                            (RegisterRpcMethod, NotifyToServerNode)
//! chat         heard on all servers                              (BroadcastToServerByType)
//! mail         letters and badges                                (RegisterRpcMethodForMod, RemoteNotifyToClient)
//! season       the master's leader board                         (BroadcastToService, NotifyToServiceNode)
//! bot          a player                                          (NotifyToServer, NotifyToServiceNode)
//! demo         starts a cluster, lets bots play, accounts for every message
//! ```

mod bot;
mod chat;
mod demo;
mod game;
mod lobby;
mod mail;
mod matchmaking;
mod messages;
mod queues;
mod round;
mod season;

use chappe::App;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next();
    let mut rest = args.peekable();
    if rest.peek().is_some_and(|arg| arg == "demo") {
        return demo::main(rest);
    }
    app().run(program.into_iter().chain(rest))
}

/// What each type of node does.
fn app() -> App {
    App::new()
        .master(season::setup)
        .server("lobby", lobby::setup)
        .server("duel", game::setup)
        .server("brawl", game::setup)
        .service("service_match", matchmaking::setup)
        .service("service_chat", chat::setup)
        .service("service_mail", mail::setup)
}
