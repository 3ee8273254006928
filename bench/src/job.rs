//! What one run does: the engine, the kind of work, and its size. The comparing process passes it to the driving
//! process and that one to its peers, as JSON in one argument, so that all of them agree by construction.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// How many receivers a broadcast has, each in a process of its own, as each node of a cluster is.
pub(crate) const FANOUT: usize = 8;

/// One run of one engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Whose messages carry the work.
    pub(crate) engine: Engine,
    /// The work.
    pub(crate) kind: Kind,
    /// The runtime of the driver and its peers, where the engine works with both.
    pub(crate) runtime: Runtime,
    /// Bytes of payload in each message, both ways.
    pub(crate) size: usize,
    /// Calls under way at once; for `client` the number of WebSocket connections.
    pub(crate) in_flight: usize,
    /// The measured time, in seconds.
    pub(crate) seconds: f64,
    /// The time before it, in seconds: the same work, not counted.
    pub(crate) warmup: f64,
    /// The broker's address and process, for an engine that has one.
    pub(crate) broker: Option<Broker>,
    /// Where the processes of this run put their sockets.
    pub(crate) dir: PathBuf,
}

/// A running broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Broker {
    /// Its address, as its client library reads it.
    pub(crate) url: String,
    /// Its process, whose CPU time is part of what a call costs.
    pub(crate) pid: u32,
}

/// Whose messages carry the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Engine {
    /// Frames on buffered Unix sockets: the limit.
    Raw,
    /// The same with no callers that await their answers.
    Bare,
    /// NATS, with the client library's own `request`.
    NatsRequest,
    /// NATS, with an inbox and correlation ids of ours.
    NatsInbox,
    /// Redis publish/subscribe.
    Redis,
    /// gRPC.
    Tonic,
    /// A WebSocket relay of two hops.
    Relay,
}

/// The work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Calls with an answer each, a fixed number under way at once.
    Rpc,
    /// Messages one way to one receiver.
    Event,
    /// Messages one way to [`FANOUT`] receivers each.
    Fanout,
    /// Round trips of WebSocket clients, one under way each.
    Client,
}

/// Which tokio runtime the processes of a run use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Runtime {
    /// Everything on one thread.
    Current,
    /// A worker thread for each core.
    Multi,
}

impl Job {
    /// How many peer processes the work needs.
    pub(crate) fn peers(&self) -> usize {
        match self.kind {
            Kind::Rpc | Kind::Event => 1,
            Kind::Fanout => FANOUT,
            Kind::Client => 2,
        }
    }

    /// The socket of one peer.
    pub(crate) fn socket(&self, index: usize) -> PathBuf {
        self.dir.join(format!("{index}.sock"))
    }

    /// The payload of every message.
    pub(crate) fn payload(&self) -> Vec<u8> {
        vec![b'x'; self.size]
    }

    /// How long the run may take before it counts as hung: its own time and a generous rest for its start and end.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.warmup + self.seconds) + Duration::from_secs(40)
    }

    /// The runtime that the job asks for.
    pub(crate) fn build_runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        match self.runtime {
            Runtime::Current => tokio::runtime::Builder::new_current_thread(),
            Runtime::Multi => tokio::runtime::Builder::new_multi_thread(),
        }
        .enable_all()
        .build()
    }
}
