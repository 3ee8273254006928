//! The callers' end of a store that runs elsewhere.

use crate::{
    Claimed, Commit, CommitId, Committed, DeadLetter, Done, HistoryEntry, Leadership, Notification,
    NotificationId, Push, Record, Refused, Store, StoreError, Verdict, Work,
};
use chappe_wire::NodeId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::sync::{mpsc, oneshot};

/// Hands work to a store and waits for what becomes of it. Clones share one queue, and what one caller hands in
/// first is judged first. It is handed in when the method is called, not when its future is polled.
#[derive(Debug, Clone)]
pub struct StoreClient {
    pub(crate) queue: mpsc::Sender<Job>,
    pub(crate) stats: Arc<StoreStats>,
    pub(crate) led_by: Option<Leadership>,
}

/// What waits for the store.
pub(crate) enum Job {
    Work(Box<Work>, Answer),
    Read(Reading),
}

pub(crate) type Answer = oneshot::Sender<Result<Done, StoreError>>;
pub(crate) type Reading = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// What a store has done since it was opened.
#[derive(Debug, Default)]
pub struct StoreStats {
    /// Transactions.
    pub flushes: AtomicU64,
    /// Transactions that failed as a whole.
    pub failed: AtomicU64,
    /// Pieces of work in all transactions.
    pub work: AtomicU64,
    /// Pieces that were not taken because too many waited.
    pub overloaded: AtomicU64,
    /// From a flush that failed to the next one that does not: the cluster is degraded.
    pub failing: AtomicBool,
}

impl StoreClient {
    /// The same store, for a master that rules only while it has the lease: without it, work is refused at once.
    #[must_use]
    pub fn led_by(&self, leadership: Leadership) -> StoreClient {
        StoreClient { led_by: Some(leadership), ..self.clone() }
    }

    /// The lease that work is done under, where there is one.
    pub fn leadership(&self) -> Option<&Leadership> {
        self.led_by.as_ref()
    }

    /// What the store has done.
    pub fn stats(&self) -> &StoreStats {
        &self.stats
    }

    /// Makes a commit durable. The outer error is the store's, the inner this commit's.
    ///
    /// # Errors
    /// [`StoreError::AnswerLost`]: ask with [`resolve`](StoreClient::resolve), never repeat.
    pub fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<Result<Committed, Refused>, StoreError>> + use<> {
        self.hand_in(Work::Commit(commit), |done| match done {
            Done::Committed(committed) => Some(committed),
            _ => None,
        })
    }

    /// Makes `server` the one owner of a record, creating it with `create` when it does not exist.
    pub fn claim(
        &self,
        uid: u64,
        server: NodeId,
        create: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<Result<Claimed, Refused>, StoreError>> + use<> {
        self.hand_in(Work::Claim { uid, server, create }, |done| match done {
            Done::Claimed(claimed) => Some(claimed),
            _ => None,
        })
    }

    /// Asks what became of a commit whose answer was lost; one that is not there is never applied from now on.
    pub fn resolve(
        &self,
        id: CommitId,
    ) -> impl Future<Output = Result<Result<Verdict, Refused>, StoreError>> + use<> {
        self.hand_in(Work::Resolve(id), |done| match done {
            Done::Resolved(verdict) => Some(verdict),
            _ => None,
        })
    }

    /// Any other piece of work.
    pub fn work(
        &self,
        work: Work,
    ) -> impl Future<Output = Result<Result<Done, Refused>, StoreError>> + use<> {
        self.hand_in(work, Some)
    }

    /// [`Store::load`].
    pub fn load(&self, uid: u64) -> impl Future<Output = Result<Option<Record>, StoreError>> + use<> {
        self.read(move |store| store.load(uid))
    }

    /// [`Store::outcome_of`].
    pub fn outcome_of(&self, id: CommitId) -> impl Future<Output = Result<Verdict, StoreError>> + use<> {
        self.read(move |store| store.outcome_of(id))
    }

    /// [`Store::answer`].
    pub fn answer(
        &self,
        uid: u64,
        request: String,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + use<> {
        self.read(move |store| store.answer(uid, &request))
    }

    /// [`Store::unsettled`].
    pub fn unsettled(
        &self,
        after: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Notification>, StoreError>> + use<> {
        self.read(move |store| store.unsettled(after, limit))
    }

    /// [`Store::notification`].
    pub fn notification(
        &self,
        id: NotificationId,
    ) -> impl Future<Output = Result<Option<Notification>, StoreError>> + use<> {
        self.read(move |store| store.notification(id))
    }

    /// [`Store::pushes`].
    pub fn pushes(&self, uid: u64) -> impl Future<Output = Result<Vec<Push>, StoreError>> + use<> {
        self.read(move |store| store.pushes(uid))
    }

    /// [`Store::dead_letters`].
    pub fn dead_letters(
        &self,
        after: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, StoreError>> + use<> {
        self.read(move |store| store.dead_letters(after, limit))
    }

    /// [`Store::history`].
    pub fn history(&self, uid: u64) -> impl Future<Output = Result<Vec<HistoryEntry>, StoreError>> + use<> {
        self.read(move |store| store.history(uid))
    }

    /// [`Store::players`].
    pub fn players(
        &self,
        after: Option<u64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<u64>, StoreError>> + use<> {
        self.read(move |store| store.players(after, limit))
    }

    /// Any other read. It sees at least what was handed in before it.
    pub fn read<T, F>(&self, read: F) -> impl Future<Output = Result<T, StoreError>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let read = Box::new(move |store: &mut dyn Store| drop(answer.send(read(store))));
        // Before it has led, what another master is still about to write would be missing.
        let refused = self.led_by.as_ref().filter(|led| led.term() == 0).and_then(Leadership::refusal);
        let queued = refused.map_or_else(|| self.queue(Job::Read(read)), Err);
        async move {
            queued?;
            answered.await.unwrap_or(Err(StoreError::Closed))
        }
    }

    fn hand_in<T>(
        &self,
        work: Work,
        expected: fn(Done) -> Option<T>,
    ) -> impl Future<Output = Result<Result<T, Refused>, StoreError>> + use<T> {
        let (answer, answered) = oneshot::channel();
        let refused = self.led_by.as_ref().and_then(Leadership::refusal);
        let queued = refused.map_or_else(|| self.queue(Job::Work(Box::new(work), answer)), Err);
        let led_by = self.led_by.clone();
        async move {
            queued?;
            // The store has gone with the work in hand: nobody knows.
            let gone = || StoreError::AnswerLost("the store was closed".to_owned());
            let done = answered.await.unwrap_or_else(|_| Err(gone()));
            if let (Err(lost @ StoreError::LeaseLost { .. }), Some(led)) = (&done, led_by) {
                led.lose(lost.clone());
            }
            match done? {
                Done::Refused(refused) => Ok(Err(refused)),
                done => expected(done).map(Ok).ok_or_else(gone),
            }
        }
    }

    fn queue(&self, job: Job) -> Result<(), StoreError> {
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            mpsc::error::TrySendError::Full(_) => {
                self.stats.overloaded.fetch_add(1, Relaxed);
                StoreError::Overloaded { waiting: self.queue.max_capacity() }
            }
        })
    }
}
