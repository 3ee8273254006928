//! A store in memory: for simulations on virtual time, and what the databases are compared with.
//!
//! A [`MemoryDisk`] outlives the stores that open it, like a file. What was written and not synced is lost when it
//! crashes; a store syncs at the end of each flush unless the disk was told to skip that.

mod tables;

use crate::changes::{Rows, Wanted};
use crate::judge::judge;
use crate::lease::{self, Led};
use crate::owner;
use crate::{
    Candidate, CommitId, DeadLetter, Done, HistoryEntry, Lease, Notification, NotificationId, Options, Push,
    Record, Store, StoreError, Verdict, Work,
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
    lease: Lease,
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
        let found = [disk.cluster.clone(), None];
        for (key, value) in owner::settle(found, &options, || "memory".to_owned())? {
            if key == owner::KEYS[0] {
                disk.cluster = Some(value);
            }
        }
        if !options.is_shared {
            disk.opened += 1;
        }
        Ok(MemoryStore { disk: self.clone(), opened: disk.opened, options, led: None })
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
    led: Option<Led>,
}

impl MemoryStore {
    fn disk(&self) -> Result<MutexGuard<'_, Disk>, StoreError> {
        let disk = self.disk.lock();
        if disk.opened == self.opened { Ok(disk) } else { Err(StoreError::Closed) }
    }

    fn lease_at(&self, now_ms: u64) -> Result<Lease, StoreError> {
        Ok(Lease { now_ms, ..self.disk()?.lease })
    }

    /// How a lease that is this store's is changed.
    fn change(&mut self, to: impl FnOnce(Lease, &Candidate) -> Lease) -> Result<Lease, StoreError> {
        let led = self.led.ok_or_else(lease::not_led)?;
        let found = self.lease_at(self.options.clock.now_ms())?;
        led.holds(&found)?;
        let changed = to(found, &led.by);
        self.disk()?.lease = changed;
        Ok(changed)
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError> {
        let now_ms = self.now_ms()?;
        if self.options.is_shared {
            self.led.ok_or_else(lease::not_led)?.permits(&self.lease_at(now_ms)?)?;
        }
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

    fn lease(&mut self) -> Result<Option<Lease>, StoreError> {
        let now_ms = self.now_ms()?;
        Ok(if self.options.is_shared { Some(self.lease_at(now_ms)?) } else { None })
    }

    fn lead(&mut self, by: &Candidate) -> Result<Lease, StoreError> {
        let now_ms = self.now_ms()?;
        if !self.options.is_shared {
            return Ok(Lease::needless(by, now_ms));
        }
        let found = self.lease_at(now_ms)?;
        let Some(taken) = found.taken(by) else { return Ok(found) };
        self.disk()?.lease = taken;
        self.led = Some(Led { by: *by, term: taken.term });
        Ok(taken)
    }

    fn renew(&mut self) -> Result<Lease, StoreError> {
        self.change(|lease, by| lease.extended(by))
    }

    fn resign(&mut self) -> Result<(), StoreError> {
        if self.led.is_some() {
            self.change(|lease, _| Lease { holder: None, ends_ms: 0, ..lease })?;
        }
        Ok(())
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
