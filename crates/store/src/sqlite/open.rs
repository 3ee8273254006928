//! Opening an SQLite file: what it must be before anything is read from it.

use super::failure;
use crate::schema::{self, Dialect};
use crate::{Options, StoreError};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::path::Path;

const DIALECT: Dialect = Dialect {
    int: "INTEGER",
    bytes: "BLOB",
    text: "TEXT",
    clustered: "STRICT, WITHOUT ROWID",
    plain: "STRICT",
};
/// Marks a file as one of ours: `Chpe`.
const APPLICATION: i64 = 0x4368_7065;
const STATEMENTS: usize = 64;

pub(super) fn open(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    let place = path.display().to_string();
    let refused = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::InUse { place: place.clone() }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            StoreError::BadPlace { place: place.clone(), why: error.to_string() }
        }
        _ => failure(error),
    };
    let mut connection = Connection::open(path).map_err(refused)?;
    connection.busy_timeout(std::time::Duration::ZERO).map_err(refused)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Exclusive first: the log then needs no shared memory, and a second master is refused here.
    connection
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 16000;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -65536;
             PRAGMA temp_store = MEMORY;
             PRAGMA cell_size_check = ON;
             PRAGMA trusted_schema = OFF;
             BEGIN EXCLUSIVE; COMMIT;",
        )
        .map_err(refused)?;
    check(&connection)
        .map_err(refused)?
        .map_or(Ok(()), |why| Err(StoreError::Corrupt(format!("{place}: {why}"))))?;
    migrate(&mut connection, &place)?;
    owned_by(&connection, &place, &options.cluster)?;
    if let Some(bytes) = options.max_bytes {
        let page: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(failure)?;
        let pages = bytes / page.max(1);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(failure)?;
    }
    Ok(connection)
}

/// What `quick_check` finds wrong first; `None`: nothing.
fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

fn migrate(connection: &mut Connection, place: &str) -> Result<(), StoreError> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (application, version) =
        (pragma("application_id").map_err(failure)?, pragma("user_version").map_err(failure)?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failure)?;
    if application != APPLICATION && tables > 0 {
        let why = "it is another program's database".to_owned();
        return Err(StoreError::BadPlace { place: place.to_owned(), why });
    }
    let found = u32::try_from(version).unwrap_or(u32::MAX);
    if found > schema::latest() {
        return Err(StoreError::NewerSchema { place: place.to_owned(), found, known: schema::latest() });
    }
    for from in found..schema::latest() {
        let Some(step) = schema::migration(from, &DIALECT) else { break };
        let transaction = connection.transaction().map_err(failure)?;
        if from == 0 {
            let marked = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;";
            transaction.execute_batch(marked).map_err(failure)?;
            transaction.pragma_update(None, "application_id", APPLICATION).map_err(failure)?;
        }
        transaction.execute_batch(&step).map_err(failure)?;
        transaction.pragma_update(None, "user_version", from + 1).map_err(failure)?;
        transaction.commit().map_err(failure)?;
    }
    Ok(())
}

fn owned_by(connection: &Connection, place: &str, ours: &str) -> Result<(), StoreError> {
    let found = "SELECT value FROM meta WHERE key = 'cluster'";
    let found: Option<String> =
        connection.query_row(found, [], |row| row.get(0)).optional().map_err(failure)?;
    match found {
        Some(found) if found == ours => Ok(()),
        Some(found) => {
            Err(StoreError::OtherCluster { place: place.to_owned(), found, ours: ours.to_owned() })
        }
        None => {
            let named = connection.execute("INSERT INTO meta VALUES ('cluster', ?1)", [ours]);
            named.map(drop).map_err(failure)
        }
    }
}
