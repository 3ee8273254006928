//! The master's half: it alone has the store, says who owns a record, and carries each notification from the commit
//! that sent it to the server where it is handled (snipe.md section 3).
//!
//! In flow order: [`claims`] gives records to servers; [`commits`] makes durable what handlers leave behind and tells
//! [`inflight`], the table of what is under way, what has changed; [`dispatch`] hands each step to where [`places`]
//! says that it runs; [`deadlines`] ends what nobody has acted on in time; [`route`] passes on what is not durable;
//! [`recovery`] takes up what an earlier life of the master has left; [`tools`] answers the command line.

mod claims;
mod commits;
mod dead;
mod deadlines;
mod dispatch;
mod inflight;
mod places;
mod recovery;
mod route;
#[cfg(test)]
mod tests;
mod tools;

use crate::protocol::STORE;
use chappe_master::Master;
use chappe_node::{Call, Changed, Node, Responder};
use chappe_store::{CommitId, NotificationId, StoreClient, StoreError};
use chappe_wire::{NodeId, Reason, Row};
use claims::Claims;
use commits::Line;
use dead::DeadLetters;
use deadlines::Deadlines;
use dispatch::Dispatch;
use inflight::{InFlight, Life};
use route::Held;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Why a request to the master fails: the code, and the same for a person.
pub(crate) type Refusal = (Reason, String);

/// The waits between tries of what must be done in the end: the first, doubled up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a master that has started waits for the proxies that are declared, before it takes players for offline.
const PROXIES: Duration = Duration::from_secs(3);
/// Between two looks whether it is known where a player is.
const LOOK: Duration = Duration::from_millis(20);

/// The store's place at the master: a handle that is cheap to clone and stays on the node's thread.
#[derive(Clone)]
pub struct Desk(Rc<Inner>);

struct Inner {
    master: Master,
    node: Node,
    store: StoreClient,
    started: Instant,
    table: RefCell<InFlight>,
    claims: Claims,
    line: Line,
    dispatch: Dispatch,
    deadlines: Deadlines,
    held: Held,
    dead: RefCell<DeadLetters>,
    /// The last number in an id that the desk has chosen.
    numbers: Cell<u64>,
    /// The store has failed since it last worked.
    is_degraded: Cell<bool>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({})", self.0.node.id())
    }
}

impl Desk {
    /// Gives a master the store: serves `$store` on its node, takes up every notification that is not settled, and
    /// prunes. To be called after [`Master::attach`] and before the node runs, inside the same
    /// [`tokio::task::LocalSet`].
    pub fn attach(master: &Master, store: StoreClient) -> Desk {
        if let Some(leadership) = store.leadership() {
            master.rule_by(leadership.clone());
        }
        let (line, commits) = Line::new();
        let desk = Desk(Rc::new(Inner {
            master: master.clone(),
            node: master.node().clone(),
            store,
            started: Instant::now(),
            table: RefCell::default(),
            claims: Claims::default(),
            line,
            dispatch: Dispatch::default(),
            deadlines: Deadlines::default(),
            held: Held::default(),
            dead: RefCell::default(),
            numbers: Cell::new(0),
            is_degraded: Cell::new(false),
        }));
        desk.serve_claims();
        desk.serve_commits(commits);
        desk.serve_deliveries();
        desk.serve_routes();
        desk.serve_tools();
        desk.watch();
        desk.keep_deadlines();
        desk.await_proxies();
        desk.recover();
        desk
    }

    /// The master that it belongs to.
    pub fn master(&self) -> &Master {
        &self.0.master
    }

    /// Follows who comes and goes.
    fn watch(&self) {
        let desk = self.clone();
        self.0.node.on_view(move |change| match change {
            Changed::Gone(member) => desk.lose((member.id, member.incarnation)),
            Changed::Member(..) => desk.look_again(),
        });
    }

    /// Whether players may have sessions of which this life of the master has not heard: proxies that were there before it
    /// tell of them when they join. It cannot know which were, so for a while it expects all that are declared.
    fn may_have_session(&self, uid: u64) -> bool {
        if self.0.master.session_of(uid).is_some() {
            return false;
        }
        self.0.master.is_recovering()
            || (self.0.started.elapsed() < self.proxies_wait() && self.lacks_proxy())
    }

    /// How long proxies have to join a master that has started.
    fn proxies_wait(&self) -> Duration {
        self.0.node.config().timing.loss.min(PROXIES)
    }

    fn lacks_proxy(&self) -> bool {
        self.0.node.with_view(|view| {
            let declared = view.declared().nodes.iter();
            let mut proxies = declared.filter(|(_, role, _)| *role == chappe_wire::Role::Proxy);
            proxies.any(|(id, ..)| view.member(*id).is_none())
        })
    }

    /// Looks at what waits again when the time of the proxies is over.
    fn await_proxies(&self) {
        let desk = self.clone();
        self.0.node.spawn(async move {
            tokio::time::sleep(desk.proxies_wait()).await;
            desk.look_again();
        });
    }

    /// Registers a method of `$store` for members under one row.
    fn serve(&self, row: Row, method: &'static str, handler: impl Fn(&Desk, Call<'_>) + 'static) {
        let may_ask = |desk: &Desk, from: NodeId| desk.0.master.is_member(from);
        self.register(row, method, may_ask, handler);
    }

    /// Registers a method of `$store` under one row, for those who may ask.
    fn register(
        &self,
        row: Row,
        method: &'static str,
        may_ask: fn(&Desk, NodeId) -> bool,
        handler: impl Fn(&Desk, Call<'_>) + 'static,
    ) {
        let desk = self.clone();
        self.0.node.register(Row::Internal, STORE, method, move |call| {
            if call.row() != row || !may_ask(&desk, call.from()) {
                let text = format!("node {} may not ask the store for {method:?}", call.from());
                return call.fail(Reason::Refused, &text);
            }
            handler(&desk, call);
        });
    }

    /// Answers a request with what `work` comes to.
    fn answer_with<T: Serialize>(
        &self,
        responder: Responder,
        work: impl Future<Output = Result<T, Refusal>> + 'static,
    ) {
        self.0.node.spawn(async move {
            match work.await {
                Ok(data) => drop(responder.respond(&data)),
                Err((reason, text)) => responder.fail(reason, &text),
            }
        });
    }

    /// A commit's id, never used before: the master's life is in it.
    fn next_commit(&self) -> CommitId {
        CommitId::new(self.0.node.config().incarnation, self.next_number())
    }

    /// As [`Desk::next_commit`], for a notification.
    fn next_notification(&self) -> NotificationId {
        NotificationId::new(self.0.node.config().incarnation, self.next_number())
    }

    /// With the node's id in it, as the servers' half has it, and a bit that sets the two halves apart: both count in the
    /// same life of the node.
    fn next_number(&self) -> u64 {
        self.0.numbers.set(self.0.numbers.get() + 1);
        let node = (self.0.node.id().0.cast_unsigned() & 0xFFFF) << 48;
        node | 1 << 47 | self.0.numbers.get()
    }

    /// The time on the master's own clock.
    fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Whether that life of a node is a member.
    fn is_live(&self, (id, incarnation): Life) -> bool {
        let node = &self.0.node;
        if id == node.id() {
            return incarnation == node.config().incarnation;
        }
        node.with_view(|view| view.member(id).is_some_and(|member| member.incarnation == incarnation))
    }

    /// The life of a node that is up, if it is.
    fn life_of(&self, id: NodeId) -> Option<Life> {
        let node = &self.0.node;
        if id == node.id() {
            return Some((id, node.config().incarnation));
        }
        node.with_view(|view| view.member(id).map(|member| (id, member.incarnation)))
    }

    /// Notes whether the store works, and says so when that has changed.
    fn note<T>(&self, result: &Result<T, StoreError>) {
        let is_degraded = match result {
            Ok(_) => false,
            // The one says nothing of the store as a whole, the other that it works as fast as it can.
            Err(StoreError::Corrupt(_) | StoreError::Overloaded { .. }) => return,
            Err(error) => {
                self.0.node.stats().count("store_failures");
                if !self.0.is_degraded.get() {
                    tracing::error!(%error, "degraded: what must survive is refused until the store works again");
                }
                true
            }
        };
        if self.0.is_degraded.replace(is_degraded) && !is_degraded {
            tracing::info!("recovered: the store works again");
        }
        self.0.node.stats().gauge("store_degraded", u64::from(is_degraded));
    }

    /// Tells the counters how much is under way.
    fn publish(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let (sent, decided) = self.0.table.borrow().counts();
        let stats = self.0.node.stats();
        stats.gauge("notifications_sent", sent as u64);
        stats.gauge("notifications_decided", decided as u64);
        stats.gauge("store_flushes", self.0.store.stats().flushes.load(Relaxed));
        stats.gauge("store_flushes_failed", self.0.store.stats().failed.load(Relaxed));
    }
}

fn args<T: DeserializeOwned>(call: &Call<'_>) -> Result<T, Refusal> {
    call.args().map_err(|error| (Reason::BadData, error.to_string()))
}

/// What a request is told that the store cannot serve.
fn unavailable(error: &StoreError) -> Refusal {
    let reason = match error {
        StoreError::Corrupt(_) => Reason::BadData,
        _ => Reason::StoreUnavailable,
    };
    (reason, error.to_string())
}

/// The wait before a try, after `failures` that failed.
fn retry_after(failures: u32) -> Duration {
    (RETRY.0 * 2u32.saturating_pow(failures.min(16))).min(RETRY.1)
}
