//! `chappe up`: keeps the nodes of one machine running, and ends them in order.
//!
//! ```text
//! keep (one task a node) -> launch: process | thread -> End -> backoff -> again
//!      ^ orders: run, leave, kill                 `-> ready, lines -> output
//! ```

mod asks;
mod backoff;
mod door;
mod output;
mod process;
mod shutdown;
mod thread;

use crate::exit::{self, CommandError};
use crate::signals::Signals;
pub(crate) use asks::{Answer, Ask, ask, unchangeable};
use backoff::Backoff;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_wire::Role;
pub(crate) use output::{Event, Output};
pub(crate) use process::{Programs, READY_LINE};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
pub(crate) use thread::Threads;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// A node that cannot start because of its configuration, or because the master refuses it, is tried so often: what
/// it ran into may be about to go.
const TRIES: u32 = 3;
/// Between two lines that tell who is missing.
const MISSING: Duration = Duration::from_secs(10);

/// What a node is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Order {
    /// Run; come back when it dies.
    Run,
    /// Finish what it has, and go.
    Leave,
    /// Go at once.
    Kill,
}

/// How one life of a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// With an exit code; and the error, where it is known.
    Exit(u8, Option<String>),
    /// By a signal, or a panic.
    Killed(String),
    /// It never began.
    NotStarted(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Exit(exit::RESTART, _) => f.write_str("it wants to be started again"),
            End::Exit(code, None) => write!(f, "exit code {code}"),
            End::Exit(code, Some(why)) => write!(f, "code {code}: {why}"),
            End::Killed(by) => f.write_str(by),
            End::NotStarted(why) => write!(f, "cannot be started: {why}"),
        }
    }
}

/// Why a node is not started any more.
#[derive(Debug)]
struct GivenUp {
    /// Its exit code.
    code: u8,
    /// What it said, where it said something.
    why: String,
}

/// How nodes are run.
pub(crate) enum Launch {
    /// Each in a process of its own.
    Processes(Programs),
    /// Each on a thread of this process.
    Threads(Threads),
}

/// Keeps the nodes of a cluster running.
pub(crate) struct Supervisor {
    deploy: RefCell<Arc<Deploy>>,
    /// The machine, where the file names several.
    host: Option<String>,
    /// Those of this machine.
    nodes: RefCell<Vec<NodeEntry>>,
    launch: Launch,
    output: Rc<Output>,
    started: Instant,
    orders: RefCell<BTreeMap<i64, watch::Sender<Order>>>,
    ready: RefCell<BTreeSet<i64>>,
    is_announced: Cell<bool>,
    /// Nodes that are kept: running, or about to be again.
    kept: RefCell<BTreeSet<i64>>,
    given_up: RefCell<BTreeMap<i64, GivenUp>>,
    changed: Notify,
}

/// Runs these nodes of the cluster until it is asked to leave, or cannot go on.
///
/// # Errors
/// [`CommandError::Ended`] when nodes could not be kept running; [`CommandError::Usage`] while another process keeps them.
pub(crate) fn run(
    deploy: Arc<Deploy>,
    host: Option<String>,
    nodes: Vec<NodeEntry>,
    launch: Launch,
    output: Output,
) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CommandError::io("cannot start"))?;
    let output = Rc::new(output);
    let shown = output.clone();
    let result = tokio::task::LocalSet::new().block_on(&runtime, async move {
        let signals = Signals::new().map_err(CommandError::io("cannot listen to signals"))?;
        let door = asks::Door::open(&deploy, host.as_deref())?;
        let supervisor = Supervisor {
            deploy: RefCell::new(deploy),
            host,
            nodes: RefCell::new(nodes),
            launch,
            output,
            started: Instant::now(),
            orders: RefCell::default(),
            ready: RefCell::default(),
            is_announced: Cell::new(false),
            kept: RefCell::default(),
            given_up: RefCell::default(),
            changed: Notify::new(),
        };
        Rc::new(supervisor).supervise(signals, door).await
    });
    shown.finish();
    result
}

impl Supervisor {
    async fn supervise(self: Rc<Self>, mut signals: Signals, door: asks::Door) -> Result<(), CommandError> {
        let ids: Vec<i64> = self.nodes.borrow().iter().map(|entry| entry.id).collect();
        ids.into_iter().for_each(|id| self.start(id));
        tokio::select! {
            biased;
            () = signals.next() => {}
            () = self.serve_asks(door) => {}
            () = self.cannot_go_on() => {}
            () = self.tell_who_is_missing() => {}
        }
        self.shut_down(&mut signals).await;
        self.outcome()
    }

    /// From now on a node is kept running.
    fn start(self: &Rc<Self>, id: i64) {
        let (order, orders) = watch::channel(Order::Run);
        self.orders.borrow_mut().insert(id, order);
        self.kept.borrow_mut().insert(id);
        self.given_up.borrow_mut().remove(&id);
        tokio::task::spawn_local(Rc::clone(self).keep(id, orders));
    }

    /// A node's entry, as the file has it now.
    fn entry(&self, id: i64) -> Option<NodeEntry> {
        self.nodes.borrow().iter().find(|entry| entry.id == id).cloned()
    }

    /// Runs one node, again and again, until it is not to be.
    async fn keep(self: Rc<Self>, id: i64, mut orders: watch::Receiver<Order>) {
        let (mut backoff, mut refused) = (Backoff::default(), 0);
        while let Some(entry) = self.entry(id) {
            let (began, was_ready) = (Instant::now(), Cell::new(false));
            let on_ready = || {
                was_ready.set(true);
                self.is_ready(&entry);
            };
            let end = self.run_once(&entry, orders.clone(), &on_ready).await;
            self.ready.borrow_mut().remove(&entry.id);
            if *orders.borrow() != Order::Run {
                break;
            }
            if end == End::Exit(0, None) {
                self.output.event(&Event::left(&entry));
                break;
            }
            let most = tries_for(&end).filter(|_| !was_ready.get());
            refused = if most.is_some() { refused + 1 } else { 0 };
            if let End::Exit(code, why) = &end
                && most.is_some_and(|most| refused >= most)
            {
                let why = why.clone().unwrap_or_else(|| end.to_string());
                self.output.event(&Event::given_up(&entry, &why, refused));
                self.given_up.borrow_mut().insert(entry.id, GivenUp { code: *code, why });
                self.announce_when_ready();
                break;
            }
            let delay = match end {
                // Nothing is wrong with it.
                End::Exit(exit::RESTART, _) => self.pause(&entry),
                _ => backoff.next(began.elapsed()),
            };
            self.output.event(&Event::died(&entry, &end, delay));
            tokio::select! {
                biased;
                _ = orders.changed() => break,
                () = sleep(delay) => {}
            }
        }
        self.kept.borrow_mut().remove(&id);
        self.changed.notify_waiters();
    }

    /// How long a node that wants to be started again waits: a master until the other one leads, which looks for that ten
    /// times in the time of a lease.
    fn pause(&self, entry: &NodeEntry) -> Duration {
        let deploy = self.deploy.borrow();
        let gives_way = entry.role == Role::Master && deploy.has_two_masters();
        if gives_way { deploy.timing.lease / 2 } else { Duration::ZERO }
    }

    async fn run_once(&self, entry: &NodeEntry, orders: watch::Receiver<Order>, on_ready: &dyn Fn()) -> End {
        match &self.launch {
            Launch::Processes(programs) => programs.run(entry, orders, &self.output, on_ready).await,
            Launch::Threads(threads) => threads.run(entry, orders, &self.output, on_ready).await,
        }
    }

    fn is_ready(&self, entry: &NodeEntry) {
        self.ready.borrow_mut().insert(entry.id);
        if self.is_announced.get() {
            self.output.event(&Event::back(entry));
        }
        self.announce_when_ready();
    }

    /// Says once that the cluster is ready: every node is that has not been given up.
    fn announce_when_ready(&self) {
        let (ready, given_up) = (self.ready.borrow(), self.given_up.borrow());
        let (deploy, nodes) = (self.deploy.borrow(), self.nodes.borrow());
        let mut masters = nodes.iter().filter(|entry| entry.role == Role::Master).peekable();
        let is_elsewhere = masters.peek().is_none();
        if (is_elsewhere || masters.any(|master| ready.contains(&master.id)))
            && ready.len() + given_up.len() == nodes.len()
            && !self.is_announced.replace(true)
        {
            let without = given_up.keys().copied().collect();
            self.output.event(&Event::ready(&deploy, &nodes, without, self.started.elapsed()));
        }
    }

    /// Says from time to time who keeps the cluster from being ready. Never ends.
    async fn tell_who_is_missing(&self) {
        loop {
            sleep(MISSING).await;
            if self.is_announced.get() {
                return std::future::pending().await;
            }
            let missing: Vec<i64> = self.nodes.borrow().iter().map(|entry| entry.id).collect();
            let missing = missing.into_iter().filter(|id| !self.ready.borrow().contains(id)).collect();
            self.output
                .event(&Event::Waiting { nodes: missing, seconds: self.started.elapsed().as_secs_f64() });
        }
    }

    /// Until no node is left, or the master is given up.
    async fn cannot_go_on(&self) {
        loop {
            let changed = self.changed.notified();
            let without_master = {
                let (given_up, deploy) = (self.given_up.borrow(), self.deploy.borrow());
                deploy.masters().all(|master| given_up.contains_key(&master.id))
            };
            if without_master || self.kept.borrow().is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn outcome(&self) -> Result<(), CommandError> {
        let given_up = self.given_up.borrow();
        let Some(first) = given_up.values().next() else { return Ok(()) };
        let deploy = self.deploy.borrow();
        let role = |id: &i64| deploy.node(*id).map_or(Role::Tool, |entry| entry.role);
        let told = |id, why: &str| format!("could not be started: node {id} ({}): {why}", role(id));
        let lines: Vec<String> = given_up.iter().map(|(id, given_up)| told(id, &given_up.why)).collect();
        let code = given_up.get(&deploy.master().id).unwrap_or(first).code;
        Err(CommandError::Ended { code, message: lines.join("\n") })
    }
}

/// How often a node may end so before it is ready, and be tried again; `None` for as often as it likes.
fn tries_for(end: &End) -> Option<u32> {
    match end {
        // A mod does not get better by itself.
        End::Exit(exit::MOD, _) => Some(1),
        End::Exit(exit::CONFIG | exit::REFUSED, _) => Some(TRIES),
        _ => None,
    }
}
