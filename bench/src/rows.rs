//! The table's rows and the systems that fill them.

use clap::ValueEnum;
use serde::Serialize;

use crate::job::{Engine, Kind};

/// How many WebSocket clients the client row has.
const CLIENTS: usize = 1000;

/// A row: one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Row {
    /// Calls, 64 under way.
    #[value(name = "rpc-64")]
    #[serde(rename = "rpc-64")]
    Rpc64,
    /// Calls, 1,024 under way.
    #[value(name = "rpc-1024")]
    #[serde(rename = "rpc-1024")]
    Rpc1024,
    /// One call at a time.
    #[value(name = "rpc-1")]
    #[serde(rename = "rpc-1")]
    Rpc1,
    /// One way, to one receiver.
    Event,
    /// One way, to eight receivers.
    Fanout,
    /// From a client over two hops and back.
    Client,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Operations a second: more is better.
    PerSecond,
    /// The median time in microseconds: less is better.
    P50,
}

impl Row {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 6] =
        [Self::Rpc64, Self::Rpc1024, Self::Rpc1, Self::Event, Self::Fanout, Self::Client];

    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Rpc64 => "RPC/s, 64 in flight",
            Self::Rpc1024 => "RPC/s, 1,024 in flight",
            Self::Rpc1 => "RPC, 1 in flight, p50 us",
            Self::Event => "events/s, one way",
            Self::Fanout => "broadcast to 8, deliveries/s",
            Self::Client => "1,000 clients, two hops, round trips/s",
        }
    }

    /// What it measures.
    pub(crate) fn measure(self) -> Measure {
        if self == Self::Rpc1 { Measure::P50 } else { Measure::PerSecond }
    }

    /// The work behind it.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Rpc64 | Self::Rpc1024 | Self::Rpc1 => Kind::Rpc,
            Self::Event => Kind::Event,
            Self::Fanout => Kind::Fanout,
            Self::Client => Kind::Client,
        }
    }

    /// Calls under way at once, or clients.
    pub(crate) fn in_flight(self) -> usize {
        match self {
            Self::Rpc64 => 64,
            Self::Rpc1024 => 1024,
            Self::Client => CLIENTS,
            Self::Rpc1 | Self::Event | Self::Fanout => 1,
        }
    }
}

/// A system under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// Chappe between processes.
    Chappe,
    /// Chappe within one process.
    ChappeMemory,
    /// A baseline.
    #[serde(untagged)]
    Baseline(Engine),
}

/// What `--only` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Raw sockets: the limit.
    Raw,
    /// Raw sockets without callers.
    Bare,
    /// NATS, by its request and by an own inbox.
    Nats,
    /// Redis publish/subscribe.
    Redis,
    /// gRPC.
    Tonic,
    /// The plain WebSocket relay.
    Relay,
    /// Chappe.
    Chappe,
}

impl System {
    /// In the order in which each round runs them: whom Chappe is compared with runs right beside it.
    pub(crate) const ALL: [Self; 9] = [
        Self::Baseline(Engine::Tonic),
        Self::Baseline(Engine::Redis),
        Self::Baseline(Engine::NatsRequest),
        Self::Baseline(Engine::NatsInbox),
        Self::Baseline(Engine::Bare),
        Self::Baseline(Engine::Raw),
        Self::Baseline(Engine::Relay),
        Self::Chappe,
        Self::ChappeMemory,
    ];

    /// Its name.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Baseline(Engine::Raw) => "raw",
            Self::Baseline(Engine::Bare) => "bare",
            Self::Baseline(Engine::NatsRequest) => "nats request",
            Self::Baseline(Engine::NatsInbox) => "nats inbox",
            Self::Baseline(Engine::Redis) => "redis",
            Self::Baseline(Engine::Tonic) => "tonic",
            Self::Baseline(Engine::Relay) => "relay",
            Self::Chappe => "chappe",
            Self::ChappeMemory => "chappe memory",
        }
    }

    /// What `--only` calls it.
    pub(crate) fn group(self) -> Group {
        match self {
            Self::Baseline(Engine::Raw) => Group::Raw,
            Self::Baseline(Engine::Bare) => Group::Bare,
            Self::Baseline(Engine::NatsRequest | Engine::NatsInbox) => Group::Nats,
            Self::Baseline(Engine::Redis) => Group::Redis,
            Self::Baseline(Engine::Tonic) => Group::Tonic,
            Self::Baseline(Engine::Relay) => Group::Relay,
            Self::Chappe | Self::ChappeMemory => Group::Chappe,
        }
    }

    /// Whether it has a place in a row.
    pub(crate) fn fills(self, row: Row) -> bool {
        match self {
            Self::Baseline(Engine::Relay) => row == Row::Client,
            Self::Baseline(Engine::Bare | Engine::NatsRequest) => row.kind() == Kind::Rpc,
            Self::Baseline(_) => row != Row::Client,
            Self::Chappe => true,
            Self::ChappeMemory => matches!(row, Row::Rpc1 | Row::Event),
        }
    }

    /// Whether it could use either runtime, so that the better one is to be found.
    pub(crate) fn has_runtimes(self) -> bool {
        match self {
            Self::Baseline(engine) => !matches!(engine, Engine::Raw | Engine::Bare),
            Self::Chappe | Self::ChappeMemory => false,
        }
    }
}
