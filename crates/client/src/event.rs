//! What a client hears.

use crate::request::Response;
use bytes::Bytes;
use chappe_wire::client::Names;
use chappe_wire::value::{self, ValueError};
use chappe_wire::{NodeId, Reason, Row, Value};
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Something that has happened to a client.
#[derive(Debug, Clone)]
pub enum ClientEvent {
    /// A server or a service has sent an event.
    Event(Received),
    /// The player is on another server.
    Moved {
        /// The server.
        server: NodeId,
        /// Whether someone wanted it; false: the server before was lost.
        is_transfer: bool,
    },
    /// A text for the player.
    Announce(String),
    /// Something that was sent was not passed on. Told once a second at most.
    Dropped {
        /// Why.
        reason: Reason,
        /// The same for a person.
        message: String,
    },
    /// The socket had dropped, and there is a new one.
    Reconnected {
        /// Whether the session stands. Else this is a new one: what was under way is lost, and counted.
        resumed: bool,
    },
    /// It is over; nothing more comes.
    Closed {
        /// Why.
        reason: Reason,
        /// The same for the player.
        message: String,
    },
}

/// An event from a server or a service. The data is decoded when it is asked for.
#[derive(Clone)]
pub struct Received {
    frame: Bytes,
    names: [Range<usize>; 3],
    data: Range<usize>,
    stamp: u64,
    row: u8,
}

impl Received {
    /// `names` and `data` borrow from `frame`.
    pub(crate) fn new(frame: &Bytes, names: Names<'_>, data: &[u8], measured: (u64, u8)) -> Received {
        let base = frame.as_ptr() as usize;
        let range = |part: &[u8]| {
            let start = (part.as_ptr() as usize).saturating_sub(base);
            start..start + part.len()
        };
        Received {
            frame: frame.clone(),
            names: [names.namespace, names.system, names.event].map(|name| range(name.as_bytes())),
            data: range(data),
            stamp: measured.0,
            row: measured.1,
        }
    }

    fn text(&self, at: usize) -> &str {
        self.frame.get(self.names[at].clone()).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or("")
    }

    /// The sending system's namespace.
    pub fn namespace(&self) -> &str {
        self.text(0)
    }

    /// The sending system's name.
    pub fn system(&self) -> &str {
        self.text(1)
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        self.text(2)
    }

    /// The data, decoded.
    ///
    /// # Errors
    /// When it is not of that form; the error names the place in it.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        value::decode(self.raw())
    }

    /// The data as a dynamic value.
    ///
    /// # Errors
    /// When the bytes are no MessagePack value.
    pub fn value(&self) -> Result<Value, ValueError> {
        value::decode(self.raw())
    }

    /// The data as MessagePack, as it was sent.
    pub fn raw(&self) -> &[u8] {
        self.frame.get(self.data.clone()).unwrap_or_default()
    }

    /// The response to a request, or one that a server has sent by itself, where it is one (snipe.md section 1).
    pub fn response(&self) -> Option<Response> {
        Response::of(self)
    }

    /// The call that sent it, where the cluster measures.
    pub fn row(&self) -> Option<Row> {
        (self.stamp != 0).then(|| Row::from_code(self.row)).flatten()
    }

    /// When it was sent, in nanoseconds since the Unix epoch, where the cluster measures; else 0.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// How long ago it was sent, where the cluster measures.
    pub fn age(&self) -> Option<Duration> {
        (self.stamp != 0).then(|| Duration::from_nanos(unix_nanos().saturating_sub(self.stamp)))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace(), self.system(), self.name())
    }
}

pub(crate) fn unix_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
