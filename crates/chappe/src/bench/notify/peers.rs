//! The processes of the measured cluster: a master with its store on a thread, and game servers.

use super::game::Game;
use crate::bench::BenchResult;
use crate::bench::cluster::{MODULE, config, say_ready};
use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_master::Master;
use chappe_node::{Beats, Node, NodeError, run_blocking};
use chappe_notify::{Desk, Options, Server};
use chappe_store::{StoreClient, on_thread};
use chappe_wire::{NodeId, Role, Row};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The servers, the givers' first.
pub(super) const GAMES: [NodeId; 2] = [NodeId(30), NodeId(31)];

/// Arguments of such a process.
#[derive(Debug, Clone, Args)]
pub(crate) struct PeerArgs {
    /// The run directory of the throw-away cluster.
    #[arg(long)]
    dir: PathBuf,
    /// A game server's id; without it: the master.
    #[arg(long)]
    game: Option<i64>,
    /// The master's store: a file or a url.
    #[arg(long, default_value = "")]
    store: String,
    /// How many game servers there are.
    #[arg(long, default_value_t = 1)]
    servers: usize,
}

/// What the master's store has done, since it was opened.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct StoreWork {
    /// Transactions, with a sync each.
    pub(super) flushes: u64,
    /// Commits and claims in them.
    pub(super) work: u64,
}

/// Whose server a player is on.
pub(super) fn home(uid: u64, servers: usize) -> NodeId {
    // Receivers have even uids.
    if uid.is_multiple_of(2) && servers > 1 { GAMES[1] } else { GAMES[0] }
}

/// Runs such a process until it is asked to end.
pub(crate) fn peer(args: &PeerArgs) -> BenchResult<()> {
    let link: Arc<dyn Link + Send + Sync> = Arc::new(LocalLink::new(&args.dir));
    crate::open_files::raise_limit();
    if let Some(id) = args.game {
        return Ok(run_blocking(|| game(NodeId(id), link))?);
    }
    // PostgreSQL's needs a runtime of its own, which must not begin inside of another.
    let (store, _) = on_thread(chappe_store::open(&args.store, chappe_store::Options::new(MODULE))?)?;
    Ok(run_blocking(|| master(store, args.servers, link))?)
}

async fn master(
    store: StoreClient,
    servers: usize,
    link: Arc<dyn Link + Send + Sync>,
) -> Result<(), NodeError> {
    let node = Node::new(config(1, Role::Master, "master"));
    let setup = async |node: &Node| {
        let master = Master::attach(node);
        Desk::attach(&master, store.clone());
        master.set_login_strategy(move |uid, choice| choice.choose(home(uid, servers)));
        let store = store.clone();
        node.register(Row::Internal, MODULE, "store", move |call| {
            let stats = store.stats();
            let work = StoreWork { flushes: stats.flushes.load(Relaxed), work: stats.work.load(Relaxed) };
            drop(call.respond(&work));
        });
        say_ready("");
        Ok(())
    };
    node.run(link, Beats::Thread, setup).await
}

async fn game(id: NodeId, link: Arc<dyn Link + Send + Sync>) -> Result<(), NodeError> {
    let node = Node::new(config(id.0, Role::Game, "game"));
    let setup = async |node: &Node| {
        let server = Server::attach(node, Options::default());
        let game = Game::register(&server).map_err(|error| error.to_string())?;
        game.serve(node);
        say_ready("");
        Ok(())
    };
    node.run(link, Beats::Thread, setup).await
}
