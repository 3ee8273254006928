//! Seeded schedules of players who give each other money while everything dies. `SEED=n cargo test -p chappe-tests --test
//! money_random` replays one; `SEEDS=n` runs so many.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says so, and how much was tried"
)]

use chappe_tests::money::random::{Outcome, play, play_with_two_masters};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many schedules a test run plays, without a word.
const SEEDS: u64 = 1000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_schedule_loses_or_doubles_money() {
    plays(SEEDS, play, &["ok", "moneyReceivedMax", "notEnoughMoney", "userNotFound"]);
}

#[test]
fn no_change_of_the_master_loses_or_doubles_money() {
    plays(SEEDS / 4, play_with_two_masters, &["ok", "moneyReceivedMax"]);
}

fn plays(most: u64, play: fn(u64) -> Outcome, codes: &[&str]) {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(most),
    };
    let (next, found) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = Outcome { trace: Vec::new(), ..play(seed) };
                    if !outcome.wrong.is_empty() {
                        eprintln!("{outcome}");
                    }
                    found.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let (mut gifts, mut faults) = (BTreeMap::<String, u64>::new(), BTreeMap::<&str, u64>::new());
    for outcome in &found {
        outcome.gifts.iter().for_each(|(code, count)| *gifts.entry(code.clone()).or_default() += count);
        outcome.faults.iter().for_each(|(kind, count)| *faults.entry(kind).or_default() += count);
    }
    println!("{} schedules; gifts by outcome: {gifts:?}; faults: {faults:?}", found.len());
    let mut wrong: Vec<u64> =
        found.iter().filter(|outcome| !outcome.wrong.is_empty()).map(|outcome| outcome.seed).collect();
    wrong.sort_unstable();
    assert!(wrong.is_empty(), "money is lost or doubled under SEED= {wrong:?}");
    if seeds.end - seeds.start >= 100 {
        for code in codes {
            assert!(gifts.get(*code).is_some_and(|count| *count >= 100), "{code} is not among {gifts:?}");
        }
    }
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in [1, 2, 3] {
        let (one, two) = (play(seed), play(seed));
        assert_eq!(one.story, two.story, "SEED={seed}");
        let differs = one.trace.iter().zip(&two.trace).position(|(one, two)| one != two);
        assert_eq!(differs.map(|at| (at, one.trace[at], two.trace[at])), None, "SEED={seed}");
        assert_eq!(one.trace.len(), two.trace.len(), "SEED={seed}");
        assert_ne!(one.trace, play(seed + 100).trace);
    }
}
