//! The comparison: rounds of all systems in turn, so that whatever disturbs the machine disturbs all of them, and the
//! medians over the rounds.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::{
    job::{Engine, Runtime},
    machine,
    measure::Figure,
    rows::{Group, Measure, Row, System},
    runner::{Idle, Length, Runner, default_chappe},
};

/// Raw sockets are at least this many times faster than NATS on an undisturbed machine, 64 calls in flight.
const SOUND: f64 = 4.0;

/// The share of the machine that others may use before the figures are in doubt. Being void does not tell that alone: a
/// second core that is busy makes raw sockets faster, because their two processes then meet on the first.
pub(crate) const QUIET: f64 = 0.1;

/// The options of a comparison.
#[derive(Args)]
pub(crate) struct Options {
    /// How many rounds; the table shows the medians.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// How long each run is measured, in seconds.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// One short round: shows that all works, not how fast it is.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these systems.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Group>,
    /// Only these rows.
    #[arg(long, value_delimiter = ',')]
    pub(crate) rows: Vec<Row>,
    /// Bytes of payload in each message.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=65536))]
    pub(crate) size: u32,
    /// Print everything as one JSON object instead of the tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where the `chappe` command is; by default the repository's release build.
    #[arg(long)]
    pub(crate) chappe: Option<PathBuf>,
    /// Where to write the chart; by default docs/bench.svg, after a full and undisturbed run only.
    #[arg(long)]
    pub(crate) chart: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("from 0.1 to 600 seconds".to_owned()),
    }
}

/// All that a comparison has found.
#[derive(Serialize)]
pub(crate) struct Comparison {
    /// What it ran on.
    pub(crate) machine: String,
    /// How many rounds.
    pub(crate) rounds: u32,
    /// The measured time of each run.
    pub(crate) seconds: f64,
    /// Bytes of payload in each message.
    pub(crate) size: u32,
    /// Every system in every row that it fills.
    pub(crate) cells: Vec<Cell>,
    /// What Chappe costs when idle.
    pub(crate) idle: Option<Idle>,
    /// Why there is nothing of Chappe.
    pub(crate) no_chappe: Option<String>,
}

/// One system in one row.
#[derive(Serialize)]
pub(crate) struct Cell {
    /// The row.
    pub(crate) row: Row,
    /// The system.
    pub(crate) system: System,
    /// The runtime that was found better for it, if it had the choice.
    pub(crate) runtime: Runtime,
    /// The median over the rounds.
    pub(crate) median: Option<Figure>,
    /// The figure of each round.
    pub(crate) figures: Vec<Figure>,
    /// Why a round has no figure.
    pub(crate) failures: Vec<String>,
}

impl Options {
    fn length(&self) -> Length {
        if self.quick {
            Length { seconds: 0.5, warmup: 0.15 }
        } else {
            Length { seconds: self.seconds, warmup: 0.5 }
        }
    }

    fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// Whether the run is fit for the README's chart.
    pub(crate) fn is_full(&self) -> bool {
        !self.quick && self.only.is_empty() && self.rows.is_empty()
    }
}

/// Runs it.
pub(crate) fn compare(options: &Options) -> Result<Comparison> {
    let chappe = options.chappe.clone().unwrap_or_else(default_chappe);
    let wants_chappe = options.only.is_empty() || options.only.contains(&Group::Chappe);
    let no_chappe = (wants_chappe && !chappe.is_file())
        .then(|| format!("{} is not there; build it with cargo build --release", chappe.display()));
    let is_wanted = |system: &System| options.only.is_empty() || options.only.contains(&system.group());
    let is_there = |system: &System| system.group() != Group::Chappe || no_chappe.is_none();
    let systems: Vec<System> = System::ALL.into_iter().filter(is_wanted).filter(is_there).collect();
    let rows = Row::ALL.into_iter().filter(|row| options.rows.is_empty() || options.rows.contains(row));
    let length = options.length();
    let runner = Runner::start(&systems, chappe, options.size as usize)?;

    let mut cells = Vec::new();
    for row in rows {
        for system in systems.iter().copied().filter(|system| system.fills(row)) {
            let runtime = better_runtime(&runner, system, row, length);
            cells.push(Cell { row, system, runtime, median: None, figures: vec![], failures: vec![] });
        }
    }
    for round in 1..=options.rounds() {
        for cell in &mut cells {
            let outcome = runner.run(cell.system, cell.row, cell.runtime, length);
            eprintln!("round {round}/{}: {}", options.rounds(), told(cell, &outcome));
            match outcome {
                Ok(figure) => cell.figures.push(figure),
                Err(error) => cell.failures.push(format!("{error:#}")),
            }
        }
    }
    for cell in &mut cells {
        cell.median = Figure::median(&cell.figures);
    }
    let has_chappe = systems.contains(&System::Chappe);
    let idle =
        if has_chappe { runner.idle().inspect_err(|error| eprintln!("idle: {error:#}")).ok() } else { None };
    let (rounds, seconds, size) = (options.rounds(), length.seconds, options.size);
    Ok(Comparison { machine: machine::description(), rounds, seconds, size, cells, idle, no_chappe })
}

/// One short run with each runtime; the better one is used in all rounds. What fails in it will fail in the rounds
/// as well, and is told there.
fn better_runtime(runner: &Runner, system: System, row: Row, length: Length) -> Runtime {
    if !system.has_runtimes() {
        return Runtime::Current;
    }
    let length = Length { seconds: (length.seconds / 2.0).min(1.0), ..length };
    let score = |runtime| {
        let figure = runner.run(system, row, runtime, length).ok();
        let value = figure.and_then(|figure| value(row, &figure)).unwrap_or(f64::NAN);
        if row.measure() == Measure::P50 { 1.0 / value } else { value }
    };
    let (current, multi) = (score(Runtime::Current), score(Runtime::Multi));
    let better = if multi > current || current.is_nan() { Runtime::Multi } else { Runtime::Current };
    eprintln!("tuning: {}, {}: {better:?} thread", row.title(), system.title());
    better
}

/// What a row shows of a figure.
pub(crate) fn value(row: Row, figure: &Figure) -> Option<f64> {
    match row.measure() {
        Measure::PerSecond => Some(figure.per_second),
        Measure::P50 => figure.p50_us,
    }
}

fn told(cell: &Cell, outcome: &Result<Figure>) -> String {
    let name = format!("{}, {}", cell.row.title(), cell.system.title());
    match outcome.as_ref().map(|figure| value(cell.row, figure)) {
        Ok(Some(value)) => format!("{name}: {value:.0}"),
        Ok(None) => format!("{name}: no value"),
        Err(error) => format!("{name}: FAILED: {error:#}"),
    }
}

impl Comparison {
    /// The cell of a system in a row.
    pub(crate) fn cell(&self, row: Row, system: System) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.row == row && cell.system == system)
    }

    /// What a system reached in a row.
    pub(crate) fn value(&self, row: Row, system: System) -> Option<f64> {
        value(row, self.cell(row, system)?.median.as_ref()?)
    }

    /// NATS at its better in a row: by its request or by an own inbox.
    pub(crate) fn nats(&self, row: Row) -> Option<System> {
        let systems = [Engine::NatsInbox, Engine::NatsRequest].map(System::Baseline);
        let values = systems.into_iter().filter_map(|system| Some((system, self.value(row, system)?)));
        let worse_first = |(_, a): &(System, f64), (_, b): &(System, f64)| match row.measure() {
            Measure::PerSecond => a.total_cmp(b),
            Measure::P50 => b.total_cmp(a),
        };
        values.max_by(worse_first).map(|(system, _)| system)
    }

    /// The share of the machine's CPU time that others have used, over all runs that tell it.
    pub(crate) fn others(&self) -> Option<f64> {
        let figures = self.cells.iter().flat_map(|cell| &cell.figures);
        let shares: Vec<f64> = figures.filter_map(|figure| figure.others).collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }

    /// Whether the figures are fit to be shown to the world: a full run, everything there, nothing beside it.
    pub(crate) fn is_presentable(&self) -> bool {
        let is_quiet = self.others().is_none_or(|share| share <= QUIET);
        is_quiet && self.void().is_none() && self.no_chappe.is_none()
    }

    /// How many times faster raw sockets were than NATS, when that shows that the machine was disturbed and nothing
    /// here is to be believed. None when all is well, or when it cannot be told.
    pub(crate) fn void(&self) -> Option<f64> {
        let raw = self.value(Row::Rpc64, System::Baseline(Engine::Raw))?;
        let nats = self.value(Row::Rpc64, self.nats(Row::Rpc64)?)?;
        (raw < SOUND * nats).then_some(raw / nats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals::verdicts;

    fn cell(row: Row, system: System, values: &[f64]) -> Cell {
        let figures: Vec<Figure> = values
            .iter()
            .map(|value| Figure {
                kind: String::new(),
                link: String::new(),
                per_second: *value,
                p50_us: Some(*value),
                p99_us: None,
                cpu_us_per_op: None,
                lost: 1,
                others: None,
            })
            .collect();
        let median = Figure::median(&figures);
        Cell { row, system, runtime: Runtime::Current, median, figures, failures: vec![] }
    }

    fn comparison(cells: Vec<Cell>) -> Comparison {
        let machine = String::new();
        Comparison { machine, rounds: 3, seconds: 1.0, size: 64, cells, idle: None, no_chappe: None }
    }

    #[test]
    fn one_disturbed_round_does_not_move_the_median_and_no_loss_is_forgotten() {
        let cell = cell(Row::Rpc64, System::Chappe, &[900.0, 5.0, 910.0]);
        let median = cell.median.expect("there are figures");
        assert_eq!((median.per_second, median.lost), (900.0, 3));
    }

    #[test]
    fn a_run_is_void_when_raw_sockets_are_not_four_times_the_better_nats() {
        let run = |inbox| {
            comparison(vec![
                cell(Row::Rpc64, System::Baseline(Engine::Raw), &[800.0]),
                cell(Row::Rpc64, System::Baseline(Engine::NatsRequest), &[100.0]),
                cell(Row::Rpc64, System::Baseline(Engine::NatsInbox), &[inbox]),
            ])
        };
        assert_eq!(run(200.0).void(), None);
        assert_eq!(run(250.0).void(), Some(3.2));
        assert_eq!(comparison(vec![]).void(), None);
    }

    #[test]
    fn goals_are_judged_by_the_better_nats_and_by_less_where_less_is_better() {
        let run = comparison(vec![
            cell(Row::Rpc1, System::Baseline(Engine::Raw), &[50.0]),
            cell(Row::Rpc1, System::Chappe, &[55.0]),
            cell(Row::Rpc64, System::Baseline(Engine::NatsRequest), &[100.0]),
            cell(Row::Rpc64, System::Baseline(Engine::NatsInbox), &[200.0]),
            cell(Row::Rpc64, System::Chappe, &[600.0]),
        ]);
        let judged: Vec<_> = verdicts(&run).iter().filter_map(|v| Some((v.reached?, v.is_met?))).collect();
        assert_eq!(judged, [(3.0, false), (1.1, true)]);
    }
}
