//! The cluster of these tests.

use crate::desk::Desk;
use crate::protocol::*;
use chappe_link::memory::MemoryLink;
use chappe_master::Master;
use chappe_node::control::{Entered, Left, Login, LoginGrant};
use chappe_node::{Beats, Config, Failure, Node, State, To};
use chappe_store::{
    Clock, Commit, CommitId, Faults, FaultyStore, MemoryDisk, NewNotification, NotificationId, Options, Pace,
    RecordChange, Sender, Step, StoreClient, Transition, When, on_task,
};
use chappe_wire::{NodeId, Reason, Role, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

pub(super) const MASTER: NodeId = NodeId(1);
pub(super) const PROXY: NodeId = NodeId(10);
pub(super) const LOBBY: NodeId = NodeId(20);
pub(super) const GAME: NodeId = NodeId(30);
pub(super) const GAME2: NodeId = NodeId(31);
pub(super) const SERVICE: NodeId = NodeId(40);
pub(super) const TOOL: NodeId = NodeId(-9);
const ASK: Duration = Duration::from_secs(60);

pub(super) struct World {
    link: MemoryLink,
    pub(super) disk: MemoryDisk,
    pub(super) faults: Faults,
    processes: BTreeMap<NodeId, Process>,
    pub(super) servers: BTreeMap<NodeId, Server>,
    master: Option<(Master, Desk, StoreClient)>,
    started: Instant,
    /// How far the store's clock was set forward.
    pub(super) ahead_ms: Arc<AtomicU64>,
    lives: u64,
    numbers: Cell<u64>,
}

struct Process {
    node: Node,
    switch: Rc<Switch>,
}

#[derive(Default)]
struct Switch {
    is_off: Cell<bool>,
    is_frozen: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// What was handed over, with whose it is.
pub(super) type Got = Rc<RefCell<Vec<(Option<u64>, Delivery)>>>;

/// What a server's half would do, as far as these tests need it.
#[derive(Clone, Default)]
pub(super) struct Server {
    /// What it was handed, with whose it is.
    pub(super) got: Got,
    /// What it was asked to let go of.
    pub(super) released: Rc<RefCell<Vec<Release>>>,
    /// For whom, depth, and a record that is a number.
    pub(super) plain: Rc<RefCell<Vec<(u64, u32, u8)>>>,
    pub(super) sent_to: Rc<RefCell<Vec<SendTo>>>,
    /// How many deliveries it has refused, and how many more it will.
    pub(super) refuses: Rc<Cell<u32>>,
    /// It never answers a release.
    pub(super) is_mute: Rc<Cell<bool>>,
    /// It does what it is handed.
    pub(super) acts: Rc<Cell<bool>>,
    done: Rc<RefCell<BTreeSet<(NotificationId, Step)>>>,
}

pub(super) fn run(test: impl AsyncFnOnce(&mut World)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut world = World {
            link: MemoryLink::new(),
            disk: MemoryDisk::new(),
            faults: Faults::new(),
            processes: BTreeMap::new(),
            servers: BTreeMap::new(),
            master: None,
            started: Instant::now(),
            ahead_ms: Arc::default(),
            lives: 0,
            numbers: Cell::new(0),
        };
        timeout(Duration::from_secs(3600), test(&mut world)).await.expect("the test hangs");
    });
}

impl World {
    /// A master, a lobby and two games, all ready, and a proxy.
    pub(super) async fn up(&mut self) {
        self.start_master();
        self.start(PROXY, Role::Proxy, "proxy");
        self.start(LOBBY, Role::Lobby, "lobby");
        self.start(GAME, Role::Game, "game");
        self.start(GAME2, Role::Game, "game");
        for id in [PROXY, LOBBY, GAME, GAME2] {
            self.is_ready(id).await;
        }
    }

    pub(super) fn start_master(&mut self) {
        let (config, local) = (self.config(MASTER, Role::Master, "master"), LocalSet::new());
        let node = Node::new(config);
        let (started, ahead) = (self.started, self.ahead_ms.clone());
        let mut options = Options::new("test");
        options.clock = Clock::new(move || {
            1_000_000 + started.elapsed().as_millis() as u64 + ahead.load(Ordering::Relaxed)
        });
        options.limits.document = 4096;
        let store = FaultyStore::new(Box::new(self.disk.open(options).unwrap()), self.faults.clone());
        self.master = Some({
            let _entered = local.enter();
            let pause = || Box::new(|| Duration::from_millis(1));
            let (store, _) =
                on_task(Box::new(store), Pace { before: pause(), after: pause(), answered: Box::new(|| ()) });
            let master = Master::attach(&node);
            let desk = Desk::attach(&master, store.clone());
            (master, desk, store)
        });
        self.run(MASTER, node, local);
    }

    pub(super) fn start(&mut self, id: NodeId, role: Role, node_type: &str) {
        let node = Node::new(self.config(id, role, node_type));
        let server = Server::default();
        server.serve(&node);
        self.servers.insert(id, server);
        self.run(id, node, LocalSet::new());
    }

    fn config(&mut self, id: NodeId, role: Role, node_type: &str) -> Config {
        self.lives += 1;
        let mut config = Config::new("test", id, role, node_type);
        (config.master, config.incarnation) = (MASTER, self.lives);
        config
    }

    fn run(&mut self, id: NodeId, node: Node, local: LocalSet) {
        let (runs, link, switch) = (node.clone(), self.link.clone(), Rc::new(Switch::default()));
        local.spawn_local(async move {
            let _ = runs.run(Arc::new(link), Beats::Task, async |_| Ok(())).await;
        });
        tokio::task::spawn_local(process(node.clone(), local, switch.clone()));
        self.processes.insert(id, Process { node, switch });
    }

    /// Ends a process at once, as SIGKILL does.
    pub(super) fn kill(&mut self, id: NodeId) {
        let Process { switch, .. } = self.processes.remove(&id).unwrap();
        switch.is_off.set(true);
        switch.waker.take().into_iter().for_each(Waker::wake);
        if id == MASTER {
            self.master = None;
            self.disk.crash();
        }
    }

    pub(super) fn freeze(&self, id: NodeId, is_frozen: bool) {
        let switch = &self.processes[&id].switch;
        switch.is_frozen.set(is_frozen);
        switch.waker.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn node(&self, id: NodeId) -> Node {
        self.processes[&id].node.clone()
    }

    pub(super) fn server(&self, id: NodeId) -> Server {
        self.servers[&id].clone()
    }

    pub(super) fn master(&self) -> Master {
        self.master.as_ref().unwrap().0.clone()
    }

    pub(super) fn store(&self) -> StoreClient {
        self.master.as_ref().unwrap().2.clone()
    }

    pub(super) fn counted(&self, name: &str) -> u64 {
        self.master().node().stats().named(name)
    }

    pub(super) async fn is_ready(&self, id: NodeId) {
        let (node, life) = (self.master().node().clone(), self.node(id).config().incarnation);
        let ready = move || {
            let is_ready = |it: &chappe_node::Member| it.incarnation == life && it.state == State::Ready;
            node.with_view(|view| view.member(id).is_some_and(is_ready))
        };
        until("a node is ready", ready).await;
    }

    /// `$store` and a method, asked by a node.
    pub(super) async fn ask<T: Serialize, R: DeserializeOwned + 'static>(
        &self,
        from: NodeId,
        method: &str,
        args: &T,
    ) -> Result<R, Failure> {
        self.node(from).ask(Row::Internal, To::Master, (STORE, method), args, ASK).await
    }

    pub(super) fn tell<T: Serialize>(&self, from: NodeId, method: &str, args: &T) {
        assert!(self.node(from).tell(MASTER, STORE, method, args));
    }

    /// An encoded [`Plain`], to be routed.
    pub(super) fn send_plain(&self, from: NodeId, plain: &[u8]) {
        self.node(from).request_raw(Row::Notify, To::Master, (STORE, "route"), plain, ASK, None);
    }

    pub(super) async fn claim(&self, from: NodeId, uid: u64) -> ClaimReply {
        self.ask(from, "claim", &Claim { uid, create: Some(b"new".to_vec()) }).await.unwrap()
    }

    pub(super) async fn own(&self, from: NodeId, uid: u64) -> Owned {
        match self.claim(from, uid).await {
            ClaimReply::Owned(owned) => owned,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn commit(&self, from: NodeId, commit: Commit) -> Result<CommitReply, Failure> {
        self.commit_keeping(from, commit, Vec::new()).await
    }

    pub(super) async fn commit_keeping(
        &self,
        from: NodeId,
        commit: Commit,
        kept: Vec<NotificationId>,
    ) -> Result<CommitReply, Failure> {
        self.ask(from, "commit", &NodeCommit { commit, kept }).await
    }

    pub(super) async fn committed(&self, from: NodeId, commit: Commit) {
        let reply = self.commit(from, commit).await.unwrap();
        assert!(matches!(reply, CommitReply::Committed { .. }), "{reply:?}");
    }

    pub(super) fn empty(&self) -> Commit {
        self.numbers.set(self.numbers.get() + 1);
        Commit::new(CommitId::new(7, self.numbers.get()), "test")
    }

    /// A commit that sends one notification for each number.
    pub(super) fn sending(&self, sender: Sender, receiver: u64, numbers: &[u64]) -> Commit {
        let mut commit = self.empty();
        commit.sent.extend(numbers.iter().map(|number| note(*number, sender, receiver)));
        commit
    }

    pub(super) fn moving(&self, number: u64, from: Step, outcome: Option<&[u8]>) -> Commit {
        let mut commit = self.empty();
        let when = if from == Step::Sent { When::Before } else { When::Any };
        let outcome = outcome.map(<[u8]>::to_vec);
        commit.transitions.push(Transition { id: id(number), from, when, outcome, handled: None });
        commit
    }

    pub(super) fn writing(&self, uid: u64, owned: &Owned, document: &[u8]) -> Commit {
        let mut commit = self.empty();
        let (epoch, version) = (owned.epoch, owned.version);
        commit.records.push(RecordChange { uid, epoch, version, document: Some(document.to_vec()) });
        commit
    }

    /// Logs a player in; the player goes to `to`.
    pub(super) async fn enter(&self, uid: u64, to: NodeId) -> u64 {
        let proxy = self.node(PROXY);
        let grant: LoginGrant = proxy.ask_master("login", &Login { uid }, ASK).await.unwrap();
        self.entered(uid, grant.epoch, to);
        let master = self.master();
        until("the player is there", move || master.session_of(uid) == Some((Some(to), None))).await;
        grant.epoch
    }

    pub(super) fn entered(&self, uid: u64, epoch: u64, server: NodeId) {
        let entered = Entered { uid, epoch, server, is_transfer: true, is_reconnect: false };
        self.node(PROXY).tell_master("entered", &entered);
        // What the grant has led to is not where it goes.
        self.node(PROXY).tell_master("entered", &entered);
    }

    pub(super) async fn leave(&self, uid: u64, epoch: u64) {
        self.node(PROXY).tell_master("left", &Left { uid, epoch, reason: Reason::Logout });
        let master = self.master();
        until("the player has left", move || master.session_of(uid).is_none()).await;
    }

    /// Waits until a server was handed that many steps.
    pub(super) async fn gets(&self, at: NodeId, count: usize) -> Vec<(u128, Step)> {
        let server = self.server(at);
        let got = server.got.clone();
        until("the deliveries", move || got.borrow().len() >= count).await;
        server.numbers()
    }

    pub(super) async fn settle(&self) {
        sleep(Duration::from_millis(500)).await;
    }
}

impl Server {
    fn serve(&self, node: &Node) {
        let (it, own) = (self.clone(), node.clone());
        node.register(Row::Internal, NOTIFY, "deliver", move |call| {
            if it.refuses.get() > 0 {
                it.refuses.set(it.refuses.get() - 1);
                return call.fail(Reason::Overloaded, "not now");
            }
            let deliver: Deliver = call.args().unwrap();
            if it.acts.get() {
                deliver.steps.iter().for_each(|step| it.act(&own, step));
            }
            it.got.borrow_mut().extend(deliver.steps.into_iter().map(|step| (deliver.uid, step)));
            let _ = call.respond(&());
        });
        let it = self.clone();
        let unanswered = RefCell::new(Vec::new());
        node.register(Row::Internal, NOTIFY, "release", move |call| {
            it.released.borrow_mut().push(call.args().unwrap());
            if it.is_mute.get() {
                return unanswered.borrow_mut().push(call.into_responder());
            }
            let _ = call.respond(&());
        });
        let it = self.clone();
        node.register(Row::Notify, NOTIFY, "plain", move |call| {
            let Plain { uid, depth, record, .. } = Plain::read(call.raw()).unwrap();
            it.plain.borrow_mut().push((uid, depth, record[0]));
        });
        let it = self.clone();
        node.register(Row::SendTo, NOTIFY, "send_to", move |call| {
            it.sent_to.borrow_mut().push(call.args().unwrap());
        });
    }

    /// Commits the step, once, however long that takes.
    fn act(&self, node: &Node, step: &Delivery) {
        if !self.done.borrow_mut().insert((step.id, step.step)) {
            return;
        }
        let number = (step.id.0 as u64) << 1 | u64::from(step.step == Step::Decided);
        let mut commit = Commit::new(CommitId::new(node.config().incarnation << 32, number), "act");
        let (when, outcome) = match step.step {
            Step::Sent => (When::Before, Some(b"yes".to_vec())),
            Step::Decided => (When::Any, None),
        };
        commit.transitions.push(Transition { id: step.id, from: step.step, when, outcome, handled: None });
        let (node, mut commit) = (node.clone(), NodeCommit { commit, kept: Vec::new() });
        tokio::task::spawn_local(async move {
            loop {
                let asked = node.ask::<_, CommitReply>(
                    Row::Internal,
                    To::Master,
                    (STORE, "commit"),
                    &commit,
                    Duration::from_secs(3),
                );
                match asked.await {
                    Ok(CommitReply::Committed { .. } | CommitReply::Moved) => return,
                    // It runs again, as another commit.
                    Ok(CommitReply::Again) => commit.commit.id.0 += 1 << 32,
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => sleep(Duration::from_millis(70)).await,
                }
            }
        });
    }

    /// What it was handed, in order.
    pub(super) fn numbers(&self) -> Vec<(u128, Step)> {
        self.got.borrow().iter().map(|(_, step)| (step.id.0, step.step)).collect()
    }
}

pub(super) fn id(number: u64) -> NotificationId {
    NotificationId(u128::from(number))
}

pub(super) fn note(number: u64, sender: Sender, receiver: u64) -> NewNotification {
    NewNotification {
        id: id(number),
        sender,
        receiver,
        kind: "user.giveMoney2".to_owned(),
        payload: vec![number as u8; 8],
        deadline_in_ms: None,
        depth: 0,
    }
}

pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(Duration::from_secs(120), wait).await.is_ok(), "never came to be: {what}");
}

async fn process(node: Node, mut local: LocalSet, switch: Rc<Switch>) {
    poll_fn(|cx| {
        switch.waker.set(Some(cx.waker().clone()));
        if switch.is_off.get() {
            return Poll::Ready(());
        }
        if switch.is_frozen.get() {
            return Poll::Pending;
        }
        let _ = Pin::new(&mut local).poll(cx);
        if switch.is_off.get() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(local);
    node.abandon();
}
