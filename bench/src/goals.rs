//! What Chappe is to reach, as ratios to what else ran in the same rounds.

use serde::Serialize;

use crate::{
    compare::Comparison,
    job::Engine,
    rows::{Row, System},
};

/// The most that an idle node may hold in memory: 15 MB.
const IDLE_NODE: f64 = 15e6;
/// The most that an idle client may cost at the proxy: 10 KiB.
const IDLE_CLIENT: f64 = 10.0 * 1024.0;

/// A goal and what became of it.
#[derive(Serialize)]
pub(crate) struct Verdict {
    /// Which.
    pub(crate) goal: String,
    /// Chappe's value divided by the rival's, or the value itself where the goal is no ratio. None: not measured.
    pub(crate) reached: Option<f64>,
    /// What it had to be.
    pub(crate) bound: Bound,
    /// Whether it is. None: not measured.
    pub(crate) is_met: Option<bool>,
}

/// Which side of a number is good.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// Whom a goal compares Chappe with.
#[derive(Clone, Copy)]
enum Rival {
    Raw,
    /// The better of its request and an own inbox.
    Nats,
    Relay,
    /// Chappe itself, between processes; Chappe within one process is compared with it.
    Local,
}

const GOALS: [(Row, Rival, Bound); 11] = [
    (Row::Rpc64, Rival::Nats, Bound::AtLeast(4.0)),
    (Row::Rpc64, Rival::Raw, Bound::AtLeast(0.6)),
    (Row::Rpc1024, Rival::Nats, Bound::AtLeast(4.0)),
    (Row::Rpc1024, Rival::Raw, Bound::AtLeast(0.5)),
    (Row::Rpc1, Rival::Raw, Bound::AtMost(1.2)),
    (Row::Event, Rival::Nats, Bound::AtLeast(3.0)),
    (Row::Event, Rival::Raw, Bound::AtLeast(0.3)),
    (Row::Fanout, Rival::Nats, Bound::AtLeast(3.0)),
    (Row::Rpc1, Rival::Local, Bound::AtMost(0.5)),
    (Row::Event, Rival::Local, Bound::AtLeast(1.0)),
    (Row::Client, Rival::Relay, Bound::AtLeast(0.6)),
];

impl Bound {
    /// Its sign and its number.
    pub(crate) fn parts(self) -> (&'static str, f64) {
        match self {
            Self::AtLeast(least) => (">=", least),
            Self::AtMost(most) => ("<=", most),
        }
    }

    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

/// Judges all goals, also those that were not measured.
pub(crate) fn verdicts(comparison: &Comparison) -> Vec<Verdict> {
    let ratios = GOALS.iter().map(|(row, rival, bound)| {
        let reached = ratio(comparison, *row, *rival);
        let name = match rival {
            Rival::Raw => "raw",
            Rival::Nats => "nats",
            Rival::Relay => "relay",
            Rival::Local => "local link, on the memory link",
        };
        verdict(format!("{}, to {name}", row.title()), reached, *bound)
    });
    let idle = comparison.idle;
    let node = idle.and_then(|idle| idle.node_rss_bytes);
    let client = idle.and_then(|idle| idle.client_bytes);
    ratios
        .chain([
            verdict(
                "an idle node, MB resident".to_owned(),
                node.map(|b| b / 1e6),
                Bound::AtMost(IDLE_NODE / 1e6),
            ),
            verdict(
                "an idle client at the proxy, KiB".to_owned(),
                client.map(|bytes| bytes / 1024.0),
                Bound::AtMost(IDLE_CLIENT / 1024.0),
            ),
        ])
        .collect()
}

fn verdict(goal: String, reached: Option<f64>, bound: Bound) -> Verdict {
    Verdict { goal, reached, bound, is_met: reached.map(|value| bound.holds(value)) }
}

fn ratio(comparison: &Comparison, row: Row, rival: Rival) -> Option<f64> {
    let (own, rival) = match rival {
        Rival::Raw => (System::Chappe, System::Baseline(Engine::Raw)),
        Rival::Nats => (System::Chappe, comparison.nats(row)?),
        Rival::Relay => (System::Chappe, System::Baseline(Engine::Relay)),
        Rival::Local => (System::ChappeMemory, System::Chappe),
    };
    Some(comparison.value(row, own)? / comparison.value(row, rival)?)
}
