use super::*;
use crate::place::Place;

pub(crate) fn a_deadline_never_beats_an_act(place: &Place) {
    let mut store = place.open();
    let sent = vec![note(1, Some(HOUR)), note(2, None)];
    committed(&mut *store, Commit { sent, ..commit(1, Vec::new()) });
    let early = Work::Commit(Commit { transitions: vec![expire(1)], ..commit(2, Vec::new()) });
    let early = refused(&mut *store, early);
    assert!(matches!(early, Refused::DeadlineAhead { in_ms: Some(ms), .. } if ms <= HOUR), "{early}");
    let never = Work::Commit(Commit { transitions: vec![expire(2)], ..commit(3, Vec::new()) });
    assert!(matches!(refused(&mut *store, never), Refused::DeadlineAhead { in_ms: None, .. }));
    committed(&mut *store, Commit { transitions: vec![act(1)], ..commit(4, Vec::new()) });
    let late = Work::Commit(Commit { transitions: vec![expire(1)], ..commit(5, Vec::new()) });
    let late = refused(&mut *store, late);
    assert!(matches!(late, Refused::NotificationMoved { found: Some(Step::Decided), .. }), "{late}");
    assert_eq!(store.notification(NotificationId(1)).unwrap().unwrap().outcome.unwrap(), b"ok");
}

pub(crate) fn nothing_acts_after_a_deadline(place: &Place) {
    let mut store = place.open();
    let owned = claim(&mut *store, 2, 7).record;
    let sent = vec![note(1, Some(0)), note(2, Some(0))];
    committed(&mut *store, Commit { sent, ..commit(1, Vec::new()) });
    // Even when nobody has ended it yet.
    let records = vec![record(&owned, b"acted")];
    let late = Work::Commit(Commit { transitions: vec![act(1)], ..commit(2, records.clone()) });
    assert_eq!(refused(&mut *store, late), Refused::DeadlinePassed(NotificationId(1)));
    let works = [
        Commit { transitions: vec![expire(2)], ..commit(3, Vec::new()) },
        Commit { transitions: vec![act(2)], ..commit(4, records) },
        Commit { transitions: vec![settle(2)], ..commit(5, Vec::new()) },
    ];
    let done = store.flush(&works.map(Work::Commit)).unwrap();
    assert!(matches!(done[0], Done::Committed(_)) && matches!(done[2], Done::Committed(_)), "{done:?}");
    assert!(matches!(done[1], Done::Refused(Refused::NotificationMoved { found: Some(Step::Decided), .. })));
    assert_eq!(store.load(2).unwrap().unwrap().document, b"new");
    assert_eq!(store.notification(NotificationId(2)).unwrap(), None);
}

pub(crate) fn a_notification_never_ends_twice(place: &Place) {
    let mut store = place.open();
    committed(&mut *store, Commit { sent: vec![note(1, Some(HOUR))], ..commit(1, Vec::new()) });
    let ends = |id, transitions| Work::Commit(Commit { transitions, ..commit(id, Vec::new()) });
    let early = refused(&mut *store, ends(2, vec![settle(1)]));
    assert!(matches!(early, Refused::NotificationMoved { found: Some(Step::Sent), .. }));
    let done = store.flush(&[ends(3, vec![act(1)]), ends(4, vec![act(1)])]).unwrap();
    assert!(matches!(done[0], Done::Committed(_)) && matches!(done[1], Done::Refused(_)), "{done:?}");
    let second = transition(1, Step::Decided, When::Any, Some(b"another"));
    assert!(matches!(refused(&mut *store, ends(5, vec![second])), Refused::Malformed(_)));
    assert!(matches!(refused(&mut *store, ends(6, vec![settle(1), settle(1)])), Refused::Malformed(_)));
    assert!(matches!(one(&mut *store, ends(7, vec![settle(1)])), Done::Committed(_)));
    let again = refused(&mut *store, ends(8, vec![settle(1)]));
    assert!(matches!(again, Refused::NotificationMoved { found: None, .. }));
}

pub(crate) fn a_handler_that_was_given_an_outcome_that_never_was_is_refused(place: &Place) {
    let mut store = place.open();
    let sent = vec![note(1, Some(0)), note(2, Some(0))];
    committed(&mut *store, Commit { sent, ..commit(1, Vec::new()) });
    let handled = |id, outcome: &[u8]| Transition { handled: Some(outcome.to_vec()), ..settle(id) };
    let ends = |id, transition| Commit { transitions: vec![transition], ..commit(id, Vec::new()) };
    // A server acts, and goes on from the outcome; the deadline was first: in one flush, and in an earlier one.
    let works = [ends(2, expire(1)), ends(3, act(1)), ends(4, handled(1, b"ok")), ends(5, expire(2))];
    let done = store.flush(&works.map(Work::Commit)).unwrap();
    let is_moved = |done: &Done| matches!(done, Done::Refused(Refused::NotificationMoved { .. }));
    assert!(is_moved(&done[1]) && is_moved(&done[2]), "{done:?}");
    let later = refused(&mut *store, Work::Commit(ends(6, handled(2, b"ok"))));
    assert!(matches!(later, Refused::NotificationMoved { found: Some(Step::Decided), .. }), "{later}");
    for id in [1, 2] {
        committed(&mut *store, ends(id + 10, handled(id, b"late")));
        assert_eq!(store.notification(NotificationId(id)).unwrap(), None);
    }
}

pub(crate) fn unsettled_notifications_are_there_after_a_restart(place: &Place) {
    let mut store = place.open();
    let mut sent = vec![note(9, Some(HOUR)), note(3, None), note(5, Some(HOUR))];
    sent[1].sender = Sender::Node(NodeId(-4));
    let first = committed(&mut *store, Commit { sent: sent.clone(), ..commit(1, Vec::new()) });
    committed(&mut *store, Commit { transitions: vec![act(3)], ..commit(2, Vec::new()) });
    committed(&mut *store, Commit { transitions: vec![act(5)], ..commit(3, Vec::new()) });
    committed(&mut *store, Commit { transitions: vec![settle(5)], ..commit(4, Vec::new()) });
    drop(store);
    let mut store = place.open();
    let found = store.unsettled(0, 10).unwrap();
    assert_eq!(found.iter().map(|note| note.id.0).collect::<Vec<_>>(), [9, 3]);
    let (nine, three) = (&found[0], &found[1]);
    assert_eq!((nine.order, three.order), (first.first_order, first.first_order + 1));
    assert_eq!((nine.step, three.step), (Step::Sent, Step::Decided));
    assert_eq!((nine.deadline_ms, nine.created_ms), (Some(first.at_ms + HOUR), first.at_ms));
    assert_eq!((nine.sender, three.sender), (Sender::Player(1), Sender::Node(NodeId(-4))));
    assert_eq!((&nine.payload, &nine.kind, nine.depth), (&sent[0].payload, &sent[0].kind, 1));
    assert_eq!(three.outcome.as_deref(), Some(b"ok".as_slice()));
    assert_eq!(store.unsettled(nine.order, 10).unwrap(), std::slice::from_ref(three));
    assert_eq!(store.unsettled(0, 1).unwrap().len(), 1);
    assert_eq!(store.notification(NotificationId(9)).unwrap().as_ref(), Some(nine));
}

pub(crate) fn notifications_are_never_out_of_order(place: &Place) {
    let mut last = 0;
    for turn in 0..3 {
        let mut store = place.open();
        for step in 0..3 {
            let id = 100 - turn * 10 - step;
            let now = committed(&mut *store, Commit { sent: vec![note(id, None)], ..commit(id, Vec::new()) });
            assert!(now.first_order > last, "{} after {last}", now.first_order);
            last = now.first_order;
            committed(&mut *store, Commit { transitions: vec![act(id)], ..commit(id + 1000, Vec::new()) });
            committed(&mut *store, Commit { transitions: vec![settle(id)], ..commit(id + 2000, Vec::new()) });
        }
    }
}

pub(crate) fn what_is_sent_and_settled_in_one_flush_is_not_there(place: &Place) {
    let mut store = place.open();
    let (one, two) = (claim(&mut *store, 1, 7).record, claim(&mut *store, 2, 7).record);
    let later = |of: &Record, by: u64| Record { version: of.version + by, ..of.clone() };
    let debit = Commit { sent: vec![note(1, Some(HOUR))], ..commit(1, vec![record(&one, b"debited")]) };
    let act = Commit { transitions: vec![act(1)], ..commit(2, vec![record(&two, b"credited")]) };
    let success =
        Commit { transitions: vec![settle(1)], ..commit(3, vec![record(&later(&one, 1), b"told")]) };
    let again = Work::Commit(Commit { sent: vec![note(1, None)], ..commit(4, Vec::new()) });
    let mut works: Vec<_> = [debit.clone(), act, success].map(Work::Commit).into();
    works.insert(1, again);
    let done = store.flush(&works).unwrap();
    assert_eq!(done[1], Done::Refused(Refused::DuplicateNotification(NotificationId(1))));
    assert_eq!(done.iter().filter(|done| matches!(done, Done::Committed(_))).count(), 3, "{done:?}");
    assert!(store.unsettled(0, 10).unwrap().is_empty());
    assert_eq!(store.load(1).unwrap().unwrap().document, b"told");
    assert_eq!(store.load(2).unwrap().unwrap().document, b"credited");
}
