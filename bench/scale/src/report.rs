//! The figures as tables.

use crate::cluster::Cost;
use crate::nodes::NodesFigure;
use crate::players::PlayersFigure;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

/// All that one run has measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Figures {
    /// On what machine: cores, model, kernel.
    pub machine: String,
    /// By the number of nodes.
    pub nodes: Vec<NodesFigure>,
    /// By the number of players.
    pub players: Vec<PlayersFigure>,
}

type CostOf = fn(&NodesFigure) -> &Cost;

/// As Markdown.
impl Display for Figures {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        let at = &self.nodes;
        table(f, "nodes", at.iter().map(|at| count(at.nodes as f64)))?;
        row(f, "connections of a node", at, |at| count(2.0 * at.connections as f64 / at.nodes as f64))?;
        row(f, "connections", at, |at| count(at.connections as f64))?;
        row(f, "memory of a node", at, |at| bytes(at.rest_bytes as f64 / at.nodes as f64))?;
        row(f, "at rest, messages/s", at, |at| {
            let passed = at.rest.traffic;
            count((passed.frames + passed.acks + passed.pulses) as f64 / (at.rest.ms / 1e3))
        })?;
        row(f, "at rest, CPU of the master", at, |at| share(at.rest.master_us, at.rest.ms))?;
        row(f, "login, CPU of the master", at, |at| micros(at.login_us))?;
        row(f, "broadcast, receivers", at, |at| count(at.receivers as f64))?;
        row(f, "broadcast, CPU of the sender", at, |at| micros(at.broadcast_us))?;
        let changes: [(&str, CostOf); 6] = [
            ("join", |at| &at.join),
            ("leave", |at| &at.leave),
            ("crash", |at| &at.crash),
            ("freeze", |at| &at.freeze),
            ("all start at once", |at| &at.start),
            ("restart of the master", |at| &at.restart),
        ];
        for (name, of) in changes {
            row(f, &format!("{name}: all agree after"), at, |at| millis(of(at).ms))?;
            row(f, &format!("{name}: messages"), at, |at| count(of(at).traffic.frames as f64))?;
            row(f, &format!("{name}: bytes"), at, |at| {
                bytes((of(at).traffic.bytes + of(at).traffic.greeting_bytes) as f64)
            })?;
            row(f, &format!("{name}: CPU of the master"), at, |at| micros(of(at).master_us))?;
            row(f, &format!("{name}: CPU of the others, each"), at, |at| {
                micros((of(at).cpu_us - of(at).master_us).max(0.0) / (at.nodes - 1) as f64)
            })?;
        }
        writeln!(f)?;

        let at = &self.players;
        table(f, "players", at.iter().map(|at| count(at.players as f64)))?;
        row(f, "login, CPU of the master", at, |at| micros(at.login_us))?;
        row(f, "logins/s of one core", at, |at| count(1e6 / at.login_us))?;
        row(f, "at rest, CPU of the master", at, |at| share(at.rest_us, 1e3))?;
        row(f, "an answer to `nodes`", at, |at| micros(at.nodes_us))?;
        row(f, "a lobby with a tenth of them dies: longest turn", at, |at| micros(at.lose_lobby_us))?;
        row(f, "a proxy with a tenth of them dies: longest turn", at, |at| micros(at.lose_proxy_us))?;
        row(f, "restart of the master: all known after", at, |at| millis(at.restart.ms))?;
        row(f, "restart of the master: bytes", at, |at| bytes(at.restart.traffic.bytes as f64))?;
        row(f, "restart of the master: its CPU", at, |at| micros(at.restart.master_us))
    }
}

fn table(f: &mut Formatter<'_>, name: &str, heads: impl Iterator<Item = String> + Clone) -> fmt::Result {
    write!(f, "| {name} |")?;
    heads.clone().try_for_each(|head| write!(f, " {head} |"))?;
    write!(f, "\n| --- |")?;
    heads.into_iter().try_for_each(|_| write!(f, " ---: |"))?;
    writeln!(f)
}

fn row<T>(f: &mut Formatter<'_>, name: &str, at: &[T], cell: impl Fn(&T) -> String) -> fmt::Result {
    write!(f, "| {name} |")?;
    at.iter().try_for_each(|at| write!(f, " {} |", cell(at)))?;
    writeln!(f)
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// A plain number, `1,234` or `1.2M`.
pub fn count(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", digits(value / 1e6)),
        value if value >= 1e3 => format!("{},{:03}", value as u64 / 1000, value as u64 % 1000),
        value if value.fract() == 0.0 => format!("{value}"),
        value => digits(value),
    }
}

/// Bytes, by powers of 1,000.
pub fn bytes(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{} GB", digits(value / 1e9)),
        value if value >= 1e6 => format!("{} MB", digits(value / 1e6)),
        value if value >= 1e3 => format!("{} kB", digits(value / 1e3)),
        value => format!("{value:.0} B"),
    }
}

/// A time that is given in microseconds.
pub fn micros(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} s", digits(value / 1e6)),
        value if value >= 1e3 => format!("{} ms", digits(value / 1e3)),
        value => format!("{} us", digits(value)),
    }
}

fn millis(value: f64) -> String {
    micros(value * 1e3)
}

/// What so many microseconds are of so many milliseconds.
fn share(used_us: f64, ms: f64) -> String {
    format!("{} %", digits(used_us / ms / 10.0))
}
