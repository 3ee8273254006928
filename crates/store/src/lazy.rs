//! A store that is opened when there is something in it, or something to be written to it: a cluster whose modules
//! keep nothing has no file and no database.

use crate::{
    Candidate, CommitId, DeadLetter, Done, HistoryEntry, Lease, MemoryDisk, Notification, NotificationId,
    Options, Push, Record, Store, StoreError, Verdict, Work, is_url, open,
};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The store at a place, opened as late as possible. Until then it reads as an empty one.
pub struct LazyStore {
    place: String,
    options: Options,
    makes_dir: bool,
    store: Box<dyn Store>,
    is_open: bool,
    is_closed: bool,
}

impl LazyStore {
    /// Nothing is opened yet. `place` is as for [`open`]; with `makes_dir` the directory of an SQLite file is made when the
    /// file is, open to this user alone.
    ///
    /// # Errors
    /// None that is expected: the empty store in memory cannot be made.
    pub fn new(place: &str, makes_dir: bool, options: Options) -> Result<LazyStore, StoreError> {
        let store = Box::new(MemoryDisk::new().open(options.clone())?);
        Ok(LazyStore { place: place.to_owned(), options, makes_dir, store, is_open: false, is_closed: false })
    }

    /// Whether there is something to open: an SQLite file, or any database.
    pub fn is_there(&self) -> bool {
        is_url(&self.place) || Path::new(&self.place).exists()
    }

    /// Opens it now, making it when it is not there; nothing happens when it is open.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open_now(&mut self) -> Result<(), StoreError> {
        if self.is_open {
            return Ok(());
        }
        if self.makes_dir
            && !is_url(&self.place)
            && let Some(dir) = Path::new(&self.place).parent()
        {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|error| StoreError::BadPlace {
                place: self.place.clone(),
                why: format!("the directory {} cannot be made: {error}", dir.display()),
            })?;
        }
        self.store = open(&self.place, self.options.clone())?;
        self.is_open = true;
        Ok(())
    }

    /// The store, opened when it is there or `is_needed`. What keeps it from being opened may pass.
    fn store(&mut self, is_needed: bool) -> Result<&mut dyn Store, StoreError> {
        if self.is_closed {
            return Err(StoreError::Closed);
        }
        if !self.is_open && (is_needed || self.is_there()) {
            self.open_now().map_err(|error| match error {
                StoreError::BadPlace { .. } | StoreError::InUse { .. } => {
                    StoreError::StoreUnavailable(error.to_string())
                }
                error => error,
            })?;
        }
        Ok(&mut *self.store)
    }

    fn read(&mut self) -> Result<&mut dyn Store, StoreError> {
        self.store(false)
    }
}

/// Whether an empty store is changed by that.
fn writes(work: &Work) -> bool {
    match work {
        Work::Commit(_) | Work::Claim { create: Some(_), .. } | Work::Resolve(_) => true,
        Work::Claim { create: None, .. }
        | Work::Release { .. }
        | Work::Delete { .. }
        | Work::RetryLetter { .. }
        | Work::DropLetter { .. }
        | Work::Prune { .. } => false,
    }
}

impl Store for LazyStore {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError> {
        self.store(work.iter().any(writes))?.flush(work)
    }

    fn lease(&mut self) -> Result<Option<Lease>, StoreError> {
        if is_url(&self.place) { self.read()?.lease() } else { Ok(None) }
    }

    fn lead(&mut self, by: &Candidate) -> Result<Lease, StoreError> {
        self.read()?.lead(by)
    }

    fn renew(&mut self) -> Result<Lease, StoreError> {
        self.read()?.renew()
    }

    fn resign(&mut self) -> Result<(), StoreError> {
        if self.is_open { self.store.resign() } else { Ok(()) }
    }

    fn now_ms(&mut self) -> Result<u64, StoreError> {
        self.read()?.now_ms()
    }

    fn load(&mut self, uid: u64) -> Result<Option<Record>, StoreError> {
        self.read()?.load(uid)
    }

    fn outcome_of(&mut self, id: CommitId) -> Result<Verdict, StoreError> {
        self.read()?.outcome_of(id)
    }

    fn answer(&mut self, uid: u64, request: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read()?.answer(uid, request)
    }

    fn unsettled(&mut self, after: u64, limit: u32) -> Result<Vec<Notification>, StoreError> {
        self.read()?.unsettled(after, limit)
    }

    fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        self.read()?.notification(id)
    }

    fn pushes(&mut self, uid: u64) -> Result<Vec<Push>, StoreError> {
        self.read()?.pushes(uid)
    }

    fn dead_letters(&mut self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.read()?.dead_letters(after, limit)
    }

    fn history(&mut self, uid: u64) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read()?.history(uid)
    }

    fn players(&mut self, after: Option<u64>, limit: u32) -> Result<Vec<u64>, StoreError> {
        self.read()?.players(after, limit)
    }

    fn back_up(&mut self, to: &Path) -> Result<(), StoreError> {
        if !self.is_open && !self.is_there() {
            let why = "nothing has been kept yet".to_owned();
            return Err(StoreError::BadPlace { place: self.place.clone(), why });
        }
        self.read()?.back_up(to)
    }

    fn close(&mut self) {
        self.is_closed = true;
        if let Ok(empty) = MemoryDisk::new().open(self.options.clone()) {
            // SQLite moves its log into the file when it is closed.
            self.store = Box::new(empty);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::NodeId;
    use std::os::unix::fs::PermissionsExt;

    fn claim(create: Option<Vec<u8>>) -> [Work; 1] {
        [Work::Claim { uid: 7, server: NodeId(1), create }]
    }

    #[test]
    fn a_cluster_that_keeps_nothing_would_find_a_file_in_its_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("data/store.sqlite");
        let mut store =
            LazyStore::new(&file.to_string_lossy(), true, Options::new("c")).expect("nothing is opened");
        assert_eq!(store.unsettled(0, 10), Ok(Vec::new()));
        assert_eq!(store.flush(&[Work::Prune { older_than_ms: 1 }]), Ok(vec![Done::Pruned(0)]));
        let refused = store.flush(&claim(None)).expect("judged");
        assert!(matches!(refused[..], [Done::Refused(crate::Refused::NoSuchPlayer(7))]), "{refused:?}");
        assert!(!file.exists() && !dir.path().join("data").exists());

        let claimed = store.flush(&claim(Some(vec![0x80]))).expect("made");
        assert!(matches!(claimed[..], [Done::Claimed(_)]), "{claimed:?}");
        let mode = file.parent().map(|dir| dir.metadata().expect("made").permissions().mode() & 0o777);
        assert_eq!((store.name(), mode), ("sqlite", Some(0o700)));
        assert_eq!(store.players(None, 10), Ok(vec![7]));
        store.close();
        assert_eq!(store.load(7), Err(StoreError::Closed));
        assert!(
            !dir.path().join("data/store.sqlite-wal").exists(),
            "a copy of the file alone would be empty"
        );
    }

    #[test]
    fn a_place_that_cannot_be_used_now_would_be_given_up_for_ever() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (file, there) = (dir.path().join("later/store.sqlite"), dir.path().join("later"));
        let mut store =
            LazyStore::new(&file.to_string_lossy(), false, Options::new("c")).expect("nothing is opened");
        let refused = store.flush(&claim(Some(vec![0x80])));
        assert!(matches!(refused, Err(StoreError::StoreUnavailable(_))), "{refused:?}");
        assert!(matches!(store.open_now(), Err(StoreError::BadPlace { .. })), "said by name when asked");
        std::fs::create_dir(there).expect("made");
        assert!(store.flush(&claim(Some(vec![0x80]))).is_ok());
    }

    #[test]
    fn a_store_of_another_cluster_would_be_written_to() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("store.sqlite").to_string_lossy().into_owned();
        drop(open(&file, Options::new("ours")).expect("made"));
        let mut store = LazyStore::new(&file, false, Options::new("theirs")).expect("nothing is opened");
        assert!(store.is_there());
        assert!(matches!(store.load(7), Err(StoreError::OtherCluster { .. })));
    }
}
