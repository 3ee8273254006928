use super::*;
use crate::place::Place;
use chappe_store::{Candidate, Lease, StoreError};
use std::time::Duration;

fn by(node: i64, incarnation: u64, lasts_ms: u64) -> Candidate {
    Candidate { node: NodeId(node), incarnation, lasts: Duration::from_millis(lasts_ms) }
}

fn holder(lease: &Lease) -> (u64, Option<i64>) {
    (lease.term, lease.holder.map(|(node, _)| node.0))
}

fn new_player(uid: u64) -> [Work; 1] {
    [Work::Claim { uid, server: NodeId(7), create: Some(b"new".to_vec()) }]
}

pub(crate) fn only_one_of_two_masters_leads(place: &Place) {
    let (Some(mut first), Some(mut second)) = (place.open_shared(), place.open_shared()) else { return };
    assert_eq!(holder(&first.lease().unwrap().unwrap()), (0, None));
    assert_eq!(holder(&first.lead(&by(1, 5, HOUR)).unwrap()), (1, Some(1)));
    assert_eq!(holder(&second.lead(&by(2, 1, HOUR)).unwrap()), (1, Some(1)), "it has not ended");
    assert_eq!(holder(&first.lead(&by(1, 5, HOUR)).unwrap()), (1, Some(1)), "asked again");
    drop(first);
    let mut again = place.open_shared().unwrap();
    assert_eq!(holder(&again.lead(&by(1, 4, HOUR)).unwrap()), (1, Some(1)), "an earlier life takes nothing");
    assert!(matches!(again.flush(&new_player(1)), Err(StoreError::StoreUnavailable(_))));
    assert_eq!(holder(&again.lead(&by(1, 6, HOUR)).unwrap()), (2, Some(1)), "its next life need not wait");
}

pub(crate) fn a_leader_that_was_replaced_commits_nothing(place: &Place) {
    let (Some(mut first), Some(mut second)) = (place.open_shared(), place.open_shared()) else { return };
    let lease = first.lead(&by(1, 5, 40)).unwrap();
    place.pass(&mut *first, lease.ends_ms);
    assert_eq!(holder(&second.lead(&by(2, 1, HOUR)).unwrap()), (2, Some(2)));
    let lost = StoreError::LeaseLost { term: 1, now: 2, by: Some(NodeId(2)) };
    assert_eq!(first.flush(&new_player(1)), Err(lost.clone()));
    assert_eq!(first.renew(), Err(lost));
    drop(first.resign());
    assert_eq!(second.load(1).unwrap(), None);
    claim(&mut *second, 1, 7);
    assert_eq!(holder(&second.renew().unwrap()), (2, Some(2)), "what the old one gave back was not its own");
}

pub(crate) fn a_lease_that_has_run_out_and_nobody_took_goes_on(place: &Place) {
    let Some(mut store) = place.open_shared() else { return };
    let lease = store.lead(&by(1, 5, 40)).unwrap();
    place.pass(&mut *store, lease.ends_ms);
    assert!(matches!(store.flush(&new_player(1)), Err(StoreError::StoreUnavailable(_))));
    let renewed = store.renew().unwrap();
    assert_eq!(holder(&renewed), (1, Some(1)));
    assert!(renewed.ends_ms > lease.ends_ms);
    let again = store.lead(&by(1, 5, HOUR)).unwrap();
    assert_eq!(again.term, 1);
    claim(&mut *store, 1, 7);
}

pub(crate) fn a_lease_that_was_given_back_is_taken_at_once(place: &Place) {
    let (Some(mut first), Some(mut second)) = (place.open_shared(), place.open_shared()) else { return };
    first.lead(&by(1, 5, HOUR)).unwrap();
    claim(&mut *first, 1, 7);
    first.resign().unwrap();
    assert!(first.flush(&new_player(2)).is_err());
    assert_eq!(holder(&second.lead(&by(2, 1, HOUR)).unwrap()), (2, Some(2)));
    claim(&mut *second, 1, 8);
}

pub(crate) fn a_master_that_does_not_lead_does_no_work(place: &Place) {
    let Some(mut store) = place.open_shared() else {
        // Its file only one process can have open.
        let mut store = place.open();
        assert_eq!(store.lease().unwrap(), None);
        let lease = store.lead(&by(1, 5, 40)).unwrap();
        assert_eq!((lease.term, lease.ends_ms), (5, u64::MAX));
        return;
    };
    assert!(matches!(store.flush(&new_player(1)), Err(StoreError::StoreUnavailable(_))));
    assert!(store.renew().is_err());
    assert_eq!(store.load(1).unwrap(), None);
    assert_eq!(store.resign(), Ok(()));
}
