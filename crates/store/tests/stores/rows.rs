//! The rows of the suite, each named after the failure that it prevents.

mod kept;
mod lease;
mod notifications;
mod opening;
mod records;

pub(crate) use kept::*;
pub(crate) use lease::*;
pub(crate) use notifications::*;
pub(crate) use opening::*;
pub(crate) use records::*;

use chappe_store::{
    Claimed, Commit, CommitId, Committed, Done, NewNotification, NotificationId, Record, RecordChange,
    Refused, Sender, Step, Store, Transition, When, Work,
};
use chappe_wire::NodeId;

const HOUR: u64 = 3_600_000;

pub(crate) fn claim(store: &mut dyn Store, uid: u64, server: i64) -> Claimed {
    let create = Some(b"new".to_vec());
    match one(store, Work::Claim { uid, server: NodeId(server), create }) {
        Done::Claimed(claimed) => claimed,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn commit(id: u128, records: Vec<RecordChange>) -> Commit {
    Commit { records, ..Commit::new(CommitId(id), "test.run") }
}

pub(crate) fn record(of: &Record, document: &[u8]) -> RecordChange {
    RecordChange { uid: of.uid, epoch: of.epoch, version: of.version, document: Some(document.to_vec()) }
}

fn one(store: &mut dyn Store, work: Work) -> Done {
    let mut done = store.flush(&[work]).unwrap();
    assert_eq!(done.len(), 1);
    done.remove(0)
}

fn committed(store: &mut dyn Store, commit: Commit) -> Committed {
    match one(store, Work::Commit(commit)) {
        Done::Committed(committed) => committed,
        other => panic!("{other:?}"),
    }
}

fn refused(store: &mut dyn Store, work: Work) -> Refused {
    match one(store, work) {
        Done::Refused(refused) => refused,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn note(id: u128, deadline_in_ms: Option<u64>) -> NewNotification {
    NewNotification {
        id: NotificationId(id),
        sender: Sender::Player(1),
        receiver: 2,
        kind: "user.giveMoney2".to_owned(),
        payload: format!("payload {id}").into_bytes(),
        deadline_in_ms,
        depth: 1,
    }
}

pub(crate) fn transition(id: u128, from: Step, when: When, outcome: Option<&[u8]>) -> Transition {
    Transition { id: NotificationId(id), from, when, outcome: outcome.map(<[u8]>::to_vec), handled: None }
}

fn act(id: u128) -> Transition {
    transition(id, Step::Sent, When::Before, Some(b"ok"))
}

fn expire(id: u128) -> Transition {
    transition(id, Step::Sent, When::Passed, Some(b"late"))
}

fn settle(id: u128) -> Transition {
    transition(id, Step::Decided, When::Any, None)
}
