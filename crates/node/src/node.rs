//! The node: its state, and the loop's turn.

use crate::clock::Clock;
use crate::control::Session;
use crate::listeners::{Listeners, Topic};
use crate::peer::{Flushed, Peer, Ticket};
use crate::players::Players;
use crate::rpc::{Methods, Waiter};
use crate::waiting::Waiting;
use crate::{Config, Event, Report, Stats};
use chappe_link::{Conn, Link};
use chappe_route::{Pending, State, View};
use chappe_wire::hello::{Hello, Refusal as WireRefusal};
use chappe_wire::value::{self, Refusal, ValueError};
use chappe_wire::{Envelope, Meta, NodeId, PushTo, Reason, Role, Row};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// The most messages that a node may have waiting for itself.
const LOCAL_QUEUE: usize = 100_000;
/// How long a connection that can no longer be written to may take to be read to its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    pub(crate) on_push: RefCell<Option<PushHandler>>,
    pub(crate) on_view: RefCell<Vec<ViewHook>>,
    /// How many turns the loop has made; what the heartbeat thread tells the master.
    pub(crate) progress: Arc<AtomicU64>,
    /// Messages to itself: encoded like any other, so that it gets its own copy.
    local: RefCell<VecDeque<Local>>,
    /// Handlers that await something.
    pub(crate) running: Cell<usize>,
    /// Requests that were accepted and not answered yet.
    pub(crate) answers_owed: Cell<usize>,
    dirty: RefCell<Vec<Rc<Peer>>>,
    scratch: RefCell<Vec<u8>>,
    flush_wanted: Cell<bool>,
    flusher: RefCell<Option<Waker>>,
    pub(crate) players: RefCell<Players>,
    /// The latest life of each id that the master has told is over: it may not connect again, unless the master
    /// takes it back.
    pub(crate) ended: RefCell<FxHashMap<NodeId, u64>>,
    pub(crate) link: RefCell<Option<Arc<dyn Link + Send + Sync>>>,
    pub(crate) dialing: RefCell<FxHashSet<NodeId>>,
    /// Nodes whose connecting this node's mods were told of.
    pub(crate) announced: RefCell<FxHashSet<NodeId>>,
    /// Modules registered beyond the declared ones.
    pub(crate) announced_modules: RefCell<FxHashSet<String>>,
    pub(crate) on_own_state: RefCell<Option<Rc<dyn Fn()>>>,
    pub(crate) on_hello: RefCell<Option<HelloHook>>,
    pub(crate) on_peer_lost: RefCell<Option<PeerHook>>,
    pub(crate) sessions: RefCell<Option<SessionsHook>>,
    pub(crate) on_leave: RefCell<Vec<LeaveHook>>,
    /// When those are told who were not told yet what came from them.
    pub(crate) acks_due: Cell<Option<Duration>>,
    /// When housekeeping wakes next.
    pub(crate) wakes_at: Cell<Duration>,
    /// Something was written, so there may be room in a queue.
    flushed: Notify,
    pub(crate) deadlines_changed: Notify,
    pub(crate) link_changed: Notify,
    pub(crate) stopping: Cell<bool>,
    /// Its connections have ended for good.
    pub(crate) has_left: Cell<bool>,
    pub(crate) stop: Notify,
}

enum Local {
    Body(Vec<u8>),
    Engine(Topic, Vec<u8>),
    Run(Box<dyn FnOnce()>),
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
            on_push: RefCell::default(),
            on_view: RefCell::default(),
            progress: Arc::default(),
            local: RefCell::default(),
            running: Cell::new(0),
            answers_owed: Cell::new(0),
            dirty: RefCell::default(),
            scratch: RefCell::default(),
            flush_wanted: Cell::new(false),
            flusher: RefCell::default(),
            players: RefCell::default(),
            ended: RefCell::default(),
            link: RefCell::default(),
            dialing: RefCell::default(),
            announced: RefCell::default(),
            announced_modules: RefCell::default(),
            on_own_state: RefCell::default(),
            on_hello: RefCell::default(),
            on_peer_lost: RefCell::default(),
            sessions: RefCell::default(),
            on_leave: RefCell::default(),
            acks_due: Cell::new(None),
            wakes_at: Cell::new(Duration::MAX),
            flushed: Notify::new(),
            deadlines_changed: Notify::new(),
            link_changed: Notify::new(),
            stopping: Cell::new(false),
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
        report.named.insert("queued_bytes".into(), waits);
        report.named.insert("unacknowledged".into(), unacknowledged);
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
        let task = tokio::task::spawn_local(future);
        let (abort, node) = (task.abort_handle(), self.clone());
        tokio::task::spawn_local(async move {
            if task.await.is_err_and(|err| err.is_panic()) {
                node.0.stats.count("handler_panics");
            }
        });
        abort
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

    /// Queues an envelope for a node, whichever life of it is known.
    pub(crate) fn post(&self, to: NodeId, envelope: &Envelope<'_>) -> Result<Ticket, Reason> {
        if to == self.config.id {
            return self.post_local(envelope);
        }
        let peer = self.peer(to)?;
        self.post_peer(&peer, envelope.meta.row, |out| envelope.encode_into(out))
    }

    /// As [`Inner::post`], to a node that takes new messages and is of a role that `takes` accepts.
    pub(crate) fn post_to_role(
        &self,
        to: NodeId,
        takes: impl Fn(Role) -> bool,
        envelope: &Envelope<'_>,
    ) -> Result<Ticket, Reason> {
        if let Some(peer) = self.peers.borrow().get(&to)
            && peer.takes_as.get().is_some_and(&takes)
        {
            return self.post_peer(peer, envelope.meta.row, |out| envelope.encode_into(out));
        }
        let id = self.view.borrow().reachable(to, takes)?;
        self.post(id, envelope)
    }

    /// Brings up to date what senders see of the peers.
    pub(crate) fn mark_peers(&self) {
        let view = self.view.borrow();
        for peer in self.peers.borrow().values() {
            let member = view.member(peer.id).filter(|member| member.incarnation == peer.incarnation);
            let takes = member.filter(|member| matches!(member.state, State::Ready | State::Draining));
            peer.takes_as.set(takes.map(|member| member.role));
        }
    }

    /// As [`Inner::post`], unless that life of the node is gone.
    pub(crate) fn post_to_life(
        &self,
        to: NodeId,
        life: u64,
        envelope: &Envelope<'_>,
    ) -> Result<Ticket, Reason> {
        if to == self.config.id {
            return self.post_local(envelope);
        }
        match self.peers.borrow().get(&to).filter(|peer| peer.incarnation == life) {
            Some(peer) => self.post_peer(peer, envelope.meta.row, |out| envelope.encode_into(out)),
            None => Err(Reason::NodeLost),
        }
    }

    pub(crate) fn post_peer(
        &self,
        peer: &Rc<Peer>,
        row: Row,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Ticket, Reason> {
        let ticket = peer.push(row, self.config.limits.queue_bytes, body)?;
        self.mark_dirty(peer);
        Ok(ticket)
    }

    /// The peer to queue for: the one that is connected, or a new one whose queue waits for the connection.
    pub(crate) fn peer(&self, id: NodeId) -> Result<Rc<Peer>, Reason> {
        let mut peers = self.peers.borrow_mut();
        if let Some(peer) = peers.get(&id) {
            return Ok(peer.clone());
        }
        let view = self.view.borrow();
        let member = view.member(id).ok_or(Reason::Disconnected)?;
        let peer = Rc::new(Peer::new(id, member.incarnation));
        peers.insert(id, peer.clone());
        Ok(peer)
    }

    pub(crate) fn post_local(&self, envelope: &Envelope<'_>) -> Result<Ticket, Reason> {
        let mut body = Vec::with_capacity(64 + envelope.payload.len());
        envelope.encode_into(&mut body);
        self.push_local(Local::Body(body)).map(|()| Ticket::default())
    }

    pub(crate) fn raise_raw(&self, namespace: &str, system: &str, event: &str, data: Vec<u8>) {
        let topic = crate::listeners::topic(namespace, system, event);
        if self.push_local(Local::Engine(topic, data)).is_err() {
            self.stats.dropped(Row::Internal, Reason::Overloaded);
        }
    }

    /// Runs `run` after what the current handler does. Bounded by what it follows from, so never refused.
    pub(crate) fn later(&self, run: impl FnOnce() + 'static) {
        self.local.borrow_mut().push_back(Local::Run(Box::new(run)));
        self.want_flush();
    }

    pub(crate) fn has_local(&self) -> bool {
        !self.local.borrow().is_empty()
    }

    fn push_local(&self, message: Local) -> Result<(), Reason> {
        if self.has_left.get() {
            return Err(Reason::ShuttingDown);
        }
        let mut local = self.local.borrow_mut();
        if local.len() >= LOCAL_QUEUE {
            return Err(Reason::Overloaded);
        }
        local.push_back(message);
        drop(local);
        self.want_flush();
        Ok(())
    }

    /// Delivers what the node has sent to itself, what that sends too, up to a bound: peers get their turn.
    pub(crate) fn deliver_local(self: &Rc<Self>) {
        for _ in 0..1024 {
            let next = self.local.borrow_mut().pop_front();
            match next {
                None => return,
                Some(Local::Body(body)) => self.take_in_own(&body),
                Some(Local::Engine(topic, data)) => {
                    let meta = Meta::of(Row::Internal);
                    self.dispatch(Event { topic: &topic, meta, from: self.config.id, data: &data });
                }
                Some(Local::Run(run)) => self.guarded(&"callback", run),
            }
        }
        self.want_flush();
    }

    pub(crate) fn mark_dirty(&self, peer: &Rc<Peer>) {
        if !peer.dirty.replace(true) {
            self.dirty.borrow_mut().push(peer.clone());
            self.want_flush();
        }
    }

    /// Sees to it that the flusher runs after what is ready to run now: the end of the turn.
    pub(crate) fn want_flush(&self) {
        if !self.flush_wanted.replace(true)
            && let Some(waker) = self.flusher.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// The end of each turn: delivers what was sent to the node itself, then writes to each peer, at once,
    /// everything that the turn has produced for it.
    pub(crate) async fn flusher(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.flush_wanted.replace(false) {
                    return Poll::Ready(());
                }
                *self.flusher.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            self.progress.fetch_add(1, Ordering::Relaxed);
            self.deliver_local();
            self.flush();
            if self.has_local() {
                // What answers itself for ever must not keep peers and timers from their turn.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Writes to each peer what is queued for it.
    pub(crate) fn flush(self: &Rc<Self>) {
        let mut dirty = self.dirty.take();
        if dirty.is_empty() {
            return;
        }
        for peer in dirty.drain(..) {
            peer.dirty.set(false);
            self.flush_peer(&peer);
        }
        self.flushed.notify_waiters();
        // The list's memory is used again, unless a close has made a new list meanwhile.
        let mut slot = self.dirty.borrow_mut();
        if slot.is_empty() {
            *slot = dirty;
        }
    }

    fn flush_peer(self: &Rc<Self>, peer: &Rc<Peer>) {
        if peer.blocked.get() {
            return;
        }
        match peer.flush() {
            Flushed::All => {}
            Flushed::Blocked(conn) => {
                peer.blocked.set(true);
                tokio::task::spawn_local(Rc::clone(self).unblock(peer.clone(), conn));
            }
            Flushed::Broken(error) => {
                // What it said last may wait to be read: an answer, a close with its reason. The end comes behind it.
                tracing::debug!(node = %self.config.id, peer = %peer.id, %error, "a write has failed");
                peer.mute();
                let (this, peer) = (self.clone(), peer.clone());
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(LAST_WORDS).await;
                    this.peer_ended(&peer, "the connection broke");
                });
            }
        }
    }

    /// Waits until a peer that reads slowly takes more. Only its own queue waits meanwhile.
    async fn unblock(self: Rc<Self>, peer: Rc<Peer>, conn: Rc<dyn Conn>) {
        // An error shows again when it is written to.
        let _ = poll_fn(|cx| conn.poll_writable(cx)).await;
        peer.blocked.set(false);
        if !peer.is_closed() {
            self.flush_peer(&peer);
        }
        self.flushed.notify_waiters();
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
