//! What a player's game and its proxy say to each other, over a WebSocket.
//!
//! A frame is one list, `[verb, fields...]`: MessagePack in binary frames, the same as JSON (with the escapes of
//! [`mod@crate::value`]'s text form) in text frames. The data of an event is found, checked to be one whole value,
//! and passed on as it came; nobody between the two games decodes it. `protocol/clients.md` is the written form of
//! this file, `protocol/vectors/client.json` its examples.

mod request;

pub use request::{
    ERROR_FIELD, KIND_FIELD, NOTIFY_FIELD, REQUEST, REQUEST_FIELD, REQUEST_NAMESPACE, REQUEST_SYSTEM,
    RESPONSE,
};

use crate::value::{self, Shape, ValueError, put_int, put_str, put_uint};
use crate::{NodeId, PlayerId, Reason};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of the client protocol, which a login names.
pub const PROTOCOL: u32 = 1;

/// The longest name (namespace, system, event) that a client may send, in bytes.
pub const NAME_BYTES: usize = 1024;

/// A frame that is not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It is no list that begins with a text.
    #[error("a frame is a list that begins with a verb")]
    NotAFrame,
    /// The verb means nothing in this direction.
    #[error("{0:?} is no verb of this protocol")]
    UnknownVerb(String),
    /// A field is missing.
    #[error("{verb:?} takes {count} fields")]
    FieldCount {
        /// The verb.
        verb: &'static str,
        /// What it takes.
        count: &'static str,
    },
    /// A name holds a NUL or is too long.
    #[error("the {0} is no name: it holds a NUL or is longer than {NAME_BYTES} bytes")]
    BadName(&'static str),
    /// A field is not of its form, or the bytes are no MessagePack or JSON.
    #[error(transparent)]
    Data(#[from] ValueError),
}

/// The three names of an event's topic: the sending system's namespace and name, and the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// The sending system's namespace.
    pub namespace: &'a str,
    /// The sending system's name.
    pub system: &'a str,
    /// The event's name.
    pub event: &'a str,
}

/// How a client introduces itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The player.
    pub uid: u64,
    /// What proves it, for a proxy that checks.
    #[serde(default)]
    pub token: Option<String>,
    /// The player's name.
    #[serde(default)]
    pub nickname: String,
    /// The version of the protocol that the client speaks: [`PROTOCOL`].
    pub protocol: u32,
    /// The token of the session to go on with, from its [`Welcome`].
    #[serde(default)]
    pub resume: Option<String>,
    /// How many events of that session have arrived.
    #[serde(default)]
    pub received: u64,
}

/// Without its tokens: they must not come into a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Login { uid, nickname, protocol, received, .. } = self;
        let secret = |token: &Option<String>| token.as_ref().map(|_| "...");
        f.debug_struct("Login")
            .field("uid", uid)
            .field("token", &secret(&self.token))
            .field("nickname", nickname)
            .field("protocol", protocol)
            .field("resume", &secret(&self.resume))
            .field("received", received)
            .finish()
    }
}

/// The answer to a login that was let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The player.
    pub uid: u64,
    /// The player's id while this session lasts.
    pub player_id: PlayerId,
    /// Which of the player's sessions, ever.
    pub epoch: u64,
    /// The lobby or game that the player is on.
    pub server_id: NodeId,
    /// The proxy.
    pub proxy_id: NodeId,
    /// Takes this session up again after a dropped socket.
    pub token: String,
    /// Whether this is the session that the login asked to go on with.
    pub resumed: bool,
    /// How many messages of this session have arrived from the client; what came after them is to be sent again.
    pub received: u64,
    /// Whether messages carry the time at which they were sent (the trailing fields of events).
    pub measure: bool,
    /// For how many milliseconds the session waits for a client whose socket has dropped.
    pub resume_ms: u64,
}

/// Without its token.
impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Welcome { uid, epoch, server_id, proxy_id, resumed, received, .. } = self;
        f.debug_struct("Welcome")
            .field("uid", uid)
            .field("epoch", epoch)
            .field("server_id", server_id)
            .field("proxy_id", proxy_id)
            .field("resumed", resumed)
            .field("received", received)
            .finish_non_exhaustive()
    }
}

/// Where a player was moved to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// The lobby or game that the player is on now.
    pub server_id: NodeId,
    /// Whether this was a transfer; false says: the server before was lost.
    pub is_transfer: bool,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
pub enum FromClient<'a> {
    /// `["login", {...}]`: the first frame.
    Login(Login),
    /// `["event", namespace, system, event, data]`: row 2, to the server that the player is on. Counted.
    Event {
        /// The topic.
        names: Names<'a>,
        /// One MessagePack value.
        data: &'a [u8],
        /// When it was sent, in nanoseconds since the Unix epoch, as one more field; else 0.
        stamp: u64,
    },
    /// `["service", serverId, namespace, system, event, data]`: row 12, to a service. Counted.
    Service {
        /// The service.
        to: NodeId,
        /// The topic.
        names: Names<'a>,
        /// One MessagePack value.
        data: &'a [u8],
        /// As in [`FromClient::Event`].
        stamp: u64,
    },
    /// `["ack", n]`: so many events of this session have arrived.
    Ack(u64),
    /// `["ping", n]`: answered with `["pong", n]`.
    Ping(u64),
    /// `["logout"]`: the session ends.
    Logout,
}

/// What a proxy says.
#[derive(Debug, Clone, PartialEq)]
pub enum ToClient<'a> {
    /// `["welcome", {...}]`.
    Welcome(Welcome),
    /// `["event", namespace, system, event, data]`. Counted.
    Event {
        /// The topic.
        names: Names<'a>,
        /// One MessagePack value.
        data: &'a [u8],
        /// Where the cluster measures: when it was sent, and the row's number, as two more fields; else 0.
        measured: (u64, u8),
    },
    /// `["server", {...}]`: the player is on another server now.
    Server(Moved),
    /// `["announce", text]`: for the player to read.
    Announce(&'a str),
    /// `["error", reason, message]`: something that the client sent was not passed on.
    Error(Reason, &'a str),
    /// `["ack", n]`: so many messages of this session have arrived.
    Ack(u64),
    /// `["pong", n]`.
    Pong(u64),
    /// `["close", reason, message]`: the last frame.
    Close(Reason, &'a str),
}

impl<'a> FromClient<'a> {
    /// Reads a binary frame, or a text frame that [`value::json_to_msgpack`] has converted.
    ///
    /// # Errors
    /// [`ClientError`]: what is wrong with it.
    pub fn decode(frame: &'a [u8]) -> Result<FromClient<'a>, ClientError> {
        let (verb, mut fields) = Fields::open(frame)?;
        let message = match verb {
            "login" => FromClient::Login(fields.parse("login", "one")?),
            "event" => {
                let names = fields.names("event", "four or five")?;
                let data = fields.raw("event", "four or five")?;
                FromClient::Event { names, data, stamp: fields.optional()? }
            }
            "service" => {
                let to = fields.parse("service", "five or six")?;
                let names = fields.names("service", "five or six")?;
                let data = fields.raw("service", "five or six")?;
                FromClient::Service { to, names, data, stamp: fields.optional()? }
            }
            "ack" => FromClient::Ack(fields.parse("ack", "one")?),
            "ping" => FromClient::Ping(fields.parse("ping", "one")?),
            "logout" => FromClient::Logout,
            other => return Err(unknown(other)),
        };
        // What a later minor version adds behind is not ours to refuse, but it must be whole.
        fields.finish().map(|()| message)
    }

    /// Appends the binary frame.
    ///
    /// # Errors
    /// When a name or a login cannot be encoded.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self {
            FromClient::Login(login) => {
                verb(out, "login", 1)?;
                value::encode_into(out, login)?;
            }
            FromClient::Event { names, data, stamp } => {
                verb(out, "event", if *stamp == 0 { 4 } else { 5 })?;
                names.put(out)?;
                out.extend_from_slice(data);
                put_stamp(out, *stamp);
            }
            FromClient::Service { to, names, data, stamp } => {
                verb(out, "service", if *stamp == 0 { 5 } else { 6 })?;
                put_int(out, to.0);
                names.put(out)?;
                out.extend_from_slice(data);
                put_stamp(out, *stamp);
            }
            FromClient::Ack(count) => number(out, "ack", *count)?,
            FromClient::Ping(number_) => number(out, "ping", *number_)?,
            FromClient::Logout => verb(out, "logout", 0)?,
        }
        Ok(())
    }
}

impl<'a> ToClient<'a> {
    /// Reads a binary frame, or a text frame that [`value::json_to_msgpack`] has converted.
    ///
    /// # Errors
    /// [`ClientError`]: what is wrong with it.
    pub fn decode(frame: &'a [u8]) -> Result<ToClient<'a>, ClientError> {
        let (verb, mut fields) = Fields::open(frame)?;
        let message = match verb {
            "welcome" => ToClient::Welcome(fields.parse("welcome", "one")?),
            "event" => {
                let names = fields.names("event", "four or six")?;
                let data = fields.raw("event", "four or six")?;
                let stamp = fields.optional()?;
                let row = fields.optional()?;
                ToClient::Event { names, data, measured: (stamp, u8::try_from(row).unwrap_or(0)) }
            }
            "server" => ToClient::Server(fields.parse("server", "one")?),
            "announce" => ToClient::Announce(fields.parse("announce", "one")?),
            "error" => ToClient::Error(fields.parse("error", "two")?, fields.parse("error", "two")?),
            "ack" => ToClient::Ack(fields.parse("ack", "one")?),
            "pong" => ToClient::Pong(fields.parse("pong", "one")?),
            "close" => ToClient::Close(fields.parse("close", "two")?, fields.parse("close", "two")?),
            other => return Err(unknown(other)),
        };
        fields.finish().map(|()| message)
    }

    /// Appends the binary frame. The data of an event is copied in as it is.
    ///
    /// # Errors
    /// When a name or a text is too long to be encoded.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self {
            ToClient::Welcome(welcome) => {
                verb(out, "welcome", 1)?;
                value::encode_into(out, welcome)?;
            }
            ToClient::Event { names, data, measured: (stamp, row) } => {
                verb(out, "event", if *stamp == 0 { 4 } else { 6 })?;
                names.put(out)?;
                out.extend_from_slice(data);
                put_stamp(out, *stamp);
                if *stamp != 0 {
                    put_uint(out, u64::from(*row));
                }
            }
            ToClient::Server(moved) => {
                verb(out, "server", 1)?;
                value::encode_into(out, moved)?;
            }
            ToClient::Announce(text) => {
                verb(out, "announce", 1)?;
                put_str(out, text)?;
            }
            ToClient::Error(reason, message) => explained(out, "error", *reason, message)?,
            ToClient::Ack(count) => number(out, "ack", *count)?,
            ToClient::Pong(number_) => number(out, "pong", *number_)?,
            ToClient::Close(reason, message) => explained(out, "close", *reason, message)?,
        }
        Ok(())
    }
}

impl Names<'_> {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), ValueError> {
        put_str(out, self.namespace)?;
        put_str(out, self.system)?;
        put_str(out, self.event)
    }

    /// Appends `namespace \0 system \0 event`, the topic of an envelope.
    pub fn topic_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.namespace.as_bytes());
        out.push(crate::envelope::SEPARATOR);
        out.extend_from_slice(self.system.as_bytes());
        out.push(crate::envelope::SEPARATOR);
        out.extend_from_slice(self.event.as_bytes());
    }
}

/// The fields of a frame that are not read yet.
struct Fields<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Fields<'a> {
    fn open(frame: &'a [u8]) -> Result<(&'a str, Fields<'a>), ClientError> {
        let (left, rest) = match frame {
            [head @ 0x90..=0x9f, rest @ ..] => (usize::from(head & 0x0f), rest),
            [0xdc, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return Err(ClientError::NotAFrame),
        };
        let mut fields = Fields { rest, left };
        match fields.next()? {
            Some(verb) => match value::decode_borrowed(verb) {
                Ok(verb) => Ok((verb, fields)),
                Err(_) => Err(ClientError::NotAFrame),
            },
            None => Err(ClientError::NotAFrame),
        }
    }

    fn next(&mut self) -> Result<Option<&'a [u8]>, ClientError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (field, rest) = self.rest.split_at(value::skip(self.rest)?);
        self.rest = rest;
        Ok(Some(field))
    }

    fn raw(&mut self, verb: &'static str, count: &'static str) -> Result<&'a [u8], ClientError> {
        self.next()?.ok_or(ClientError::FieldCount { verb, count })
    }

    fn parse<T: Deserialize<'a>>(
        &mut self,
        verb: &'static str,
        count: &'static str,
    ) -> Result<T, ClientError> {
        let field = self.raw(verb, count)?;
        value::decode_borrowed(field).map_err(|error| ClientError::Data(error.labelled(verb)))
    }

    fn names(&mut self, verb: &'static str, count: &'static str) -> Result<Names<'a>, ClientError> {
        let mut name = |what| {
            let name: &str = self.parse(verb, count)?;
            let fits = name.len() <= NAME_BYTES && !name.as_bytes().contains(&crate::envelope::SEPARATOR);
            if fits { Ok(name) } else { Err(ClientError::BadName(what)) }
        };
        Ok(Names { namespace: name("namespace")?, system: name("system")?, event: name("event")? })
    }

    /// A number that stands behind where the cluster measures.
    fn optional(&mut self) -> Result<u64, ClientError> {
        match self.next()? {
            Some(field) => Ok(value::decode(field)?),
            None => Ok(0),
        }
    }

    fn finish(mut self) -> Result<(), ClientError> {
        while self.next()?.is_some() {}
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(ClientError::Data(value::Refusal::Trailing(extra).into())),
        }
    }
}

fn unknown(verb: &str) -> ClientError {
    ClientError::UnknownVerb(verb.chars().take(40).collect())
}

fn verb(out: &mut Vec<u8>, verb: &str, fields: usize) -> Result<(), ValueError> {
    Shape::List.put_head(out, fields + 1)?;
    put_str(out, verb)
}

fn number(out: &mut Vec<u8>, name: &str, number: u64) -> Result<(), ValueError> {
    verb(out, name, 1)?;
    put_uint(out, number);
    Ok(())
}

fn explained(out: &mut Vec<u8>, name: &str, reason: Reason, message: &str) -> Result<(), ValueError> {
    verb(out, name, 2)?;
    put_str(out, reason.as_str())?;
    put_str(out, message)
}

fn put_stamp(out: &mut Vec<u8>, stamp: u64) {
    if stamp != 0 {
        put_uint(out, stamp);
    }
}
