//! A node whose handler blocks its thread, over real sockets: stuck, not lost, and well again afterwards.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chappe_link::local::LocalLink;
use chappe_master::Master;
use chappe_node::{Address, Beats, Changed, Config, Node, State, run_blocking};
use chappe_wire::{NodeId, Role, Row};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

const SERVICE: NodeId = NodeId(40);

fn config(id: NodeId, role: Role) -> Config {
    let mut config = Config::new("test", id, role, role.as_str());
    config.master = NodeId(1);
    config.timing.heartbeat = Duration::from_millis(20);
    config.timing.stuck = Duration::from_millis(600);
    config
}

/// A service on a thread of its own, whose handler of `block` waits until told to go on.
fn service(run_dir: PathBuf, go_on: mpsc::Receiver<()>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        run_blocking(async || {
            let node = Node::new(config(SERVICE, Role::Service));
            node.listen("N", "S", "block", 0, move |_| go_on.recv().unwrap());
            let stops = node.clone();
            node.listen("N", "S", "stop", 0, move |_| stops.stop());
            node.run(Arc::new(LocalLink::new(run_dir)), Beats::Thread, async |_| Ok(())).await
        })
        .unwrap();
    })
}

/// The master, and the states that it sees the service in; `None` when it is gone.
async fn master(run_dir: &Path) -> (Master, UnboundedReceiver<Option<State>>) {
    let node = Node::new(config(NodeId(1), Role::Master));
    let master = Master::attach(&node);
    let (seen, states) = tokio::sync::mpsc::unbounded_channel();
    node.on_view(move |change| {
        let _ = match change {
            Changed::Member(_, member) if member.id == SERVICE => seen.send(Some(member.state)),
            Changed::Gone(member) if member.id == SERVICE => seen.send(None),
            _ => Ok(()),
        };
    });
    let link = Arc::new(LocalLink::new(run_dir));
    spawn_local(async move { node.run(link, Beats::Thread, async |_| Ok(())).await.unwrap() });
    (master, states)
}

#[test]
fn a_blocked_node_is_stuck_and_not_lost_and_takes_messages_again_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = async {
        let (master, mut states) = master(dir.path()).await;
        let (release, go_on) = mpsc::channel();
        let thread = service(dir.path().to_owned(), go_on);
        while states.recv().await != Some(Some(State::Ready)) {}
        let send = |event: &str| {
            let topic = format!("N\0S\0{event}");
            master.node().send(Row::MasterToService, Address::Service(SERVICE), topic.as_bytes(), &())
        };
        send("block").unwrap();
        assert_eq!(states.recv().await, Some(Some(State::Stuck)));
        let error = send("stop").unwrap_err();
        assert_eq!(error.to_string(), "NotifyToServiceNode to node 40: Stuck");
        release.send(()).unwrap();
        assert_eq!(states.recv().await, Some(Some(State::Ready)), "it never was gone");
        send("stop").unwrap();
        while states.recv().await != Some(None) {}
        thread.join().unwrap();
    };
    LocalSet::new().block_on(&runtime, async { timeout(Duration::from_secs(60), test).await.unwrap() });
}
