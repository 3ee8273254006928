//! A proof that cannot fail proves nothing: each fault that is put in on purpose must be caught by the books that the runs of
//! `money_exhaustive` and `money_random` are judged by.
//!
//! `cargo test -p chappe-tests --features sabotage --test money_sabotage`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says so, and how much was tried"
)]

use chappe_store::sabotage::{self, Sabotage};
use chappe_tests::money::cluster::Cluster;
use chappe_tests::money::exhaustive::{Scenario, Strike, play, play_on};
use chappe_tests::money::random;
use chappe_tests::rng::Rng;

/// How many runs a sabotage may need until it is caught.
const RUNS: usize = 700;
/// How many schedules.
const SEEDS: u64 = 1000;

/// What is wrong in the first run with one fault that is caught.
fn caught_by_one_fault(sabotage: Option<Sabotage>, prepare: fn(&Cluster)) -> Vec<String> {
    let scenario = Scenario::TwoServers;
    sabotage::set(None);
    let clean = play(scenario, &[]);
    let all = clean.steps.iter().enumerate();
    let mut cases: Vec<(usize, Strike)> = all
        .flat_map(|(at, step)| scenario.strikes(*step).into_iter().map(move |strike| (at, strike)))
        .collect();
    sabotage::set(sabotage);
    let rng = Rng::new(1);
    for _ in 0..RUNS.min(cases.len()) {
        let case = cases.swap_remove(rng.below(cases.len() as u64) as usize);
        let found = play_on(scenario, &[case], prepare);
        if !found.wrong.is_empty() {
            println!("{case:?}: {:?}", found.wrong);
            sabotage::set(None);
            return found.wrong;
        }
    }
    sabotage::set(None);
    Vec::new()
}

/// The same in a seeded schedule.
fn caught_by_chance(sabotage: Sabotage) -> Vec<String> {
    sabotage::set(Some(sabotage));
    let mut outcomes = (0..SEEDS).map(random::play);
    let found = outcomes.find(|outcome| !outcome.wrong.is_empty());
    sabotage::set(None);
    let found = found.unwrap_or_default();
    println!("SEED={}: {:?}", found.seed, found.wrong);
    found.wrong
}

fn assert_money(wrong: &[String]) {
    assert!(wrong.iter().any(|text| text.starts_with("player ")), "no money is wrong: {wrong:?}");
}

#[test]
fn a_delivery_that_is_taken_twice_is_caught() {
    assert_money(&caught_by_one_fault(Some(Sabotage::SkipDedup), |_| ()));
}

#[test]
fn a_stale_record_epoch_that_is_accepted_is_caught() {
    assert_money(&caught_by_chance(Sabotage::SkipFence));
}

#[test]
fn a_sync_that_is_skipped_is_caught() {
    assert_money(&caught_by_one_fault(None, |cluster| cluster.disk.skip_sync(true)));
}

#[test]
fn an_act_before_the_commit_is_caught() {
    assert_money(&caught_by_one_fault(Some(Sabotage::ActBeforeCommit), |_| ()));
}

#[test]
fn output_that_is_released_early_is_caught() {
    assert_money(&caught_by_one_fault(Some(Sabotage::ReleaseEarly), |_| ()));
}
