//! A cluster in one thread on virtual time: real nodes and a real master, each metered, none with a thread of its own.

use crate::meter::Meter;
use crate::wires::{Traffic, Wires};
use chappe_master::Master;
use chappe_node::control::{self, Session};
use chappe_node::{Beats, Call, Changed, Config, Declared, Node, NodeError, State};
use chappe_wire::{NodeId, Role, Row};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::{Instant, sleep, timeout};

/// The master's id.
pub const MASTER: NodeId = NodeId(1);
/// How long anything that is waited for may take, in virtual time.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(1);

/// The cluster.
pub struct Cluster {
    wires: Wires,
    declared: Declared,
    nodes: RefCell<BTreeMap<NodeId, Rc<Running>>>,
    lives: Cell<u64>,
}

/// A life of a node that runs.
pub struct Running {
    /// The node.
    pub node: Node,
    /// What it takes.
    pub meter: Rc<Meter>,
    /// The sessions that it holds, for a proxy.
    pub sessions: Rc<RefCell<Vec<Session>>>,
    master: Rc<RefCell<Option<Master>>>,
    ready: Rc<Cell<usize>>,
    known: Rc<Cell<usize>>,
    gate: Rc<Gate>,
    task: AbortHandle,
}

#[derive(Default)]
struct Gate {
    is_shut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A moment in the life of a cluster, to measure from.
pub struct Mark {
    at: Instant,
    traffic: Traffic,
    cpu: Duration,
    master: Duration,
}

/// What something cost.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub struct Cost {
    /// Virtual time, in milliseconds.
    pub ms: f64,
    /// What passed between all nodes.
    pub traffic: Traffic,
    /// CPU time of all nodes, the master among them, in microseconds.
    pub cpu_us: f64,
    /// CPU time of the master, in microseconds.
    pub master_us: f64,
}

/// The roles of `count` nodes: a master, a tenth proxies, a tenth lobbies, a tenth services, and games.
pub fn roles(count: usize) -> Vec<(NodeId, Role, String)> {
    let tenth = (count / 10).max(1);
    let role = |at: usize| match at {
        0 => (Role::Master, "master"),
        at if at <= tenth => (Role::Proxy, "proxy"),
        at if at <= 2 * tenth => (Role::Lobby, "lobby"),
        at if at <= 3 * tenth => (Role::Service, "service_mail"),
        _ => (Role::Game, "duel"),
    };
    (0..count).map(|at| (NodeId(at as i64 + 1), role(at).0, role(at).1.to_owned())).collect()
}

/// How many connections a cluster of `nodes` has: all with all, but proxies with each other; and the heartbeats.
pub fn connections(nodes: &[(NodeId, Role, String)]) -> u64 {
    let count = nodes.len() as u64;
    let proxies = nodes.iter().filter(|(_, role, _)| *role == Role::Proxy).count() as u64;
    count * (count - 1) / 2 - proxies * proxies.saturating_sub(1) / 2 + (count - 1)
}

/// Runs `work` on virtual time.
///
/// # Panics
/// When there can be no runtime.
pub fn on_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    LocalSet::new().block_on(&runtime, work)
}

impl Cluster {
    /// A cluster in which `declared` may run; nothing does yet.
    pub fn new(declared: Vec<(NodeId, Role, String)>) -> Cluster {
        let declared = Declared { nodes: declared, modules: Vec::new() };
        Cluster { wires: Wires::default(), declared, nodes: RefCell::default(), lives: Cell::new(1) }
    }

    /// The network.
    pub fn wires(&self) -> &Wires {
        &self.wires
    }

    /// Starts the next life of a node.
    ///
    /// # Panics
    /// When it is not declared.
    pub fn start(&self, id: NodeId) {
        let (_, role, name) = self
            .declared
            .nodes
            .iter()
            .find(|(node, ..)| *node == id)
            .cloned()
            .unwrap_or_else(|| panic!("{id} is not declared"));
        let mut config = Config::new("scale", id, role, name);
        config.master = MASTER;
        config.incarnation = self.lives.replace(self.lives.get() + 1);
        config.declared = self.declared.clone();
        let node = Node::new(config);
        let (ready, known) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        count_members(&node, &ready, &known);
        let sessions: Rc<RefCell<Vec<Session>>> = Rc::default();
        if role == Role::Proxy {
            hold_sessions(&node, &sessions);
        }
        let master = Rc::new(RefCell::new(None));
        let (running, slot, link) = (node.clone(), master.clone(), Arc::new(self.wires.clone()));
        let set = LocalSet::new();
        set.spawn_local(async move {
            if role == Role::Master {
                *slot.borrow_mut() = Some(Master::attach(&running));
            }
            let setup = async |node: &Node| {
                node.listen("scale", "sender", "Told", 0, |_| {});
                Ok(())
            };
            match running.run(link, Beats::Task, setup).await {
                Ok(()) | Err(NodeError::Evicted { .. }) => {}
                Err(error) => panic!("a node of the measurement has ended: {error}"),
            }
        });
        let (gate, meter) = (Rc::new(Gate::default()), Rc::new(Meter::default()));
        let task = tokio::task::spawn_local(drive(set, gate.clone(), meter.clone())).abort_handle();
        let running = Running { node, meter, sessions, master, ready, known, gate, task };
        self.nodes.borrow_mut().insert(id, Rc::new(running));
    }

    /// Ends a node at once, as kill -9 does.
    pub async fn kill(&self, id: NodeId) {
        let Some(running) = self.nodes.borrow_mut().remove(&id) else { return };
        running.task.abort();
        // The task is dropped when it would have been polled.
        tokio::task::yield_now().await;
        running.node.abandon();
        *running.master.borrow_mut() = None;
    }

    /// Stops a node in its tracks, as SIGSTOP does.
    pub fn freeze(&self, id: NodeId) {
        self.running(id).gate.is_shut.set(true);
    }

    /// Asks a node to leave, and forgets it.
    pub fn stop(&self, id: NodeId) {
        self.running(id).node.stop();
        self.nodes.borrow_mut().remove(&id);
    }

    /// A node that runs.
    ///
    /// # Panics
    /// When it does not.
    pub fn running(&self, id: NodeId) -> Rc<Running> {
        self.nodes.borrow().get(&id).cloned().unwrap_or_else(|| panic!("{id} does not run"))
    }

    /// The master.
    ///
    /// # Panics
    /// When it does not run.
    pub fn master(&self) -> Master {
        self.running(MASTER).master.borrow().clone().unwrap_or_else(|| panic!("there is no master"))
    }

    /// Whether the master runs and has been made one.
    pub fn has_master(&self) -> bool {
        self.nodes.borrow().get(&MASTER).is_some_and(|at| at.master.borrow().is_some())
    }

    /// Waits until every node but those in `except` knows `count` members, all of them ready.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn agreed(&self, count: usize, except: &[NodeId]) {
        self.until("all nodes agree on the members", || {
            let nodes = self.nodes.borrow();
            let mut others = nodes.iter().filter(|(id, _)| !except.contains(id));
            others.all(|(_, at)| at.ready.get() == count && at.known.get() == count)
        })
        .await;
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                sleep(LOOK).await;
            }
        };
        assert!(timeout(PATIENCE, wait).await.is_ok(), "never came to be: {what}");
    }

    /// From here on.
    pub fn mark(&self) -> Mark {
        let (cpu, master) = self.cpu();
        Mark { at: Instant::now(), traffic: self.wires.traffic(), cpu, master }
    }

    /// What it cost since then. The node that came or went meanwhile is not in the CPU time.
    pub fn since(&self, mark: &Mark) -> Cost {
        let (cpu, master) = self.cpu();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Cost {
            ms: mark.at.elapsed().as_secs_f64() * 1e3,
            traffic: self.wires.traffic() - mark.traffic,
            cpu_us: micros(cpu.saturating_sub(mark.cpu)),
            master_us: micros(master.saturating_sub(mark.master)),
        }
    }

    fn cpu(&self) -> (Duration, Duration) {
        let nodes = self.nodes.borrow();
        let all = nodes.values().map(|at| at.meter.cpu()).sum();
        (all, nodes.get(&MASTER).map_or(Duration::ZERO, |at| at.meter.cpu()))
    }
}

/// Counts the members that a node knows, and those of them that are ready.
fn count_members(node: &Node, ready: &Rc<Cell<usize>>, known: &Rc<Cell<usize>>) {
    let (ready, known) = (ready.clone(), known.clone());
    node.on_view(move |change| {
        let (before, after) = match change {
            Changed::Member(before, after) => (before.as_ref(), Some(after)),
            Changed::Gone(before) => (Some(before), None),
        };
        let is_ready = |member: Option<&chappe_node::Member>| {
            usize::from(member.is_some_and(|member| member.state == State::Ready))
        };
        ready.set(ready.get() + is_ready(after) - is_ready(before));
        known.set(known.get() + usize::from(after.is_some()) - usize::from(before.is_some()));
    });
}

/// What a proxy does with the master's orders, without any clients.
fn hold_sessions(node: &Node, sessions: &Rc<RefCell<Vec<Session>>>) {
    let held = sessions.clone();
    node.on_join(move || held.borrow().clone());
    for order in ["move", "close", "announce"] {
        node.register(Row::Internal, control::PROXY, order, |call: Call<'_>| drop(call.respond(&())));
    }
}

async fn drive(mut set: LocalSet, gate: Rc<Gate>, meter: Rc<Meter>) {
    poll_fn(|cx| {
        if gate.is_shut.get() {
            *gate.waker.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        meter.of(|| pin!(&mut set).poll(cx))
    })
    .await;
}
