//! The table alone.

use crate::desk::inflight::{Flight, InFlight, Life, Place, Target};
use chappe_store::{NotificationId, Sender, Step};
use chappe_wire::NodeId;
use std::time::Duration;

const HERE: Life = (NodeId(30), 1);
const THERE: Life = (NodeId(31), 2);
const RECEIVER: Target = Target::Player(7);
const NOW: Duration = Duration::ZERO;

fn flight(order: u64) -> Flight {
    Flight {
        order,
        step: Step::Sent,
        sender: Sender::Player(5),
        receiver: 7,
        kind: "a.b".into(),
        depth: 0,
        deadline_ms: Some(1000 + order),
        place: Place::Waiting,
        since: NOW,
        payload: Some(vec![1; 10]),
        outcome: None,
    }
}

fn table(orders: &[u64]) -> InFlight {
    let mut table = InFlight::default();
    for order in orders {
        assert!(table.insert(id(*order), flight(*order)));
    }
    table
}

fn id(number: u64) -> NotificationId {
    NotificationId(u128::from(number))
}

fn due(table: &InFlight, target: Target, to: Life) -> Vec<u128> {
    table.due(target, to, 100).into_iter().map(|due| due.id.0).collect()
}

#[test]
fn a_later_notification_overtakes_an_earlier_one_on_another_server() {
    let mut table = table(&[3, 1, 2]);
    assert_eq!(due(&table, RECEIVER, HERE), [1, 2, 3]);
    table.put(id(2), Step::Sent, Place::Accepted(HERE));
    assert_eq!(due(&table, RECEIVER, HERE), [1, 3], "where the earlier one is, the later one may go");
    assert_eq!(due(&table, RECEIVER, THERE), [1], "elsewhere it waits for the earlier one");
    assert_eq!(table.outstanding(7, HERE).len(), 2);
    assert_eq!(table.outstanding(7, THERE).len(), 3);
    assert_eq!(table.give_back(id(2), Step::Sent, THERE), None, "only who has it can give it back");
    assert_eq!(table.give_back(id(2), Step::Sent, HERE), Some(RECEIVER));
    assert_eq!(due(&table, RECEIVER, THERE), [1, 2, 3]);
}

#[test]
fn what_a_lost_node_had_is_lost_with_it() {
    let mut table = table(&[1, 2]);
    table.put(id(1), Step::Sent, Place::Accepted(HERE));
    table.put(id(2), Step::Sent, Place::Sent(HERE));
    assert!(!table.has_waiting(RECEIVER));
    assert!(table.lose((NodeId(30), 9)).is_empty(), "another life of it");
    assert_eq!(table.lose(HERE).into_iter().collect::<Vec<_>>(), [RECEIVER]);
    assert_eq!(due(&table, RECEIVER, THERE), [1, 2]);
    assert_eq!(table.waiting_targets().into_iter().collect::<Vec<_>>(), [RECEIVER]);
}

#[test]
fn an_outcome_goes_to_the_receiver() {
    let mut table = table(&[1]);
    table.put(id(1), Step::Sent, Place::Accepted(HERE));
    let changed = table.decide(id(1), Some(vec![2]), Place::Waiting, NOW);
    assert_eq!(changed, Some([RECEIVER, Target::Player(5)]));
    assert_eq!(table.decide(id(1), Some(vec![2]), Place::Waiting, NOW), None, "decided once");
    assert_eq!(table.put(id(1), Step::Sent, Place::Waiting), None, "an answer for a step that is over");
    assert_eq!(due(&table, Target::Player(5), THERE), [1]);
    assert_eq!((table.counts(), table.next_deadline()), ((0, 1), None), "an outcome has no deadline");
    assert_eq!(table.settle(id(1)), Some(Target::Player(5)));
    assert_eq!((table.counts(), table.after(0).count()), ((0, 0), 0));
}

#[test]
fn an_outcome_waits_for_a_read_though_all_of_it_is_here() {
    let mut table = table(&[1, 2]);
    assert_eq!(table.carried(id(1)), Some((vec![1; 10], None)));
    table.decide(id(1), Some(vec![2]), Place::Waiting, NOW);
    assert_eq!(table.carried(id(1)), Some((vec![1; 10], Some(vec![2]))));
    table.decide(id(2), None, Place::Waiting, NOW);
    assert_eq!(table.carried(id(2)), None, "its outcome is in the store alone");
}

#[test]
fn what_is_kept_in_memory_has_no_bound() {
    let mut table = table(&[1]);
    let huge = Flight { order: 2, payload: Some(vec![0; 65 << 20]), ..flight(2) };
    table.insert(id(2), huge);
    assert_eq!((table.carried(id(1)).is_some(), table.carried(id(2))), (true, None));
}

#[test]
fn a_deadline_is_looked_at_twice_or_never() {
    let mut table = table(&[1, 2, 3]);
    assert_eq!(table.next_deadline(), Some(1001));
    assert!(table.take_overdue(1000, 10).is_empty());
    assert_eq!(table.take_overdue(1002, 1), [id(1)]);
    assert_eq!(table.take_overdue(1002, 10), [id(2)]);
    table.settle(id(3));
    assert_eq!(table.next_deadline(), None);
    table.postpone(id(1), 2000);
    assert_eq!(table.next_deadline(), Some(2000));
    table.decide(id(1), Some(vec![2]), Place::Waiting, NOW);
    assert_eq!(table.next_deadline(), None);
}

#[test]
fn a_notification_is_taken_in_twice() {
    let mut table = table(&[1]);
    table.put(id(1), Step::Sent, Place::Accepted(HERE));
    assert!(!table.insert(id(1), flight(9)));
    assert!(!table.has_waiting(RECEIVER));
}
