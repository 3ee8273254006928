use super::*;
use crate::place::Place;
use chappe_store::{Options, StoreError};

pub(crate) fn another_clusters_store_is_refused(place: &Place) {
    drop(place.open());
    let theirs = Options { cluster: "theirs".to_owned(), ..place.options() };
    match place.try_open(theirs).map(drop) {
        Err(StoreError::OtherCluster { found, ours, .. }) => {
            assert_eq!((found, ours), ("ours".into(), "theirs".into()))
        }
        other => panic!("{other:?}"),
    }
    drop(place.open());
}

pub(crate) fn a_store_is_taken_over_only_from_the_owner_that_was_named(place: &Place) {
    claim(&mut *place.open(), 1, 7);
    let by = |cluster: &str, adopts: &str| {
        let options =
            Options { cluster: cluster.to_owned(), adopts: Some(adopts.to_owned()), ..place.options() };
        place.try_open(options).map(drop)
    };
    assert!(matches!(by("theirs", "another"), Err(StoreError::OtherCluster { .. })));
    assert_eq!(by("theirs", "ours"), Ok(()));
    let lost = place.try_open(place.options()).map(drop);
    assert!(matches!(lost, Err(StoreError::OtherCluster { .. })), "{lost:?}");
    assert_eq!(by("ours", "theirs"), Ok(()));
    assert!(place.open().load(1).unwrap().is_some(), "with all that was in it");
}

pub(crate) fn a_newer_schema_is_refused_and_not_touched(place: &Place) {
    if !place.is_database() {
        return;
    }
    claim(&mut *place.open(), 1, 7);
    place.tamper("PRAGMA user_version = 99");
    for _ in 0..2 {
        let refused = place.try_open(place.options()).map(drop);
        assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, known: 2, .. })), "{refused:?}");
    }
}

pub(crate) fn a_schema_of_before_is_brought_up_to_date(place: &Place) {
    if !place.is_database() {
        return;
    }
    claim(&mut *place.open(), 1, 7);
    place.tamper("DROP TABLE lease; PRAGMA user_version = 1");
    assert!(place.open().load(1).unwrap().is_some());
    assert!(place.try_open(Options { is_shared: true, ..place.options() }).unwrap().lease().is_ok());
}

pub(crate) fn a_second_master_is_refused(place: &Place) {
    if !place.is_database() {
        return;
    }
    let mut first = place.open();
    let second = place.try_open(place.options()).map(drop);
    assert!(matches!(second, Err(StoreError::InUse { .. })), "{second:?}");
    claim(&mut *first, 1, 7);
    drop(first);
    assert!(place.open().load(1).unwrap().is_some());
}

pub(crate) fn a_corrupt_record_is_never_served(place: &Place) {
    let mut store = place.open();
    let good = claim(&mut *store, 2, 7).record;
    claim(&mut *store, 1, 7);
    drop(store);
    place.damage_record(1);
    let mut store = place.open();
    assert!(matches!(store.load(1), Err(StoreError::Corrupt(_))));
    let works = [
        Work::Claim { uid: 1, server: NodeId(8), create: None },
        Work::Commit(commit(1, vec![record(&good, b"still good")])),
    ];
    let done = store.flush(&works).unwrap();
    assert!(matches!(done[0], Done::Refused(Refused::Corrupt(_))), "{done:?}");
    assert!(matches!(done[1], Done::Committed(_)), "{done:?}");
    assert_eq!(one(&mut *store, Work::Delete { uid: 1 }), Done::Done);
    assert!(claim(&mut *store, 1, 8).created);
    assert_eq!(store.load(1).unwrap().unwrap().document, b"new");
}

pub(crate) fn a_corrupt_notification_is_never_served(place: &Place) {
    if !place.is_database() {
        return;
    }
    let mut store = place.open();
    committed(
        &mut *store,
        Commit { sent: vec![note(1, Some(HOUR)), note(2, None)], ..commit(1, Vec::new()) },
    );
    drop(store);
    place.tamper("UPDATE notifications SET deadline_ms = deadline_ms + 1 WHERE deadline_ms IS NOT NULL");
    let mut store = place.open();
    let served: Vec<_> = store.unsettled(0, 10).unwrap().into_iter().map(|found| found.id).collect();
    assert_eq!(served, [note(2, None).id], "the other one is");
    assert!(matches!(store.notification(note(1, None).id), Err(StoreError::Corrupt(_))));
    let works =
        [1, 2].map(|id| Work::Commit(Commit { transitions: vec![act(id)], ..commit(id + 10, Vec::new()) }));
    let done = store.flush(&works).unwrap();
    assert!(matches!(done[0], Done::Refused(Refused::Corrupt(_))), "{done:?}");
    assert!(matches!(done[1], Done::Committed(_)), "{done:?}");
}
