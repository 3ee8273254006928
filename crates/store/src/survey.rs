//! A look at a store from outside, which changes nothing: for `chappe check`.

use crate::{StoreError, is_url, schema, sqlite};
use std::path::Path;

/// What stands at a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The cluster that owns it; `None`: nobody yet.
    pub owner: Option<String>,
    /// That cluster's `cluster_id`, where it has one.
    pub owner_id: Option<String>,
    /// The schema's version; `None`: there are no tables yet.
    pub schema: Option<u32>,
    /// The schema that this program brings it to.
    pub latest: u32,
    /// What keeps a master from writing there; `None`: nothing that was seen.
    pub hindrance: Option<String>,
    /// A master has it open, as far as that could be seen.
    pub is_in_use: bool,
    /// What goes there goes in clear, over a network.
    pub is_in_clear: bool,
}

/// Looks at the store at `place`, as [`crate::open`] takes it. Waits some seconds at most.
///
/// # Errors
/// [`StoreError::BadPlace`] and [`StoreError::StoreUnavailable`]: it is not to be had.
pub fn survey(place: &str) -> Result<Survey, StoreError> {
    let found = if is_url(place) {
        crate::postgres::survey(place)?
    } else if Path::new(place).exists() {
        sqlite::survey(Path::new(place))?
    } else {
        Survey::default()
    };
    Ok(Survey { latest: schema::latest(), ..found })
}
