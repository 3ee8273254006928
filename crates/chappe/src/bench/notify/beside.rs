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
    // In whole seconds, and from before its first client has connected.
    let connecting = 2 + clients as u64 / 50;
    let runs = (seconds.ceil() as u64 + connecting).to_string();
    pgbench.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-T", &runs]);
    pgbench.args(["--log", "--log-prefix", "took", "-f"]).arg(&transfer).arg(DATABASE);
    run(pgbench.current_dir(dir.path()))?;
    server.drop_database(DATABASE)?;
    let took = took_last(dir.path(), seconds)?;
    let quantile = |q| (!took.is_empty()).then(|| took.value_at_quantile(q) as f64);
    let per_second = took.len() as f64 / seconds;
    Ok(ByHand { in_flight: clients, per_second, p50_us: quantile(0.5), p99_us: quantile(0.99) })
}

/// What the transactions took that ended within the last seconds of a run, when all clients were there. From pgbench's
/// log, a line each: client, number, microseconds, script, and when it ended, in seconds and microseconds.
fn took_last(dir: &Path, seconds: f64) -> BenchResult<Histogram<u64>> {
    let mut ended = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("took")) {
            ended.extend(fs::read_to_string(path)?.lines().filter_map(read_line));
        }
    }
    let end = ended.iter().map(|(at, _)| *at).max().ok_or("pgbench has done no transaction")?;
    let begin = end.saturating_sub((seconds * 1e6) as u64);
    let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    ended.iter().filter(|(at, _)| *at > begin).for_each(|(_, us)| took.saturating_record(*us));
    Ok(took)
}

/// When a transaction ended, in microseconds, and how many of them it took.
fn read_line(line: &str) -> Option<(u64, u64)> {
    let fields: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [_, _, took, _, seconds, micros] = fields[..] else { return None };
    Some((seconds * 1_000_000 + micros, took))
}
