//! A store in memory: for simulations on virtual time, and what the databases are compared with.
//!
//! A [`MemoryDisk`] outlives the stores that open it, like a file. What was written and not synced is lost when it
//! crashes; a store syncs at the end of each flush unless the disk was told to skip that.

mod tables;

use crate::changes::{Rows, Wanted};
use crate::judge::judge;
use crate::{
    CommitId, DeadLetter, Done, HistoryEntry, Notification, NotificationId, Options, Push, Record, Store,
    StoreError, Verdict, Work,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tables::Tables;

/// What survives a [`MemoryStore`]. Clones share one.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Disk>>);

#[derive(Default)]
struct Disk {
    cluster: Option<String>,
    tables: Tables,
    /// How many times it was opened; only the last opener may write, as with a file's lock.
    opened: u64,
    skip_sync: bool,
    full: bool,
    flushes: u64,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Opens it; whoever had it open before cannot write any more.
    ///
    /// # Errors
    /// [`StoreError::OtherCluster`].
    pub fn open(&self, options: Options) -> Result<MemoryStore, StoreError> {
        let mut disk = self.lock();
        let owner = disk.cluster.get_or_insert_with(|| options.cluster.clone()).clone();
        if owner != options.cluster {
            let place = "memory".to_owned();
            return Err(StoreError::OtherCluster { place, found: owner, ours: options.cluster });
        }
        disk.opened += 1;
        Ok(MemoryStore { disk: self.clone(), opened: disk.opened, options })
    }

    /// Loses what was written and not synced, and shuts out whoever had it open.
    pub fn crash(&self) {
        let mut disk = self.lock();
        disk.tables.undo();
        disk.opened += 1;
    }

    /// From now on flushes are acknowledged without a sync: the fault that a test must catch.
    pub fn skip_sync(&self, skip: bool) {
        self.lock().skip_sync = skip;
    }

    /// Full: whatever would be written fails.
    pub fn full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Damages a player's document, so that its checksum does not hold.
    pub fn damage(&self, uid: u64) {
        self.lock().tables.damage(uid);
    }

    /// How many transactions were written.
    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // No code panics while it holds the lock; a poisoned one is as good as new.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store on a [`MemoryDisk`].
pub struct MemoryStore {
    disk: MemoryDisk,
    opened: u64,
    options: Options,
}

impl MemoryStore {
    fn disk(&self) -> Result<MutexGuard<'_, Disk>, StoreError> {
        let disk = self.disk.lock();
        if disk.opened == self.opened { Ok(disk) } else { Err(StoreError::Closed) }
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError> {
        let now_ms = self.now_ms()?;
        let mut disk = self.disk()?;
        let wanted = Wanted::by(work);
        let rows: Rows = disk.tables.rows(&wanted, now_ms);
        let (mut done, changes) = judge(work, rows, &self.options.limits);
        if changes.is_empty() {
            return Ok(done);
        }
        if disk.full {
            return Err(StoreError::StoreUnavailable("the disk is full".to_owned()));
        }
        let pruned = disk.tables.apply(changes, now_ms);
        disk.flushes += 1;
        if !disk.skip_sync {
            disk.tables.sync();
        }
        crate::work::tell_pruned(&mut done, pruned);
        Ok(done)
    }

    fn now_ms(&mut self) -> Result<u64, StoreError> {
        Ok(self.options.clock.now_ms())
    }

    fn load(&mut self, uid: u64) -> Result<Option<Record>, StoreError> {
        self.disk()?.tables.player(uid)
    }

    fn outcome_of(&mut self, id: CommitId) -> Result<Verdict, StoreError> {
        Ok(Verdict::of(self.disk()?.tables.commit(id)))
    }

    fn answer(&mut self, uid: u64, request: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.disk()?.tables.answer(uid, request))
    }

    fn unsettled(&mut self, after: u64, limit: u32) -> Result<Vec<Notification>, StoreError> {
        Ok(self.disk()?.tables.unsettled(after, limit))
    }

    fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        Ok(self.disk()?.tables.notification(id))
    }

    fn pushes(&mut self, uid: u64) -> Result<Vec<Push>, StoreError> {
        Ok(self.disk()?.tables.pushes(uid))
    }

    fn dead_letters(&mut self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(self.disk()?.tables.letters(after, limit))
    }

    fn history(&mut self, uid: u64) -> Result<Vec<HistoryEntry>, StoreError> {
        Ok(self.disk()?.tables.history(uid))
    }

    fn players(&mut self, after: Option<u64>, limit: u32) -> Result<Vec<u64>, StoreError> {
        Ok(self.disk()?.tables.players(after, limit))
    }
}
