//! Rows as columns, the same in both databases: which ones, and what they mean once their checksums hold.

use crate::changes::{AnswerRow, Document, NoteRow, PlayerRow, Read};
use crate::{
    CommitId, DeadLetter, HistoryEntry, NewNotification, Notification, NotificationId, Push, Record, Sender,
    Step, StoreError, seal,
};
use chappe_wire::NodeId;

pub(crate) const HEAD: &str = "uid, epoch, version, owner, head";
pub(crate) const RECORD: &str = "uid, epoch, version, owner, head, document, sum";
pub(crate) const NOTE_STATE: &str = "id, ord, step, deadline_ms, head, outcome, outcome_sum";
pub(crate) const NOTE: &str = "id, ord, step, deadline_ms, head, is_player, sender, receiver, kind, \
     created_ms, depth, payload, sum, outcome, outcome_sum";
pub(crate) const ANSWER: &str = "uid, request, at_ms, response, sum";
pub(crate) const HISTORY: &str = "uid, version, epoch, commit_id, handler, at_ms, document, sum";
pub(crate) const PUSH: &str = "uid, sequence, payload, sum";
pub(crate) const LETTER: &str = "sequence, at_ms, reason, id, is_player, sender, receiver, kind, payload, \
     deadline_in_ms, depth, sum";

/// One row of a database. A cell of another type than is asked for is corrupt.
pub(crate) trait Cells {
    fn int(&self, at: usize) -> Read<i64>;
    fn int_or_null(&self, at: usize) -> Read<Option<i64>>;
    fn text(&self, at: usize) -> Read<String>;
    fn bytes(&self, at: usize) -> Read<Vec<u8>>;
    fn bytes_or_null(&self, at: usize) -> Read<Option<Vec<u8>>>;

    fn number(&self, at: usize) -> Read<u64> {
        self.int(at).map(i64::cast_unsigned)
    }
}

/// A row of [`HEAD`].
pub(crate) fn head(row: &impl Cells) -> (Read<u64>, Read<PlayerRow>) {
    let uid = row.number(0);
    let read = uid.clone().and_then(|uid| {
        let (epoch, version) = (row.number(1)?, row.number(2)?);
        let owner = row.int_or_null(3)?.map(NodeId);
        let sum = seal::player_head(uid, epoch, version, owner);
        sum.check(row.int(4)?, || format!("the head of player {uid}"))?;
        Ok(PlayerRow { epoch, version, owner, document: Document::NotRead })
    });
    (uid, read)
}

/// A row of [`RECORD`].
pub(crate) fn record(row: &impl Cells) -> Read<Record> {
    let (uid, head) = head(row);
    let (uid, head) = (uid?, head?);
    let document = row.bytes(5)?;
    let sum = seal::document(uid, head.version, &document);
    sum.check(row.int(6)?, || format!("the record of player {uid}"))?;
    Ok(Record { uid, epoch: head.epoch, version: head.version, owner: head.owner, document })
}

/// A row of [`NOTE_STATE`].
pub(crate) fn note_state(row: &impl Cells) -> (Read<NotificationId>, Read<NoteRow>) {
    let (id, head) = note_head(row);
    let read = id.clone().and_then(|id| {
        let head = head?;
        Ok(NoteRow { outcome: outcome(row, 5, id, head.step)?, ..head })
    });
    (id, read)
}

/// What a row of [`NOTE_STATE`] and one of [`NOTE`] begin with.
fn note_head(row: &impl Cells) -> (Read<NotificationId>, Read<NoteRow>) {
    let id = notification_id(row, 0);
    let read = id.clone().and_then(|id| {
        let order = row.number(1)?;
        let corrupt = || StoreError::Corrupt(format!("the step of notification {id}"));
        let step = Step::from_code(row.int(2)?).ok_or_else(corrupt)?;
        let deadline_ms = row.int_or_null(3)?.map(i64::cast_unsigned);
        let sum = seal::note_head(id, order, step, deadline_ms);
        sum.check(row.int(4)?, || format!("the state of notification {id}"))?;
        Ok(NoteRow { order, step, deadline_ms, outcome: None, fresh: None })
    });
    (id, read)
}

/// A row of [`NOTE`].
pub(crate) fn note(row: &impl Cells) -> Read<Notification> {
    let (id, head) = note_head(row);
    let (id, head) = (id?, head?);
    let outcome = outcome(row, 13, id, head.step)?;
    let note = Notification {
        id,
        order: head.order,
        step: head.step,
        sender: Sender::from_columns(row.int(5)? != 0, row.int(6)?),
        receiver: row.number(7)?,
        kind: row.text(8)?,
        payload: row.bytes(11)?,
        created_ms: row.number(9)?,
        deadline_ms: head.deadline_ms,
        depth: depth(row.int(10)?)?,
        outcome,
    };
    seal::note_body(&note).check(row.int(12)?, || format!("the payload of notification {id}"))?;
    Ok(note)
}

/// A notification's outcome and, behind it, its sum.
fn outcome(row: &impl Cells, at: usize, id: NotificationId, step: Step) -> Read<Option<Vec<u8>>> {
    let outcome = row.bytes_or_null(at)?;
    if let Some(outcome) = &outcome {
        let sum = row.int_or_null(at + 1)?.unwrap_or(-1);
        seal::outcome(id, outcome).check(sum, || format!("the outcome of notification {id}"))?;
    }
    if (step == Step::Decided) != outcome.is_some() {
        return Err(StoreError::Corrupt(format!("the outcome of notification {id}")));
    }
    Ok(outcome)
}

/// A row of [`ANSWER`].
pub(crate) fn answer(row: &impl Cells) -> Read<((u64, String), Read<AnswerRow>)> {
    let (uid, request) = (row.number(0)?, row.text(1)?);
    let (at_ms, response) = (row.number(2)?, row.bytes(3)?);
    let sum = seal::answer(uid, &request, at_ms, &response);
    let held = sum.check(row.int(4)?, || format!("the answer to request {request:?} of player {uid}"));
    Ok(((uid, request), held.map(|()| AnswerRow { at_ms, response })))
}

/// A row of [`HISTORY`].
pub(crate) fn history(row: &impl Cells) -> Read<HistoryEntry> {
    let uid = row.number(0)?;
    let entry = HistoryEntry {
        version: row.number(1)?,
        epoch: row.number(2)?,
        commit: row.bytes_or_null(3)?.as_deref().and_then(CommitId::from_bytes),
        handler: row.text(4)?,
        at_ms: row.number(5)?,
        document: row.bytes(6)?,
    };
    seal::history(uid, &entry).check(row.int(7)?, || format!("the history of player {uid}"))?;
    Ok(entry)
}

/// A row of [`PUSH`].
pub(crate) fn push(row: &impl Cells) -> Read<Push> {
    let uid = row.number(0)?;
    let push = Push { sequence: row.number(1)?, payload: row.bytes(2)? };
    seal::push(uid, &push).check(row.int(3)?, || format!("push {} to player {uid}", push.sequence))?;
    Ok(push)
}

/// A row of [`LETTER`].
pub(crate) fn letter(row: &impl Cells) -> Read<DeadLetter> {
    let notification = NewNotification {
        id: notification_id(row, 3)?,
        sender: Sender::from_columns(row.int(4)? != 0, row.int(5)?),
        receiver: row.number(6)?,
        kind: row.text(7)?,
        payload: row.bytes(8)?,
        deadline_in_ms: row.int_or_null(9)?.map(i64::cast_unsigned),
        depth: depth(row.int(10)?)?,
    };
    let (sequence, at_ms, reason) = (row.number(0)?, row.number(1)?, row.text(2)?);
    let letter = DeadLetter { sequence, at_ms, reason, notification };
    seal::letter(&letter).check(row.int(11)?, || format!("dead letter {sequence}"))?;
    Ok(letter)
}

pub(crate) fn notification_id(row: &impl Cells, at: usize) -> Read<NotificationId> {
    let corrupt = || StoreError::Corrupt("the id of a notification".to_owned());
    NotificationId::from_bytes(&row.bytes(at)?).ok_or_else(corrupt)
}

fn depth(depth: i64) -> Read<u32> {
    u32::try_from(depth).map_err(|_| StoreError::Corrupt("the depth of a notification".to_owned()))
}
