//! What the supervisor prints: its nodes' lines, each with its node in front, and its own.

use crate::logging;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_wire::Role;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many lines may wait for a terminal that does not keep up; more are dropped, and counted.
const WAITING_LINES: usize = 8_192;
/// Colours that are readable on dark and on light.
const COLORS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// Prints from a thread of its own: neither the supervisor nor a node waits for a terminal.
pub(crate) struct Output {
    as_json: bool,
    prefixes: RefCell<BTreeMap<i64, String>>,
    own_prefix: String,
    printer: RefCell<Option<(SyncSender<String>, JoinHandle<()>)>>,
    dropped: Arc<AtomicU64>,
}

impl Output {
    /// For the nodes of `deploy`; with `as_json`, each line is a JSON object.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn new(deploy: &Deploy, as_json: bool) -> io::Result<Output> {
        let (prefixes, own_prefix) = prefixes(deploy);
        let (lines, printed) = sync_channel(WAITING_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        let thread = std::thread::Builder::new().name("chappe-output".into()).stack_size(128 * 1024);
        let thread = thread.spawn(move || print_all(&printed, &counter))?;
        let printer = RefCell::new(Some((lines, thread)));
        Ok(Output { as_json, prefixes: RefCell::new(prefixes), own_prefix, printer, dropped })
    }

    /// From now on the nodes are those of `deploy`.
    pub(super) fn learn(&self, deploy: &Deploy) {
        // Those that leave still have something to say.
        self.prefixes.borrow_mut().extend(prefixes(deploy).0);
    }

    /// What stands in front of a node's lines; nothing in front of JSON.
    pub(crate) fn prefix(&self, node: i64) -> String {
        if self.as_json {
            return String::new();
        }
        self.prefixes.borrow().get(&node).cloned().unwrap_or_default()
    }

    /// A line that a node has written.
    pub(crate) fn line(&self, node: i64, line: &str) {
        let text = match self.as_json {
            true => serde_json::json!({"event": "log", "node": node, "line": line}).to_string(),
            false => format!("{}{line}", self.prefix(node)),
        };
        self.print(text);
    }

    /// Something that the supervisor has to say.
    pub(crate) fn event(&self, event: &Event) {
        let text = match self.as_json {
            true => serde_json::to_string(event).unwrap_or_default(),
            false => format!("{}{event}", self.own_prefix),
        };
        self.print(text);
    }

    /// Waits, for a moment, until everything is printed.
    pub(crate) fn finish(&self) {
        let Some((lines, thread)) = self.printer.take() else { return };
        drop(lines);
        for _ in 0..20 {
            if thread.is_finished() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn print(&self, mut line: String) {
        line.push('\n');
        if let Some((lines, _)) = &*self.printer.borrow()
            && let Err(TrySendError::Full(_)) = lines.try_send(line)
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What stands in front of each node's lines, and of the supervisor's own.
fn prefixes(deploy: &Deploy) -> (BTreeMap<i64, String>, String) {
    let colors = has_colors();
    let name = |entry: &NodeEntry| format!("{} {}", entry.id, entry.node_type);
    let width = deploy.nodes.iter().map(|entry| name(entry).chars().count()).max().unwrap_or(0).max(6);
    let prefix = |text: &str, color: u8| match colors {
        true => format!("\u{1b}[{color}m[{text:<width$}]\u{1b}[0m "),
        false => format!("[{text:<width$}] "),
    };
    let nodes = deploy.nodes.iter().zip(COLORS.into_iter().cycle());
    let of_nodes = nodes.map(|(entry, color)| (entry.id, prefix(&name(entry), color))).collect();
    (of_nodes, prefix("chappe", 1))
}

/// Whether the supervisor's output is coloured, and so its nodes' lines.
pub(super) fn has_colors() -> bool {
    logging::has_colors(&io::stdout())
}

fn print_all(lines: &Receiver<String>, dropped: &AtomicU64) {
    let mut stdout = io::stdout();
    for line in lines {
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(stdout, "... {lost} lines are left out: nobody read them in time");
        }
        // Nobody listens any more: the cluster goes on.
        let _ = stdout.write_all(line.as_bytes());
        let _ = stdout.flush();
    }
}

/// What the supervisor has to say; as JSON, `event` names the kind.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// All nodes are routable.
    Ready {
        cluster: String,
        nodes: usize,
        /// Nodes that were given up.
        without: Vec<i64>,
        seconds: f64,
        clients: Vec<String>,
        control: Option<String>,
    },
    /// The cluster is not ready yet, because of these.
    Waiting { nodes: Vec<i64>, seconds: f64 },
    /// A node that had died is routable again.
    NodeReady { node: i64, node_type: String },
    /// A node died and will be started again.
    NodeDied { node: i64, node_type: String, how: String, restart_seconds: f64 },
    /// A node has left on its own, or was told to by the master.
    NodeLeft { node: i64, node_type: String },
    /// A node does not start.
    NodeGivenUp { node: i64, node_type: String, how: String, tries: u32 },
    /// The cluster ends.
    Stopping,
    /// `chappe apply`: these are started now, and those are not kept running any more.
    Applied { started: Vec<i64>, removed: Vec<i64> },
    /// These did not leave in time, or somebody is in a hurry.
    Killing { nodes: Vec<i64>, asked: bool },
    /// All nodes are gone.
    Stopped { seconds: f64 },
}

impl Event {
    pub(super) fn ready(deploy: &Deploy, nodes: &[NodeEntry], without: Vec<i64>, took: Duration) -> Event {
        let address = |entry: &NodeEntry, scheme| {
            let host = if entry.ip.contains(':') { format!("[{}]", entry.ip) } else { entry.ip.clone() };
            entry.port.map(|port| format!("{scheme}://{host}:{port}"))
        };
        let is_up = |entry: &&NodeEntry| entry.role == Role::Proxy && !without.contains(&entry.id);
        let scheme = |entry: &NodeEntry| if entry.access.tls.is_some() { "wss" } else { "ws" };
        let clients = nodes.iter().filter(is_up).filter_map(|entry| address(entry, scheme(entry))).collect();
        Event::Ready {
            cluster: deploy.cluster.clone(),
            nodes: nodes.len() - without.len(),
            without,
            seconds: took.as_secs_f64(),
            clients,
            control: address(deploy.master(), "http"),
        }
    }

    pub(super) fn back(entry: &NodeEntry) -> Event {
        Event::NodeReady { node: entry.id, node_type: entry.node_type.clone() }
    }

    pub(super) fn left(entry: &NodeEntry) -> Event {
        Event::NodeLeft { node: entry.id, node_type: entry.node_type.clone() }
    }

    pub(super) fn died(entry: &NodeEntry, how: &super::End, restart: Duration) -> Event {
        Event::NodeDied {
            node: entry.id,
            node_type: entry.node_type.clone(),
            how: how.to_string(),
            restart_seconds: restart.as_secs_f64(),
        }
    }

    pub(super) fn given_up(entry: &NodeEntry, how: &str, tries: u32) -> Event {
        Event::NodeGivenUp { node: entry.id, node_type: entry.node_type.clone(), how: how.to_owned(), tries }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Ready { cluster, nodes, without, seconds, clients, control } => {
                write!(f, "cluster `{cluster}` is ready: {nodes} nodes in {seconds:.2} s")?;
                if !without.is_empty() {
                    write!(f, ", without {}", names(without))?;
                }
                if !clients.is_empty() {
                    write!(f, "; clients: {}", clients.join(" "))?;
                }
                control.as_ref().map_or(Ok(()), |control| write!(f, "; control: {control}"))
            }
            Event::Waiting { nodes, seconds } => {
                write!(f, "not ready after {seconds:.0} s: still waiting for {}", names(nodes))
            }
            Event::NodeReady { node, node_type } => write!(f, "node {node} ({node_type}) is ready again"),
            Event::NodeDied { node, node_type, how, restart_seconds } => {
                write!(f, "node {node} ({node_type}) died: {how}; it is started again in {restart_seconds} s")
            }
            Event::NodeLeft { node, node_type } => {
                write!(f, "node {node} ({node_type}) has left and is not started again")
            }
            Event::NodeGivenUp { node, node_type, how, tries } => {
                let times = if *tries == 1 { "try" } else { "tries" };
                write!(f, "node {node} ({node_type}) is given up after {tries} {times}: {how}")
            }
            Event::Stopping => {
                f.write_str("stopping: players, servers, services, master; once more to end at once")
            }
            Event::Applied { started, removed } => {
                let parts = [("started", started), ("removed", removed)];
                let parts = parts.into_iter().filter(|(_, nodes)| !nodes.is_empty());
                let parts: Vec<String> =
                    parts.map(|(what, nodes)| format!("{what}: {}", names(nodes))).collect();
                write!(f, "deploy.json has changed; {}", parts.join("; "))
            }
            Event::Killing { nodes, asked } => {
                let why = if *asked { "asked twice" } else { "not gone in time" };
                write!(f, "killing ({why}): {}", names(nodes))
            }
            Event::Stopped { seconds } => write!(f, "stopped in {seconds:.2} s"),
        }
    }
}

fn names(nodes: &[i64]) -> String {
    nodes.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
