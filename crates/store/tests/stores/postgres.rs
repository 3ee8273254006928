//! PostgreSQL: the suite, and what only a server can do.

use crate::place::Place;
use crate::rows::{claim, commit, record};
use crate::server::Server;
use chappe_store::{Done, StoreError, Verdict, Work};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn the_suite_holds_on_postgres() {
    let Some(mut server) = Server::start() else { return };
    let mut failed = Vec::new();
    for (name, row) in crate::ROWS {
        let place = Place::postgres(server.place(name));
        if catch_unwind(AssertUnwindSafe(|| row(&place))).is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed on PostgreSQL: {failed:?}");
    crate::alike::stores_do_alike(&Place::postgres(server.place("alike")));
    a_server_that_dies_loses_nothing_and_is_found_again(&mut server);
}

fn a_server_that_dies_loses_nothing_and_is_found_again(server: &mut Server) {
    let place = Place::postgres(server.place("dies"));
    let mut store = place.open();
    let owned = claim(&mut *store, 1, 7);
    let first = commit(1, vec![record(&owned.record, b"first")]);
    assert!(matches!(store.flush(&[Work::Commit(first)]).unwrap()[..], [Done::Committed(_)]));
    server.crash();
    let mut second = record(&owned.record, b"second");
    second.version += 1;
    let second = Work::Commit(commit(2, vec![second]));
    let lost = store.flush(std::slice::from_ref(&second)).unwrap_err();
    assert!(matches!(lost, StoreError::StoreUnavailable(_)), "{lost}");
    assert!(matches!(store.load(1), Err(StoreError::StoreUnavailable(_))));
    server.run();
    assert_eq!(store.load(1).unwrap().unwrap().document, b"first");
    assert_eq!(store.outcome_of(chappe_store::CommitId(2)).unwrap(), Verdict::Unknown);
    assert!(matches!(store.flush(&[second]).unwrap()[..], [Done::Committed(_)]));
    assert_eq!(store.load(1).unwrap().unwrap().document, b"second");
}
