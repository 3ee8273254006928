//! The cluster: `up` in a directory and on ports of its own, and the commands that look into it.

use chappe::deploy::Deploy;
use chappe::{NodeId, Role};
use chappe_hosts::Commands;
use chappe_link::local::LocalLink;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long the cluster may take to end.
const STOP: Duration = Duration::from_secs(15);
/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(200);
/// The nodes: two proxies, three games.
const MASTER: i64 = 1;
const PROXIES: [i64; 2] = [11, 12];
const GAMES: [i64; 3] = [31, 32, 33];
/// After which a gift that nobody has acted on fails, in seconds.
const DEADLINE: u64 = 3;

/// A running cluster; it ends with this value.
pub(crate) struct Cluster {
    deploy: Deploy,
    link: LocalLink,
    commands: Commands,
    supervisor: Child,
    dir: Option<TempDir>,
}

impl Cluster {
    /// Starts it and waits until every node is ready, at most `within`. `store`: the url of its database; else SQLite.
    ///
    /// # Errors
    /// What could not be done.
    pub(crate) async fn start(store: Option<String>, within: Duration) -> Result<Cluster, String> {
        let dir = tempfile::Builder::new().prefix("chappe-chaos-").tempdir().map_err(told("a directory"))?;
        let file = dir.path().join("deploy.json");
        let program = std::env::current_exe().map_err(told("this program's own file"))?;
        std::fs::write(&file, deploy_json(&program, store)?).map_err(told("deploy.json"))?;
        let (deploy, _) = Deploy::load(&file).map_err(|errors| errors.to_string())?;
        let log = File::create(dir.path().join("cluster.log")).map_err(told("the log"))?;
        let mut up = Command::new(&program);
        up.arg("up").arg(&file).stdin(Stdio::null()).kill_on_drop(true);
        up.stdout(log.try_clone().map_err(told("the log"))?).stderr(log);
        // Ctrl-C is for the driver, which ends the cluster in order.
        let supervisor = up.process_group(0).spawn().map_err(told("the supervisor"))?;
        let link = LocalLink::new(deploy.run_dir());
        let commands = Commands::new(program, vec![deploy.path.clone()]);
        let mut cluster = Cluster { deploy, link, commands, supervisor, dir: Some(dir) };
        cluster.whole(within).await?;
        Ok(cluster)
    }

    /// Waits until every node is ready, at most `within`.
    ///
    /// # Errors
    /// When they are not.
    pub(crate) async fn whole(&mut self, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        loop {
            if let Ok(Some(status)) = self.supervisor.try_wait() {
                return Err(format!("the supervisor has ended: {status}"));
            }
            let nodes = aside(&self.commands, |commands| commands.tell(&["nodes"], &[])).await;
            let ready = |node: &&Value| node["state"] == "ready";
            let list = nodes.as_ref().ok().and_then(|nodes| nodes["nodes"].as_array());
            let count = list.map_or(0, |nodes| nodes.iter().filter(ready).count());
            if count == self.deploy.nodes.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let of = self.deploy.nodes.len();
                return Err(format!("only {count} of {of} nodes are ready after {within:?}"));
            }
            sleep(LOOK).await;
        }
    }

    /// The WebSocket addresses of the proxies.
    pub(crate) fn proxy_urls(&self) -> Vec<String> {
        let proxies = self.deploy.nodes.iter().filter(|node| node.role == Role::Proxy);
        proxies.filter_map(|node| Some(format!("ws://{}:{}", node.ip, node.port?))).collect()
    }

    /// The nodes of a role.
    pub(crate) fn nodes_of(&self, role: Role) -> Vec<i64> {
        self.deploy.nodes.iter().filter(|node| node.role == role).map(|node| node.id).collect()
    }

    /// The process that is a node now; `None` when it has died and is not back.
    pub(crate) fn process_of(&self, node: i64) -> Option<Pid> {
        let process = self.link.process_of(NodeId(node))?;
        let line = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
        // The number may be another program's by now.
        let ours = self.deploy.path.to_string_lossy();
        let is_ours = String::from_utf8_lossy(&line).split('\0').any(|arg| arg == ours);
        is_ours.then(|| i32::try_from(process).ok()).flatten().map(Pid::from_raw)
    }

    /// The commands that look into it.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        let path = self.path().map(|dir| dir.join("cluster.log"));
        let bytes = path.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.dir.as_ref().map(TempDir::path)
    }

    /// Asks it to end as Ctrl-C does.
    ///
    /// # Errors
    /// When it does not end in order.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        if let Some(id) = self.supervisor.id().and_then(|id| i32::try_from(id).ok()) {
            kill(Pid::from_raw(id), Signal::SIGINT).map_err(told("the supervisor"))?;
        }
        let ended = timeout(STOP, self.supervisor.wait()).await;
        let _ = std::fs::remove_dir_all(self.deploy.run_dir());
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("the cluster has ended with {status}")),
            Ok(Err(error)) => Err(format!("the supervisor: {error}")),
            Err(_) => Err(format!("the cluster does not end within {STOP:?}")),
        }
    }

    /// Leaves the log and the store where they are; returns where.
    pub(crate) fn keep_files(&mut self) -> Option<PathBuf> {
        self.dir.take().map(TempDir::keep)
    }
}

/// Runs a command while the players play on.
///
/// # Errors
/// What it says.
pub(crate) async fn aside<T: Send + 'static>(
    commands: &Commands,
    run: impl FnOnce(&Commands) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let commands = commands.clone();
    tokio::task::spawn_blocking(move || run(&commands)).await.map_err(told("a command"))?
}

fn deploy_json(program: &Path, store: Option<String>) -> Result<String, String> {
    let program = [program.display().to_string()];
    let proxies: Vec<Value> = PROXIES
        .iter()
        .zip(free_ports()?)
        .map(|(id, port)| json!({"serverid": id, "port": port, "program": program}))
        .collect();
    let games: Vec<Value> = GAMES.iter().map(|id| json!({"serverid": id, "program": program})).collect();
    let mut deploy = json!({
        "cluster": "chaos",
        // A freeze of some seconds is sometimes a loss.
        "heartbeat_seconds": 0.5, "stuck_seconds": 2.0, "loss_seconds": 5.0, "resume_seconds": 10.0,
        "master": {"serverid": MASTER, "program": program},
        "proxy": proxies,
        "game": games,
        "notifications": {"deadline_seconds": DEADLINE, "keep_seconds": 1},
    });
    if let Some(url) = store {
        deploy["store"] = url.into();
    }
    Ok(deploy.to_string())
}

/// All are held at once, so that they are different.
fn free_ports() -> Result<[u16; PROXIES.len()], String> {
    let listeners = PROXIES.map(|_| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; PROXIES.len()];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        let listener = listener.as_ref().map_err(|error| format!("a free port: {error}"))?;
        *port = listener.local_addr().map_err(told("a free port"))?.port();
    }
    Ok(ports)
}

fn told<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}
