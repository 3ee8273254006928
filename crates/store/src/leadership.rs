//! What a master knows of its own lease: whether it may rule. Only the store's clock says when a lease ends, and only this
//! machine's steady one how long it surely lasts; what a wall clock shows is of no concern.

use crate::{Candidate, Lease, StoreClient, StoreError};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

/// How a lease is kept and waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// How long it lasts from each renewal on. Default 5 s.
    pub lasts: Duration,
    /// Between two renewals. Default 1 s.
    pub every: Duration,
    /// Between two looks of a master that stands by. Default 0.5 s.
    pub look: Duration,
    /// How long a lease must have ended before another takes it: a master that was only cut off from the store comes back.
    /// Default 1.5 s.
    pub patience: Duration,
}

impl Keeping {
    /// With every time in proportion to how long the lease lasts.
    pub fn lasting(lasts: Duration) -> Keeping {
        Keeping { lasts, every: lasts / 5, look: lasts / 10, patience: lasts * 3 / 10 }
    }
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping::lasting(Duration::from_secs(5))
    }
}

/// A master's leadership; clones share it, on whichever thread.
#[derive(Debug, Clone)]
pub struct Leadership(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    by: Candidate,
    keeping: Keeping,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// 0: it has never led.
    term: u64,
    /// The store needs no lease.
    is_needless: bool,
    /// Until then nobody else can have it: from before the renewal was sent.
    valid_until: Option<Instant>,
    /// What the store's clock showed, and when it was read.
    clock: Option<(u64, Instant)>,
    failed: u64,
    has_run_out: bool,
    lost: Option<StoreError>,
}

impl Leadership {
    /// Of that life of a master, which does not lead yet.
    pub fn new(node: chappe_wire::NodeId, incarnation: u64, keeping: Keeping) -> Leadership {
        let by = Candidate { node, incarnation, lasts: keeping.lasts };
        Leadership(Arc::new(Shared { by, keeping, state: Mutex::default(), changed: Notify::new() }))
    }

    /// Waits until this master leads, however long another does. `told` hears of each look.
    pub async fn stand(&self, store: &StoreClient, told: impl Fn(&Result<Lease, StoreError>)) {
        let mut ended: Option<(Lease, Instant)> = None;
        loop {
            let found = Self::look(store).await;
            told(&found);
            if let Ok(found) = found {
                let same = |(lease, _): &(Lease, Instant)| {
                    (lease.term, lease.ends_ms) == (found.term, found.ends_ms)
                };
                ended = match found.has_ended() {
                    true => ended.filter(same).or_else(|| Some((found, Instant::now()))),
                    false => None,
                };
                let has_waited = ended.is_some_and(|(_, since)| since.elapsed() >= self.0.keeping.patience);
                let is_due = has_waited || found.is_given_to(&self.0.by) || found.is_of(&self.0.by);
                if is_due && self.try_lead(store).await.is_ok_and(|lease| lease.is_of(&self.0.by)) {
                    return;
                }
            }
            sleep(self.0.keeping.look).await;
        }
    }

    /// Asks to lead, once. How the lease stands then.
    ///
    /// # Errors
    /// As [`Store::lead`](crate::Store::lead).
    pub async fn try_lead(&self, store: &StoreClient) -> Result<Lease, StoreError> {
        let (by, sent) = (self.0.by, Instant::now());
        let lease = store.read(move |store| store.lead(&by)).await?;
        if lease.is_of(&by) {
            self.hold(&lease, sent);
        }
        Ok(lease)
    }

    /// Renews the lease, or takes it where it was never had, until it is lost.
    pub async fn keep(&self, store: &StoreClient) {
        while !self.lock().is_needless {
            sleep(self.0.keeping.every).await;
            let sent = Instant::now();
            let result = match self.term() {
                0 => self.try_lead(store).await,
                _ => {
                    let mut renewing = pin!(store.read(|store| store.renew()));
                    let until = self.lock().valid_until.unwrap_or(sent);
                    match timeout_at(until, &mut renewing).await {
                        Ok(result) => result,
                        Err(_) => {
                            self.tell_run_out();
                            renewing.await
                        }
                    }
                }
            };
            match result {
                Ok(lease) if lease.is_of(&self.0.by) => self.hold(&lease, sent),
                Ok(_) => {}
                Err(StoreError::Closed) => return,
                Err(error @ StoreError::LeaseLost { .. }) => return self.lose(error),
                Err(error) => self.failed(&error),
            }
        }
    }

    /// The term under which it leads; 0: it never has.
    pub fn term(&self) -> u64 {
        self.lock().term
    }

    /// Whether the store needs no lease; known once it leads.
    pub fn is_needless(&self) -> bool {
        self.lock().is_needless
    }

    /// Whether it leads, and nobody else can by now.
    pub fn is_valid(&self) -> bool {
        let state = self.lock();
        state.lost.is_none()
            && (state.is_needless || state.valid_until.is_some_and(|until| Instant::now() < until))
    }

    /// What the store's clock shows now, about; `None` before it was read.
    pub fn now_ms(&self) -> Option<u64> {
        let (ms, at) = self.lock().clock?;
        Some(ms.saturating_add(crate::lease::millis(at.elapsed())))
    }

    /// How many renewals have failed.
    pub fn failed_renewals(&self) -> u64 {
        self.lock().failed
    }

    /// Another master leads: this one rules nothing any more.
    pub fn lose(&self, why: StoreError) {
        self.lock().lost.get_or_insert(why);
        self.0.changed.notify_waiters();
    }

    /// Resolves when another master leads, with what says so.
    pub async fn lost(&self) -> StoreError {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            let lost = self.lock().lost.clone();
            match lost {
                Some(lost) => return lost,
                None => changed.await,
            }
        }
    }

    /// Why work cannot be handed in now.
    pub(crate) fn refusal(&self) -> Option<StoreError> {
        if self.is_valid() {
            return None;
        }
        let state = self.lock();
        let text = match (&state.lost, state.term) {
            (Some(lost), _) => lost.to_string(),
            (None, 0) => "this master does not have the lease yet".to_owned(),
            (None, term) => format!("the lease of term {term} has run out, and the store does not renew it"),
        };
        Some(StoreError::StoreUnavailable(text))
    }

    async fn look(store: &StoreClient) -> Result<Lease, StoreError> {
        // One that needs none is there to be taken.
        let look = |store: &mut dyn crate::Store| Ok(store.lease()?.unwrap_or_default());
        store.read(look).await
    }

    fn hold(&self, lease: &Lease, sent: Instant) {
        let mut state = self.lock();
        let has_come_back = std::mem::take(&mut state.has_run_out);
        state.term = lease.term;
        state.is_needless = lease.ends_ms == u64::MAX;
        state.valid_until = Some(sent + self.0.keeping.lasts);
        state.clock = Some((lease.now_ms, Instant::now()));
        drop(state);
        if has_come_back {
            tracing::info!(term = lease.term, "the lease is renewed again: logins and commits go on");
        }
    }

    fn failed(&self, error: &StoreError) {
        let mut state = self.lock();
        state.failed += 1;
        let (term, has_run_out) = (state.term, state.has_run_out);
        drop(state);
        if !has_run_out {
            tracing::warn!(term, %error, "the lease could not be renewed; it is tried again");
        }
        if !self.is_valid() {
            self.tell_run_out();
        }
    }

    fn tell_run_out(&self) {
        let mut state = self.lock();
        if state.term != 0 && !std::mem::replace(&mut state.has_run_out, true) {
            let term = state.term;
            drop(state);
            tracing::error!(
                term,
                "the lease has run out: the store cannot be reached. Sessions and messages go on; logins and commits are \
                 refused until it is renewed, or another master leads"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; a poisoned one is as good as new.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
