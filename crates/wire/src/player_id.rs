//! What mods call a player's `playerId`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A player while online (apollo.md section 1): names one session, so an id that outlives it names nobody.
/// Holds the session epoch; its text is that number with a minus sign, opaque to mods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayerId(pub u64);

impl fmt::Display for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-{}", self.0)
    }
}

/// A text that is no playerId.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no playerId")]
pub struct BadPlayerId(pub String);

impl FromStr for PlayerId {
    type Err = BadPlayerId;
    fn from_str(text: &str) -> Result<PlayerId, BadPlayerId> {
        let number = text.strip_prefix('-').and_then(|digits| digits.parse().ok());
        number.map(PlayerId).ok_or_else(|| BadPlayerId(text.to_owned()))
    }
}

impl Serialize for PlayerId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlayerId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<PlayerId, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}
