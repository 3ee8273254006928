//! One way to open any store that is configured by text.

use crate::{Options, PostgresStore, SqliteStore, Store, StoreError};

/// Opens the store at `place`: a `postgres://` or `postgresql://` url, or else the path of an SQLite file.
///
/// # Errors
/// As [`SqliteStore::open`] and [`PostgresStore::open`].
pub fn open(place: &str, options: Options) -> Result<Box<dyn Store>, StoreError> {
    if is_url(place) {
        Ok(Box::new(PostgresStore::open(place, options)?))
    } else {
        Ok(Box::new(SqliteStore::open(place, options)?))
    }
}

/// Reads `place` as [`open`] does, and opens nothing.
///
/// # Errors
/// [`StoreError::BadPlace`]: a url that is none, or asks for what there is not. The url is not repeated.
pub fn check_place(place: &str) -> Result<(), StoreError> {
    if is_url(place) { PostgresStore::check_url(place) } else { Ok(()) }
}

pub(crate) fn is_url(place: &str) -> bool {
    place.starts_with("postgres://") || place.starts_with("postgresql://")
}
