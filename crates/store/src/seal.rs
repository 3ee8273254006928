//! Checksums: what is read is what was written, in the place where it was written.

use crate::{
    DeadLetter, HistoryEntry, NewNotification, Notification, NotificationId, Push, Step, StoreError,
};
use chappe_wire::NodeId;

/// A checksum over everything that goes in, in order.
#[derive(Default)]
pub(crate) struct Sum(crc32fast::Hasher);

impl Sum {
    /// For a table, so that a row in another table never holds.
    pub(crate) fn of(table: &str) -> Sum {
        Sum::default().bytes(table.as_bytes())
    }

    pub(crate) fn number(mut self, number: u64) -> Sum {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn option(self, number: Option<u64>) -> Sum {
        self.number(u64::from(number.is_some())).number(number.unwrap_or(0))
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Sum {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn done(self) -> u32 {
        self.0.finalize()
    }

    /// Passes when `stored` is this sum.
    pub(crate) fn check(self, stored: i64, what: impl FnOnce() -> String) -> Result<(), StoreError> {
        if i64::from(self.done()) == stored { Ok(()) } else { Err(StoreError::Corrupt(what())) }
    }
}

pub(crate) fn player_head(uid: u64, epoch: u64, version: u64, owner: Option<NodeId>) -> Sum {
    Sum::of("player").number(uid).number(epoch).number(version).option(owner.map(|id| id.0.cast_unsigned()))
}

pub(crate) fn document(uid: u64, version: u64, document: &[u8]) -> Sum {
    Sum::of("document").number(uid).number(version).bytes(document)
}

pub(crate) fn history(uid: u64, entry: &HistoryEntry) -> Sum {
    let sum = Sum::of("history").number(uid).number(entry.version).number(entry.epoch).number(entry.at_ms);
    let commit = entry.commit.map(|id| id.bytes()).unwrap_or_default();
    sum.bytes(&commit).bytes(entry.handler.as_bytes()).bytes(&entry.document)
}

pub(crate) fn note_head(id: NotificationId, order: u64, step: Step, deadline_ms: Option<u64>) -> Sum {
    let sum = Sum::of("notification").bytes(&id.bytes()).number(order);
    sum.number(step.code().cast_unsigned()).option(deadline_ms)
}

pub(crate) fn note_body(note: &Notification) -> Sum {
    let (is_player, sender) = note.sender.columns();
    let sum = Sum::of("payload").bytes(&note.id.bytes()).number(u64::from(is_player));
    let sum = sum.number(sender.cast_unsigned()).number(note.receiver).number(note.created_ms);
    sum.number(u64::from(note.depth)).bytes(note.kind.as_bytes()).bytes(&note.payload)
}

pub(crate) fn outcome(id: NotificationId, outcome: &[u8]) -> Sum {
    Sum::of("outcome").bytes(&id.bytes()).bytes(outcome)
}

pub(crate) fn answer(uid: u64, request: &str, at_ms: u64, response: &[u8]) -> Sum {
    Sum::of("answer").number(uid).bytes(request.as_bytes()).number(at_ms).bytes(response)
}

pub(crate) fn push(uid: u64, push: &Push) -> Sum {
    Sum::of("push").number(uid).number(push.sequence).bytes(&push.payload)
}

pub(crate) fn letter(letter: &DeadLetter) -> Sum {
    let NewNotification { id, sender, receiver, kind, payload, deadline_in_ms, depth } = &letter.notification;
    let (is_player, sender) = sender.columns();
    let sum = Sum::of("letter").number(letter.sequence).number(letter.at_ms).bytes(letter.reason.as_bytes());
    let sum = sum.bytes(&id.bytes()).number(u64::from(is_player)).number(sender.cast_unsigned());
    let sum = sum.number(*receiver).bytes(kind.as_bytes()).bytes(payload);
    sum.option(*deadline_in_ms).number(u64::from(*depth))
}
