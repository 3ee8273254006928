//! A throw-away cluster: the master on a thread, the measured node on the caller's, and peers as processes of
//! this program (local link) or threads (memory link). Or, for clients: a proxy and a game as processes.

use super::client::Door;
use super::python::PythonPeer;
use super::tls::Certificate;
use super::{BenchResult, LinkName, Programs};
use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_link::memory::MemoryLink;
use chappe_master::Master;
use chappe_node::system::ServerSystem;
use chappe_node::{Beats, Config, Declared, Node, NodeError, State, run_blocking};
use chappe_proxy::{Proxy, ProxyOptions};
use chappe_wire::{NodeId, Role, Row};
use clap::{Args, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_bytes::ByteBuf;
use std::cell::Cell;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// The measured node; the peers' ids follow it.
const DRIVER: i64 = 100;
const MASTER: NodeId = NodeId(1);
const PROXY: i64 = 10;
const GAME: i64 = 50;
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
    #[arg(long, default_value_t = 0)]
    index: usize,
    /// What it is.
    #[arg(long, value_enum, default_value = "service")]
    part: Part,
    /// A proxy takes connections over TLS, with the certificate in that directory.
    #[arg(long)]
    tls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Answers requests and counts events.
    Service,
    /// Sends players back what they send.
    Game,
    /// Takes players' connections.
    Proxy,
}

/// The id of a peer.
pub(super) fn peer_id(index: usize) -> NodeId {
    NodeId(DRIVER + 1 + index as i64)
}

/// Runs `drive` on a lobby node that is connected to `peers` services, and hands it the processes' ids. With `python`
/// there is one service, and its handlers are a mod's.
pub(super) fn with_peers<T: 'static>(
    with: &Programs,
    link: LinkName,
    peers: usize,
    python: bool,
    drive: impl AsyncFnOnce(Node, Vec<u32>) -> BenchResult<T> + 'static,
) -> BenchResult<T> {
    if python && (link, peers) != (LinkName::Local, 1) {
        return Err("--python: the peer is a process, which needs --link local".into());
    }
    let dir = tempfile::tempdir()?;
    let python = if python { Some(PythonPeer::write(dir.path(), MASTER.0)?) } else { None };
    let shared: SharedLink = match link {
        LinkName::Memory => Arc::new(MemoryLink::new()),
        LinkName::Local => Arc::new(LocalLink::new(python.as_ref().map_or(dir.path(), |peer| &peer.run_dir))),
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
            LinkName::Local if let Some(peer) = &python => children.0.push(peer.spawn(&with.python)?),
            LinkName::Local => {
                let index = index.to_string();
                children.0.push(spawn(&with.own, "peer", dir.path(), &["--index", &index])?.0);
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
        tokio::pin!(run);
        tokio::select! {
            biased;
            // It ends by itself only with what went wrong.
            ended = &mut run => ended,
            () = work => run.await,
        }
    });
    driven?;
    result.unwrap_or_else(|| Err("nothing was measured".into()))
}

/// Runs `drive` with the way to a proxy, on a runtime of one thread, and hands it the ids of the proxy's and the
/// game's processes.
pub(super) fn with_proxy<T>(
    with: &Programs,
    tls: bool,
    drive: impl AsyncFnOnce(Door, [u32; 2]) -> BenchResult<T>,
) -> BenchResult<T> {
    crate::open_files::raise_limit();
    let dir = tempfile::tempdir()?;
    let link: SharedLink = Arc::new(LocalLink::new(dir.path()));
    std::thread::spawn(move || run_blocking(|| master(link)));
    let (game, _) = spawn(&with.own, "peer", dir.path(), &["--part", "game"])?;
    let certificate = if tls { Some(Certificate::make(dir.path())?) } else { None };
    let mut part = vec!["--part", "proxy"];
    part.extend(tls.then_some("--tls"));
    let (proxy, url) = spawn(&with.own, "peer", dir.path(), &part)?;
    let door = Door { url, tls: certificate.map(|own| own.trusted()) };
    let pids = [proxy.id(), game.id()];
    let _children = Children(vec![game, proxy]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, drive(door, pids))
}

/// Starts a peer process by its subcommand and waits until it is ready; what it says then is its address.
pub(super) fn spawn(own: &[OsString], what: &str, dir: &Path, args: &[&str]) -> BenchResult<(Child, String)> {
    let (program, leading) = own.split_first().ok_or("this program's own file is not known")?;
    let mut command = Command::new(program);
    command.args(leading).args(["bench", what, "--dir"]).arg(dir).args(args).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("a peer without an output")?;
    BufReader::new(output).read_line(&mut line)?;
    match line.trim().strip_prefix("ready") {
        Some(address) => Ok((child, address.trim().to_owned())),
        None => {
            let _ = child.kill();
            Err("a peer did not come up".into())
        }
    }
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
    crate::open_files::raise_limit();
    Ok(run_blocking(|| async move {
        match args.part {
            Part::Service => serve(args.index, link).await,
            Part::Game => game(link).await,
            Part::Proxy => proxy(link, args.tls.then(|| Certificate::in_directory(&args.dir))).await,
        }
    })?)
}

#[expect(clippy::print_stdout, reason = "the measuring process waits for this line")]
pub(super) fn say_ready(address: &str) {
    println!("ready {address}");
}

/// Sends players back what they send.
async fn game(link: SharedLink) -> Result<(), NodeError> {
    let node = Node::new(config(GAME, Role::Lobby, "lobby"));
    let setup = async |node: &Node| {
        let system = ServerSystem::new(node, MODULE, MODULE);
        let answer = system.clone();
        system.listen(MODULE, MODULE, "event", move |event| {
            if let (Some(player), Ok(data)) = (event.player_id(), event.data::<ByteBuf>()) {
                // A player who has gone meanwhile misses nothing.
                let _ = answer.notify_to_client(player, "event", &data);
            }
        });
        say_ready("");
        Ok(())
    };
    node.run(link, Beats::Thread, setup).await
}

async fn proxy(link: SharedLink, certificate: Option<Certificate>) -> Result<(), NodeError> {
    let node = Node::new(config(PROXY, Role::Proxy, "proxy"));
    let setup = async |node: &Node| {
        let scheme = if certificate.is_some() { "wss" } else { "ws" };
        let tls = certificate.map(|own| own.load()).transpose()?;
        // The figures are to be the way's, not the limit's.
        let (client_rate, client_burst) = (u32::MAX, u32::MAX);
        let options = ProxyOptions { client_rate, client_burst, tls, ..ProxyOptions::default() };
        let proxy = Proxy::attach(node, options);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        tokio::task::spawn_local(proxy.serve(listener));
        say_ready(&format!("{scheme}://{address}"));
        Ok(())
    };
    node.run(link, Beats::Thread, setup).await
}

/// Answers requests with their own data, and counts events.
async fn serve(index: usize, link: SharedLink) -> Result<(), NodeError> {
    let is_process = link.name() == "local";
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
        if is_process {
            say_ready("");
        }
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
pub(super) struct Children(pub(super) Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Errors say that it has ended already. Asked, not killed: under a profiler it writes its figures.
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}
