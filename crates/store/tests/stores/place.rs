//! Where a row runs: how its store is opened, and how what lies in it is damaged.

use chappe_store::{Clock, MemoryDisk, Options, PostgresStore, SqliteStore, Store, StoreError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) struct Place {
    kind: Kind,
    pub(crate) now_ms: Arc<AtomicU64>,
}

enum Kind {
    Memory(MemoryDisk),
    Sqlite(tempfile::TempDir),
    Postgres { url: String },
}

impl Place {
    pub(crate) fn memory() -> Place {
        Place::of(Kind::Memory(MemoryDisk::new()))
    }

    pub(crate) fn sqlite() -> Place {
        Place::of(Kind::Sqlite(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn postgres(url: String) -> Place {
        Place::of(Kind::Postgres { url })
    }

    fn of(kind: Kind) -> Place {
        Place { kind, now_ms: Arc::new(AtomicU64::new(1_700_000_000_000)) }
    }

    pub(crate) fn open(&self) -> Box<dyn Store> {
        self.try_open(self.options()).unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        let now_ms = self.now_ms.clone();
        Options { clock: Clock::new(move || now_ms.load(Relaxed)), ..Options::new("ours") }
    }

    pub(crate) fn try_open(&self, options: Options) -> Result<Box<dyn Store>, StoreError> {
        Ok(match &self.kind {
            Kind::Memory(disk) => Box::new(disk.open(options)?),
            Kind::Sqlite(_) => Box::new(SqliteStore::open(self.file(), options)?),
            Kind::Postgres { url } => Box::new(PostgresStore::open(url, options)?),
        })
    }

    /// As one of several masters; `None` for a store that only one process can have open.
    pub(crate) fn open_shared(&self) -> Option<Box<dyn Store>> {
        let options = Options { is_shared: true, ..self.options() };
        (!matches!(self.kind, Kind::Sqlite(_))).then(|| self.try_open(options).unwrap())
    }

    /// Waits until the store's clock shows that, or sets it.
    pub(crate) fn pass(&self, store: &mut dyn Store, until_ms: u64) {
        self.now_ms.store(until_ms, Relaxed);
        while store.now_ms().unwrap() < until_ms {
            std::thread::yield_now();
        }
    }

    /// Is it kept outside of the process?
    pub(crate) fn is_database(&self) -> bool {
        !matches!(self.kind, Kind::Memory(_))
    }

    fn file(&self) -> PathBuf {
        match &self.kind {
            Kind::Sqlite(dir) => dir.path().join("store.db"),
            _ => PathBuf::new(),
        }
    }

    /// Changes what lies in the store behind its back; no store may be open.
    pub(crate) fn tamper(&self, sql: &str) {
        match &self.kind {
            Kind::Memory(_) => {}
            Kind::Sqlite(_) => {
                rusqlite::Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
            }
            Kind::Postgres { url } => {
                let sql = sql.replace("x'", "'\\x");
                let sql = match sql.split_once("PRAGMA user_version = ") {
                    Some((before, version)) => {
                        format!("{before} UPDATE meta SET value = '{version}' WHERE key = 'schema'")
                    }
                    None => sql,
                };
                crate::server::execute(url, &sql);
            }
        }
    }

    /// The url of a PostgreSQL place.
    pub(crate) fn url(&self) -> &str {
        match &self.kind {
            Kind::Postgres { url } => url,
            _ => "",
        }
    }

    /// Damages a player's document.
    pub(crate) fn damage_record(&self, uid: u64) {
        match &self.kind {
            Kind::Memory(disk) => disk.damage(uid),
            _ => self.tamper(&format!("UPDATE players SET document = x'00ff' WHERE uid = {uid}")),
        }
    }
}
