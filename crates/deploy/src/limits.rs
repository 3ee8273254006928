//! The numbers of a cluster: how much of everything, and how long.

use std::time::Duration;

use crate::error::Problem;
use crate::field::{Field, Fields};
use crate::report::Report;

/// How much of everything: the `limits` object. All are on by default; what goes past one is refused with an error
/// that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in bytes (`message_bytes`, default 1 MiB).
    pub message_bytes: usize,
    /// What may wait for one peer, in bytes (`queue_bytes`, default 16 MiB); past it, senders get `Overloaded`.
    pub queue_bytes: usize,
    /// Messages a second that one player may send, on the long run (`client_rate`, default 200).
    pub client_rate: u32,
    /// Messages that one player may send at once before the rate counts (`client_burst`, default 400).
    pub client_burst: u32,
    /// Messages of one player that a proxy holds during a transfer (`hold_messages`, default 1024).
    pub hold_messages: usize,
    /// Players on one node (`players`, default none); an entry's own `max_players` goes before it.
    pub players: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: 1024 * 1024,
            queue_bytes: 16 * 1024 * 1024,
            client_rate: 200,
            client_burst: 400,
            hold_messages: 1024,
            players: None,
        }
    }
}

/// How long: the `*_seconds` keys at the top, which may be fractions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Between two heartbeats of a node (`heartbeat_seconds`, default 3 s).
    pub heartbeat: Duration,
    /// How long a master's lease lasts without being renewed, where the store is PostgreSQL (`lease_seconds`, default 5 s):
    /// the longest that the other one of two waits for one that has died, but for a third of it more.
    pub lease: Duration,
    /// Without any heartbeat until a node is lost (`loss_seconds`, default 10 s); larger than `heartbeat`.
    pub loss: Duration,
    /// In which a client whose socket dropped may resume its session (`resume_seconds`, default 30 s; 0: never).
    pub resume: Duration,
    /// Without progress of its handlers until a node is stuck (`stuck_seconds`, default 5 s).
    pub stuck: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_secs(3),
            lease: Duration::from_secs(5),
            loss: Duration::from_secs(10),
            resume: Duration::from_secs(30),
            stuck: Duration::from_secs(5),
        }
    }
}

/// The frame's length field has 32 bits, and so has what it can announce.
const MOST_BYTES: i64 = u32::MAX as i64;
const MOST_COUNT: i64 = u32::MAX as i64;
/// A day: longer than anything sensible, short enough that no sum of durations overflows.
const MOST_SECONDS: f64 = 86_400.0;
/// Below a hundredth of a second the scheduler's own delays would count as losses.
const LEAST_SECONDS: f64 = 0.01;
/// A lease must outlast a renewal, and a sync of the database, many times.
const LEAST_LEASE: f64 = 1.0;

impl Limits {
    const KEYS: [&str; 6] =
        ["message_bytes", "queue_bytes", "client_rate", "client_burst", "hold_messages", "players"];

    /// Reads the `limits` object; a number that is not given, or is wrong, has its default.
    pub(crate) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Limits {
        let default = Limits::default();
        let Some(fields) = field.object(report) else { return default };
        fields.unknown(&Limits::KEYS, report);

        let limits = Limits {
            message_bytes: count(&fields, "message_bytes", 1..=MOST_BYTES, default.message_bytes, report),
            queue_bytes: count(&fields, "queue_bytes", 1..=i64::MAX, default.queue_bytes, report),
            client_rate: count(&fields, "client_rate", 1..=MOST_COUNT, default.client_rate, report),
            client_burst: count(&fields, "client_burst", 1..=MOST_COUNT, default.client_burst, report),
            hold_messages: count(&fields, "hold_messages", 0..=MOST_COUNT, default.hold_messages, report),
            players: Some(count(&fields, "players", 0..=MOST_COUNT, 0, report)).filter(|&most| most > 0),
        };
        if limits.queue_bytes < limits.message_bytes {
            let (queue, message) = (limits.queue_bytes, limits.message_bytes);
            let at = fields.find("queue_bytes").or_else(|| fields.find("message_bytes"));
            at.unwrap_or_else(|| field.clone()).error(Problem::QueueBelowMessage { queue, message }, report);
        }
        limits
    }
}

impl Timing {
    pub(crate) const KEYS: [&str; 5] =
        ["heartbeat_seconds", "lease_seconds", "loss_seconds", "resume_seconds", "stuck_seconds"];

    /// Reads the keys at the top of the file; a time that is not given, or is wrong, has its default.
    pub(crate) fn read(top: &Fields<'_>, report: &mut Report<'_>) -> Timing {
        let default = Timing::default();
        let timing = Timing {
            heartbeat: seconds(top, "heartbeat_seconds", LEAST_SECONDS, default.heartbeat, report),
            lease: seconds(top, "lease_seconds", LEAST_LEASE, default.lease, report),
            loss: seconds(top, "loss_seconds", LEAST_SECONDS, default.loss, report),
            resume: seconds(top, "resume_seconds", 0.0, default.resume, report),
            stuck: seconds(top, "stuck_seconds", LEAST_SECONDS, default.stuck, report),
        };
        let at = top.find("loss_seconds").or_else(|| top.find("heartbeat_seconds"));
        if let Some(at) = at.filter(|_| timing.loss <= timing.heartbeat) {
            let shown = |time: Duration| time.as_secs_f64().to_string();
            let (loss, heartbeat) = (shown(timing.loss), shown(timing.heartbeat));
            at.error(Problem::LossBeforeHeartbeat { loss, heartbeat }, report);
        }
        timing
    }
}

pub(crate) fn count<N: TryFrom<i64>>(
    fields: &Fields<'_>,
    key: &str,
    range: std::ops::RangeInclusive<i64>,
    default: N,
    report: &mut Report<'_>,
) -> N {
    fields.find(key).and_then(|field| field.unsigned(range, report)).unwrap_or(default)
}

pub(crate) fn seconds(
    fields: &Fields<'_>,
    key: &str,
    least: f64,
    default: Duration,
    report: &mut Report<'_>,
) -> Duration {
    let seconds = fields.find(key).and_then(|field| field.number(least..=MOST_SECONDS, report));
    seconds.map_or(default, Duration::from_secs_f64)
}
