//! giveMoney with a fault at every step that it takes, alone and in pairs.

use chappe_tests::money::exhaustive::{Scenario, count, play};

#[test]
fn without_faults_each_scenario_ends_as_it_should() {
    for scenario in Scenario::ALL {
        let found = play(scenario, &[]);
        println!("{scenario}: {} -> {}", count(&found.steps), found.code);
        assert_eq!(found.wrong, Vec::<String>::new(), "{scenario}");
    }
}

#[test]
fn alone() {
    let mut runs = 0;
    let begin = std::time::Instant::now();
    let only = std::env::var("ONLY").ok();
    for scenario in Scenario::ALL {
        if only.as_ref().is_some_and(|only| *only != scenario.to_string()) {
            continue;
        }
        let clean = play(scenario, &[]);
        for (at, step) in clean.steps.iter().enumerate() {
            for strike in scenario.strikes(*step) {
                let found = play(scenario, &[(at, strike)]);
                runs += 1;
                if !found.wrong.is_empty() {
                    println!("{scenario} {at} {step:?} {strike:?}: {:#?}", found.wrong);
                }
            }
        }
        println!("{scenario} {runs} {:?}", begin.elapsed());
    }
}

#[test]
fn one() {
    let found = play(Scenario::Offline, &[]);
    let (from, to) = (number("FROM"), number("TO"));
    for (at, step) in found.steps.iter().enumerate().skip(from).take(to - from) {
        for strike in Scenario::Offline.strikes(*step) {
            eprintln!("{at} {step:?} {strike:?}");
            let found = play(Scenario::Offline, &[(at, strike)]);
            eprintln!("    {:?}", found.wrong);
        }
    }
}
fn number(name: &str) -> usize { std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(99) }
