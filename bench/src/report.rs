//! The comparison as text.

use std::fmt::Write;

use crate::{
    compare::{Cell, Comparison, QUIET},
    goals::{Verdict, verdicts},
    job::{Engine, Runtime},
    measure::Figure,
    rows::{Measure, Row, System},
};

/// The columns of the tables; NATS has one, with its better variant.
const COLUMNS: [&str; 7] = ["raw", "nats", "redis", "tonic", "relay", "chappe", "chappe memory"];
const TITLE: usize = 39;
const COLUMN: usize = 14;

/// The whole report.
pub(crate) fn report(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, comparison);
    text
}

fn write_report(to: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let Comparison { machine, rounds, seconds, size, .. } = comparison;
    writeln!(to, "\n{machine}")?;
    writeln!(to, "medians of {rounds} interleaved round(s) of {seconds} s each, {size}-byte payload\n")?;
    write_table(to, comparison, "", |cell, figure| {
        crate::compare::value(cell.row, figure).map(|v| amount(cell.row, v))
    })?;
    writeln!(to)?;
    write_table(to, comparison, "CPU us, all processes: ", |_, figure| figure.cpu_us_per_op.map(short))?;
    writeln!(to)?;
    write_goals(to, &verdicts(comparison))?;
    write_notes(to, comparison)?;
    if let Some(ratio) = comparison.void() {
        writeln!(
            to,
            "\nVOID: raw sockets were only {ratio:.1} x NATS at 64 in flight. On an undisturbed machine they are at \
             least 4 x: it was disturbed, and none of this is to be believed. Run it again with nothing beside it."
        )?;
    }
    Ok(())
}

fn write_table(
    to: &mut String,
    comparison: &Comparison,
    prefix: &str,
    show: impl Fn(&Cell, &Figure) -> Option<String>,
) -> std::fmt::Result {
    write!(to, "{:TITLE$}", prefix.trim_end_matches([':', ' ']))?;
    for column in COLUMNS {
        write!(to, "{column:>COLUMN$}")?;
    }
    writeln!(to)?;
    for row in Row::ALL.into_iter().filter(|row| comparison.cells.iter().any(|cell| cell.row == *row)) {
        write!(to, "{:TITLE$}", row.title())?;
        for column in COLUMNS {
            let cell = in_column(comparison, row, column);
            let shown = cell.and_then(|cell| show(cell, cell.median.as_ref()?));
            let missing = if cell.is_some_and(|cell| !cell.failures.is_empty()) { "failed" } else { "-" };
            write!(to, "{:>COLUMN$}", shown.unwrap_or_else(|| missing.to_owned()))?;
        }
        writeln!(to)?;
    }
    Ok(())
}

/// The cell that a column shows in a row.
fn in_column<'a>(comparison: &'a Comparison, row: Row, column: &str) -> Option<&'a Cell> {
    if column == "nats" {
        let failed = System::Baseline(Engine::NatsInbox);
        return comparison.cell(row, comparison.nats(row).unwrap_or(failed));
    }
    comparison.cells.iter().find(|cell| cell.row == row && cell.system.title() == column)
}

fn write_goals(to: &mut String, verdicts: &[Verdict]) -> std::fmt::Result {
    writeln!(to, "{:66}{:>10}{:>10}", "chappe's goals", "goal", "is")?;
    for verdict in verdicts {
        let (sign, bound) = verdict.bound.parts();
        let reached = verdict.reached.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let judged = match verdict.is_met {
            Some(true) => "reached",
            Some(false) => "MISSED",
            None => "not measured",
        };
        writeln!(to, "{:66}{:>10}{reached:>10}  {judged}", verdict.goal, format!("{sign} {bound}"))?;
    }
    Ok(())
}

fn write_notes(to: &mut String, comparison: &Comparison) -> std::fmt::Result {
    if let Some(reason) = &comparison.no_chappe {
        writeln!(to, "\nno chappe: {reason}")?;
    }
    writeln!(to)?;
    for row in Row::ALL {
        if let Some(line) = bare(comparison, row) {
            writeln!(to, "{line}")?;
        }
        if let Some(line) = nats(comparison, row) {
            writeln!(to, "{line}")?;
        }
    }
    if let Some(share) = comparison.others() {
        let warning = if share > QUIET { ": DISTURBED, run it again with nothing beside it" } else { "" };
        let share = share * 100.0;
        writeln!(to, "others used {share:.0} % of the machine's CPU time during the baselines{warning}")?;
    }
    for cell in &comparison.cells {
        let name = format!("{}, {}", cell.row.title(), cell.system.title());
        if let Some(lost) = cell.median.as_ref().map(|figure| figure.lost).filter(|lost| *lost > 0) {
            writeln!(to, "LOST: {name}: {lost} messages over all rounds")?;
        }
        for failure in &cell.failures {
            writeln!(to, "FAILED: {name}: {failure}")?;
        }
    }
    Ok(())
}

/// What the sockets could do if nobody awaited the answers.
fn bare(comparison: &Comparison, row: Row) -> Option<String> {
    let value = comparison.value(row, System::Baseline(Engine::Bare))?;
    let chappe =
        comparison.value(row, System::Chappe).map(|chappe| format!("; chappe to it: {:.2}", chappe / value));
    let chappe = chappe.unwrap_or_default();
    Some(format!("{}: raw without callers that await: {}{chappe}", row.title(), amount(row, value)))
}

/// Both variants of NATS, where it has two.
fn nats(comparison: &Comparison, row: Row) -> Option<String> {
    let show = |engine| {
        let value = comparison.value(row, System::Baseline(engine))?;
        let runtime = match comparison.cell(row, System::Baseline(engine))?.runtime {
            Runtime::Current => "one thread",
            Runtime::Multi => "many threads",
        };
        let chappe = comparison
            .value(row, System::Chappe)
            .map(|chappe| format!(", chappe to it: {:.2}", chappe / value));
        Some(format!("{} ({runtime}{})", amount(row, value), chappe.unwrap_or_default()))
    };
    let (request, inbox) = (show(Engine::NatsRequest)?, show(Engine::NatsInbox)?);
    Some(format!("{}: nats by its request {request}, by an own inbox {inbox}", row.title()))
}

/// A value as a row shows it.
pub(crate) fn amount(row: Row, value: f64) -> String {
    match row.measure() {
        Measure::PerSecond => short(value),
        Measure::P50 => format!("{value:.1}"),
    }
}

/// Three digits or so, with `k` and `M`.
fn short(value: f64) -> String {
    match value {
        v if v >= 9.995e6 => format!("{:.1}M", v / 1e6),
        v if v >= 999_500.0 => format!("{:.2}M", v / 1e6),
        v if v >= 9_995.0 => format!("{:.0}k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    }
}
