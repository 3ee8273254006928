//! Faults between a store and those who use it, for tests.

use crate::{
    Candidate, CommitId, DeadLetter, Done, HistoryEntry, Lease, Notification, NotificationId, Push, Record,
    Store, StoreError, Verdict, Work,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong with one flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails; nothing was done.
    Fail,
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// It is not done, and nobody can know.
    LoseWork,
}

/// The faults of a [`FaultyStore`]. Clones share one plan. Crashes that drop unsynced writes are
/// [`MemoryDisk::crash`](crate::MemoryDisk::crash).
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    flushes: u64,
    at: BTreeMap<u64, Fault>,
    lost: bool,
    delay: Duration,
}

impl Faults {
    /// No faults.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// The flush after `ahead` others goes wrong; 0: the next one.
    pub fn at(&self, ahead: u64, fault: Fault) {
        let mut plan = self.lock();
        let flush = plan.flushes + ahead;
        plan.at.insert(flush, fault);
    }

    /// The database is lost, until it is told to be back: every call fails.
    pub fn lost(&self, lost: bool) {
        self.lock().lost = lost;
    }

    /// Every flush takes that much longer, on the thread that runs it. On virtual time use
    /// [`Pace`](crate::Pace).
    pub fn delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// How many flushes there were.
    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        // No code panics while it holds the lock; a poisoned one is as good as new.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self) -> Result<(), StoreError> {
        if self.lock().lost {
            Err(StoreError::StoreUnavailable("lost by a fault".to_owned()))
        } else {
            Ok(())
        }
    }

    fn next(&self) -> (Option<Fault>, Duration) {
        let mut plan = self.lock();
        let flush = plan.flushes;
        plan.flushes += 1;
        (plan.at.remove(&flush), plan.delay)
    }
}

/// A store with faults.
pub struct FaultyStore {
    store: Box<dyn Store>,
    faults: Faults,
}

impl FaultyStore {
    /// Puts faults before a store.
    pub fn new(store: Box<dyn Store>, faults: Faults) -> FaultyStore {
        FaultyStore { store, faults }
    }

    fn reached(&mut self) -> Result<&mut dyn Store, StoreError> {
        self.faults.reach()?;
        Ok(&mut *self.store)
    }
}

impl Store for FaultyStore {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError> {
        self.faults.reach()?;
        let (fault, delay) = self.faults.next();
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        match fault {
            None => self.store.flush(work),
            Some(Fault::Fail) => Err(StoreError::StoreUnavailable("a fault".to_owned())),
            Some(Fault::LoseWork) => Err(StoreError::AnswerLost("a fault".to_owned())),
            Some(Fault::LoseAnswer) => {
                self.store.flush(work)?;
                Err(StoreError::AnswerLost("a fault".to_owned()))
            }
        }
    }

    fn lease(&mut self) -> Result<Option<Lease>, StoreError> {
        self.reached()?.lease()
    }

    fn lead(&mut self, by: &Candidate) -> Result<Lease, StoreError> {
        self.reached()?.lead(by)
    }

    fn renew(&mut self) -> Result<Lease, StoreError> {
        self.reached()?.renew()
    }

    fn resign(&mut self) -> Result<(), StoreError> {
        self.reached()?.resign()
    }

    fn now_ms(&mut self) -> Result<u64, StoreError> {
        self.reached()?.now_ms()
    }

    fn load(&mut self, uid: u64) -> Result<Option<Record>, StoreError> {
        self.reached()?.load(uid)
    }

    fn outcome_of(&mut self, id: CommitId) -> Result<Verdict, StoreError> {
        self.reached()?.outcome_of(id)
    }

    fn answer(&mut self, uid: u64, request: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.reached()?.answer(uid, request)
    }

    fn unsettled(&mut self, after: u64, limit: u32) -> Result<Vec<Notification>, StoreError> {
        self.reached()?.unsettled(after, limit)
    }

    fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        self.reached()?.notification(id)
    }

    fn pushes(&mut self, uid: u64) -> Result<Vec<Push>, StoreError> {
        self.reached()?.pushes(uid)
    }

    fn dead_letters(&mut self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.reached()?.dead_letters(after, limit)
    }

    fn history(&mut self, uid: u64) -> Result<Vec<HistoryEntry>, StoreError> {
        self.reached()?.history(uid)
    }

    fn players(&mut self, after: Option<u64>, limit: u32) -> Result<Vec<u64>, StoreError> {
        self.reached()?.players(after, limit)
    }
}
