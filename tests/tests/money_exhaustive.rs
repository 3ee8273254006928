//! giveMoney with a fault at every step that it takes, alone and in pairs: a process that dies, a link that is cut or holds
//! everything back, a process that stops, a flush that goes wrong.
//!
//! `ALONE=0` leaves out those with one fault; `SECONDS=n` gives the pairs so long instead of 25 s, `SEED=n` draws others; `CASE='TwoServers 3:4 17:0'` plays one case
//! again: at step 3 the fault of number 4, at step 17 that of number 0.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says so, and how much was tried"
)]

use chappe_tests::money::exhaustive::{Found, Scenario, Strike, count, play};
use chappe_tests::rng::Rng;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The faults of a run: at which step, and which.
type Case = (Scenario, Vec<(usize, Strike)>);

/// How far behind the first fault the second one may come, in steps.
const BEHIND: u64 = 90;
/// For how long pairs are drawn, by default.
const PAIRS: Duration = Duration::from_secs(25);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_fault_at_any_step_of_a_gift_loses_or_doubles_money() {
    let clean: Vec<(Scenario, Found)> =
        Scenario::ALL.into_iter().map(|scenario| (scenario, play(scenario, &[]))).collect();
    for (scenario, found) in &clean {
        println!("{scenario}: {}; without faults: {:?}", count(&found.steps), found.code);
        assert_eq!(found.wrong, Vec::<String>::new(), "{scenario}");
        assert!(found.steps.len() > 10, "{scenario}");
    }
    if let Ok(case) = std::env::var("CASE") {
        return again(&clean, &case);
    }
    let mut alone: Vec<Case> = Vec::new();
    for (scenario, found) in &clean {
        for (at, step) in found.steps.iter().enumerate() {
            alone.extend(scenario.strikes(*step).into_iter().map(|strike| (*scenario, vec![(at, strike)])));
        }
    }
    let begun = Instant::now();
    let singles = run(&alone, |_| number("ALONE") != Some(0));
    println!(
        "alone: {} runs, all of them, in {:?}; outcomes {:?}",
        alone.len(),
        begun.elapsed(),
        singles.codes
    );

    // A second fault at any of the steps that follow, those of recovery among them.
    let seed = number("SEED").unwrap_or(1);
    let lasts = number("SECONDS").map_or(PAIRS, Duration::from_secs);
    let rng = Rng::new(seed);
    let all: u64 = alone.len() as u64 * BEHIND * 18;
    let drawn: Vec<Case> = (0..200_000)
        .map(|_| {
            let (scenario, first) = rng.pick(&alone).clone();
            let at = first[0].0 + 1 + rng.below(BEHIND) as usize;
            let second = *rng.pick(&scenario.strikes(chappe_tests::steps::Step::CommitBegun));
            (scenario, vec![first[0], (at, second)])
        })
        .collect();
    let begun = Instant::now();
    let pairs = run(&drawn, |_| begun.elapsed() < lasts);
    println!(
        "in pairs: {} runs of about {all}, drawn with SEED={seed}, in {:?}; in {} of them both came about; outcomes {:?}",
        pairs.runs,
        begun.elapsed(),
        pairs.both,
        pairs.codes
    );
    let wrong: Vec<String> = singles.wrong.into_iter().chain(pairs.wrong).collect();
    assert!(
        wrong.is_empty(),
        "{} cases are wrong; the first:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(8)].join("\n")
    );
}

#[derive(Default)]
struct Sum {
    runs: usize,
    both: usize,
    codes: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// Plays cases, several at once, as long as `goes_on`.
fn run(cases: &[Case], goes_on: impl Fn(usize) -> bool + Sync) -> Sum {
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Sum::default()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((scenario, strikes)) = cases.get(at).filter(|_| goes_on(at)) else { break };
                    let found = play(*scenario, strikes);
                    let mut sum = sum.lock().unwrap();
                    sum.runs += 1;
                    sum.both += usize::from(found.struck == 2);
                    *sum.codes.entry(found.code).or_default() += 1;
                    if !found.wrong.is_empty() {
                        eprintln!("CASE={:?} {:?}", name(*scenario, strikes), found.wrong);
                        sum.wrong.push(format!(
                            "CASE={:?} {strikes:?}: {:#?}",
                            name(*scenario, strikes),
                            found.wrong
                        ));
                    }
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

/// A case as `CASE` takes it.
fn name(scenario: Scenario, strikes: &[(usize, Strike)]) -> String {
    let all = scenario.strikes(chappe_tests::steps::Step::CommitBegun);
    let number = |strike: &Strike| all.iter().position(|other| other == strike).unwrap_or_default();
    let strikes: Vec<String> =
        strikes.iter().map(|(at, strike)| format!("{at}:{}", number(strike))).collect();
    format!("{scenario} {}", strikes.join(" "))
}

fn again(clean: &[(Scenario, Found)], case: &str) {
    let mut parts = case.split_whitespace();
    let scenario = parts.next().unwrap_or_default();
    let (scenario, _) = clean.iter().find(|(one, _)| one.to_string() == scenario).unwrap();
    let all = scenario.strikes(chappe_tests::steps::Step::CommitBegun);
    let strike = |part: &str| {
        let (at, strike) = part.split_once(':').unwrap();
        (at.parse().unwrap(), all[strike.parse::<usize>().unwrap()])
    };
    let strikes: Vec<(usize, Strike)> = parts.map(strike).collect();
    println!("{scenario} with {strikes:?}");
    let found = play(*scenario, &strikes);
    assert_eq!(found.wrong, Vec::<String>::new());
}
