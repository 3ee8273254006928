//! What a team would write by hand, through pgbench: a transfer between two rows, and an outbox, in one transaction.

use super::postgres::{Postgres, run};
use crate::bench::BenchResult;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fs;
use std::path::Path;

const SCHEMA: &str = include_str!("../../../../../bench/pgbench/schema.sql");
const TRANSFER: &str = include_str!("../../../../../bench/pgbench/transfer.sql");
const DATABASE: &str = "by_hand";

/// What pgbench has measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ByHand {
    /// Clients, with one transaction each under way.
    pub(super) in_flight: usize,
    pub(super) per_second: f64,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
}

/// Runs the transfers of `clients`, each between two accounts of its own.
pub(super) fn measure(server: &Postgres, clients: usize, seconds: f64) -> BenchResult<ByHand> {
    let dir = tempfile::tempdir()?;
    let (schema, transfer) = (dir.path().join("schema.sql"), dir.path().join("transfer.sql"));
    fs::write(&schema, SCHEMA)?;
    fs::write(&transfer, TRANSFER)?;
    server.database(DATABASE)?;
    let accounts = format!("accounts={}", clients * 2);
    let mut psql = server.program("psql");
    run(psql.args(["-q", "-v", "ON_ERROR_STOP=1", "-v", &accounts, "-d", DATABASE, "-f"]).arg(&schema))?;
    let mut pgbench = server.program("pgbench");
    // It counts whole seconds.
    let seconds = (seconds.ceil() as u64).max(1).to_string();
    pgbench.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-T", &seconds]);
    pgbench.args(["--log", "--log-prefix", "took", "-f"]).arg(&transfer).arg(DATABASE);
    let said = run(pgbench.current_dir(dir.path()))?;
    server.drop_database(DATABASE)?;
    let per_second = said.lines().find_map(|line| {
        let figure = line.strip_prefix("tps = ")?;
        figure.split_whitespace().next()?.parse().ok()
    });
    let (p50_us, p99_us) = latencies(dir.path())?;
    let per_second = per_second.ok_or("pgbench told no figure")?;
    Ok(ByHand { in_flight: clients, per_second, p50_us, p99_us })
}

/// From pgbench's log: the third field of each line is a transaction's time in microseconds.
fn latencies(dir: &Path) -> BenchResult<(Option<f64>, Option<f64>)> {
    let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("took")) {
            for line in fs::read_to_string(path)?.lines() {
                let us = line.split_whitespace().nth(2).and_then(|us| us.parse::<u64>().ok());
                us.into_iter().for_each(|us| took.saturating_record(us));
            }
        }
    }
    let quantile = |q| (!took.is_empty()).then(|| took.value_at_quantile(q) as f64);
    Ok((quantile(0.5), quantile(0.99)))
}
