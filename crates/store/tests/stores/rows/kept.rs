use super::*;
use crate::place::Place;
use chappe_store::{Delivered, Limits, NewAnswer, NewDeadLetter, NewPush, Options, Verdict};

pub(crate) fn a_request_that_is_sent_again_gets_the_same_answer(place: &Place) {
    let mut store = place.open();
    let answer =
        |response: &[u8]| NewAnswer { uid: 1, request: "r-1".to_owned(), response: response.to_vec() };
    committed(&mut *store, Commit { answers: vec![answer(b"first")], ..commit(1, Vec::new()) });
    let again = Commit { answers: vec![answer(b"second")], ..commit(2, Vec::new()) };
    let again = refused(&mut *store, Work::Commit(again));
    let (uid, request, response) = (1, "r-1".to_owned(), b"first".to_vec());
    assert_eq!(again, Refused::RequestAnswered { uid, request, response });
    let others = NewAnswer { uid: 2, ..answer(b"another player's") };
    committed(&mut *store, Commit { answers: vec![others], ..commit(3, Vec::new()) });
    drop(store);
    assert_eq!(place.open().answer(1, "r-1").unwrap().unwrap(), b"first");
}

pub(crate) fn pushes_wait_in_order_and_within_their_bound(place: &Place) {
    let limits = Limits { pushes_per_player: 3, ..Limits::default() };
    let mut store = place.try_open(Options { limits, ..place.options() }).unwrap();
    let push = |uid, number: u8| NewPush { uid, payload: vec![number] };
    let pushes = |store: &mut dyn Store, uid| -> Vec<u8> {
        store.pushes(uid).unwrap().iter().map(|push| push.payload[0]).collect()
    };
    let first = Commit { pushes: vec![push(1, 1), push(2, 9), push(1, 2)], ..commit(1, Vec::new()) };
    assert_eq!(committed(&mut *store, first).pushes_dropped, 0);
    let second = Commit { pushes: vec![push(1, 3), push(1, 4)], ..commit(2, Vec::new()) };
    assert_eq!(committed(&mut *store, second).pushes_dropped, 1);
    assert_eq!(pushes(&mut *store, 1), [2, 3, 4]);
    let many = Commit { pushes: (5..12).map(|number| push(1, number)).collect(), ..commit(3, Vec::new()) };
    assert_eq!(committed(&mut *store, many).pushes_dropped, 7);
    assert_eq!(pushes(&mut *store, 1), [9, 10, 11]);
    let up_to = store.pushes(1).unwrap()[1].sequence;
    let delivered = vec![Delivered { uid: 1, up_to }, Delivered { uid: 2, up_to: u64::MAX }];
    committed(&mut *store, Commit { delivered, pushes: vec![push(2, 1)], ..commit(4, Vec::new()) });
    assert_eq!(pushes(&mut *store, 1), [11]);
}

pub(crate) fn dead_letters_are_listed_retried_and_dropped(place: &Place) {
    let mut store = place.open();
    let letter =
        |id| NewDeadLetter { reason: "handlerFailed".to_owned(), notification: note(id, Some(HOUR)) };
    let letters = vec![letter(1), letter(2), letter(3)];
    committed(&mut *store, Commit { dead_letters: letters, ..commit(1, Vec::new()) });
    drop(store);
    let mut store = place.open();
    let listed = store.dead_letters(0, 10).unwrap();
    assert_eq!(
        listed.iter().map(|letter| letter.notification.clone()).collect::<Vec<_>>(),
        [note(1, Some(HOUR)), note(2, Some(HOUR)), note(3, Some(HOUR))]
    );
    assert_eq!(listed[0].reason, "handlerFailed");
    let (one_of, two_of) = (listed[0].sequence, listed[1].sequence);
    assert_eq!(store.dead_letter(two_of).unwrap().as_ref(), Some(&listed[1]));
    assert_eq!(store.dead_letters(one_of, 1).unwrap(), listed[1..2]);
    let retry = Work::RetryLetter { sequence: one_of, id: NotificationId(50) };
    let Done::Retried(again) = one(&mut *store, retry.clone()) else { panic!("not retried") };
    assert_eq!(again, NewNotification { id: NotificationId(50), ..note(1, Some(HOUR)) });
    assert_eq!(store.unsettled(0, 10).unwrap()[0].payload, note(1, None).payload);
    assert_eq!(refused(&mut *store, retry), Refused::NoSuchLetter(one_of));
    assert_eq!(one(&mut *store, Work::DropLetter { sequence: two_of }), Done::Done);
    assert_eq!(refused(&mut *store, Work::DropLetter { sequence: two_of }), Refused::NoSuchLetter(two_of));
    assert_eq!(store.dead_letters(0, 10).unwrap(), listed[2..]);
}

pub(crate) fn old_commits_and_answers_are_pruned_and_young_ones_are_not(place: &Place) {
    let limits = Limits { dead_letters: 1, ..Limits::default() };
    let mut store = place.try_open(Options { limits, ..place.options() }).unwrap();
    let answer = NewAnswer { uid: 1, request: "r".to_owned(), response: Vec::new() };
    let letter = |id| NewDeadLetter { reason: "noHandler".to_owned(), notification: note(id, None) };
    let dead_letters = vec![letter(1), letter(2)];
    committed(&mut *store, Commit { answers: vec![answer], dead_letters, ..commit(1, Vec::new()) });
    assert_eq!(one(&mut *store, Work::Prune { older_than_ms: HOUR }), Done::Pruned(1));
    assert_eq!(store.dead_letters(0, 9).unwrap()[0].notification.id, NotificationId(2));
    assert_eq!(store.outcome_of(CommitId(1)).unwrap(), Verdict::Committed);
    // A clock that has gone on by a moment.
    let written = store.now_ms().unwrap();
    place.now_ms.fetch_add(10, std::sync::atomic::Ordering::Relaxed);
    while store.now_ms().unwrap() <= written {
        std::thread::yield_now();
    }
    assert_eq!(one(&mut *store, Work::Prune { older_than_ms: 0 }), Done::Pruned(2));
    assert_eq!(store.outcome_of(CommitId(1)).unwrap(), Verdict::Unknown);
    assert_eq!(store.answer(1, "r").unwrap(), None);
    assert_eq!(one(&mut *store, Work::Prune { older_than_ms: 0 }), Done::Pruned(0));
}

pub(crate) fn what_is_over_a_limit_is_refused(place: &Place) {
    let limits = Limits { document: 10, payload: 20, name: 30, ..Limits::default() };
    let mut store = place.try_open(Options { limits, ..place.options() }).unwrap();
    let owned = claim(&mut *store, 1, 7).record;
    let large = vec![0; 21];
    let mut works = vec![commit(1, vec![record(&owned, &[0; 11])])];
    works.push(Commit { pushes: vec![NewPush { uid: 1, payload: large.clone() }], ..commit(2, Vec::new()) });
    let answer = NewAnswer { uid: 1, request: "r".repeat(31), response: Vec::new() };
    works.push(Commit { answers: vec![answer], ..commit(3, Vec::new()) });
    works.push(Commit {
        sent: vec![NewNotification { payload: large, ..note(1, None) }],
        ..commit(4, Vec::new())
    });
    let endless = note(2, Some(u64::MAX));
    for refused in store.flush(&works.into_iter().map(Work::Commit).collect::<Vec<_>>()).unwrap() {
        assert!(matches!(refused, Done::Refused(Refused::TooLarge { .. })), "{refused:?}");
    }
    let endless = Work::Commit(Commit { sent: vec![endless], ..commit(5, Vec::new()) });
    assert!(matches!(refused(&mut *store, endless), Refused::Malformed(_)));
    committed(&mut *store, commit(6, vec![record(&owned, &[0; 10])]));
}
