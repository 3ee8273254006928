//! What a listener gets.

use chappe_wire::envelope::split_topic;
use chappe_wire::value::{self, ValueError};
use chappe_wire::{Meta, NodeId, Origin, PlayerId, Row, Value};
use serde::de::DeserializeOwned;
use std::fmt;

/// An event as it came, borrowed for the length of the handler. The data is decoded when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub(crate) topic: &'a [u8],
    pub(crate) meta: Meta,
    pub(crate) from: NodeId,
    pub(crate) data: &'a [u8],
}

impl<'a> Event<'a> {
    /// The sending system's namespace.
    pub fn namespace(&self) -> &'a str {
        self.names().0
    }

    /// The sending system's name.
    pub fn system(&self) -> &'a str {
        self.names().1
    }

    /// The event's name.
    pub fn name(&self) -> &'a str {
        self.names().2
    }

    /// The node that it came from; for what clients send, their proxy.
    pub fn from(&self) -> NodeId {
        self.from
    }

    /// The call that sent it.
    pub fn row(&self) -> Row {
        self.meta.row
    }

    /// The player that sent it, as their proxy knows them; `None` for what no client sent.
    pub fn origin(&self) -> Option<Origin> {
        self.meta.origin
    }

    /// The `playerId` of the player that sent it (`__id__` in Apollo's data).
    pub fn player_id(&self) -> Option<PlayerId> {
        self.meta.origin.map(|origin| PlayerId(origin.epoch))
    }

    /// The data, decoded. Names at the top level of a client's data that begin with `__` are what the runtime
    /// set, never what the client sent (apollo.md section 2).
    ///
    /// # Errors
    /// When the data is not of that form; the error names the place in it.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        // Identity fields can matter to T only where the bytes hold such a name or T asks for one of ours;
        // either way the slow road is taken only for a client's data with "__" in it.
        if self.meta.origin.is_some() && self.data.windows(2).any(|pair| pair == b"__") {
            return value::decode(&value::encode(&self.value()?)?);
        }
        value::decode(self.data)
    }

    /// The data as a dynamic value; a client's dict has `__id__`, or `__uid__` and `__neteaseProxyId__`, set.
    ///
    /// # Errors
    /// When the bytes are no MessagePack value.
    pub fn value(&self) -> Result<Value, ValueError> {
        let Some(origin) = self.meta.origin else { return value::decode(self.data) };
        let player = || PlayerId(origin.epoch).to_string();
        let data = match self.meta.row {
            Row::ClientToService => value::sanitize(
                self.data,
                [("__uid__", Value::from(origin.uid)), ("__neteaseProxyId__", Value::from(origin.proxy.0))],
            ),
            _ => value::sanitize(self.data, [("__id__", Value::from(player()))]),
        };
        data.map(value::Sanitized::into_value)
    }

    /// The data as MessagePack, as it was sent.
    pub fn raw(&self) -> &'a [u8] {
        self.data
    }

    /// A copy that outlives the handler, for one that awaits.
    pub fn to_owned(&self) -> OwnedEvent {
        OwnedEvent { topic: self.topic.into(), meta: self.meta, from: self.from, data: self.data.into() }
    }

    fn names(&self) -> (&'a str, &'a str, &'a str) {
        split_topic(self.topic).unwrap_or_default()
    }
}

/// Its three names and the node it came from, for log lines.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{} from {}", self.namespace(), self.system(), self.name(), self.from)
    }
}

/// An [`Event`] that owns its bytes.
#[derive(Debug, Clone)]
pub struct OwnedEvent {
    topic: Box<[u8]>,
    meta: Meta,
    from: NodeId,
    data: Box<[u8]>,
}

impl OwnedEvent {
    /// The event.
    pub fn as_event(&self) -> Event<'_> {
        Event { topic: &self.topic, meta: self.meta, from: self.from, data: &self.data }
    }
}
