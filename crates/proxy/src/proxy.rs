//! The proxy: its clients and sessions, and what the cluster tells it.

use crate::conn::{Conn, Stage};
use crate::handover::TakenOver;
use crate::options::ProxyOptions;
use crate::session::SharedSession;
use crate::socket;
use chappe_node::control::{self, Announce, Close, Leave, Left, Move};
use chappe_node::{Changed, Node, Responder, State, Stats, To};
use chappe_wire::client::ToClient;
use chappe_wire::{NodeId, Reason, Row};
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// How long a request of the proxy's to another node may take.
pub(crate) const ASK: Duration = Duration::from_secs(5);
/// How long a client may take to close after its last frame.
const CLOSE_WAIT: Duration = Duration::from_secs(3);
/// After an accept that failed (too many open files), until the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The proxy part of a node: a handle that is cheap to clone and stays on the node's thread.
#[derive(Clone)]
pub struct Proxy(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) node: Node,
    pub(crate) options: ProxyOptions,
    pub(crate) started: Instant,
    /// By epoch, so that everything that goes through all of them does so in one order.
    pub(crate) sessions: RefCell<BTreeMap<u64, SharedSession>>,
    pub(crate) by_uid: RefCell<FxHashMap<u64, u64>>,
    /// Sessions that have ended and whose servers have not let the player go yet; who waits for that.
    leaving: RefCell<BTreeMap<u64, Vec<Responder>>>,
    conns: RefCell<BTreeMap<u64, Rc<Conn>>>,
    last_conn: Cell<u64>,
    sockets: Cell<usize>,
    /// TLS handshakes under way.
    pub(crate) handshakes: Cell<usize>,
    has_left: Cell<bool>,
    pub(crate) taken_over: TakenOver,
    /// Used again for each message's topic.
    pub(crate) topic: RefCell<Vec<u8>>,
}

impl Proxy {
    /// Makes `node` a proxy: takes the pushes, moves and closes that other nodes send it. To be called in the
    /// node's setup, before it is ready; [`Proxy::serve`] then takes clients.
    pub fn attach(node: &Node, options: ProxyOptions) -> Proxy {
        if let Some(warning) = options.check.warning() {
            tracing::warn!(node = %node.id(), "{warning}");
        }
        let proxy = Proxy(Rc::new(Inner {
            node: node.clone(),
            options,
            started: Instant::now(),
            sessions: RefCell::default(),
            by_uid: RefCell::default(),
            leaving: RefCell::default(),
            conns: RefCell::default(),
            last_conn: Cell::new(0),
            sockets: Cell::new(0),
            handshakes: Cell::new(0),
            has_left: Cell::new(false),
            taken_over: TakenOver::default(),
            topic: RefCell::default(),
        }));
        let this = proxy.clone();
        node.on_push(move |_, meta, to, topic, data| this.on_push(meta, to, topic, data));
        let this = proxy.clone();
        node.on_join(move || {
            let sessions = this.all();
            sessions.iter().map(|session| session.borrow().record(this.0.node.id())).collect()
        });
        let this = proxy.clone();
        node.on_view(move |change| this.on_view(change));
        let this = proxy.clone();
        node.on_leave(move || {
            let this = this.clone();
            Box::pin(async move { this.leave().await })
        });
        proxy.take_up();
        proxy.take_orders();
        node.spawn(proxy.clone().tick());
        let every = proxy.options().reload_every;
        proxy.options().check.start(node, every);
        if let Some(tls) = &proxy.options().tls {
            node.spawn(tls.clone().keep_up(every, node.clone()));
        }
        proxy
    }

    /// Takes clients from `listener` for as long as the node runs.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((tcp, _)) if self.0.sockets.get() < 2 * self.options().max_clients => {
                    self.0.sockets.set(self.0.sockets.get() + 1);
                    let this = self.clone();
                    tokio::task::spawn_local(async move {
                        let _count = Counted(this.clone());
                        socket::serve(this, tcp).await;
                    });
                }
                Ok(_) => self.stats().count("clients_refused"),
                Err(error) => {
                    tracing::warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// How many players have a session here, those whose socket has dropped among them.
    pub fn session_count(&self) -> usize {
        self.0.sessions.borrow().len()
    }

    /// How many sockets have come as far as WebSocket.
    pub fn client_count(&self) -> usize {
        self.0.conns.borrow().len()
    }

    /// Whether the session of that epoch is on its way to a server: what its client sends is held.
    pub fn is_moving(&self, epoch: u64) -> bool {
        self.session(epoch).is_some_and(|session| session.borrow().is_moving)
    }

    /// What it allows.
    pub fn options(&self) -> &ProxyOptions {
        &self.0.options
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.0.node.stats()
    }

    pub(crate) fn all(&self) -> Vec<SharedSession> {
        self.0.sessions.borrow().values().cloned().collect()
    }

    pub(crate) fn session(&self, epoch: u64) -> Option<SharedSession> {
        self.0.sessions.borrow().get(&epoch).cloned()
    }

    pub(crate) fn add_session(&self, session: SharedSession, uid: u64, epoch: u64) {
        self.0.sessions.borrow_mut().insert(epoch, session);
        self.0.by_uid.borrow_mut().insert(uid, epoch);
    }

    /// Knows of no session any more, though none has ended.
    pub(crate) fn forget_all(&self) {
        self.0.sessions.take();
        self.0.by_uid.take();
    }

    /// A socket speaks WebSocket now.
    pub(crate) fn opened(&self) -> Rc<Conn> {
        let id = self.0.last_conn.get() + 1;
        self.0.last_conn.set(id);
        let conn = Conn::new(id, Instant::now());
        let mut conns = self.0.conns.borrow_mut();
        let is_full = conns.len() >= self.options().max_clients;
        conns.insert(id, conn.clone());
        drop(conns);
        if self.0.has_left.get() && self.hands_over() {
            // The next life takes it.
            conn.abort();
        } else if self.0.has_left.get() {
            conn.close(Reason::ShuttingDown, "the proxy shuts down", Instant::now());
        } else if is_full {
            self.stats().count("clients_refused");
            conn.close(Reason::Overloaded, "this proxy is full", Instant::now());
        }
        conn
    }

    /// A socket is gone. Its session waits for the client to come back.
    pub(crate) fn socket_ended(&self, conn: &Rc<Conn>) {
        self.0.conns.borrow_mut().remove(&conn.id);
        conn.stage.set(Stage::Aborted);
        let Some(session) = conn.session.take() else { return };
        let was_welcomed = {
            let mut session = session.borrow_mut();
            if !session.conn.as_ref().is_some_and(|current| Rc::ptr_eq(current, conn)) {
                return;
            }
            session.conn = None;
            session.away_since = Some(Instant::now());
            session.due != crate::session::Due::Welcome
        };
        self.stats().count("sockets_dropped");
        if !was_welcomed || self.options().resume.is_zero() {
            // Nobody holds a token for it.
            self.end(&session, Reason::ResumeExpired, "the connection was lost");
        }
    }

    /// Ends a session: everyone who knows of it is told, what it held is counted.
    pub(crate) fn end(&self, shared: &SharedSession, reason: Reason, message: &str) {
        let (conn, servers, record, received, held, unsent) = {
            let mut session = shared.borrow_mut();
            if std::mem::replace(&mut session.has_ended, true) {
                return;
            }
            let servers = [session.server.take(), session.target.take()];
            let held = std::mem::take(&mut session.held);
            let unsent = session.replay.unsent();
            (session.conn.take(), servers, (session.uid, session.epoch), session.received, held, unsent)
        };
        let (uid, epoch) = record;
        self.0.sessions.borrow_mut().remove(&epoch);
        {
            let mut by_uid = self.0.by_uid.borrow_mut();
            if by_uid.get(&uid) == Some(&epoch) {
                by_uid.remove(&uid);
            }
        }
        held.iter().for_each(|held| self.stats().dropped(held.meta.row, reason));
        unsent.iter().for_each(|meta| self.stats().dropped(meta.row, reason));
        if let Some(conn) = conn {
            *conn.session.borrow_mut() = None;
            if reason == Reason::SlowClient {
                conn.abort();
            } else {
                // What came after this is read by nobody: so the client knows what was lost.
                conn.say(&ToClient::Ack(received));
                conn.close(reason, message, Instant::now());
            }
        }
        let leaves: Vec<_> =
            servers.into_iter().flatten().map(|server| self.ask_leave(server, epoch, false)).collect();
        tracing::debug!(uid, epoch, %reason, "a session has ended");
        self.0.leaving.borrow_mut().insert(epoch, Vec::new());
        let this = self.clone();
        self.0.node.spawn(async move {
            // The master may let the player in elsewhere as soon as it is told: not before the servers have let go.
            for leave in leaves {
                let _ = leave.await;
            }
            this.0.node.tell_master("left", &Left { uid, epoch, reason });
            let told = this.0.leaving.borrow_mut().remove(&epoch);
            told.into_iter().flatten().for_each(|responder| drop(responder.respond(&())));
        });
    }

    /// Asks a server to let a player go. Sent at once; the future is its answer.
    pub(crate) fn ask_leave(
        &self,
        server: NodeId,
        epoch: u64,
        is_transfer: bool,
    ) -> impl Future<Output = Result<(), chappe_node::Failure>> + use<> {
        let leave = Leave { epoch, is_transfer };
        self.0.node.ask(Row::Internal, To::Node(server), (control::SERVER, "leave"), &leave, ASK)
    }

    /// What the master orders.
    fn take_orders(&self) {
        let node = &self.0.node;
        let this = self.clone();
        node.register(Row::Internal, control::PROXY, "move", move |call| {
            if this.0.node.obeys(call.from(), call.incarnation())
                && let Ok(order) = call.args::<Move>()
                && let Some(session) = this.session(order.epoch)
            {
                this.on_move(&session, order);
            }
            let _ = call.respond(&());
        });
        let this = self.clone();
        node.register(Row::Internal, control::PROXY, "close", move |call| {
            // By epoch: a late close of an old session finds nothing.
            if this.0.node.obeys(call.from(), call.incarnation())
                && let Ok(order) = call.args::<Close>()
                && let Some(session) = this.session(order.epoch)
            {
                this.end(&session, order.reason, &order.message);
            }
            let epoch = call.args::<Close>().map_or(0, |order| order.epoch);
            let responder = call.into_responder();
            // Answered when the player is on no server any more.
            let not_leaving = match this.0.leaving.borrow_mut().get_mut(&epoch) {
                Some(told) => {
                    told.push(responder);
                    None
                }
                None => Some(responder),
            };
            not_leaving.into_iter().for_each(|responder| drop(responder.respond(&())));
        });
        let this = self.clone();
        node.register(Row::Internal, control::PROXY, "announce", move |call| {
            if this.0.node.obeys(call.from(), call.incarnation())
                && let Ok(order) = call.args::<Announce>()
            {
                this.announce(&order.message, |_| true);
            }
            let _ = call.respond(&());
        });
    }

    fn announce(&self, message: &str, to: impl Fn(Option<NodeId>) -> bool) {
        for session in self.all() {
            let session = session.borrow();
            if let Some(conn) = session.conn.as_ref().filter(|_| to(session.server)) {
                conn.say(&ToClient::Announce(message));
            }
        }
    }

    fn on_view(&self, change: &Changed) {
        match change {
            Changed::Gone(member) if member.role.is_server() => {
                for session in self.all() {
                    if session.borrow().server == Some(member.id) {
                        self.on_server_lost(&session, member.id);
                    }
                }
            }
            Changed::Member(Some(before), member)
                if member.role.is_server()
                    && (before.state == State::Stuck) != (member.state == State::Stuck) =>
            {
                let text = match member.state {
                    State::Stuck => format!("server {} does not answer at the moment", member.id),
                    _ => format!("server {} answers again", member.id),
                };
                self.announce(&text, |server| server == Some(member.id));
            }
            _ => {}
        }
    }

    /// Whether nobody new is let in.
    pub(crate) fn is_leaving(&self) -> bool {
        self.0.has_left.get() || self.0.node.state() == State::Draining
    }

    /// The node leaves: every client is told, and has a moment to hear it.
    async fn leave(&self) {
        self.0.has_left.set(true);
        let hands_over = self.hands_over();
        if hands_over {
            self.hand_over().await;
        }
        for session in self.all() {
            self.end(&session, Reason::ShuttingDown, "the proxy shuts down");
        }
        let conns: Vec<_> = self.0.conns.borrow().values().cloned().collect();
        for conn in conns {
            match conn.session.borrow().is_none() && hands_over {
                // Who is about to log in tries again, at the next life.
                true if conn.is_open() => conn.abort(),
                true => {}
                false => conn.close(Reason::ShuttingDown, "the proxy shuts down", Instant::now()),
            }
        }
        let deadline = Instant::now() + CLOSE_WAIT / 3;
        while self.client_count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Deadlines of sockets and sessions. One task for all of them: a timer each would cost more than they do.
    async fn tick(self) {
        let options = self.options();
        let shortest = options.resume.min(options.login_deadline).min(options.ping_every);
        let period = (shortest / 4).clamp(Duration::from_millis(10), Duration::from_millis(500));
        loop {
            tokio::time::sleep(period).await;
            let now = Instant::now();
            let conns: Vec<_> = self.0.conns.borrow().values().cloned().collect();
            conns.iter().for_each(|conn| self.check_conn(conn, now));
            for session in self.all() {
                let is_over = {
                    let mut session = session.borrow_mut();
                    if session.told != session.received
                        && let Some(conn) = session.live()
                    {
                        session.told = session.received;
                        conn.say(&ToClient::Ack(session.received));
                    }
                    session.away_since.is_some_and(|since| now - since >= options.resume)
                };
                if is_over {
                    self.end(&session, Reason::ResumeExpired, "the client did not come back in time");
                }
            }
        }
    }

    fn check_conn(&self, conn: &Rc<Conn>, now: Instant) {
        let options = self.options();
        let silent = now - conn.heard.get();
        match conn.stage.get() {
            Stage::Closing if conn.closing_since.get().is_some_and(|since| now - since >= CLOSE_WAIT) => {
                conn.abort();
            }
            Stage::Silent if now - conn.opened >= options.login_deadline => {
                self.stats().count("login_timeouts");
                conn.close(Reason::HandshakeTimeout, "no login came in time", now);
            }
            Stage::In if silent >= options.ping_every * 2 => conn.abort(),
            Stage::In if silent >= options.ping_every && !conn.pinged.get() => conn.ping(),
            _ => {}
        }
    }
}

/// A socket, counted from its accept to its end.
struct Counted(Proxy);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.sockets.set(self.0.0.sockets.get() - 1);
    }
}
