//! What the command line asks of the store: methods of the module [`MODULE`] for peers of the role
//! [`chappe_wire::Role::Tool`]. All fail with `StoreUnavailable` while the store does.

use chappe_store::{Sender, Step};
use chappe_wire::{NodeId, Value};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The master's module.
pub const MODULE: &str = crate::protocol::STORE;

/// `back_up`: writes a copy of the store to a new file on the master's machine; answered with nil. Nothing is committed
/// meanwhile. Fails with `Refused` when there is such a file, or the store is no SQLite file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackUp {
    /// An absolute path.
    pub to: String,
}

/// `record_show`: a player's record; answered with a [`RecordShown`]. And `record_delete`: forgets a player who is
/// offline, with history, answers and pushes; answered with nil. Both fail with `UserNotFound`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordQuery {
    /// Whose.
    pub uid: u64,
}

/// A player's record as it is stored; its owner may be about to commit more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordShown {
    /// Whose.
    pub uid: u64,
    /// The record epoch.
    pub epoch: u64,
    /// The document's version.
    pub version: u64,
    /// The server that owns it; `None`: nobody does.
    pub owner: Option<NodeId>,
    /// Whether that server is up.
    pub is_owner_up: bool,
    /// Whether the player has a session.
    pub online: bool,
    /// The attributes.
    pub document: Value,
    /// How many pushes wait for the next login.
    pub pushes: usize,
}

/// `record_set`: an operator's change; answered with a [`RecordChanged`]. A server that owns the record lets it go
/// first, and reads it anew when it needs it. Fails with `UserNotFound`; with `Refused` when the record has another
/// version or its owner does not let go; with `BadData` when `document` is no map or too large.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordSet {
    /// Whose.
    pub uid: u64,
    /// All attributes: what is not in it is gone.
    pub document: Value,
    /// Only when the record has this version; `None`: whatever it has.
    #[serde(default)]
    pub version: Option<u64>,
    /// Makes a record for a player who has none.
    #[serde(default)]
    pub create: bool,
}

/// The answer to a [`RecordSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChanged {
    /// The version that the record has now.
    pub version: u64,
}

/// `record_history`: the last versions of a record; answered with a list of [`VersionLine`], the latest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHistory {
    /// Whose.
    pub uid: u64,
    /// Only this one, with its document.
    #[serde(default)]
    pub version: Option<u64>,
}

/// One of the last versions of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionLine {
    /// The version.
    pub version: u64,
    /// The record epoch that it was written under.
    pub epoch: u64,
    /// The commit that wrote it; `None`: it was created then.
    pub commit: Option<String>,
    /// What ran: `user.giveMoney2`, `created`, `operator`.
    pub handler: String,
    /// Milliseconds since 1970 by the store's clock.
    pub at_ms: u64,
    /// The document's size, in bytes.
    pub bytes: usize,
    /// The attributes, when one version was asked for.
    pub document: Option<Value>,
}

/// `record_export`: records by uid; answered with a [`RecordPage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordExport {
    /// Only uids above this one: the last of the page before.
    pub after: Option<u64>,
    /// At most so many; 100 when not given, never more than 1,000, and fewer when they are large.
    pub limit: Option<usize>,
}

/// Some records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RecordPage {
    /// By uid.
    pub records: Vec<RecordLine>,
    /// Those that cannot be read, each with the reason: restore them from a backup.
    pub corrupt: Vec<(u64, String)>,
    /// What to ask for next as [`RecordExport::after`]; `None`: that was all.
    pub next: Option<u64>,
}

/// A record of an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordLine {
    /// Whose.
    pub uid: u64,
    /// The document's version.
    pub version: u64,
    /// The attributes.
    pub document: Value,
}

/// `notifications`: what is under way, in order; answered with a [`NotificationsPage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NotificationsQuery {
    /// Only those behind this place: the last of the page before.
    pub after: Option<u64>,
    /// Only those from or to this player.
    pub uid: Option<u64>,
    /// At most so many; 100 when not given, never more than 1,000.
    pub limit: Option<usize>,
}

/// Some of the notifications that are under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NotificationsPage {
    /// How many there are in all that nobody has acted on.
    pub sent: usize,
    /// How many there are in all whose sender is still to hear of the outcome.
    pub decided: usize,
    /// In the order sent.
    pub notifications: Vec<NotificationLine>,
    /// Whether more match behind the last of them.
    pub more: bool,
}

/// A notification that is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NotificationLine {
    /// Its name.
    pub id: String,
    /// Its place in the order of all.
    pub order: u64,
    /// Its `_type`.
    pub kind: String,
    /// Who sent it.
    pub sender: Sender,
    /// The player it goes to.
    pub receiver: u64,
    /// How far it has come.
    pub step: Step,
    /// Where its next step is.
    pub place: Whereabouts,
    /// Milliseconds since it came to that step, or since the master started.
    pub age_ms: u64,
    /// Milliseconds until its deadline; negative when it has passed; `None`: it has none any more.
    pub deadline_in_ms: Option<i64>,
    /// How many notifications lie behind it.
    pub depth: u32,
}

/// Where a notification's next step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// At the master.
    Waiting,
    /// On the way to that node.
    Sent(NodeId),
    /// That node is about to do it.
    Accepted(NodeId),
}

/// Names a dead letter: `17` is in the store, `p3` is a plain notification's in the master's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum LetterId {
    /// A durable notification's.
    Durable(u64),
    /// A plain notification's; gone when the master restarts.
    Plain(u64),
}

/// What is no [`LetterId`]; holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no dead letter: they look like 17 or p3")]
pub struct BadLetterId(pub String);

/// `dead_letters`: what could not be handled, those in the store first; answered with a [`LettersPage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LettersQuery {
    /// Only those behind this one: the last of the page before.
    pub after: Option<LetterId>,
    /// At most so many; 100 when not given, never more than 1,000.
    pub limit: Option<usize>,
}

/// Some dead letters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LettersPage {
    /// The letters.
    pub letters: Vec<LetterLine>,
    /// Whether there are more behind the last of them.
    pub more: bool,
}

/// `dead_letter`: one of them; answered with a [`LetterShown`]. `dead_letter_retry` sends it again and forgets it;
/// answered with the new notification's id, or nil for a plain one. `dead_letter_drop` forgets it; answered with nil.
/// All fail with `NoRoute` when there is no such letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterQuery {
    /// Which.
    pub id: LetterId,
}

/// A notification that could not be handled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LetterLine {
    /// Its name.
    pub id: LetterId,
    /// Milliseconds since 1970 by the store's clock.
    pub at_ms: u64,
    /// Why.
    pub reason: String,
    /// The notification's `_type`; empty when it cannot be read.
    pub kind: String,
    /// Who sent it, where that is known.
    pub sender: Option<Sender>,
    /// The player it was for.
    pub receiver: Option<u64>,
}

/// A dead letter with what is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LetterShown {
    /// What the list says of it.
    pub line: LetterLine,
    /// The record that was sent.
    pub record: Value,
    /// How many notifications lie behind it.
    pub depth: u32,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LetterId::Durable(number) => write!(f, "{number}"),
            LetterId::Plain(number) => write!(f, "p{number}"),
        }
    }
}

impl FromStr for LetterId {
    type Err = BadLetterId;

    fn from_str(text: &str) -> Result<LetterId, BadLetterId> {
        let number = |digits: &str| digits.parse().map_err(|_| BadLetterId(text.to_owned()));
        match text.strip_prefix('p') {
            Some(digits) => number(digits).map(LetterId::Plain),
            None => number(text).map(LetterId::Durable),
        }
    }
}

impl From<LetterId> for String {
    fn from(id: LetterId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for LetterId {
    type Error = BadLetterId;

    fn try_from(text: String) -> Result<LetterId, BadLetterId> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_is_taken_for_another() {
        for id in [LetterId::Durable(17), LetterId::Plain(17)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!("x3".parse::<LetterId>(), Err(BadLetterId("x3".to_owned())));
    }
}
