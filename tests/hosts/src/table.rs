//! The table of the faults, and whether all of them were really done.

use crate::faults::{Fault, Struck};
use std::time::Duration;

/// One line a fault; of times, the longest.
#[must_use]
pub fn draw(struck: &[Struck]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<44}{:>6}{:>17}{:>16}{:>12}{:>15}",
        "what went wrong", "times", "nobody let in", "all well after", "work done", "sessions lost"
    )];
    for fault in Fault::ALL {
        let of: Vec<&Struck> = struck.iter().filter(|one| one.fault == fault).collect();
        if of.is_empty() {
            continue;
        }
        let most = |of_one: fn(&Struck) -> Duration| {
            format!("{:.1?}", of.iter().map(|one| of_one(one)).max().unwrap_or_default())
        };
        let (work, lost): (u64, u64) =
            (of.iter().map(|one| one.work).sum(), of.iter().map(|one| one.lost).sum());
        lines.push(format!(
            "{:<44}{:>6}{:>17}{:>16}{work:>12}{lost:>15}",
            fault.as_str(),
            of.len(),
            most(|one| one.standstill),
            most(|one| one.took)
        ));
    }
    lines
}

/// What was to be done and was not, and sessions that were lost where none may be.
#[must_use]
pub fn shortcomings(struck: &[Struck], wanted: &[Fault]) -> Vec<String> {
    let is_done = |fault: &&Fault| struck.iter().any(|one| one.fault == **fault);
    let missing = wanted.iter().filter(|fault| !is_done(fault)).map(|fault| format!("not done: {fault}"));
    let lost = struck.iter().filter(|one| one.lost > 0 && !one.may_lose);
    let lost = lost.map(|one| format!("{} ({}): {} sessions were lost", one.fault, one.whom, one.lost));
    missing.chain(lost).collect()
}
