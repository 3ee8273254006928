//! The node: its state, and the loop's turn.

use crate::clock::Clock;
use crate::control::Session;
use crate::declare::DeclareHook;
use crate::gate::Gate;
use crate::listeners::Listeners;
use crate::local::Local;
use crate::passage::Passage;
use crate::peer::Peer;
use crate::players::Players;
use crate::replaced::Replaced;
use crate::rpc::{Methods, Waiter};
use crate::unordered::Unordered;
use crate::waiting::Waiting;
use crate::{Config, Report, Stats};
use chappe_link::Link;
use chappe_route::{Pending, State, View};
use chappe_wire::hello::{Hello, Refusal as WireRefusal};
use chappe_wire::value::{self, Refusal, ValueError};
use chappe_wire::{Meta, NodeId, PushTo, Row};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// A node of the cluster: a handle that is cheap to clone and stays on the node's thread. Everything that runs
/// on the node (handlers, callbacks, timers, updates) runs on that one thread, so no two ever meet.
#[derive(Clone)]
pub struct Node(pub(crate) Rc<Inner>);

/// What a proxy does with a push.
pub(crate) type PushHandler = Rc<dyn Fn(NodeId, Meta, PushTo<'_>, &[u8], &[u8])>;
/// Decides whether a node may connect.
pub(crate) type HelloHook = Rc<dyn Fn(&Hello) -> Result<(), WireRefusal>>;
/// Told what has changed in the membership view.
pub(crate) type ViewHook = Rc<dyn Fn(&chappe_route::Changed)>;
/// Told the id and incarnation of a peer whose connection has ended.
pub(crate) type PeerHook = Rc<dyn Fn(NodeId, u64)>;
/// What is done when the node leaves, before its connections end.
pub(crate) type LeaveHook = Rc<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>>;
/// The sessions that a proxy holds.
pub(crate) type SessionsHook = Rc<dyn Fn() -> Vec<Session>>;

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) stats: Stats,
    pub(crate) state: Cell<State>,
    pub(crate) view: RefCell<View>,
    pub(crate) peers: RefCell<FxHashMap<NodeId, Rc<Peer>>>,
    pub(crate) listeners: RefCell<Listeners>,
    pub(crate) methods: RefCell<Methods>,
    pub(crate) pending: RefCell<Pending<Waiter>>,
    pub(crate) waiting: RefCell<Waiting>,
    pub(crate) gate: Gate,
    pub(crate) unordered: Unordered,
    pub(crate) replaced: Replaced,
    pub(crate) on_push: RefCell<Option<PushHandler>>,
    pub(crate) on_view: RefCell<Vec<ViewHook>>,
    /// How many turns the loop has made; what the heartbeat thread tells the master.
    pub(crate) progress: Arc<AtomicU64>,
    /// Messages to itself: encoded like any other, so that it gets its own copy.
    pub(crate) local: RefCell<VecDeque<Local>>,
    /// Handlers that await something.
    pub(crate) running: Cell<usize>,
    /// Requests that were accepted and not answered yet.
    pub(crate) answers_owed: Cell<usize>,
    /// The longest time that anyone who asked was ready to wait.
    pub(crate) longest_request: Cell<Duration>,
    pub(crate) dirty: RefCell<Vec<Rc<Peer>>>,
    scratch: RefCell<Vec<u8>>,
    pub(crate) flush_wanted: Cell<bool>,
    pub(crate) flusher: RefCell<Option<Waker>>,
    pub(crate) players: RefCell<Players>,
    pub(crate) passage: RefCell<Passage>,
    /// The latest life of each id that the master has told is over: it may not connect again, unless the master
    /// takes it back.
    pub(crate) ended: RefCell<FxHashMap<NodeId, u64>>,
    /// The term that it leads under, or the highest that it has heard of; 0: none.
    pub(crate) term: Cell<u64>,
    /// The life of the master that it has joined.
    pub(crate) leader: Cell<Option<(NodeId, u64)>>,
    /// The master that has last called, and its term.
    pub(crate) called_by: Cell<Option<(NodeId, u64)>>,
    /// Where its heartbeats go.
    pub(crate) beats_to: watch::Sender<Option<NodeId>>,
    /// Takes connections.
    pub(crate) accepting: RefCell<Option<AbortHandle>>,
    pub(crate) link: RefCell<Option<Arc<dyn Link + Send + Sync>>>,
    pub(crate) dialing: RefCell<FxHashSet<NodeId>>,
    /// Nodes whose connecting this node's mods were told of.
    pub(crate) announced: RefCell<FxHashSet<NodeId>>,
    /// Modules registered beyond the declared ones.
    pub(crate) announced_modules: RefCell<FxHashSet<String>>,
    pub(crate) on_own_state: RefCell<Option<Rc<dyn Fn()>>>,
    pub(crate) on_declare: RefCell<Option<DeclareHook>>,
    pub(crate) after_master_request: RefCell<Option<Rc<dyn Fn()>>>,
    pub(crate) on_hello: RefCell<Option<HelloHook>>,
    pub(crate) on_peer_lost: RefCell<Option<PeerHook>>,
    pub(crate) sessions: RefCell<Option<SessionsHook>>,
    pub(crate) on_leave: RefCell<Vec<LeaveHook>>,
    /// Topics of which it was said that nobody listens.
    pub(crate) unheard: RefCell<FxHashSet<Box<[u8]>>>,
    /// When those are told who were not told yet what came from them.
    pub(crate) acks_due: Cell<Option<Duration>>,
    /// When housekeeping wakes next.
    pub(crate) wakes_at: Cell<Duration>,
    /// Something was written, so there may be room in a queue.
    pub(crate) flushed: Notify,
    pub(crate) deadlines_changed: Notify,
    pub(crate) link_changed: Notify,
    pub(crate) stopping: Cell<bool>,
    /// It leaves in order to be started again.
    pub(crate) restarts: Cell<bool>,
    /// Its connections have ended for good.
    pub(crate) has_left: Cell<bool>,
    pub(crate) stop: Notify,
}

impl Node {
    /// A node that is not running yet: handlers may be registered; [`Node::run`] makes it one of the cluster.
    pub fn new(config: Config) -> Node {
        let view = View::new(config.declared.clone());
        Node(Rc::new(Inner {
            config,
            clock: Clock::start(),
            stats: Stats::default(),
            state: Cell::new(State::Starting),
            view: RefCell::new(view),
            peers: RefCell::default(),
            listeners: RefCell::default(),
            methods: RefCell::default(),
            pending: RefCell::default(),
            waiting: RefCell::default(),
            gate: Gate::default(),
            unordered: Unordered::default(),
            replaced: Replaced::default(),
            on_push: RefCell::default(),
            on_view: RefCell::default(),
            progress: Arc::default(),
            local: RefCell::default(),
            running: Cell::new(0),
            answers_owed: Cell::new(0),
            longest_request: Cell::default(),
            dirty: RefCell::default(),
            scratch: RefCell::default(),
            flush_wanted: Cell::new(false),
            flusher: RefCell::default(),
            players: RefCell::default(),
            passage: RefCell::default(),
            ended: RefCell::default(),
            term: Cell::new(0),
            leader: Cell::new(None),
            called_by: Cell::new(None),
            beats_to: watch::Sender::new(None),
            accepting: RefCell::default(),
            link: RefCell::default(),
            dialing: RefCell::default(),
            announced: RefCell::default(),
            announced_modules: RefCell::default(),
            on_own_state: RefCell::default(),
            on_declare: RefCell::default(),
            after_master_request: RefCell::default(),
            on_hello: RefCell::default(),
            on_peer_lost: RefCell::default(),
            sessions: RefCell::default(),
            on_leave: RefCell::default(),
            unheard: RefCell::default(),
            acks_due: Cell::new(None),
            wakes_at: Cell::new(Duration::MAX),
            flushed: Notify::new(),
            deadlines_changed: Notify::new(),
            link_changed: Notify::new(),
            stopping: Cell::new(false),
            restarts: Cell::new(false),
            has_left: Cell::new(false),
            stop: Notify::new(),
        }))
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.0.config.id
    }

    /// What it can do at the moment.
    pub fn state(&self) -> State {
        self.0.state.get()
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// A copy of its counters, with what passed between it and each peer.
    pub fn report(&self) -> Report {
        let peers = self.0.peers.borrow();
        let live = peers.values().map(|peer| (peer.id, peer.incarnation, &peer.pair));
        let mut report = self.0.stats.report(self.id(), self.0.config.incarnation, live);
        let waits = peers.values().map(|peer| peer.queued() as u64).sum();
        let unacknowledged = peers.values().map(|peer| peer.unacknowledged() as u64).sum();
        let link = self.0.link.borrow().clone();
        let counted = link.map(|link| link.counters()).unwrap_or_default();
        report.named.extend(counted.into_iter().map(|(name, count)| (name.to_owned(), count)));
        report.named.insert("queued_bytes".into(), waits);
        report.named.insert("unacknowledged".into(), unacknowledged);
        report.named.insert("held_messages".into(), self.held_messages() as u64);
        report.named.insert("kept_for_replaced".into(), self.0.replaced.len() as u64);
        report.named.insert("pending_requests".into(), self.0.pending.borrow().len() as u64);
        report
    }

    /// Bytes that wait to be written to other nodes; what leaves with this turn counts. A sender that has more
    /// to say than peers take can hold back on it before calls end as `Overloaded`.
    pub fn queued_bytes(&self) -> usize {
        self.0.peers.borrow().values().map(|peer| peer.queued()).sum()
    }

    /// Resolves when at most `bytes` wait to be written to other nodes, all of them together.
    pub async fn room(&self, bytes: usize) {
        loop {
            let flushed = self.0.flushed.notified();
            if self.queued_bytes() <= bytes {
                return;
            }
            flushed.await;
        }
    }

    /// Reads the membership view.
    pub fn with_view<R>(&self, read: impl FnOnce(&View) -> R) -> R {
        read(&self.0.view.borrow())
    }

    /// Whether this life has ever joined its cluster.
    pub fn has_been_member(&self) -> bool {
        self.0.was_joined()
    }

    /// Calls `handler` for every change of the membership view, after it is in force.
    pub fn on_view(&self, handler: impl Fn(&chappe_route::Changed) + 'static) {
        self.0.on_view.borrow_mut().push(Rc::new(handler));
    }

    /// For a proxy: calls `handler` with the sender, the message's meta, whom it is for, its topic and its data
    /// for each push that comes.
    pub fn on_push(&self, handler: impl Fn(NodeId, Meta, PushTo<'_>, &[u8], &[u8]) + 'static) {
        *self.0.on_push.borrow_mut() = Some(Rc::new(handler));
    }

    /// For the master: `hook` decides whether a node may connect, by returning an error that the node is told. A
    /// node that it lets in is told to [`Node::on_peer_lost`] when it is gone.
    pub fn on_hello(&self, hook: impl Fn(&Hello) -> Result<(), WireRefusal> + 'static) {
        *self.0.on_hello.borrow_mut() = Some(Rc::new(hook));
    }

    /// For the master: `hook` is told the id and incarnation of a peer whose connection has ended.
    pub fn on_peer_lost(&self, hook: impl Fn(NodeId, u64) + 'static) {
        *self.0.on_peer_lost.borrow_mut() = Some(Rc::new(hook));
    }

    /// For the master: `hook` is called when its own state or modules have changed.
    pub fn on_own_state(&self, hook: impl Fn() + 'static) {
        *self.0.on_own_state.borrow_mut() = Some(Rc::new(hook));
    }

    /// For a proxy: `hook` tells the sessions that it holds, for a master that has restarted.
    pub fn on_join(&self, hook: impl Fn() -> Vec<Session> + 'static) {
        *self.0.sessions.borrow_mut() = Some(Rc::new(hook));
    }

    /// When the node leaves, and before its connections end, waits for `hook` (for at most 3 s): a proxy says
    /// goodbye to its clients.
    pub fn on_leave(&self, hook: impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>> + 'static) {
        self.0.on_leave.borrow_mut().push(Rc::new(hook));
    }

    /// Runs `future` on the node's thread. A panic in it is counted and ends it alone.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> tokio::task::AbortHandle {
        let (node, mut future) = (self.clone(), Box::pin(future));
        // Caught here, for a task that watches over this one would cost as much again.
        let guarded = std::future::poll_fn(move |cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
            polled.unwrap_or_else(|_| {
                node.0.stats.count("handler_panics");
                Poll::Ready(())
            })
        });
        tokio::task::spawn_local(guarded).abort_handle()
    }

    /// Raises an engine event on this node (apollo.md section 5), after what the current handler does.
    pub fn raise<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        match value::encode(data) {
            Ok(data) => self.0.raise_raw(crate::ENGINE_NAMESPACE, crate::ENGINE_SYSTEM, event, data),
            Err(err) => tracing::error!(event, %err, "an engine event cannot be raised"),
        }
    }
}

impl Inner {
    /// Meta of a message of `row` sent now.
    pub(crate) fn meta(&self, row: Row) -> Meta {
        let mut meta = Meta::of(row);
        if self.config.measure {
            meta.stamp = crate::clock::unix_nanos();
        }
        meta
    }

    /// Encodes `data` into a buffer that is used again, and hands the bytes to `use_it`.
    pub(crate) fn encode<T: Serialize + ?Sized, R>(
        &self,
        label: &str,
        data: &T,
        use_it: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, ValueError> {
        let limit = self.config.limits.message_bytes;
        let mut scratch = self.scratch.take();
        scratch.clear();
        let encoded =
            value::encode_into(&mut scratch, data).map_err(|err| err.labelled(label)).and_then(|()| {
                let size = scratch.len();
                let too_big = || ValueError::from(Refusal::TooBig { size, limit }).labelled(label);
                if size > limit { Err(too_big()) } else { Ok(()) }
            });
        let result = encoded.map(|()| use_it(&scratch));
        scratch.shrink_to(64 * 1024);
        *self.scratch.borrow_mut() = scratch;
        result
    }

    /// Sees to it that housekeeping runs at that time, if it would not have run before.
    pub(crate) fn wake_by(&self, at: Duration) {
        if at < self.wakes_at.get() {
            self.wakes_at.set(at);
            self.deadlines_changed.notify_one();
        }
    }

    /// Runs a handler; a panic in it is counted and logged, and the node goes on.
    pub(crate) fn guarded(&self, what: &dyn fmt::Display, run: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            self.stats.count("handler_panics");
            tracing::error!(node = %self.config.id, %what, "a handler panicked");
        }
    }
}
