//! The cluster of the money tests: a master with a store on a disk that loses what was not synced, a proxy, two games.

use super::bank;
use super::books::Account;
use super::till::{Homes, Till, Told};
use super::watched::{Watched, pace};
use crate::fault::Net;
use chappe_link::Link;
use chappe_master::Master;
use chappe_node::{Beats, Config, Declared, Node, State, Timing};
use chappe_notify::{Desk, Options, Server};
use chappe_store::{Clock, Faults, FaultyStore, Keeping, Leadership, MemoryDisk, StoreClient, on_task};
use chappe_wire::{NodeId, Role, Value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

/// The master.
pub const MASTER: NodeId = NodeId(1);
/// The other master, in clusters of two.
pub const MASTER2: NodeId = NodeId(2);
/// The proxy, which never dies here.
pub const PROXY: NodeId = NodeId(10);
/// A game server.
pub const GAME1: NodeId = NodeId(30);
/// Another.
pub const GAME2: NodeId = NodeId(31);
/// A third one, in clusters of three.
pub const GAME3: NodeId = NodeId(32);

/// How long a master's lease lasts, where there are two.
const LEASE: Duration = Duration::from_secs(2);

/// How long anything that is waited for may take, in virtual time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster, on the current task's `LocalSet`.
pub struct Cluster {
    /// The network.
    pub net: Net,
    /// The master's disk.
    pub disk: MemoryDisk,
    /// What goes wrong with its flushes.
    pub faults: Faults,
    /// The same for the second master's way to the disk.
    pub faults2: Faults,
    /// What players were told.
    pub told: Told,
    homes: Homes,
    started: Instant,
    lives: Cell<u64>,
    processes: RefCell<BTreeMap<NodeId, Process>>,
    nodes: Vec<(NodeId, Role, String)>,
    plan: Plan,
    died: RefCell<BTreeMap<NodeId, Instant>>,
    due: RefCell<Vec<(Instant, Due)>>,
}

/// Registers a test's own modules.
pub type More = Rc<dyn Fn(&Server)>;

/// What a cluster is like.
#[derive(Clone)]
pub struct Plan {
    /// Decides the network's small delays.
    pub seed: u64,
    /// How many game servers there are: two or three.
    pub games: usize,
    /// How many masters: two of them have the disk between them, by a lease.
    pub masters: usize,
    /// How often a player may receive.
    pub most: i64,
    /// Of the servers' half.
    pub options: Options,
    /// Registers more on each game server.
    pub more: Option<More>,
}

impl Plan {
    /// Two games, and the game as snipe.md has it.
    pub fn new(seed: u64) -> Plan {
        Plan { seed, games: 2, masters: 1, most: bank::MOST, options: Options::default(), more: None }
    }
}

/// What ends a fault.
#[derive(Debug, Clone, Copy)]
enum Due {
    Heal(NodeId, NodeId),
    Thaw(NodeId),
    StoreBack,
    WayBack(NodeId),
    DiskEmptied,
}

/// A life of a node.
#[derive(Clone)]
struct Process {
    node: Node,
    life: u64,
    switch: Rc<Switch>,
    server: Option<Server>,
    till: Option<Till>,
    store: Option<StoreClient>,
    /// Of a master: it leads.
    leads: Rc<Cell<bool>>,
}

#[derive(Default)]
struct Switch {
    is_off: Cell<bool>,
    is_frozen: Cell<bool>,
    /// The node has ended by itself: the master has given it up.
    has_ended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Runs a test on virtual time.
pub fn run<R>(seed: u64, test: impl AsyncFnOnce(Rc<Cluster>) -> R) -> R {
    run_with(Plan::new(seed), test)
}

/// As [`run`], with a cluster of another kind.
pub fn run_with<R>(plan: Plan, test: impl AsyncFnOnce(Rc<Cluster>) -> R) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    LocalSet::new().block_on(&runtime, async move {
        let cluster = Cluster::new(plan);
        test(cluster).await
    })
}

impl Cluster {
    fn new(plan: Plan) -> Rc<Cluster> {
        let games = [GAME1, GAME2, GAME3].into_iter().take(plan.games);
        let others = [(MASTER, Role::Master, "master"), (PROXY, Role::Proxy, "proxy")];
        let second = (plan.masters > 1).then_some((MASTER2, Role::Master, "master"));
        let nodes = others.into_iter().chain(second).chain(games.map(|id| (id, Role::Game, "game")));
        Rc::new(Cluster {
            net: Net::new(plan.seed, None),
            disk: MemoryDisk::new(),
            faults: Faults::new(),
            faults2: Faults::new(),
            told: Told::default(),
            homes: Homes::default(),
            started: Instant::now(),
            lives: Cell::new(0),
            processes: RefCell::default(),
            nodes: nodes.map(|(id, role, name)| (id, role, name.to_owned())).collect(),
            plan,
            died: RefCell::default(),
            due: RefCell::default(),
        })
    }

    /// Starts all nodes, and waits until they are ready.
    pub async fn up(&self) {
        for (id, ..) in &self.nodes {
            self.start(*id);
        }
        self.whole().await;
    }

    /// Starts the next life of a node, unless one is up.
    pub fn start(&self, id: NodeId) {
        if self.processes.borrow().contains_key(&id) {
            return;
        }
        let Some((_, role, name)) = self.nodes.iter().find(|(node, ..)| *node == id) else { return };
        self.lives.set(self.lives.get() + 1);
        let life = self.lives.get();
        let mut config = Config::new("money", id, *role, name.clone());
        (config.master, config.incarnation) = (MASTER, life);
        config.second_master = (self.plan.masters > 1).then_some(MASTER2);
        config.declared = Declared { nodes: self.nodes.clone(), modules: Vec::new() };
        config.timing = Timing {
            heartbeat: Duration::from_secs(1),
            loss: Duration::from_secs(3),
            stuck: Duration::from_secs(2),
            resume: Duration::from_secs(5),
        };
        let (node, set) = (Node::new(config), LocalSet::new());
        let mut process = Process {
            node: node.clone(),
            life,
            switch: Rc::default(),
            server: None,
            till: None,
            store: None,
            leads: Rc::default(),
        };
        let has_two = self.plan.masters > 1;
        {
            let _entered = set.enter();
            match role {
                Role::Master if has_two => process.store = Some(self.open_store(id)),
                Role::Master => {
                    let store = self.open_store(id);
                    attach_master(&node, store.clone(), self.homes.clone());
                    process.leads.set(true);
                    process.store = Some(store);
                }
                Role::Proxy => {
                    process.till = Some(Till::listen(&node, self.told.clone(), self.homes.clone()))
                }
                _ => {
                    let server = Server::attach(&node, self.plan.options.clone());
                    bank::register(&server, self.plan.most).unwrap_or_else(|error| panic!("{error}"));
                    self.plan.more.iter().for_each(|more| more(&server));
                    process.server = Some(server);
                }
            }
        }
        let (link, runs, switch) = (self.net.link(id, life), node, process.switch.clone());
        match process.store.clone().filter(|_| has_two) {
            Some(store) => {
                let (homes, leads) = (self.homes.clone(), process.leads.clone());
                set.spawn_local(run_master(runs, link, switch.clone(), store, homes, leads));
            }
            None => drop(set.spawn_local(run_node(runs, link, switch.clone()))),
        }
        self.processes.borrow_mut().insert(id, process);
        tokio::task::spawn_local(drive(set, switch));
    }

    fn open_store(&self, id: NodeId) -> StoreClient {
        let started = self.started;
        let mut options = chappe_store::Options::new("money");
        options.clock =
            Clock::new(move || 1_000_000 + u64::try_from(started.elapsed().as_millis()).unwrap_or_default());
        // Every state of a record stays known, so that what was told can be compared with it.
        options.limits.history = 1_000_000;
        options.is_shared = self.plan.masters > 1;
        let store = self.disk.open(options).unwrap_or_else(|error| panic!("{error}"));
        let faults = if id == MASTER { &self.faults } else { &self.faults2 };
        let store = FaultyStore::new(Box::new(store), faults.clone());
        let (store, flushed) = Watched::new(store);
        on_task(Box::new(store), pace(flushed)).0
    }

    /// Ends a life at once, as kill -9 does; the master's disk loses what was not synced. With `drains`, what it had
    /// written to the network still arrives.
    pub fn kill(&self, id: NodeId, drains: bool) {
        let Some(process) = self.processes.borrow_mut().remove(&id) else { return };
        process.switch.is_off.set(true);
        process.switch.wake();
        self.net.kill(id, process.life, drains);
        // A disk that two masters share is another machine's.
        if id == MASTER && self.plan.masters == 1 {
            self.disk.crash();
        }
        self.died.borrow_mut().insert(id, Instant::now());
    }

    /// Ends all connections between two nodes for a while.
    pub fn cut(&self, a: NodeId, b: NodeId, lasts: Duration) {
        self.net.cut(a, b, false);
        self.due.borrow_mut().push((Instant::now() + lasts, Due::Heal(a, b)));
    }

    /// Nothing passes between two nodes for a while; neither is told.
    pub fn hold(&self, a: NodeId, b: NodeId, lasts: Duration) {
        self.net.hold(a, b);
        self.due.borrow_mut().push((Instant::now() + lasts, Due::Heal(a, b)));
    }

    /// Stops a life in its tracks for a while.
    pub fn stop(&self, id: NodeId, lasts: Duration) {
        self.freeze(id, true);
        self.due.borrow_mut().push((Instant::now() + lasts, Due::Thaw(id)));
    }

    /// The database is lost for a while.
    pub fn lose_store(&self, lasts: Duration) {
        self.faults.lost(true);
        self.faults2.lost(true);
        self.due.borrow_mut().push((Instant::now() + lasts, Due::StoreBack));
    }

    /// A master is cut off from the database for a while.
    pub fn cut_store(&self, id: NodeId, lasts: Duration) {
        self.way(id).lost(true);
        self.due.borrow_mut().push((Instant::now() + lasts, Due::WayBack(id)));
    }

    fn way(&self, id: NodeId) -> &Faults {
        if id == MASTER { &self.faults } else { &self.faults2 }
    }

    /// The disk is full for a while.
    pub fn fill_disk(&self, lasts: Duration) {
        self.disk.full(true);
        self.due.borrow_mut().push((Instant::now() + lasts, Due::DiskEmptied));
    }

    /// From now on faults end when their time has come, and processes that have died are started again after `pause`.
    pub fn tend(self: &Rc<Self>, pause: Duration) {
        let cluster = self.clone();
        tokio::task::spawn_local(async move {
            loop {
                sleep(Duration::from_millis(25)).await;
                cluster.end_due(Instant::now());
                let ended: Vec<NodeId> = {
                    let processes = cluster.processes.borrow();
                    let ended = processes.iter().filter(|(_, process)| process.switch.has_ended.get());
                    ended.map(|(id, _)| *id).collect()
                };
                ended.into_iter().for_each(|id| cluster.kill(id, true));
                let down: Vec<NodeId> = {
                    let died = cluster.died.borrow();
                    died.iter().filter(|(_, at)| at.elapsed() >= pause).map(|(id, _)| *id).collect()
                };
                for id in down {
                    cluster.died.borrow_mut().remove(&id);
                    cluster.start(id);
                }
            }
        });
    }

    /// Ends all faults that have an end.
    pub fn heal(&self) {
        self.end_due(Instant::now() + Duration::from_secs(3600));
    }

    fn end_due(&self, now: Instant) {
        let ended: Vec<Due> = {
            let mut due = self.due.borrow_mut();
            let ended = due.iter().filter(|(at, _)| *at <= now).map(|(_, due)| *due).collect();
            due.retain(|(at, _)| *at > now);
            ended
        };
        for due in ended {
            match due {
                Due::Heal(a, b) => self.net.heal(a, b),
                Due::Thaw(id) => self.freeze(id, false),
                Due::StoreBack => [MASTER, MASTER2].into_iter().for_each(|id| self.way(id).lost(false)),
                Due::WayBack(id) => self.way(id).lost(false),
                Due::DiskEmptied => self.disk.full(false),
            }
        }
    }

    /// Stops a life in its tracks, as SIGSTOP does, or lets it go on.
    pub fn freeze(&self, id: NodeId, is_frozen: bool) {
        if let Some(process) = self.processes.borrow().get(&id) {
            process.switch.is_frozen.set(is_frozen);
            process.switch.wake();
        }
    }

    /// Waits until every node is up, ready, and known as such to all others.
    pub async fn whole(&self) {
        self.until("the cluster is whole", || {
            let processes = self.processes.borrow();
            let stands_by = |id: NodeId| {
                let is_master = id == MASTER || id == MASTER2;
                is_master && processes.get(&id).is_some_and(|process| !process.leads.get())
            };
            let members = || processes.values().filter(|process| !stands_by(process.node.id()));
            let knows = |at: &Process| {
                members().all(|other| {
                    at.node.with_view(|view| {
                        view.member(other.node.id()).is_some_and(|member| {
                            member.state == State::Ready && member.incarnation == other.life
                        })
                    })
                })
            };
            let leaders = members().filter(|process| process.store.is_some()).count();
            processes.len() == self.nodes.len() && leaders == 1 && members().all(knows)
        })
        .await;
    }

    /// The proxy's part.
    pub fn till(&self) -> Till {
        let processes = self.processes.borrow();
        processes[&PROXY].till.clone().unwrap_or_else(|| panic!("a proxy has a till"))
    }

    /// A game server's part, while it is up.
    pub fn server(&self, id: NodeId) -> Option<Server> {
        self.processes.borrow().get(&id).and_then(|process| process.server.clone())
    }

    /// What a node has counted under a name.
    pub fn count(&self, id: NodeId, name: &str) -> u64 {
        let processes = self.processes.borrow();
        let report = processes.get(&id).map(|process| process.node.report());
        report.and_then(|report| report.named.get(name).copied()).unwrap_or_default()
    }

    /// The store of a master that is up.
    pub fn store(&self) -> Option<StoreClient> {
        let processes = self.processes.borrow();
        let leads = processes.values().filter(|process| process.store.is_some());
        leads.max_by_key(|process| process.leads.get()).and_then(|process| process.store.clone())
    }

    /// The master that leads, as it thinks itself.
    pub fn leader(&self) -> Option<NodeId> {
        let processes = self.processes.borrow();
        let mut leads =
            processes.iter().filter(|(_, process)| process.store.is_some() && process.leads.get());
        leads.next_back().map(|(id, _)| *id)
    }

    /// The highest term that a node has heard of.
    pub fn term_at(&self, id: NodeId) -> u64 {
        self.processes.borrow().get(&id).map_or(0, |process| process.node.term())
    }

    /// The master that a node is with.
    pub fn master_of(&self, id: NodeId) -> Option<NodeId> {
        self.processes.borrow().get(&id).and_then(|process| process.node.with_view(|view| view.master()))
    }

    /// An attribute of a player as it is stored.
    pub async fn stored(&self, uid: u64, name: &str) -> Option<i64> {
        let record = self.store()?.load(uid).await.ok()??;
        let document: Value = chappe_wire::value::decode(&record.document).ok()?;
        document.field(name).and_then(Value::as_int)
    }

    /// What a player has, as it is stored.
    pub async fn account(&self, uid: u64) -> Option<Account> {
        let record = self.store()?.load(uid).await.ok()??;
        Account::of(&chappe_wire::value::decode(&record.document).ok()?)
    }

    /// Everything that a player ever had, as it was stored.
    pub async fn accounts(&self, uid: u64) -> BTreeSet<Account> {
        let Some(store) = self.store() else { return BTreeSet::new() };
        let history = store.history(uid).await.unwrap_or_default();
        let account = |document: &[u8]| Account::of(&chappe_wire::value::decode(document).ok()?);
        history.iter().filter_map(|entry| account(&entry.document)).collect()
    }

    /// What could not be handled: the store's and the master's.
    pub async fn dead_letters(&self) -> Vec<String> {
        let Some(store) = self.store() else { return vec!["there is no store".to_owned()] };
        let letters = store.dead_letters(0, 100).await.unwrap_or_default();
        letters.into_iter().map(|letter| format!("{} {}", letter.reason, letter.notification.kind)).collect()
    }

    /// How many notifications are not settled.
    pub async fn unsettled(&self) -> usize {
        let Some(store) = self.store() else { return usize::MAX };
        store.unsettled(0, 10_000).await.map_or(usize::MAX, |left| left.len())
    }

    /// What a player was told under a type.
    pub fn told_of(&self, uid: u64, kind: &str) -> Vec<Value> {
        let told = self.told.borrow();
        let of = |(to, value): &&(u64, Value)| {
            *to == uid && value.field("_type").and_then(Value::as_str) == Some(kind)
        };
        told.iter().filter(of).map(|(_, value)| value.clone()).collect()
    }

    /// Waits until no handler run on any server waits for its commit.
    pub async fn decided(&self) {
        self.until("all runs are decided", || {
            let processes = self.processes.borrow();
            let mut servers = processes.values().filter_map(|process| process.server.as_ref());
            servers.all(|server| server.undecided() == 0)
        })
        .await;
    }

    /// Waits for what other tasks bring about.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, wait).await.is_ok(), "never came to be: {what}");
    }

    /// Waits until every notification is settled.
    pub async fn settled(&self) {
        let wait = async {
            while self.unsettled().await != 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(PATIENCE, wait).await.is_ok(), "notifications are never settled");
    }
}

impl Switch {
    fn wake(&self) {
        self.waker.borrow_mut().take().into_iter().for_each(Waker::wake);
    }
}

fn attach_master(node: &Node, store: StoreClient, homes: Homes) {
    let master = Master::attach(node);
    Desk::attach(&master, store);
    master.set_login_strategy(move |uid, choice| {
        let home = homes.borrow().get(&uid).copied();
        choice.choose(home.unwrap_or(GAME1));
    });
}

/// One of two masters: it stands by until it leads, and ends when another does.
async fn run_master(
    node: Node,
    link: std::sync::Arc<dyn Link + Send + Sync>,
    switch: Rc<Switch>,
    store: StoreClient,
    homes: Homes,
    leads: Rc<Cell<bool>>,
) {
    let keeping = Keeping::lasting(LEASE);
    let leadership = Leadership::new(node.id(), node.config().incarnation, keeping);
    let stands = leadership.stand(&store, |_| ());
    let why = || "another master leads".to_owned();
    if !matches!(node.stand_by(&link, why, stands).await, Ok(Some(()))) {
        return switch.has_ended.set(true);
    }
    node.lead(leadership.term());
    attach_master(&node, store.led_by(leadership.clone()), homes);
    leads.set(true);
    let (keeps, kept_in) = (leadership.clone(), store);
    tokio::task::spawn_local(async move { keeps.keep(&kept_in).await });
    node.make_known();
    tokio::select! {
        biased;
        _ = leadership.lost() => node.abandon(),
        _ = node.run(link, Beats::Task, async |_| Ok(())) => {}
    }
    switch.has_ended.set(true);
}

async fn run_node(node: Node, link: std::sync::Arc<dyn Link + Send + Sync>, switch: Rc<Switch>) {
    // A node that the master has turned away or given up ends; its process is started again.
    let _ = node.run(link, Beats::Task, async |_| Ok(())).await;
    switch.has_ended.set(true);
}

async fn drive(mut set: LocalSet, switch: Rc<Switch>) {
    poll_fn(|cx| {
        *switch.waker.borrow_mut() = Some(cx.waker().clone());
        if switch.is_off.get() {
            return Poll::Ready(());
        }
        if !switch.is_frozen.get() {
            let _ = pin!(&mut set).poll(cx);
        }
        if switch.is_off.get() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
