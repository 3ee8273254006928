//! Lists of rows of which one is not what was written.

use crate::StoreError;

/// The rows that are as they were written. A corrupt one is told and left out, so that it costs nobody else's; any other
/// error is that of the whole list.
pub(crate) fn legible<T>(
    what: &'static str,
    rows: impl IntoIterator<Item = Result<T, StoreError>>,
) -> Result<Vec<T>, StoreError> {
    let mut legible = Vec::new();
    for row in rows {
        match row {
            Ok(row) => legible.push(row),
            Err(StoreError::Corrupt(why)) => tracing::error!(what, why, "a row of the store is corrupt"),
            Err(error) => return Err(error),
        }
    }
    Ok(legible)
}
