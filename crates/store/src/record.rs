//! Player records: an attribute document per uid, owned by one server at a time.

use crate::CommitId;
use chappe_wire::NodeId;

/// A player's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub uid: u64,
    /// The record epoch: higher with each owner, and never used twice, not even after a deletion.
    pub epoch: u64,
    /// One higher with each document.
    pub version: u64,
    /// The server that owns it; `None`: nobody does.
    pub owner: Option<NodeId>,
    /// The attribute document; opaque here.
    pub document: Vec<u8>,
}

/// A record that has a new owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The record, under its new epoch.
    pub record: Record,
    /// Whom it was taken from: their commits are refused from now on.
    pub previous: Option<NodeId>,
    /// The record did not exist before.
    pub created: bool,
}

/// One of the last versions of a record, for `chappe record history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The version.
    pub version: u64,
    /// The record epoch it was written under.
    pub epoch: u64,
    /// The commit that wrote it; `None`: it was created then.
    pub commit: Option<CommitId>,
    /// What ran.
    pub handler: String,
    /// Milliseconds since 1970 by the store's clock.
    pub at_ms: u64,
    /// The document.
    pub document: Vec<u8>,
}
