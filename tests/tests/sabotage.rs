//! A suite that cannot fail proves nothing: each fault that is put in on purpose must be caught by the checks that
//! the simulator's runs are judged by, and the same runs without it must be clean.
//!
//! `cargo test -p chappe-tests --features sabotage --test sabotage`

use chappe_node::sabotage::{self, Sabotage};
use chappe_tests::fault::Trick;
use chappe_tests::sim::{Outcome, Plan, run};

/// The schedules that each sabotage is tried on.
const SEEDS: [u64; 3] = [1, 2, 7];

/// Runs the schedules; what was broken in them.
fn broken(faults: bool, trick: Option<Trick>, in_nodes: Option<Sabotage>) -> Vec<String> {
    sabotage::set(in_nodes);
    let runs = SEEDS.map(|seed| run(Plan { faults, trick, ..Plan::new(seed) }));
    sabotage::set(None);
    if trick.is_some() {
        assert!(runs.iter().any(|run| run.tricks > 0), "the trick was never played");
    }
    runs.into_iter().flat_map(|Outcome { violations, .. }| violations).collect()
}

fn assert_caught(broken: &[String], what: &str) {
    assert!(broken.iter().any(|text| text.contains(what)), "{what:?} is not among {broken:#?}");
}

#[test]
fn without_sabotage_the_same_schedules_are_clean() {
    assert_eq!(broken(false, None, None), Vec::<String>::new());
    assert_eq!(broken(true, None, None), Vec::<String>::new());
}

#[test]
fn two_messages_of_a_pair_that_change_places_are_caught() {
    assert_caught(&broken(false, Some(Trick::Reorder), None), "out of order");
}

#[test]
fn a_message_that_is_silently_lost_is_caught() {
    let broken = broken(false, Some(Trick::Lose), None);
    assert_caught(&broken, "never arrived, and nothing came between");
    assert_caught(&broken, "unaccounted");
}

#[test]
fn a_frame_that_is_lost_with_its_number_is_caught() {
    let broken = broken(false, Some(Trick::Drop), None);
    assert_caught(&broken, "never arrived, and nothing came between");
    assert_caught(&broken, "sequence_gaps");
}

#[test]
fn a_request_that_is_answered_twice_is_caught() {
    assert_caught(&broken(false, None, Some(Sabotage::AnswerTwice)), "answers came late, and only");
}

#[test]
fn a_message_to_a_node_that_is_not_ready_is_caught() {
    assert_caught(&broken(true, None, Some(Sabotage::RouteUnready)), "before it was ready");
}

#[test]
fn a_stale_session_epoch_that_is_accepted_is_caught() {
    assert_caught(&broken(false, None, Some(Sabotage::StaleEpoch)), "which is not there");
}
