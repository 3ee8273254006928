//! The master's store, whose steps are told to whoever watches.

use crate::steps::{self, Step};
use chappe_store::{
    Candidate, CommitId, DeadLetter, Done, HistoryEntry, Lease, Notification, NotificationId, Pace, Push,
    Record, Store, StoreError, Verdict, Work,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Tells when a flush begins, and when it is durable.
pub(super) struct Watched<S> {
    store: S,
    flushed: Arc<AtomicBool>,
}

impl<S: Store> Watched<S> {
    /// The store, and what says whether it has flushed since [`pace`] looked.
    pub(super) fn new(store: S) -> (Watched<S>, Arc<AtomicBool>) {
        let flushed = Arc::new(AtomicBool::new(false));
        (Watched { store, flushed: flushed.clone() }, flushed)
    }
}

/// A millisecond until a flush is begun, and one until it is answered, which is told as well.
pub(super) fn pace(flushed: Arc<AtomicBool>) -> Pace {
    let pause = || Box::new(|| Duration::from_millis(1));
    let answered = move || {
        if flushed.swap(false, Relaxed) {
            steps::tell(Step::CommitAnswered);
        }
    };
    Pace { before: pause(), after: pause(), answered: Box::new(answered) }
}

impl<S: Store> Store for Watched<S> {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError> {
        steps::tell(Step::CommitBegun);
        let done = self.store.flush(work);
        self.flushed.store(true, Relaxed);
        steps::tell(Step::CommitDurable);
        done
    }

    fn lease(&mut self) -> Result<Option<Lease>, StoreError> {
        self.store.lease()
    }

    fn lead(&mut self, by: &Candidate) -> Result<Lease, StoreError> {
        self.store.lead(by)
    }

    fn renew(&mut self) -> Result<Lease, StoreError> {
        self.store.renew()
    }

    fn resign(&mut self) -> Result<(), StoreError> {
        self.store.resign()
    }

    fn now_ms(&mut self) -> Result<u64, StoreError> {
        self.store.now_ms()
    }

    fn load(&mut self, uid: u64) -> Result<Option<Record>, StoreError> {
        self.store.load(uid)
    }

    fn outcome_of(&mut self, id: CommitId) -> Result<Verdict, StoreError> {
        self.store.outcome_of(id)
    }

    fn answer(&mut self, uid: u64, request: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.answer(uid, request)
    }

    fn unsettled(&mut self, after: u64, limit: u32) -> Result<Vec<Notification>, StoreError> {
        self.store.unsettled(after, limit)
    }

    fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        self.store.notification(id)
    }

    fn pushes(&mut self, uid: u64) -> Result<Vec<Push>, StoreError> {
        self.store.pushes(uid)
    }

    fn dead_letters(&mut self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.store.dead_letters(after, limit)
    }

    fn history(&mut self, uid: u64) -> Result<Vec<HistoryEntry>, StoreError> {
        self.store.history(uid)
    }

    fn players(&mut self, after: Option<u64>, limit: u32) -> Result<Vec<u64>, StoreError> {
        self.store.players(after, limit)
    }
}
