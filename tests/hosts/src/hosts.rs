//! A cluster on hosts: the same deploy.json everywhere, `up --host NAME` on each, and the commands that look into it.

use crate::commands::Commands;
use crate::ground::Ground;
use crate::kept::{Kept, is_alive};
use crate::told;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_link::local::LocalLink;
use chappe_wire::{NodeId, Role};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Tells nodes where to leave their counters when they end.
const LAST_REPORTS: &str = "CHAPPE_LAST_REPORTS";

/// What is to run.
pub struct Plan {
    /// The hosts' names.
    pub hosts: Vec<String>,
    /// The program of all nodes and commands.
    pub program: PathBuf,
    /// deploy.json, each entry with its `host`. `engine`, `store`, and the addresses of proxies are filled in.
    pub deploy: Value,
}

/// A cluster that runs on hosts; it ends with this value.
pub struct Hosts {
    ground: Arc<Ground>,
    hosts: Vec<Host>,
    commands: Commands,
    /// Nodes that no supervisor keeps any more: they were drained, and started again by hand.
    strays: Mutex<BTreeMap<i64, Kept>>,
}

struct Host {
    name: String,
    deploy: Arc<Deploy>,
    link: LocalLink,
    log: PathBuf,
    /// `None`: it is switched off.
    up: Mutex<Option<Kept>>,
}

impl Hosts {
    /// Starts it, and waits until every node is ready.
    ///
    /// # Errors
    /// What could not be done.
    pub fn start(ground: Arc<Ground>, plan: &Plan, within: Duration) -> Result<Hosts, String> {
        let deploy = with_addresses(&ground, plan)?;
        std::fs::create_dir(ground.dir().join("reports")).map_err(told("a directory for reports"))?;
        let mut hosts = Vec::new();
        for (number, name) in plan.hosts.iter().enumerate() {
            let dir = ground.dir().join(name);
            std::fs::create_dir(&dir).map_err(told("a host's directory"))?;
            let file = dir.join("deploy.json");
            let (nats, store) = ground.urls(number)?;
            let mut deploy = deploy.clone();
            deploy["engine"] = json!({"nats": [nats]});
            deploy["store"] = store.into();
            std::fs::write(&file, deploy.to_string()).map_err(told("deploy.json"))?;
            let (deploy, _) = Deploy::load(&file).map_err(|errors| errors.to_string())?;
            let link = LocalLink::new(deploy.run_dir());
            ground.keepers.remove_later(deploy.run_dir());
            hosts.push(Host {
                name: name.clone(),
                deploy: Arc::new(deploy),
                link,
                log: dir.join("cluster.log"),
                up: Mutex::default(),
            });
        }
        let masters = hosts.iter().filter(|host| host.nodes().any(|entry| entry.role == Role::Master));
        let files = masters.map(|host| host.deploy.path.clone()).collect();
        let commands = Commands { program: plan.program.clone(), files };
        let cluster = Hosts { ground, hosts, commands, strays: Mutex::default() };
        (0..cluster.count()).try_for_each(|number| cluster.switch_on(number))?;
        cluster.whole(within)?;
        Ok(cluster)
    }

    /// Starts `up` on a host.
    ///
    /// # Errors
    /// When it cannot be started; no such host.
    pub fn switch_on(&self, number: usize) -> Result<(), String> {
        let mut command = self.ground.place(number)?.command(&self.commands.program);
        let host = self.hosts.get(number).ok_or("no such host")?;
        command.env(LAST_REPORTS, self.ground.dir().join("reports"));
        command.arg("up").arg(&host.deploy.path).args(["--host", &host.name]);
        *host.up() = Some(self.ground.keepers.start(&command, Signal::SIGTERM, &host.log)?);
        Ok(())
    }

    /// Kills everything on a host, those first who would start it again, as when its machine loses power.
    ///
    /// # Errors
    /// When there is nothing; no such host.
    pub fn switch_off(&self, number: usize) -> Result<(), String> {
        let host = self.hosts.get(number).ok_or("no such host")?;
        let up = host.up().take().ok_or("the host is off already")?;
        let processes: Vec<Pid> = host.nodes().filter_map(|entry| self.process_of(entry.id)).collect();
        up.kill();
        for entry in host.nodes() {
            let stray = self.strays().remove(&entry.id);
            stray.into_iter().for_each(Kept::kill);
        }
        for process in &processes {
            // With its supervisor gone it may be, too.
            let _ = kill(*process, Signal::SIGKILL);
        }
        while processes.iter().any(|process| is_alive(*process)) {
            std::thread::sleep(LOOK / 10);
        }
        Ok(())
    }

    /// Waits until every node is ready, at most `within`.
    ///
    /// # Errors
    /// Who is not; a supervisor that has ended.
    pub fn whole(&self, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        loop {
            let gone = self.hosts.iter().find(|host| host.up().as_ref().is_none_or(|up| !up.is_alive()));
            if let Some(host) = gone {
                return Err(format!("`up` on host {} has ended: see {}", host.name, host.log.display()));
            }
            let missing = self.missing();
            match missing {
                Ok(missing) if missing.is_empty() => return Ok(()),
                Ok(missing) if Instant::now() > deadline => {
                    return Err(format!("not ready after {within:.0?}: nodes {missing:?}"));
                }
                Err(why) if Instant::now() > deadline => return Err(why),
                _ => std::thread::sleep(LOOK),
            }
        }
    }

    fn missing(&self) -> Result<Vec<i64>, String> {
        let nodes = self.commands.tell(&["nodes"], &[])?;
        let list = nodes["nodes"].as_array().ok_or("`nodes` shows no list")?;
        let is_ready = |id: i64| list.iter().any(|node| node["id"] == id && node["state"] == "ready");
        let ids = self.deploy().nodes.iter().map(|entry| entry.id);
        // A second master is no member until it leads.
        let is_member = |id: &i64| self.deploy().node(*id).is_some_and(|entry| entry.role != Role::Master);
        Ok(ids.filter(is_member).filter(|id| !is_ready(*id)).collect())
    }

    /// Which life each node is in, as the master knows it.
    ///
    /// # Errors
    /// As [`Commands::tell`].
    pub fn lives(&self) -> Result<BTreeMap<i64, u64>, String> {
        let nodes = self.commands.tell(&["nodes"], &[])?;
        let list = nodes["nodes"].as_array().ok_or("`nodes` shows no list")?;
        Ok(list.iter().filter_map(|node| node["id"].as_i64().zip(node["incarnation"].as_u64())).collect())
    }

    /// The master that leads, and its host.
    ///
    /// # Errors
    /// As [`Commands::tell`]; nobody does.
    pub fn leader(&self) -> Result<(i64, usize), String> {
        let lives = self.lives()?;
        let leads = |entry: &&NodeEntry| entry.role == Role::Master && lives.contains_key(&entry.id);
        let at = |host: usize| Some((self.nodes_of(host).find(leads)?.id, host));
        (0..self.count()).find_map(at).ok_or_else(|| "no master leads".to_owned())
    }

    /// Whether there is a master that stands by.
    #[must_use]
    pub fn has_standby(&self) -> bool {
        self.commands.files.len() > 1
    }

    /// The file on each host that has a master.
    pub fn deploys(&self) -> impl Iterator<Item = &Deploy> {
        let is_master = |entry: &NodeEntry| entry.role == Role::Master;
        self.hosts.iter().filter(move |host| host.nodes().any(is_master)).map(|host| &*host.deploy)
    }

    /// What the cluster stands on.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The file, as the first host with a master has it.
    #[must_use]
    pub fn deploy(&self) -> &Arc<Deploy> {
        let master = self.hosts.iter().find(|host| host.nodes().any(|entry| entry.role == Role::Master));
        &master.unwrap_or(&self.hosts[0]).deploy
    }

    /// What nodes that ended, and were not killed, have left of their counters.
    #[must_use]
    pub fn last_reports(&self) -> Vec<Value> {
        let files = std::fs::read_dir(self.ground.dir().join("reports")).into_iter().flatten().flatten();
        let files =
            files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|kind| kind == "json"));
        files.filter_map(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok()).collect()
    }

    /// The commands that look into it.
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// How many hosts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.hosts.len()
    }

    /// A host's name.
    #[must_use]
    pub fn name(&self, host: usize) -> &str {
        self.hosts.get(host).map_or("?", |host| &host.name)
    }

    /// The nodes of a host.
    pub fn nodes_of(&self, host: usize) -> impl Iterator<Item = &NodeEntry> {
        self.hosts.get(host).into_iter().flat_map(Host::nodes)
    }

    /// The WebSocket addresses of the proxies.
    #[must_use]
    pub fn proxy_urls(&self) -> Vec<String> {
        let proxies = self.deploy().nodes.iter().filter(|entry| entry.role == Role::Proxy);
        proxies.filter_map(|entry| Some(format!("ws://{}:{}", entry.ip, entry.port?))).collect()
    }

    /// The process that is a node now; `None` when it has died and is not back.
    #[must_use]
    pub fn process_of(&self, node: i64) -> Option<Pid> {
        let host = self.hosts.iter().find(|host| host.nodes().any(|entry| entry.id == node))?;
        let process = host.link.process_of(NodeId(node))?;
        let line = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
        // The number may be another program's by now.
        let ours = host.deploy.path.to_string_lossy();
        let is_ours = String::from_utf8_lossy(&line).split('\0').any(|arg| arg == ours);
        is_ours.then(|| i32::try_from(process).ok()).flatten().map(Pid::from_raw)
    }

    /// Sends a node's process a signal.
    ///
    /// # Errors
    /// When it has none.
    pub fn signal(&self, node: i64, signal: Signal) -> Result<Pid, String> {
        let process = self.process_of(node).ok_or_else(|| format!("node {node} has no process"))?;
        kill(process, signal).map(|()| process).map_err(told(signal))
    }

    /// Starts a node by hand, as an operator does after `drain`; from then on it is started whenever it is not there.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_node(&self, node: i64) -> Result<(), String> {
        let at = |host: &Host| host.nodes().any(|entry| entry.id == node);
        let number = self.hosts.iter().position(at).ok_or_else(|| format!("there is no node {node}"))?;
        let host = &self.hosts[number];
        // What evicts a node ends its process; whoever started it by hand does so again.
        let again = "while :; do \"$@\" & node=$!; trap 'kill $node; wait $node; exit 0' TERM; wait $node; sleep 0.2; done";
        let mut command = self.ground.place(number)?.command("sh");
        command.env(LAST_REPORTS, self.ground.dir().join("reports"));
        command.args(["-c", again, "sh"]).arg(&self.commands.program);
        command.arg("node").arg(&host.deploy.path).arg(node.to_string());
        let stray = self.ground.keepers.start(&command, Signal::SIGTERM, &host.log)?;
        self.strays().insert(node, stray);
        Ok(())
    }

    /// Whether a node was started by hand.
    #[must_use]
    pub fn is_stray(&self, node: i64) -> bool {
        self.strays().contains_key(&node)
    }

    fn strays(&self) -> MutexGuard<'_, BTreeMap<i64, Kept>> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All logs so far.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |host: &Host| std::fs::read(&host.log).unwrap_or_default();
        self.hosts.iter().map(|host| String::from_utf8_lossy(&read(host)).into_owned()).collect()
    }

    /// Asks all hosts to end as Ctrl-C does, the one with the master last.
    ///
    /// # Errors
    /// Who did not end in order.
    pub fn stop(&mut self) -> Result<(), String> {
        std::mem::take(self.strays.get_mut().unwrap_or_else(PoisonError::into_inner));
        let mut failed = Vec::new();
        for host in self.hosts.iter_mut().rev() {
            let up = host.up.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            if !up.is_none_or(Kept::end) {
                failed.push(format!("`up` on host {} did not end in order", host.name));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }
}

impl Host {
    fn up(&self) -> MutexGuard<'_, Option<Kept>> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> impl Iterator<Item = &NodeEntry> {
        self.deploy.nodes.iter().filter(|entry| entry.host.as_deref() == Some(self.name.as_str()))
    }
}

/// Each proxy gets an address of its host and a port that is free there.
fn with_addresses(ground: &Ground, plan: &Plan) -> Result<Value, String> {
    let mut deploy = plan.deploy.clone();
    // A host's address is not loopback, where that would go without saying.
    deploy["login"] = "any".into();
    // Behind relays each host knows the one store by another address, and so takes it for another cluster's.
    deploy["cluster_id"] = "hosts".into();
    let mut held = Vec::new();
    let proxies = deploy["proxy"].as_array_mut().into_iter().flatten();
    for (nth, proxy) in (0..).zip(proxies) {
        let host = proxy["host"].as_str().and_then(|name| plan.hosts.iter().position(|host| host == name));
        let place = ground.place(host.ok_or("a proxy without a host")?)?;
        let (port, holder) = place.free_port(nth)?;
        // All are held at once, so that they are different.
        held.push(holder);
        proxy["ip"] = place.ip.to_string().into();
        proxy["port"] = port.into();
        // The hosts' network is the test's own, and its players have no tokens.
        proxy["login"] = "any".into();
    }
    Ok(deploy)
}

/// Whether a process is there no more.
pub(crate) fn has_ended(process: Pid) -> bool {
    !is_alive(process)
}
