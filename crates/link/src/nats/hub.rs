//! What the connections of one process share: its connection to NATS, and who is told what arrives on it.

use super::conn::Side;
use super::identity::Card;
use super::message::{Head, Kind, Subjects, Unreadable};
use super::options::NatsOptions;
use super::pipe::Over;
use super::stats::{Counters, NatsStats, count};
use crate::nats::claim::Held;
use async_nats::{Client, Event, ServerError, StatusCode, Subject};
use bytes::Bytes;
use chappe_wire::NodeId;
use futures_util::{FutureExt, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::unconstrained;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How long a question to NATS or to another process may take.
pub(super) const ANSWER: Duration = Duration::from_secs(4);
/// How often connections are looked after.
const TICK: Duration = Duration::from_millis(250);
/// How many of those there are between two measurements of the way to the servers and back.
const PROBE: u32 = 8;
/// How long to wait when there is no room for a message.
const UNJAM: Duration = Duration::from_millis(1);

pub(super) struct Hub {
    pub(super) options: NatsOptions,
    pub(super) subjects: Subjects,
    pub(super) counters: Counters,
    pub(super) held: Mutex<BTreeMap<NodeId, Held>>,
    /// This process answers for the cluster's name too.
    pub(super) is_named: AtomicBool,
    sides: Mutex<HashMap<u64, Arc<Side>>>,
    next: AtomicU64,
    pub(super) client: OnceLock<Client>,
    pub(super) connecting: tokio::sync::Mutex<()>,
    /// Since when the connection to NATS stands.
    pub(super) up: Mutex<Option<Instant>>,
    /// Something could not be published for want of room.
    jammed: AtomicBool,
    unjam: Notify,
    /// The number of the last probe, and when it was sent; the number of the last that came back.
    probed: Mutex<(u64, Instant)>,
    pub(super) echoed: watch::Sender<u64>,
    /// What a server has refused last.
    refused: watch::Sender<String>,
    /// What is said only once until it is over.
    told_slow: AtomicBool,
    told_away: AtomicBool,
    /// The place of another cluster of our name that was told of last.
    told_stranger: Mutex<String>,
}

impl Hub {
    pub(super) fn new(options: NatsOptions, endpoint: u64) -> Hub {
        Hub {
            subjects: Subjects::new(&options.cluster, &options.scope, endpoint),
            options,
            counters: Counters::default(),
            held: Mutex::default(),
            is_named: AtomicBool::new(false),
            sides: Mutex::default(),
            next: AtomicU64::new(1),
            client: OnceLock::new(),
            connecting: tokio::sync::Mutex::new(()),
            up: Mutex::new(None),
            jammed: AtomicBool::new(false),
            unjam: Notify::new(),
            probed: Mutex::new((0, Instant::now())),
            echoed: watch::Sender::new(0),
            refused: watch::Sender::new(String::new()),
            told_slow: AtomicBool::new(false),
            told_away: AtomicBool::new(false),
            told_stranger: Mutex::default(),
        }
    }

    /// The sender of a card, when that is of another cluster of our name.
    pub(super) fn stranger(&self, card: &[u8]) -> Option<Card> {
        Some(Card::decode(card)).filter(|card| self.options.identity.differs_from(&card.identity))
    }

    /// Tells of one, and not again while it tries on.
    pub(super) fn tell_of(&self, stranger: &Card) {
        count(&self.counters.strangers);
        let mut told = lock(&self.told_stranger);
        if *told == stranger.place {
            return;
        }
        told.clone_from(&stranger.place);
        let Card { place, identity } = stranger;
        tracing::error!(
            cluster = self.options.cluster, servers = self.options.places(), ours = %self.options.identity,
            "another cluster of this name is turned away: {place}, {identity}; one of them needs another name"
        );
    }

    /// Waits for what needs permissions: a server does not answer what it forbids, it says so beside.
    pub(super) async fn unless_refused<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut refused = self.refused.subscribe();
        tokio::select! {
            biased;
            Ok(()) = refused.changed() => {
                let text = refused.borrow().clone();
                let why = format!("{text}; this user needs it (`chappe nats-config` writes what each needs)");
                Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
            }
            done = timeout(ANSWER, work) => done.unwrap_or_else(|_| Err(self.unanswered())),
        }
    }

    /// The connection to NATS, if it stands now.
    pub(super) fn standing(&self) -> Option<&Client> {
        lock(&self.up).and(self.client.get())
    }

    pub(super) fn has_connected(&self) -> bool {
        self.client.get().is_some()
    }

    /// The most bytes in one message.
    pub(super) fn most(&self) -> usize {
        self.client.get().map_or(usize::MAX, Client::max_payload)
    }

    /// Hands a message to the client library. Returns false when there is no room for it now.
    pub(super) fn publish(&self, to: &Subject, reply: &Subject, message: Bytes) -> bool {
        let Some(client) = self.standing() else { return false };
        let published = client.publish_with_reply(to.clone(), reply.clone(), message);
        // Without the task's budget, which would look like a full queue.
        let is_published = matches!(unconstrained(published).now_or_never(), Some(Ok(())));
        if !is_published && !self.jammed.swap(true, Ordering::Relaxed) {
            self.unjam.notify_one();
        }
        is_published
    }

    pub(super) fn add(self: &Arc<Self>) -> Arc<Side> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let side = Arc::new(Side::new(self.clone(), id));
        lock(&self.sides).insert(id, side.clone());
        side
    }

    pub(super) fn remove(&self, id: u64) {
        lock(&self.sides).remove(&id);
    }

    /// The node of this process, where it is one.
    pub(super) fn only_node(&self) -> Option<NodeId> {
        let held = lock(&self.held);
        held.keys().next().copied().filter(|_| held.len() == 1)
    }

    /// A new process of the node `node` is at `peer`.
    pub(super) fn outlived(&self, node: NodeId, peer: &Subject) {
        self.sides().iter().for_each(|side| side.outlived(node, peer));
    }

    fn sides(&self) -> Vec<Arc<Side>> {
        lock(&self.sides).values().cloned().collect()
    }

    pub(super) async fn take_in(self: Arc<Self>, mut conns: async_nats::Subscriber) {
        while let Some(message) = conns.next().await {
            let Some(id) = Subjects::conn_of(&message.subject) else { continue };
            let side = lock(&self.sides).get(&id).cloned();
            if message.status == Some(StatusCode::NO_RESPONDERS) {
                side.inspect(|side| side.nobody_there());
                continue;
            }
            let (head, data) = match Head::decode(&message.payload) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.unreadable(error, message.reply.as_ref(), &message.subject);
                    continue;
                }
            };
            match side {
                Some(side) => side.came(head, data, message.reply),
                None if id == 0 && head.kind == Kind::Ack => self.came_back(head.seq),
                None if head.kind == Kind::Reset => {}
                None => self.reset(message.reply.as_ref(), &message.subject, "the other side has dropped it"),
            }
        }
    }

    pub(super) fn unreadable(&self, error: Unreadable, reply: Option<&Subject>, own: &Subject) {
        count(&self.counters.unreadable);
        if let Unreadable::Version(version) = error {
            self.reset(reply, own, &format!("version {version} of the messages over NATS is not known here"));
        }
    }

    /// Tells the other side that a connection is no more.
    pub(super) fn reset(&self, to: Option<&Subject>, own: &Subject, why: &str) {
        if let Some(to) = to {
            self.publish(to, own, Head::new(Kind::Reset, 0, 0).with(why.as_bytes()));
        }
    }

    /// Has the servers send something back to us.
    fn probe(&self) {
        let own = self.subjects.conn(0);
        self.publish(&own, &own, Head::new(Kind::Ack, 0, self.next_probe()).with(&[]));
    }

    pub(super) fn next_probe(&self) -> u64 {
        let mut probed = lock(&self.probed);
        *probed = (probed.0 + 1, Instant::now());
        probed.0
    }

    fn came_back(&self, number: u64) {
        let (last, at) = *lock(&self.probed);
        if number == last {
            let took = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.counters.round_trip_us.store(took, Ordering::Relaxed);
        }
        self.echoed.send_replace(number);
    }

    /// What has happened so far, and how things stand.
    pub(super) fn stats(&self) -> NatsStats {
        let mut stats = self.counters.snapshot();
        stats.up = u64::from(self.standing().is_some());
        if let Some(client) = self.client.get() {
            let told = client.statistics();
            stats.received_bytes = told.in_bytes.load(Ordering::Relaxed);
            stats.received_messages = told.in_messages.load(Ordering::Relaxed);
            stats.sent_bytes = told.out_bytes.load(Ordering::Relaxed);
            stats.sent_messages = told.out_messages.load(Ordering::Relaxed);
        }
        stats
    }

    pub(super) async fn look_after(self: Arc<Self>) {
        let mut ticks = interval(TICK);
        let mut since_probe = 0;
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    let up = *lock(&self.up);
                    self.sides().iter().for_each(|side| side.tick(up));
                    since_probe = (since_probe + 1) % PROBE;
                    if since_probe == 0 {
                        self.probe();
                    }
                }
                () = self.unjam.notified() => {
                    // The client library is to write first.
                    sleep(UNJAM).await;
                    self.jammed.store(false, Ordering::Relaxed);
                    self.sides().iter().for_each(|side| side.pump());
                }
            }
        }
    }

    pub(super) fn on_event(&self, event: Event) {
        match event {
            Event::Connected => self.on_up(),
            Event::Disconnected => {
                count(&self.counters.disconnects);
                if lock(&self.up).take().is_some() {
                    let servers = self.options.places();
                    tracing::warn!(servers, "the connection to NATS is lost; it is made anew");
                }
                let why = || Over::new(io::ErrorKind::NotConnected, "the connection to NATS was lost");
                self.sides().iter().for_each(|side| side.give_up_dialling(None, why));
            }
            Event::SlowConsumer(_) => {
                count(&self.counters.slow_consumer);
                if !self.told_slow.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "messages come faster than they are taken in; NATS drops some, which are sent again"
                    );
                }
            }
            Event::LameDuckMode => {
                count(&self.counters.lame_duck);
                tracing::warn!(servers = self.options.places(), "a NATS server is about to stop");
            }
            Event::ServerError(error) => {
                count(&self.counters.server_errors);
                self.on_server_error(error);
            }
            Event::ClientError(error) => {
                count(&self.counters.failed_reconnects);
                if !self.told_away.swap(true, Ordering::Relaxed) {
                    let servers = self.options.places();
                    tracing::warn!(servers, %error, "NATS cannot be reached; it is tried again and again");
                }
            }
            Event::Draining | Event::Closed => {}
        }
    }

    fn on_up(&self) {
        if !self.has_connected() {
            return;
        }
        {
            let mut up = lock(&self.up);
            if up.is_some() {
                return;
            }
            *up = Some(Instant::now());
        }
        count(&self.counters.reconnects);
        self.told_away.store(false, Ordering::Relaxed);
        self.told_slow.store(false, Ordering::Relaxed);
        tracing::info!(servers = self.options.places(), "the connection to NATS stands again");
        self.sides().iter().for_each(|side| side.start_over());
    }

    fn on_server_error(&self, error: ServerError) {
        let text = error.to_string();
        tracing::warn!(servers = self.options.places(), error = text, "NATS refuses something");
        if !text.to_lowercase().contains("permissions violation") {
            return;
        }
        let subject = text.split('"').nth(1).map(str::to_owned);
        let why = || Over::new(io::ErrorKind::PermissionDenied, text.clone());
        self.sides().iter().for_each(|side| side.give_up_dialling(subject.as_deref(), why));
        self.refused.send_replace(text);
    }

    /// Sees to it that what was handed over leaves this process.
    pub(super) async fn flush(&self) {
        if let Some(client) = self.standing() {
            let _ = timeout(Duration::from_millis(500), client.flush()).await;
        }
    }

    /// The link is no more: nothing can come or go.
    pub(super) fn shut(&self) {
        *lock(&self.up) = None;
        let over = Over::new(io::ErrorKind::NotConnected, "the link to NATS was closed");
        self.sides().iter().for_each(|side| side.end_with(over.clone()));
    }
}

/// No code panics while it holds one of these locks; a poisoned one is as good as new.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
