//! A throw-away cluster: the master on a thread, the measured node on the caller's, and peers as processes of
//! this program (local link) or threads (memory link).

use super::{BenchResult, LinkName};
use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_link::memory::MemoryLink;
use chappe_master::Master;
use chappe_node::{Beats, Config, Declared, Node, NodeError, State, run_blocking};
use chappe_wire::{NodeId, Role, Row};
use clap::Args;
use serde_bytes::ByteBuf;
use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The measured node; the peers' ids follow it.
const DRIVER: i64 = 100;
const MASTER: NodeId = NodeId(1);
/// The modules and systems of the measurement.
pub(super) const MODULE: &str = "bench";
/// How long the cluster may take to stand.
const PATIENCE: Duration = Duration::from_secs(20);

type SharedLink = Arc<dyn Link + Send + Sync>;

/// Arguments of a peer process.
#[derive(Debug, Clone, Args)]
pub(crate) struct PeerArgs {
    /// The run directory of the throw-away cluster.
    #[arg(long)]
    dir: PathBuf,
    /// The peer's number.
    #[arg(long)]
    index: usize,
}

/// The id of a peer.
pub(super) fn peer_id(index: usize) -> NodeId {
    NodeId(DRIVER + 1 + index as i64)
}

/// Runs `drive` on a lobby node that is connected to `peers` services, and hands it the processes' ids.
pub(super) fn with_peers<T: 'static>(
    link: LinkName,
    peers: usize,
    drive: impl AsyncFnOnce(Node, Vec<u32>) -> BenchResult<T> + 'static,
) -> BenchResult<T> {
    let dir = tempfile::tempdir()?;
    let shared: SharedLink = match link {
        LinkName::Memory => Arc::new(MemoryLink::new()),
        LinkName::Local => Arc::new(LocalLink::new(dir.path())),
    };
    let master_link = shared.clone();
    std::thread::spawn(move || run_blocking(|| master(master_link)));
    let mut children = Children(Vec::new());
    for index in 0..peers {
        match link {
            LinkName::Memory => {
                let link = shared.clone();
                std::thread::spawn(move || run_blocking(|| serve(index, link)));
            }
            LinkName::Local => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["bench", "peer", "--index", &index.to_string(), "--dir"]).arg(dir.path());
                children.0.push(command.spawn()?);
            }
        }
    }
    let pids = children.0.iter().map(Child::id).chain([std::process::id()]).collect();
    let (mut result, node) = (None, Node::new(config(DRIVER, Role::Lobby, "lobby")));
    let outcome = &mut result;
    let driven = run_blocking(|| async move {
        let run = node.run(shared, Beats::Thread, async |_| Ok(()));
        let work = async {
            *outcome = Some(match timeout(PATIENCE, ready(&node, peers)).await {
                Ok(()) => drive(node.clone(), pids).await,
                Err(_) => Err("the throw-away cluster did not come up".into()),
            });
            node.stop();
        };
        tokio::join!(run, work).0
    });
    driven?;
    result.unwrap_or_else(|| Err("nothing was measured".into()))
}

async fn ready(node: &Node, peers: usize) {
    let is_ready = |index| {
        node.with_view(|view| view.member(peer_id(index)).is_some_and(|peer| peer.state == State::Ready))
    };
    while !node.is_ready() || !(0..peers).all(is_ready) {
        sleep(Duration::from_millis(2)).await;
    }
}

/// Runs a peer process until the measurement ends.
pub(super) fn peer(args: &PeerArgs) -> BenchResult<()> {
    let link: SharedLink = Arc::new(LocalLink::new(&args.dir));
    Ok(run_blocking(|| serve(args.index, link))?)
}

/// Answers requests with their own data, and counts events.
async fn serve(index: usize, link: SharedLink) -> Result<(), NodeError> {
    let node = Node::new(config(peer_id(index).0, Role::Service, MODULE));
    let setup = async |node: &Node| {
        let received = Rc::new(Cell::new(0u64));
        node.register(Row::RpcModMethod, MODULE, "echo", |call| match call.args::<ByteBuf>() {
            Ok(data) => drop(call.respond(&data)),
            Err(error) => call.fail(chappe_wire::Reason::BadData, &error.to_string()),
        });
        let count = received.clone();
        node.listen(MODULE, MODULE, "event", 0, move |event| {
            // Looking at the data is what the receivers of all systems do that this is measured beside.
            if !event.raw().is_empty() {
                count.set(count.get() + 1);
            }
        });
        node.register(Row::RpcModMethod, MODULE, "received", move |call| drop(call.respond(&received.get())));
        Ok(())
    };
    node.run(link, Beats::Thread, setup).await
}

async fn master(link: SharedLink) -> Result<(), NodeError> {
    let node = Node::new(config(MASTER.0, Role::Master, "master"));
    let _master = Master::attach(&node);
    node.run(link, Beats::Thread, async |_| Ok(())).await
}

pub(super) fn config(id: i64, role: Role, node_type: &str) -> Config {
    let mut config = Config::new("bench", NodeId(id), role, node_type);
    config.master = MASTER;
    config.incarnation = Config::new_incarnation();
    config.declared = Declared { nodes: Vec::new(), modules: vec![MODULE.into()] };
    config
}

/// Processes that end with the measurement.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Errors say that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
