//! Envelopes: the one form that carries events, requests, responses and pushes between nodes.
//!
//! ```text
//! kind: u8 | flags: u8 | row: u8 | [stamp: u64] | [origin: uid u64, epoch u64, proxy i64] | fields | payload
//! ```
//!
//! Integers are little-endian. The payload is MessagePack and stays opaque: proxies and routers pass it on as it
//! came. `protocol/nodes.md` is the written form of this file.

use crate::{NodeId, Reason, Row, WireError};

/// A topic's three names (namespace, system, event) are joined by this byte; so are a module and its method.
pub const SEPARATOR: u8 = 0;

const STAMPED: u8 = 0x01;
const ORIGIN: u8 = 0x02;
const ONE_WAY: u8 = 0x04;

const EVENT: u8 = 1;
const REQUEST: u8 = 2;
const RESPONSE: u8 = 3;
const PUSH: u8 = 4;
const ACK: u8 = 5;
const NACK: u8 = 6;
const CLOSE: u8 = 7;

/// The player that a message came from, as the proxy knows them; never taken from the client's own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The player's uid.
    pub uid: u64,
    /// The session epoch: which of the player's sessions, ever.
    pub epoch: u64,
    /// The proxy that holds the client's connection.
    pub proxy: NodeId,
}

/// What every kind carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The documented call that the message came from.
    pub row: Row,
    /// When it was sent, nanoseconds since the Unix epoch, where the cluster measures latency; else 0.
    pub stamp: u64,
    /// The player it came from, for what clients send.
    pub origin: Option<Origin>,
}

impl Meta {
    /// Meta of a message of `row` with nothing else set.
    pub fn of(row: Row) -> Meta {
        Meta { row, stamp: 0, origin: None }
    }
}

/// Which sessions a push is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushTo<'a> {
    /// Whatever session the player with this uid has at the proxy.
    Uid(u64),
    /// These sessions, by epoch, eight little-endian bytes each.
    Epochs(&'a [u8]),
}

impl<'a> PushTo<'a> {
    /// The epochs of [`PushTo::Epochs`]; empty for a push by uid.
    pub fn epochs(self) -> impl Iterator<Item = u64> + 'a {
        let bytes = match self {
            PushTo::Uid(_) => &[],
            PushTo::Epochs(bytes) => bytes,
        };
        bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap_or_default()))
    }
}

/// The kinds of envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Fire and forget, to the listeners of a topic.
    Event {
        /// `namespace \0 system \0 event` of the sending system.
        topic: &'a [u8],
    },
    /// Wants exactly one response, unless `one_way`.
    Request {
        /// The caller's number for it.
        id: u64,
        /// How long the caller will wait from now on, in milliseconds.
        timeout_ms: u32,
        /// The caller wants no answer.
        one_way: bool,
        /// `module \0 method`.
        target: &'a [u8],
    },
    /// The answer to a request. With `Err`, the payload is a text that explains.
    Response {
        /// The caller's number.
        id: u64,
        /// How it ended.
        status: Result<(), Reason>,
    },
    /// An event for clients, addressed to their proxy.
    Push {
        /// Whom it is for.
        to: PushTo<'a>,
        /// `namespace \0 system \0 event` of the sending system.
        topic: &'a [u8],
    },
    /// Nothing but the frame's acknowledgement.
    Ack,
    /// The frame of that number was taken in but not delivered. It stands in front of any acknowledgement
    /// that covers the frame.
    Nack {
        /// The frame's sequence number.
        seq: u32,
        /// Why.
        reason: Reason,
    },
    /// The last frame of a connection. The payload is a text that explains.
    Close {
        /// Why.
        reason: Reason,
    },
}

/// One message between two nodes, borrowed from the buffer that it was read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What every kind carries.
    pub meta: Meta,
    /// The kind and its fields.
    pub body: Body<'a>,
    /// MessagePack data (for failed responses and closes: text).
    pub payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Appends the encoded form. Topics and targets above 65,535 bytes are cut; senders check before.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let meta = &self.meta;
        let (kind, one_way) = match self.body {
            Body::Event { .. } => (EVENT, false),
            Body::Request { one_way, .. } => (REQUEST, one_way),
            Body::Response { .. } => (RESPONSE, false),
            Body::Push { .. } => (PUSH, false),
            Body::Ack => (ACK, false),
            Body::Nack { .. } => (NACK, false),
            Body::Close { .. } => (CLOSE, false),
        };
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let flags =
            flag(meta.stamp != 0, STAMPED) | flag(meta.origin.is_some(), ORIGIN) | flag(one_way, ONE_WAY);
        let mut head = Head::default();
        head.put([kind, flags, meta.row.code()]);
        if meta.stamp != 0 {
            head.put(meta.stamp.to_le_bytes());
        }
        if let Some(origin) = meta.origin {
            head.put(origin.uid.to_le_bytes());
            head.put(origin.epoch.to_le_bytes());
            head.put(origin.proxy.0.to_le_bytes());
        }
        match self.body {
            Body::Event { topic } => head.finish(out, topic),
            Body::Request { id, timeout_ms, target, .. } => {
                head.put(id.to_le_bytes());
                head.put(timeout_ms.to_le_bytes());
                head.finish(out, target);
            }
            Body::Response { id, status } => {
                head.put(id.to_le_bytes());
                head.put([status.err().map_or(0, Reason::code)]);
                out.extend_from_slice(head.filled());
            }
            Body::Push { to: PushTo::Uid(uid), topic } => {
                head.put(0u16.to_le_bytes());
                head.put(uid.to_le_bytes());
                head.finish(out, topic);
            }
            Body::Push { to: PushTo::Epochs(epochs), topic } => {
                head.put(((epochs.len() / 8) as u16).to_le_bytes());
                out.extend_from_slice(head.filled());
                out.extend_from_slice(epochs);
                Head::default().finish(out, topic);
            }
            Body::Ack => out.extend_from_slice(head.filled()),
            Body::Nack { seq, reason } => {
                head.put(seq.to_le_bytes());
                head.put([reason.code()]);
                out.extend_from_slice(head.filled());
            }
            Body::Close { reason } => {
                head.put([reason.code()]);
                out.extend_from_slice(head.filled());
            }
        }
        out.extend_from_slice(self.payload);
    }

    /// Reads an envelope that fills `bytes`.
    ///
    /// # Errors
    /// [`WireError::Truncated`] where it ends early, [`WireError::UnknownKind`] and
    /// [`WireError::UnknownCode`] for codes of no meaning.
    pub fn decode(bytes: &'a [u8]) -> Result<Envelope<'a>, WireError> {
        let mut from = Reader(bytes);
        let [kind, flags, row] = from.array("header")?;
        let row = Row::from_code(row).ok_or(WireError::UnknownCode { what: "row", code: row })?;
        let stamp = if flags & STAMPED != 0 { from.u64("stamp")? } else { 0 };
        let origin = if flags & ORIGIN != 0 {
            Some(Origin {
                uid: from.u64("origin")?,
                epoch: from.u64("origin")?,
                proxy: NodeId(from.u64("origin")? as i64),
            })
        } else {
            None
        };
        let meta = Meta { row, stamp, origin };
        let body = match kind {
            EVENT => Body::Event { topic: from.name("topic")? },
            REQUEST => Body::Request {
                id: from.u64("request id")?,
                timeout_ms: from.u32("time-out")?,
                one_way: flags & ONE_WAY != 0,
                target: from.name("target")?,
            },
            RESPONSE => Body::Response {
                id: from.u64("request id")?,
                status: match from.u8("status")? {
                    0 => Ok(()),
                    code => Err(reason(code)?),
                },
            },
            PUSH => {
                let to = match from.u16("push count")? {
                    0 => PushTo::Uid(from.u64("uid")?),
                    count => PushTo::Epochs(from.take(usize::from(count) * 8, "epochs")?),
                };
                Body::Push { to, topic: from.name("topic")? }
            }
            ACK => Body::Ack,
            NACK => Body::Nack { seq: from.u32("sequence")?, reason: reason(from.u8("reason")?)? },
            CLOSE => Body::Close { reason: reason(from.u8("reason")?)? },
            kind => return Err(WireError::UnknownKind { kind }),
        };
        Ok(Envelope { meta, body, payload: from.0 })
    }
}

/// Splits a topic into namespace, system and event name.
///
/// # Errors
/// [`WireError::BadName`] when it is not three utf-8 names.
pub fn split_topic(topic: &[u8]) -> Result<(&str, &str, &str), WireError> {
    let text = std::str::from_utf8(topic).map_err(|_| WireError::BadName { what: "topic" })?;
    let mut parts = text.split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(system), Some(event), None) => Ok((namespace, system, event)),
        _ => Err(WireError::BadName { what: "topic" }),
    }
}

/// Splits a request's target into module and method.
///
/// # Errors
/// [`WireError::BadName`] when it is not two utf-8 names.
pub fn split_target(target: &[u8]) -> Result<(&str, &str), WireError> {
    let text = std::str::from_utf8(target).map_err(|_| WireError::BadName { what: "target" })?;
    text.split_once('\0').ok_or(WireError::BadName { what: "target" })
}

/// What stands in front of an envelope's name, gathered on the stack: it leaves in one piece.
struct Head {
    bytes: [u8; 56],
    len: usize,
}

impl Default for Head {
    fn default() -> Head {
        Head { bytes: [0; 56], len: 0 }
    }
}

impl Head {
    /// The longest head has 3 + 8 + 24 bytes of meta, 12 of fields and 2 of a name's length.
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Ends with the length of `name`, and hands over both.
    fn finish(&mut self, out: &mut Vec<u8>, name: &[u8]) {
        let name = &name[..name.len().min(usize::from(u16::MAX))];
        self.put((name.len() as u16).to_le_bytes());
        out.extend_from_slice(self.filled());
        out.extend_from_slice(name);
    }
}

fn reason(code: u8) -> Result<Reason, WireError> {
    Reason::from_code(code).ok_or(WireError::UnknownCode { what: "reason", code })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(WireError::Truncated { what })?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Truncated { what })?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, WireError> {
        self.array(what).map(u16::from_le_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn name(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.u16(what)?;
        self.take(usize::from(len), what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..max)
    }

    fn metas() -> impl Strategy<Value = Meta> {
        let origin = proptest::option::of((any::<u64>(), any::<u64>(), any::<i64>()));
        (0..Row::COUNT, any::<u64>(), origin).prop_map(|(row, stamp, origin)| Meta {
            row: Row::ALL[row],
            stamp,
            origin: origin.map(|(uid, epoch, proxy)| Origin { uid, epoch, proxy: NodeId(proxy) }),
        })
    }

    proptest! {
        #[test]
        fn every_kind_arrives_as_it_was_sent(
            meta in metas(), id in any::<u64>(), ms in any::<u32>(), one_way in any::<bool>(),
            name in bytes(80), payload in bytes(80), why in 0..Reason::ALL.len(), epochs in 1usize..5,
        ) {
            let reason = Reason::ALL[why];
            let epochs = vec![7u8; epochs * 8];
            for body in [
                Body::Event { topic: &name },
                Body::Request { id, timeout_ms: ms, one_way, target: &name },
                Body::Response { id, status: Ok(()) },
                Body::Response { id, status: Err(reason) },
                Body::Push { to: PushTo::Uid(id), topic: &name },
                Body::Push { to: PushTo::Epochs(&epochs), topic: &name },
                Body::Ack,
                Body::Nack { seq: ms, reason },
                Body::Close { reason },
            ] {
                let sent = Envelope { meta, body, payload: &payload };
                let mut out = Vec::new();
                sent.encode_into(&mut out);
                prop_assert_eq!(Envelope::decode(&out).unwrap(), sent);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in bytes(64)) {
            let _ = Envelope::decode(&bytes);
        }
    }
}
