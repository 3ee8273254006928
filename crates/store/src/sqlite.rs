//! SQLite: one file in the data directory, its log synced at each flush.
//!
//! The file is locked for as long as it is open, so no second master can open it, and a killed one leaves no lock.

mod flush;
mod open;
mod read;

use crate::changes::Wanted;
use crate::judge::judge;
use crate::seen::Seen;
use crate::work::tell_pruned;
use crate::{
    CommitId, DeadLetter, Done, HistoryEntry, Notification, NotificationId, Options, Push, Record, Store,
    StoreError, Verdict, Work,
};
use rusqlite::{Connection, ErrorCode};
use std::path::{Path, PathBuf};

/// A store in an SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    options: Options,
    /// `None` after a failure that leaves its state in doubt: it is opened anew, which settles what was committed.
    connection: Option<Connection>,
    commits: Seen,
    notifications: Seen,
}

impl SqliteStore {
    /// Opens the file, creating it when there is none; checks it, and brings its schema up to date.
    ///
    /// # Errors
    /// All but [`StoreError::AnswerLost`] and [`StoreError::Overloaded`].
    pub fn open(path: impl Into<PathBuf>, options: Options) -> Result<SqliteStore, StoreError> {
        let path = path.into();
        let connection = open::open(&path, &options)?;
        let (commits, notifications) = (Seen::default(), Seen::default());
        Ok(SqliteStore { path, options, connection: Some(connection), commits, notifications })
    }

    fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                (self.commits, self.notifications) = (Seen::default(), Seen::default());
                open::open(&self.path, &self.options).map_err(still_lost)?
            }
        };
        Ok(self.connection.insert(connection))
    }
}

/// Looks at the file and changes nothing.
pub(crate) fn survey(path: &Path) -> Result<crate::Survey, StoreError> {
    open::survey(path)
}

impl Store for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError> {
        let limits = self.options.limits.clone();
        let now_ms = self.options.clock.now_ms();
        self.connection()?;
        let SqliteStore { connection: Some(connection), commits, notifications, .. } = self else {
            return Err(StoreError::StoreUnavailable("the file is not open".to_owned()));
        };
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failure)?;
        let wanted = flush::known(connection, Wanted::by(work), commits, notifications);
        let flushed = wanted.and_then(|wanted| flush::rows(connection, &wanted, now_ms)).and_then(|rows| {
            let (mut done, changes) = judge(work, rows, &limits);
            if !changes.is_empty() {
                let pruned = flush::apply(connection, &changes, now_ms).map_err(failure)?;
                tell_pruned(&mut done, pruned);
            }
            Ok(done)
        });
        match flushed {
            Ok(done) => self.finish().map(|()| done),
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    fn now_ms(&mut self) -> Result<u64, StoreError> {
        Ok(self.options.clock.now_ms())
    }

    fn load(&mut self, uid: u64) -> Result<Option<Record>, StoreError> {
        read::record(self.connection()?, uid)
    }

    fn outcome_of(&mut self, id: CommitId) -> Result<Verdict, StoreError> {
        read::commit(self.connection()?, id).map(Verdict::of)
    }

    fn answer(&mut self, uid: u64, request: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(read::answer(self.connection()?, uid, request)?.transpose()?.map(|row| row.response))
    }

    fn unsettled(&mut self, after: u64, limit: u32) -> Result<Vec<Notification>, StoreError> {
        read::unsettled(self.connection()?, after, limit)
    }

    fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        read::notification(self.connection()?, id)
    }

    fn pushes(&mut self, uid: u64) -> Result<Vec<Push>, StoreError> {
        read::pushes(self.connection()?, uid)
    }

    fn dead_letters(&mut self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        read::letters(self.connection()?, after, limit)
    }

    fn history(&mut self, uid: u64) -> Result<Vec<HistoryEntry>, StoreError> {
        read::history(self.connection()?, uid)
    }

    fn players(&mut self, after: Option<u64>, limit: u32) -> Result<Vec<u64>, StoreError> {
        read::players(self.connection()?, after, limit)
    }

    fn back_up(&mut self, to: &Path) -> Result<(), StoreError> {
        let bad = |why: String| StoreError::BadPlace { place: to.display().to_string(), why };
        if to.exists() {
            return Err(bad("there is such a file already".to_owned()));
        }
        // Under another name until it is whole and on the disk, so that half of one is never taken for a backup.
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // What an earlier try has left.
        let _ = std::fs::remove_file(&partial);
        let copied = self.connection()?.execute("VACUUM INTO ?1", [partial.to_string_lossy()]);
        let kept =
            copied.map_err(failure).and_then(|_| keep(&partial, to).map_err(|error| bad(error.to_string())));
        if kept.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        kept
    }
}

/// Makes a finished file durable under its name.
fn keep(partial: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::File::open(partial)?.sync_all()?;
    std::fs::rename(partial, to)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(dir)?.sync_all()
}

impl SqliteStore {
    fn finish(&mut self) -> Result<(), StoreError> {
        let Err(error) = self.connection()?.execute_batch("COMMIT") else { return Ok(()) };
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            // The log's last frame is what commits; without room for it there is no commit.
            self.roll_back();
            return Err(failure(error));
        }
        // A sync that failed says nothing of what the disk holds. Opening the file anew reads the log as a crash
        // would have left it, and after that the answer stays the same.
        self.connection = None;
        Err(StoreError::AnswerLost(error.to_string()))
    }

    fn roll_back(&mut self) {
        let rolled_back = match &self.connection {
            Some(connection) if !connection.is_autocommit() => connection.execute_batch("ROLLBACK").is_ok(),
            _ => true,
        };
        if !rolled_back {
            self.connection = None;
        }
    }
}

/// What SQLite said, as what it means.
fn failure(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::StoreUnavailable(error.to_string()),
    }
}

/// Why a file that was open cannot be opened again: at the moment.
fn still_lost(error: StoreError) -> StoreError {
    match error {
        StoreError::BadPlace { .. } | StoreError::InUse { .. } => {
            StoreError::StoreUnavailable(error.to_string())
        }
        error => error,
    }
}
