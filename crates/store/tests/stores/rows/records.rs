use super::*;
use crate::place::Place;
use chappe_store::{NewAnswer, NewDeadLetter, NewPush, Verdict};

pub(crate) fn a_stale_owner_is_refused_and_its_neighbours_are_not(place: &Place) {
    let mut store = place.open();
    let stale = claim(&mut *store, 1, 7).record;
    let neighbour = claim(&mut *store, 2, 7).record;
    let owner = claim(&mut *store, 1, 8);
    assert_eq!(owner.previous, Some(NodeId(7)));
    let done = store.flush(&[
        Work::Commit(commit(1, vec![record(&neighbour, b"before")])),
        Work::Commit(commit(2, vec![record(&stale, b"stale"), record(&neighbour, b"with the stale one")])),
        Work::Commit(commit(3, vec![record(&Record { version: 2, ..neighbour.clone() }, b"after")])),
        Work::Commit(commit(4, vec![record(&owner.record, b"owner")])),
    ]);
    let done = done.unwrap();
    let (uid, epoch, current) = (1, stale.epoch, owner.record.epoch);
    assert_eq!(done[1], Done::Refused(Refused::StaleEpoch { uid, epoch, current, owner: Some(NodeId(8)) }));
    assert!(matches!(done[0], Done::Committed(_)) && matches!(done[2], Done::Committed(_)), "{done:?}");
    assert!(matches!(done[3], Done::Committed(_)));
    assert_eq!(store.load(1).unwrap().unwrap().document, b"owner");
    let neighbour = store.load(2).unwrap().unwrap();
    assert_eq!((neighbour.document.as_slice(), neighbour.version), (b"after".as_slice(), 3));
}

pub(crate) fn two_servers_never_own_one_record(place: &Place) {
    let mut store = place.open();
    let claims =
        [7, 8].map(|server| Work::Claim { uid: 1, server: NodeId(server), create: Some(Vec::new()) });
    let done = store.flush(&claims).unwrap();
    let [Done::Claimed(first), Done::Claimed(second)] = &done[..] else { panic!("{done:?}") };
    assert!(first.created && !second.created && second.record.epoch > first.record.epoch);
    let stale = Work::Release { uid: 1, epoch: first.record.epoch };
    assert!(matches!(refused(&mut *store, stale), Refused::StaleEpoch { .. }));
    assert_eq!(one(&mut *store, Work::Release { uid: 1, epoch: second.record.epoch }), Done::Done);
    assert_eq!(store.load(1).unwrap().unwrap().owner, None);
    let released = Work::Commit(commit(1, vec![record(&second.record, b"released")]));
    assert!(matches!(refused(&mut *store, released), Refused::StaleEpoch { owner: None, .. }));
    let missing = Work::Claim { uid: 9, server: NodeId(7), create: None };
    assert_eq!(refused(&mut *store, missing), Refused::NoSuchPlayer(9));
}

pub(crate) fn a_commit_handed_in_twice_is_done_once(place: &Place) {
    let mut store = place.open();
    let owned = claim(&mut *store, 1, 7).record;
    let mut twice = commit(1, vec![record(&owned, b"once")]);
    twice.sent = vec![note(1, None)];
    let done = store.flush(&[Work::Commit(twice.clone()), Work::Commit(twice.clone())]).unwrap();
    assert!(matches!(&done[0], Done::Committed(first) if !first.repeated), "{done:?}");
    assert!(matches!(&done[1], Done::Committed(second) if second.repeated), "{done:?}");
    drop(store);
    let mut store = place.open();
    assert!(committed(&mut *store, twice).repeated);
    assert_eq!(store.load(1).unwrap().unwrap().version, 2);
    assert_eq!(store.outcome_of(CommitId(1)).unwrap(), Verdict::Committed);
    assert_eq!(store.outcome_of(CommitId(2)).unwrap(), Verdict::Unknown);
}

pub(crate) fn a_commit_that_was_given_up_never_comes(place: &Place) {
    let mut store = place.open();
    let owned = claim(&mut *store, 1, 7).record;
    assert_eq!(one(&mut *store, Work::Resolve(CommitId(1))), Done::Resolved(Verdict::GivenUp));
    let late = Work::Commit(commit(1, vec![record(&owned, b"late")]));
    assert_eq!(refused(&mut *store, late), Refused::GivenUp(CommitId(1)));
    assert_eq!(store.outcome_of(CommitId(1)).unwrap(), Verdict::GivenUp);
    let together = [
        Work::Commit(commit(2, vec![record(&owned, b"in time")])),
        Work::Resolve(CommitId(2)),
        Work::Resolve(CommitId(3)),
        Work::Commit(commit(3, Vec::new())),
    ];
    let done = store.flush(&together).unwrap();
    assert_eq!(done[1], Done::Resolved(Verdict::Committed));
    assert_eq!(done[3], Done::Refused(Refused::GivenUp(CommitId(3))));
    assert_eq!(store.load(1).unwrap().unwrap().document, b"in time");
}

pub(crate) fn a_run_that_read_what_never_came_to_be_is_refused(place: &Place) {
    let mut store = place.open();
    let owned = claim(&mut *store, 1, 7).record;
    let other = claim(&mut *store, 2, 7).record;
    let mut fails = commit(1, vec![record(&owned, b"never")]);
    fails.transitions = vec![act(404)];
    let after = Record { version: owned.version + 1, ..owned.clone() };
    let mut reads = commit(3, vec![record(&other, b"from a read")]);
    reads.records.push(RecordChange { document: None, ..record(&after, b"") });
    let works = [fails, commit(2, vec![record(&after, b"on it")]), reads].map(Work::Commit);
    let done = store.flush(&works).unwrap();
    assert!(matches!(done[0], Done::Refused(Refused::NotificationMoved { found: None, .. })));
    let stale = Refused::StaleVersion { uid: 1, version: 2, current: 1 };
    assert_eq!(done[1..], [Done::Refused(stale.clone()), Done::Refused(stale)]);
    assert_eq!(store.load(2).unwrap().unwrap().document, b"new");
}

pub(crate) fn a_refused_commit_leaves_no_trace(place: &Place) {
    let mut store = place.open();
    let owned = claim(&mut *store, 1, 7).record;
    let full = |id: u128, version: u64| Commit {
        records: vec![record(&Record { version, ..owned.clone() }, b"trace")],
        sent: vec![note(1, None)],
        answers: vec![NewAnswer { uid: 1, request: "r".to_owned(), response: b"trace".to_vec() }],
        pushes: vec![NewPush { uid: 1, payload: b"trace".to_vec() }],
        dead_letters: vec![NewDeadLetter { reason: "noHandler".to_owned(), notification: note(2, None) }],
        ..Commit::new(CommitId(id), "test.trace")
    };
    let refused = refused(&mut *store, Work::Commit(full(1, 5)));
    assert!(matches!(refused, Refused::StaleVersion { .. }), "{refused}");
    let untouched = |store: &mut dyn Store| {
        assert_eq!(store.load(1).unwrap().unwrap(), owned);
        assert!(store.unsettled(0, 10).unwrap().is_empty());
        assert_eq!(store.answer(1, "r").unwrap(), None);
        assert!(store.pushes(1).unwrap().is_empty());
        assert!(store.dead_letters(0, 10).unwrap().is_empty());
        assert_eq!(store.history(1).unwrap().len(), 1);
        assert_eq!(store.outcome_of(CommitId(1)).unwrap(), Verdict::Unknown);
    };
    untouched(&mut *store);
    drop(store);
    let mut store = place.open();
    untouched(&mut *store);
    committed(&mut *store, full(2, 1));
    assert_eq!(store.unsettled(0, 10).unwrap().len(), 1);
    assert_eq!(store.answer(1, "r").unwrap().unwrap(), b"trace");
    assert_eq!(store.pushes(1).unwrap().len(), 1);
    assert_eq!(store.dead_letters(0, 10).unwrap().len(), 1);
}

pub(crate) fn history_is_kept_within_its_bound(place: &Place) {
    let mut store = place.open();
    let mut owned = claim(&mut *store, 1, 7).record;
    // Some versions in flushes of their own, some together.
    for turn in 0..4_u64 {
        let works: Vec<_> = (0..turn + 3)
            .map(|step| {
                let change = record(&owned, format!("{}", owned.version + 1).as_bytes());
                owned.version += 1;
                Work::Commit(commit(u128::from(turn * 100 + step + 1), vec![change]))
            })
            .collect();
        assert!(store.flush(&works).unwrap().iter().all(|done| matches!(done, Done::Committed(_))));
    }
    let kept = store.history(1).unwrap();
    let versions: Vec<_> = kept.iter().map(|entry| entry.version).collect();
    let last = owned.version;
    assert_eq!(versions, (last - 7..=last).rev().collect::<Vec<_>>());
    for entry in &kept {
        assert_eq!(entry.document, entry.version.to_string().into_bytes());
        assert_eq!((entry.handler.as_str(), entry.epoch), ("test.run", owned.epoch));
    }
    assert_eq!(kept[0].commit, Some(CommitId(305 + 1)));
}

pub(crate) fn the_owner_of_a_deleted_record_does_not_own_the_next_one(place: &Place) {
    let mut store = place.open();
    let old = claim(&mut *store, 1, 7).record;
    let push = NewPush { uid: 1, payload: b"old".to_vec() };
    let answer = NewAnswer { uid: 1, request: "r".to_owned(), response: Vec::new() };
    committed(&mut *store, Commit { pushes: vec![push], answers: vec![answer], ..commit(1, Vec::new()) });
    assert_eq!(one(&mut *store, Work::Delete { uid: 1 }), Done::Done);
    assert_eq!(store.load(1).unwrap(), None);
    assert!(store.history(1).unwrap().is_empty() && store.pushes(1).unwrap().is_empty());
    assert_eq!(store.answer(1, "r").unwrap(), None);
    let gone = refused(&mut *store, Work::Commit(commit(2, vec![record(&old, b"ghost")])));
    assert_eq!(gone, Refused::NoSuchPlayer(1));
    let next = claim(&mut *store, 1, 8);
    assert!(next.created && next.record.epoch > old.epoch);
    let stale = refused(&mut *store, Work::Commit(commit(3, vec![record(&old, b"ghost")])));
    assert!(matches!(stale, Refused::StaleEpoch { .. }));
}

pub(crate) fn every_uid_can_be_kept(place: &Place) {
    let mut store = place.open();
    let uids = [0, 1, i64::MAX as u64, u64::MAX];
    for uid in uids {
        let owned = claim(&mut *store, uid, i64::MIN).record;
        committed(&mut *store, commit(u128::from(uid) << 64, vec![record(&owned, &uid.to_le_bytes())]));
    }
    for uid in uids {
        assert_eq!(store.load(uid).unwrap().unwrap().document, uid.to_le_bytes());
    }
    let mut listed = Vec::new();
    while let Some(uid) = store.players(listed.last().copied(), 1).unwrap().pop() {
        listed.push(uid);
    }
    listed.sort_unstable();
    assert_eq!(listed, uids);
}
