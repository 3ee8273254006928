//! The table of a run, and whether the run counts.

use crate::audit::{End, Ends};
use crate::books::Books;
use crate::faults::Done;
use crate::ledger::Ledger;
use chappe::Role;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Roles that a run must have killed.
const ROLES: [Role; 3] = [Role::Master, Role::Proxy, Role::Game];
/// Reasons of failure that a run must have seen.
const REASONS: [&str; 6] =
    ["notEnoughMoney", "moneyReceivedMax", "userNotFound", "handlerFailed", "noHandler", "deadlineExceeded"];
/// Lines of a failure that are shown.
const SHOWN: usize = 20;
/// One more where the database is killed.
const UNAVAILABLE: &str = "StoreUnavailable";

/// All that a run has shown.
pub(crate) struct Report<'a> {
    pub(crate) books: &'a Books,
    pub(crate) ledger: &'a Ledger,
    pub(crate) ends: &'a Ends,
    pub(crate) done: &'a Done,
    /// Sums of money before and after.
    pub(crate) sums: (i64, i64),
    pub(crate) dead_letters: Vec<String>,
    pub(crate) restarts: usize,
}

impl Report<'_> {
    /// Prints the table.
    pub(crate) fn show(&self) {
        let (books, mut rows) = (self.books, Vec::new());
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        row("gifts asked for", books.gifts.len().to_string());
        row("transfers begun", self.sum(|account| account.begun).to_string());
        row("  succeeded", self.ends.count(|end| *end == End::Given).to_string());
        row("  of these between servers", self.crossed().to_string());
        for (code, count) in self.failed() {
            row(&format!("  failed: {code}"), count.to_string());
        }
        for (code, count) in self.refused() {
            row(&format!("refused before they began: {code}"), count.to_string());
        }
        for (code, count) in &books.passing {
            row(&format!("refused for now, asked again: {code}"), count.to_string());
        }
        let unknown = self.unknown();
        row("unknown to the giver", unknown.values().sum::<usize>().to_string());
        for (end, count) in unknown {
            row(&format!("  really ended: {end}"), count.to_string());
        }
        for ((what, whom), count) in self.done {
            row(&format!("{what}: {whom}"), count.to_string());
        }
        row("restarts of nodes", self.restarts.to_string());
        row("logins, logouts", format!("{}, {}", books.logins, books.logouts));
        row("requests sent again", books.repeats.to_string());
        row("dead letters", self.dead_letters.len().to_string());
        let (half, most) = (self.latency(50), self.latency(99));
        row("latency of a success, p50, p99", format!("{half:.1?}, {most:.1?}"));
        row("sum of money before, after", format!("{}, {}", self.sums.0, self.sums.1));
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        say("");
        rows.iter().for_each(|(name, value)| say(&format!("{name:<width$}  {value}")));
        say("");
    }

    /// Why the run proves too little; `least`: transfers between servers.
    pub(crate) fn shortcomings(&self, least: i64, has_database: bool) -> Vec<String> {
        let mut missing: Vec<String> = self.too_few(least).into_iter().collect();
        let is_killed = |role: &Role| self.done.contains_key(&("kill -9", role.as_str()));
        missing
            .extend(ROLES.iter().filter(|role| !is_killed(role)).map(|role| format!("no {role} was killed")));
        if !self.done.keys().any(|(what, _)| *what == "freeze") {
            missing.push("nothing was frozen".to_owned());
        }
        let (failed, refused) = (self.failed(), self.refused());
        let is_seen = |reason: &&str| {
            failed.contains_key(*reason)
                || refused.contains_key(*reason)
                || self.books.passing.contains_key(*reason)
        };
        let unavailable = has_database.then_some(UNAVAILABLE);
        let reasons = REASONS.into_iter().chain(unavailable);
        missing.extend(
            reasons.filter(|reason| !is_seen(reason)).map(|reason| format!("nothing failed with {reason}")),
        );
        if has_database && !self.done.contains_key(&("crash", "database")) {
            missing.push("the database was not killed".to_owned());
        }
        missing
    }

    /// Whether too little was done.
    pub(crate) fn too_few(&self, least: i64) -> Option<String> {
        let crossed = self.crossed();
        (crossed < least)
            .then(|| format!("{crossed} transfers between servers succeeded; {least} are needed"))
    }

    fn sum(&self, of: impl Fn(&crate::ledger::Account) -> i64) -> i64 {
        self.ledger.values().map(of).sum()
    }

    fn crossed(&self) -> i64 {
        self.sum(|account| account.crossed)
    }

    fn failed(&self) -> BTreeMap<&str, i64> {
        let mut failed = BTreeMap::new();
        for (code, count) in self.ledger.values().flat_map(|account| &account.failed) {
            *failed.entry(code.as_str()).or_default() += count;
        }
        failed
    }

    fn refused(&self) -> BTreeMap<&str, usize> {
        let mut refused = BTreeMap::new();
        for told in self.books.gifts.values().filter_map(|gift| gift.told.as_ref()) {
            if !told.ended {
                *refused.entry(told.code.as_str()).or_default() += 1;
            }
        }
        refused
    }

    fn unknown(&self) -> BTreeMap<String, usize> {
        let mut unknown = BTreeMap::new();
        for (key, _) in self.books.gifts.iter().filter(|(_, gift)| gift.told.is_none()) {
            let end = match self.ends.of(key) {
                Some(End::Given) => "succeeded".to_owned(),
                Some(End::Back(code)) => format!("failed, {code}"),
                Some(End::Nothing) => "never began".to_owned(),
                None => "by the audit, not at all".to_owned(),
            };
            *unknown.entry(end).or_default() += 1;
        }
        unknown
    }

    fn latency(&self, percent: usize) -> Duration {
        let mut all = self.books.latencies.clone();
        all.sort_unstable();
        all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// Names what went wrong.
pub(crate) fn failures(failed: &[String]) -> ExitCode {
    failed.iter().take(SHOWN).for_each(|why| say(&format!("FAILED: {why}")));
    if failed.len() > SHOWN {
        say(&format!("FAILED: and {} more, in failures.txt there", failed.len() - SHOWN));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A line for whoever watches; a closed pipe does not end the run.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
