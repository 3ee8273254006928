//! One way to open any store that is configured by text.

use crate::{Options, PostgresStore, SqliteStore, Store, StoreError};

/// Opens the store at `place`: a `postgres://` or `postgresql://` url, or else the path of an SQLite file.
///
/// # Errors
/// As [`SqliteStore::open`] and [`PostgresStore::open`].
pub fn open(place: &str, options: Options) -> Result<Box<dyn Store>, StoreError> {
    if place.starts_with("postgres://") || place.starts_with("postgresql://") {
        Ok(Box::new(PostgresStore::open(place, options)?))
    } else {
        Ok(Box::new(SqliteStore::open(place, options)?))
    }
}
