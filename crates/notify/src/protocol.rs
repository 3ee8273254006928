//! What servers and the master say to each other about records and notifications: requests to modules whose names
//! begin with `$`, under [`chappe_wire::Row::Internal`] unless a row is named. No client and no mod can send to them.
//!
//! The master rules: it alone has the store, it says who owns a record, and it carries each notification from the
//! commit that sent it to the server where it is handled. A server runs handlers and commits what they did.

use chappe_store::{Commit, CommitId, Delivered, NotificationId, Sender, Step};
use chappe_wire::NodeId;
use serde::{Deserialize, Serialize};

/// The master's module.
pub(crate) const STORE: &str = "$store";
/// Every node's module.
pub(crate) const NOTIFY: &str = "$notify";

/// `$store claim`: a server asks to own a player's record; answered with a [`ClaimReply`]. The master asks the owner
/// before to let go first ([`Release`]). Fails with `StoreUnavailable`, or `BadData` when the record is corrupt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Whose.
    pub(crate) uid: u64,
    /// The document to begin with when there is none: at a login. Else such a player is not found.
    #[serde(with = "serde_bytes")]
    pub(crate) create: Option<Vec<u8>>,
}

/// The answer to a [`Claim`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ClaimReply {
    /// It is the server's, until someone else claims it.
    Owned(Owned),
    /// Nobody has ever logged in under that uid.
    NoSuchPlayer,
    /// The player is on another server, or on the way to it.
    Elsewhere(NodeId),
}

/// A record as its new owner gets it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Owned {
    /// The record epoch.
    pub(crate) epoch: u64,
    /// The document's version.
    pub(crate) version: u64,
    /// The attribute document.
    #[serde(with = "serde_bytes")]
    pub(crate) document: Vec<u8>,
    /// Pushes that have waited for a login, in order, with their places.
    pub(crate) pushes: Vec<(u64, serde_bytes::ByteBuf)>,
    /// Notifications for the player that are under way and will be delivered: what this server sends to the player
    /// itself must not overtake them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) outstanding: Vec<NotificationId>,
}

/// `$store release` (one-way): a server lets a record go that it owns. And `$notify release`, from the master: let go
/// of the record, answered with nil when what the server has committed is durable.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Release {
    /// Whose.
    pub(crate) uid: u64,
    /// Under which epoch it was owned.
    pub(crate) epoch: u64,
}

/// `$store commit`: what a handler run leaves behind; answered with a [`CommitReply`]. Fails with `StoreUnavailable`
/// when nothing of it was done. Any other failure leaves open whether it was done: [`Resolve`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodeCommit {
    /// The commit.
    pub(crate) commit: Commit,
    /// Of the notifications that it sends or moves on, those whose next step this server does by itself: their player is here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kept: Vec<NotificationId>,
}

/// What became of a commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum CommitReply {
    /// It is durable.
    Committed {
        /// Older pushes that made room for new ones.
        pushes_dropped: u32,
    },
    /// A record that it names belongs to another server.
    Stale {
        /// Whose.
        uid: u64,
    },
    /// It read what has not come to be: it must run again.
    Again,
    /// A notification that it names is in another step, or was never sent.
    Moved,
    /// The deadline of the notification that it handles has passed.
    DeadlinePassed,
    /// The request that it answers was answered before.
    Answered {
        /// With this.
        #[serde(with = "serde_bytes")]
        response: Vec<u8>,
    },
    /// It cannot be stored as it is, ever: over a limit, or malformed.
    Failed(String),
}

/// `$store resolve`: what became of a commit whose answer was lost; answered with [`CommitReply::Committed`] or, when
/// it is not there and never will be, [`CommitReply::Again`]. Fails with `StoreUnavailable`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Resolve {
    /// Which.
    pub(crate) id: CommitId,
}

/// `$store exists`: has anyone ever logged in under that uid? Answered with a bool.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Exists {
    /// Who.
    pub(crate) uid: u64,
}

/// `$store answer`: the stored response to a player's request; answered with bytes or nil.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AnswerOf {
    /// Whose request.
    pub(crate) uid: u64,
    /// Its id.
    pub(crate) request: String,
}

/// `$notify deliver`: the master hands notifications to the server where their next step runs, those of one player in
/// their order; answered with nil once they are queued there. What the server has already is not queued twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deliver {
    /// The player on whose record they run; `None`: outcomes for this node itself (`id` null).
    pub(crate) uid: Option<u64>,
    /// In order.
    pub(crate) steps: Vec<Delivery>,
}

/// One notification at its next step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// Which.
    pub(crate) id: NotificationId,
    /// [`Step::Sent`]: validate and act, for its receiver. [`Step::Decided`]: the outcome, for its sender.
    pub(crate) step: Step,
    /// Who sent it.
    pub(crate) sender: Sender,
    /// The player it went to.
    pub(crate) receiver: u64,
    /// The [`Sealed`] notification.
    #[serde(with = "serde_bytes")]
    pub(crate) payload: Vec<u8>,
    /// How many notifications lie behind it.
    pub(crate) depth: u32,
    /// The [`Outcome`], once decided.
    #[serde(with = "serde_bytes")]
    pub(crate) outcome: Option<Vec<u8>>,
}

/// `$store returned` (one-way): steps that this server was given and will not do: the record is not its own any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Returned {
    /// Which, at which step.
    pub(crate) steps: Vec<(NotificationId, Step)>,
}

/// What a stored notification carries; opaque to the store and the master.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// `_type`.
    pub(crate) kind: String,
    /// `_id`: the player whose instance is passed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    /// The record with its `_type` and the author's fields, as MessagePack.
    #[serde(with = "serde_bytes")]
    pub(crate) record: Vec<u8>,
    /// `_validate`; `None`: plain and durable.
    pub(crate) validate: Option<Validate>,
    /// The player's request that the chain of handlers began with: its type and id.
    pub(crate) request: Option<(String, String)>,
}

/// `_validate` (snipe.md section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validate {
    /// `module.method` that says yes or no.
    pub(crate) func: Option<String>,
    /// Runs at the sender when it was done.
    pub(crate) on_success: Option<String>,
    /// Runs at the sender when it was not.
    pub(crate) on_fail: Option<String>,
}

impl Validate {
    /// What is to run at the sender, if anything is.
    pub(crate) fn handler(&self, success: bool) -> Option<&str> {
        if success { self.on_success.as_deref() } else { self.on_fail.as_deref() }
    }
}

/// A validated notification's one outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Whether it was done.
    pub(crate) success: bool,
    /// What `func` or the handler returned: a map, as MessagePack.
    #[serde(with = "serde_bytes")]
    pub(crate) result: Vec<u8>,
}

/// `$store where_is`: the server that a player is on; answered with its id, or nil for one who is offline or on the way.
/// And `$notify moved` (one-way): a server that was sent a notification for a player does not have them any more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct WhereIs {
    /// The player.
    pub(crate) uid: u64,
}

/// `$store route` (one-way, row `notify`): a plain notification for a player, to the server that they are on; and
/// `$notify plain` (one-way), the same from the master, or straight from the sender, to that server. Nothing else is sent as
/// often: it is no map but `uid: u64 | depth: u32 | has_id: u8 | id: u64 | record`, little-endian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plain<'a> {
    /// For whom.
    pub(crate) uid: u64,
    /// `_id`: the player whose instance is passed in.
    pub(crate) id: Option<u64>,
    /// How many notifications lie behind it.
    pub(crate) depth: u32,
    /// The record, a map as MessagePack. Not looked at.
    pub(crate) record: &'a [u8],
}

impl<'a> Plain<'a> {
    /// Reads one; `None`: it is none.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Plain<'a>> {
        let (uid, rest) = bytes.split_first_chunk()?;
        let (depth, rest) = rest.split_first_chunk()?;
        let ([has_id], rest) = rest.split_first_chunk()?;
        let (id, record) = rest.split_first_chunk()?;
        let id = (*has_id != 0).then(|| u64::from_le_bytes(*id));
        Some(Plain { uid: u64::from_le_bytes(*uid), id, depth: u32::from_le_bytes(*depth), record })
    }

    /// Appends it; what its record lacks can be appended behind it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.uid.to_le_bytes());
        out.extend_from_slice(&self.depth.to_le_bytes());
        out.push(self.id.is_some().into());
        out.extend_from_slice(&self.id.unwrap_or_default().to_le_bytes());
        out.extend_from_slice(self.record);
    }
}

/// `$notify event` (one-way, rows `slaveClient.notify` and `notifyAll`): the master to a node. And `$notify cache`
/// (one-way, row `cacheNotify`) and `$notify cache_request` (row `cacheRequest`): a node to the master.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ToNode {
    /// `_id`: the player whose instance is passed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    /// The record.
    #[serde(with = "serde_bytes")]
    pub(crate) record: Vec<u8>,
    /// How many notifications lie behind it.
    pub(crate) depth: u32,
}

/// `$store send_to` (row `sendTo`): a response for a player wherever they are; answered with nil when it is on its way, and
/// with `PlayerOffline` when they are not online. And `$notify send_to` (one-way), the same from the master to that server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SendTo {
    /// For whom.
    pub(crate) uid: u64,
    /// The record.
    #[serde(with = "serde_bytes")]
    pub(crate) record: Vec<u8>,
}

/// `$store dead` (one-way): a plain notification that could not be handled, for `chappe deadletters`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dead {
    /// Why.
    pub(crate) reason: String,
    /// For whom, when it was for a player.
    pub(crate) uid: Option<u64>,
    /// `_id`: the player whose instance was to be passed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u64>,
    /// The record.
    #[serde(with = "serde_bytes")]
    pub(crate) record: Vec<u8>,
    /// How many notifications lie behind it.
    pub(crate) depth: u32,
}

/// `$store delivered` (one-way): pushes that have waited for a login have left for the client.
pub(crate) type PushesDelivered = Delivered;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_notification_is_for_another_player_than_was_meant() {
        for id in [None, Some(0), Some(u64::MAX)] {
            let (mut out, plain) = (Vec::new(), Plain { uid: u64::MAX - 1, id, depth: 7, record: &[0x80] });
            plain.write(&mut out);
            assert_eq!(Plain::read(&out), Some(plain));
            assert!((0..out.len() - 1).all(|cut| Plain::read(&out[..cut]).is_none()));
        }
    }
}
