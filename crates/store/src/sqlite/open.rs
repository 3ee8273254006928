//! Opening an SQLite file: what it must be before anything is read from it.

use super::failure;
use crate::schema::{self, Dialect};
use crate::{Options, StoreError, Survey, owner};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
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
    owned_by(&connection, &place, options)?;
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

fn owned_by(connection: &Connection, place: &str, options: &Options) -> Result<(), StoreError> {
    let [name, id] = owner::KEYS.map(|key| meta(connection, key));
    for (key, value) in owner::settle([name?, id?], options, || place.to_owned())? {
        let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        connection.execute(sql, [key, &value]).map_err(failure)?;
    }
    Ok(())
}

fn meta(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    connection.query_row(sql, [key], |row| row.get(0)).optional().map_err(failure)
}

/// Looks at the file and changes nothing.
pub(super) fn survey(path: &Path) -> Result<Survey, StoreError> {
    let bad = |why: String| StoreError::BadPlace { place: path.display().to_string(), why };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| bad(error.to_string()))?;
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let application = match pragma("application_id") {
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ) =>
        {
            return Ok(Survey { is_in_use: true, ..Survey::default() });
        }
        found => found.map_err(|error| bad(error.to_string()))?,
    };
    let version = pragma("user_version").map_err(failure)?;
    if application != APPLICATION {
        return match pragma("page_count") {
            Ok(0) => Ok(Survey::default()),
            _ => Err(bad("it is another program's database".to_owned())),
        };
    }
    let is_fixed = std::fs::metadata(path).is_ok_and(|found| found.permissions().readonly());
    Ok(Survey {
        owner: meta(&connection, owner::KEYS[0])?,
        owner_id: meta(&connection, owner::KEYS[1])?,
        schema: u32::try_from(version).ok(),
        hindrance: is_fixed.then(|| "the file may not be written".to_owned()),
        ..Survey::default()
    })
}
