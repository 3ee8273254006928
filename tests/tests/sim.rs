//! The cluster on virtual time: hundreds of seeded schedules of kills, delays, cuts and freezes, each judged by
//! the oracle. `SEED=n cargo test -p chappe-tests --test sim` replays one; `SEEDS=n` runs so many.

use chappe_tests::sim::{Outcome, Plan, run};
use chappe_wire::Reason;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many schedules a test run plays, without a word.
const SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A part of the seeds: the parts run beside each other.
fn part(of: u64) {
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => Vec::from_iter((seed % 2 == of).then_some(seed)),
        None => (0..number("SEEDS").unwrap_or(SEEDS)).filter(|seed| seed % 2 == of).collect(),
    };
    let failed: Vec<Outcome> =
        seeds.into_iter().map(|seed| run(Plan::new(seed))).filter(|run| !run.violations.is_empty()).collect();
    let seeds: Vec<u64> = failed.iter().map(|run| run.seed).collect();
    if let Some(first) = failed.first() {
        panic!("promises are broken under SEED= {seeds:?}; the first:\n{first}");
    }
}

#[test]
fn no_seeded_schedule_breaks_a_promise_even() {
    part(0);
}

#[test]
fn no_seeded_schedule_breaks_a_promise_odd() {
    part(1);
}

#[test]
fn without_faults_everything_arrives() {
    let outcome = run(Plan { faults: false, ..Plan::new(77) });
    outcome.assert_clean();
    assert!(outcome.messages > 1000, "only {} messages", outcome.messages);
}

#[test]
fn a_node_that_is_replaced_in_order_costs_a_message() {
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(12), |seed| seed..seed + 1);
    for seed in seeds {
        let outcome =
            run(Plan { faults: false, rolls: true, length: Duration::from_secs(10), ..Plan::new(seed) });
        outcome.assert_clean();
        assert!(outcome.story.len() > 9 && outcome.messages > 1000, "{outcome}");
    }
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in [3, 4, 5] {
        let (one, two) = (run(Plan::new(seed)), run(Plan::new(seed)));
        assert_eq!(one.story, two.story, "SEED={seed}");
        let differs = one.trace.iter().zip(&two.trace).position(|(one, two)| one != two);
        let around = |at: usize| (one.trace[at], two.trace[at]);
        assert_eq!(differs.map(around), None, "SEED={seed}: the {differs:?}th step differs");
        assert_eq!(one.trace.len(), two.trace.len(), "SEED={seed}");
        assert_ne!(one.trace, run(Plan::new(seed + 100)).trace);
    }
}

/// Checks that never have anything to judge prove nothing.
#[test]
fn the_schedules_come_upon_everything_that_can_go_wrong() {
    let mut met: BTreeMap<Reason, u64> = BTreeMap::new();
    for seed in 0..12 {
        for (reason, count) in run(Plan::new(seed)).reasons {
            *met.entry(reason).or_default() += count;
        }
    }
    for reason in [
        Reason::NodeLost,
        Reason::DeadlineExceeded,
        Reason::HandlerFailed,
        Reason::NoProvider,
        Reason::Disconnected,
        Reason::NotReady,
        Reason::StaleSession,
    ] {
        assert!(met.get(&reason).is_some_and(|count| *count >= 10), "{reason} is not among {met:?}");
    }
}
