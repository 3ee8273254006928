//! PostgreSQL: the suite, and what only a server can do.

use crate::place::Place;
use crate::rows::{claim, commit, record};
use crate::server::Server;
use chappe_store::{Candidate, Done, StoreError, Verdict, Work};
use chappe_wire::NodeId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

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
    a_transaction_under_way_is_not_overtaken(&server);
    a_server_that_dies_loses_nothing_and_is_found_again(&mut server);
    a_session_that_was_lost_is_made_anew_before_anyone_hears_of_it(&mut server);
    a_commit_whose_answer_was_lost_is_not_done_again(&server);
}

/// The next leader must see all that the one before has committed.
fn a_transaction_under_way_is_not_overtaken(server: &Server) {
    let place = Place::postgres(server.place("overtaken"));
    let mut first = place.open_shared().unwrap();
    let lasts = Duration::from_millis(50);
    let by = |node| Candidate { node: NodeId(node), incarnation: 1, lasts };
    let lease = first.lead(&by(1)).unwrap();
    let mut under_way = crate::server::Transaction::begin(place.url());
    under_way.run("SELECT term FROM lease FOR SHARE");
    place.pass(&mut *first, lease.ends_ms);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| place.open_shared().unwrap().lead(&by(2)).unwrap());
        while under_way.count("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0 {
            assert!(!second.is_finished(), "it did not wait");
        }
        under_way.run("COMMIT");
        assert_eq!(second.join().unwrap().term, lease.term + 1);
    });
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

fn a_session_that_was_lost_is_made_anew_before_anyone_hears_of_it(server: &mut Server) {
    let place = Place::postgres(server.place("anew"));
    let mut store = place.open_shared().unwrap();
    let by = Candidate { node: NodeId(1), incarnation: 1, lasts: Duration::from_secs(3600) };
    assert_eq!(store.lead(&by).unwrap().term, 1);
    let owned = claim(&mut *store, 1, 7);
    let changed = |id: u128| {
        let mut change = record(&owned.record, b"changed");
        change.version += u64::try_from(id).unwrap() - 1;
        [Work::Commit(commit(id, vec![change]))]
    };
    server.crash();
    server.run();
    assert!(matches!(store.flush(&changed(1)).unwrap()[..], [Done::Committed(_)]), "a commit");
    server.crash();
    server.run();
    assert_eq!(store.renew().unwrap().term, 1, "a renewal");
    server.crash();
    server.run();
    assert!(store.load(1).unwrap().is_some(), "a read");
    // What is lost in the middle of a transaction, before its commit.
    ends_its_session(place.url(), "", "nextval('tries') = 1");
    assert!(matches!(store.flush(&changed(2)).unwrap()[..], [Done::Committed(_)]));
    assert_eq!(tries(place.url()), 2, "once more, and no more often");
    assert_eq!(store.load(1).unwrap().unwrap().version, owned.record.version + 2);
}

fn a_commit_whose_answer_was_lost_is_not_done_again(server: &Server) {
    let place = Place::postgres(server.place("lost"));
    let mut store = place.open();
    let owned = claim(&mut *store, 1, 7);
    ends_its_session(place.url(), "DEFERRABLE INITIALLY DEFERRED", "nextval('tries') > 0");
    let work = [Work::Commit(commit(1, vec![record(&owned.record, b"changed")]))];
    assert!(matches!(store.flush(&work), Err(StoreError::AnswerLost(_))));
    assert_eq!(tries(place.url()), 1);
    assert_eq!(store.outcome_of(chappe_store::CommitId(1)).unwrap(), Verdict::Unknown);
}

/// From here on PostgreSQL ends a session that changes a player, where `when` holds: at once, or at its commit.
fn ends_its_session(url: &str, timing: &str, when: &str) {
    let sql = format!(
        "CREATE SEQUENCE tries;
         CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF {when} THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF; RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER ends AFTER INSERT OR UPDATE ON players {timing}
             FOR EACH ROW EXECUTE FUNCTION ends()"
    );
    crate::server::execute(url, &sql);
}

/// How often a player was to be changed since, whatever came of it.
fn tries(url: &str) -> i64 {
    crate::server::Transaction::begin(url).count("SELECT last_value FROM tries")
}
