//! The demo's own cluster: a copy of deploy.json with free ports, run by the supervisor.

use chappe::control_tool::{NodeInfo, Reports, ReportsQuery};
use chappe::{NodeId, Report, Role, State, ask_master};
use chappe_deploy::Deploy;
use chappe_hosts::{Ground, Hosts, Plan};
use chappe_link::local::LocalLink;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const DEPLOY: &str = include_str!("../../deploy.json");
/// What stands in it for this program, its ports, and where its mods are from.
const PROGRAM: &str = "../../target/release/arena";
const PORTS: [u16; 3] = [18380, 18381, 18382];
const MODS: &str = env!("CARGO_MANIFEST_DIR");

/// Which nodes run where, when there are hosts.
const HOSTS: [(&str, &[i64]); 3] =
    [("north", &[1, 11, 21, 31, 41]), ("east", &[2, 12, 22, 32, 42]), ("west", &[23, 33, 43, 44])];

/// How long the cluster may take to be ready, and to end.
const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(10);
/// How long the master may take to answer.
const ASK: Duration = Duration::from_secs(5);
/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(50);

/// A running cluster; it ends with this value.
pub(crate) struct Cluster {
    pub(crate) deploy: Arc<Deploy>,
    on: On,
}

/// Where it runs.
enum On {
    This { supervisor: Child, dir: TempDir },
    Hosts(Arc<Hosts>),
}

impl Cluster {
    /// Starts it and waits until every node is ready; without the nodes that have mods when it is `rust_only`.
    pub(crate) fn start(rust_only: bool) -> Result<Cluster, String> {
        let dir = tempfile::Builder::new().prefix("arena-").tempdir().map_err(told("a directory"))?;
        let file = dir.path().join("deploy.json");
        std::fs::write(&file, own_deploy(rust_only)?).map_err(told("deploy.json"))?;
        let (deploy, _) = Deploy::load(&file).map_err(|errors| errors.to_string())?;
        let log = File::create(dir.path().join("cluster.log")).map_err(told("the log"))?;
        let supervisor = Command::new(std::env::current_exe().map_err(told("this program's own file"))?)
            .arg("up")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(told("the log"))?)
            .stderr(log)
            .spawn()
            .map_err(told("the supervisor"))?;
        super::signals::end_with_us(supervisor.id(), dir.path())?;
        let mut cluster = Cluster { deploy: Arc::new(deploy), on: On::This { supervisor, dir } };
        match cluster.wait_until_ready() {
            Ok(()) => Ok(cluster),
            Err(why) => Err(format!("{why}; its log ends with:\n{}", cluster.log_end(30))),
        }
    }

    /// Starts it on three hosts and waits until every node is ready.
    pub(crate) fn start_on(ground: Arc<Ground>, rust_only: bool) -> Result<Cluster, String> {
        let program = std::env::current_exe().map_err(told("this program's own file"))?;
        let mut deploy: Value = serde_json::from_str(&own_deploy(rust_only)?).map_err(told("deploy.json"))?;
        let times = [("heartbeat", 0.5), ("stuck", 2.0), ("loss", 4.0), ("resume", 20.0)];
        times.iter().for_each(|(name, seconds)| deploy[format!("{name}_seconds")] = (*seconds).into());
        let host = |entry: &mut Value| {
            let at = HOSTS.iter().find(|(_, ids)| ids.iter().any(|id| entry["serverid"] == *id));
            entry["host"] = at.map_or(HOSTS[0].0, |(name, _)| name).into();
        };
        let mut master = deploy["master"].take();
        master["port"] = 0.into();
        let mut second = master.clone();
        second["serverid"] = 2.into();
        deploy["master"] = vec![master, second].into();
        for group in deploy.as_object_mut().into_iter().flat_map(|groups| groups.values_mut()) {
            group.as_array_mut().into_iter().flatten().for_each(host);
        }
        let plan = Plan { hosts: HOSTS.map(|(name, _)| name.to_owned()).into(), program, deploy };
        let hosts = Hosts::start(ground, &plan, START * 3)?;
        Ok(Cluster { deploy: hosts.deploy().clone(), on: On::Hosts(Arc::new(hosts)) })
    }

    /// The hosts that it runs on, if it does.
    pub(crate) fn hosts(&self) -> Option<&Arc<Hosts>> {
        match &self.on {
            On::This { .. } => None,
            On::Hosts(hosts) => Some(hosts),
        }
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START;
        loop {
            if let On::This { supervisor, .. } = &mut self.on
                && let Ok(Some(status)) = supervisor.try_wait()
            {
                return Err(format!("the cluster ended at its start: {status}"));
            }
            let nodes = self.nodes();
            let ready = nodes
                .as_ref()
                .map_or(0, |nodes| nodes.iter().filter(|node| node.state == State::Ready).count());
            if ready == self.deploy.nodes.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let of = self.deploy.nodes.len();
                return Err(format!("only {ready} of {of} nodes were ready after {START:?}"));
            }
            sleep(LOOK);
        }
    }

    /// The WebSocket addresses of the proxies.
    pub(crate) fn proxy_urls(&self) -> Vec<String> {
        let proxies = self.deploy.nodes.iter().filter(|node| node.role == Role::Proxy);
        proxies.filter_map(|node| Some(format!("ws://{}:{}", node.ip, node.port?))).collect()
    }

    /// The nodes that run mods in Python.
    pub(crate) fn python_nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.deploy.nodes.iter().filter(|node| !node.mods.is_empty()).map(|node| NodeId(node.id))
    }

    /// The proxies' ids.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.deploy.nodes.iter().filter(|node| node.role == Role::Proxy).map(|node| NodeId(node.id))
    }

    /// Who is there, as the master knows it.
    pub(crate) fn nodes(&self) -> Result<Vec<NodeInfo>, String> {
        self.ask("nodes", &())
    }

    /// Every node's counters.
    pub(crate) fn reports(&self) -> Result<Reports, String> {
        let mut all: Reports = self.ask("reports", &())?;
        while !all.left.is_empty() {
            let query = ReportsQuery { nodes: std::mem::take(&mut all.left) };
            let more: Reports = self.ask("reports", &query)?;
            all.reports.extend(more.reports);
            all.missing.extend(more.missing);
            if more.left.len() >= query.nodes.len() {
                return Err("the master leaves out reports".to_owned());
            }
            all.left = more.left;
        }
        Ok(all)
    }

    /// Asks the master that leads, on whichever host it is.
    fn ask<T: Serialize, R: DeserializeOwned>(&self, what: &str, with: &T) -> Result<R, String> {
        let Some(hosts) = self.hosts() else { return ask_master(&self.deploy, what, with, ASK) };
        let mut answers = hosts.deploys().map(|deploy| ask_master(deploy, what, with, ASK));
        let first = answers.next().ok_or("there is no master")?;
        first.or_else(|why| answers.find(Result::is_ok).unwrap_or(Err(why)))
    }

    /// How many nodes are members when all are well: a master that stands by is not.
    pub(crate) fn members(&self) -> usize {
        let masters = self.deploy.nodes.iter().filter(|node| node.role == Role::Master).count();
        self.deploy.nodes.len() + 1 - masters
    }

    /// The counters of lives that have ended, and were not killed.
    pub(crate) fn ended(&self) -> Vec<Report> {
        let left = self.hosts().map(|hosts| hosts.last_reports()).unwrap_or_default();
        left.into_iter().filter_map(|report| serde_json::from_value(report).ok()).collect()
    }

    /// Kills a node's process as `kill -9` does; its id.
    pub(crate) fn kill(&self, node: NodeId) -> Result<u32, String> {
        let link = LocalLink::new(self.deploy.run_dir());
        let process = link.process_of(node).ok_or_else(|| format!("node {node} has no process"))?;
        let pid = i32::try_from(process).map_err(told("its process id"))?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(told("kill -9"))?;
        Ok(process)
    }

    /// Asks the supervisor to end, as Ctrl-C does, and waits for it; how long it took.
    pub(crate) fn stop(mut self) -> Result<Duration, String> {
        let since = Instant::now();
        self.end()?;
        Ok(since.elapsed())
    }

    fn end(&mut self) -> Result<(), String> {
        let log_end = self.log_end(10);
        let supervisor = match &mut self.on {
            On::This { supervisor, .. } => supervisor,
            // Whoever else had them has let go by now.
            On::Hosts(hosts) => return Arc::get_mut(hosts).map_or(Ok(()), Hosts::stop),
        };
        if let Ok(Some(status)) = supervisor.try_wait() {
            return Err(format!("the cluster had ended before: {status}; {log_end}"));
        }
        let pid = i32::try_from(supervisor.id()).map_err(told("its process id"))?;
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            match supervisor.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the cluster ended with {status}")),
                _ => sleep(LOOK),
            }
        }
        let _ = supervisor.kill();
        let _ = supervisor.wait();
        Err(format!("the cluster did not end within {STOP:?}"))
    }

    /// The last lines of its log.
    pub(crate) fn log_end(&self, lines: usize) -> String {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Where its log stands while it runs.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.file_beside("cluster.log")
    }

    /// Where another file of this run stands.
    pub(crate) fn file_beside(&self, name: &str) -> PathBuf {
        match &self.on {
            On::This { dir, .. } => dir.path().join(name),
            On::Hosts(hosts) => hosts.ground().dir().join(name),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let On::This { supervisor, .. } = &mut self.on
            && matches!(supervisor.try_wait(), Ok(None))
        {
            let _ = self.end();
        }
    }
}

/// The demo's deploy.json: this program, free ports, and mods from where the example is.
fn own_deploy(rust_only: bool) -> Result<String, String> {
    let program = std::env::current_exe().map_err(told("this program's own file"))?;
    let program = serde_json::to_string(&program.display().to_string()).map_err(told("its name"))?;
    let mut text = DEPLOY.replace(&format!("\"{PROGRAM}\""), &program);
    for (port, free) in PORTS.iter().zip(free_ports()?) {
        text = text.replace(&port.to_string(), &free.to_string());
    }
    let mut deploy: Value = serde_json::from_str(&text).map_err(told("deploy.json"))?;
    for group in deploy.as_object_mut().into_iter().flat_map(|groups| groups.values_mut()) {
        let Some(entries) = group.as_array_mut() else { continue };
        entries.retain(|entry| !rust_only || entry.get("mods").is_none());
        let mods = entries.iter_mut().filter_map(|entry| entry.get_mut("mods")?.as_array_mut());
        for dir in mods.flatten() {
            *dir = format!("{MODS}/{}", dir.as_str().unwrap_or_default()).into();
        }
    }
    Ok(deploy.to_string())
}

/// All are held at once, so that they are three.
fn free_ports() -> Result<[u16; 3], String> {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        let listener = listener.as_ref().map_err(|error| format!("a free port: {error}"))?;
        *port = listener.local_addr().map_err(told("a free port"))?.port();
    }
    Ok(ports)
}

fn told<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}
