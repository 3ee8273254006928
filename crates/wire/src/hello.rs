//! The handshake: what two nodes say to each other before any frame, and what makes one turn the other away.
//!
//! ```text
//! magic "CHPE" | major: u16 | minor: u16 | len: u32 | MessagePack map
//! ```
//!
//! The version stands before everything else, so that a foreign version can be refused by name whatever its
//! own hello looks like. The dialling side speaks first; the other answers with its own hello or a [`Refusal`]. Where the
//! cluster has a secret, each proves to the other that it knows it: [`crate::greet`].

use crate::secret::{Nonce, Proof};
use crate::{NodeId, Reason, Role, WireError, value};
use serde::{Deserialize, Serialize};

/// Major and minor version of the protocol between nodes. Minors N and N-1 work together; majors do not.
pub const PROTOCOL: Version = Version { major: 1, minor: 1 };

/// The largest hello that is read, in bytes.
pub const MAX_HELLO: usize = 64 * 1024;

const MAGIC: [u8; 4] = *b"CHPE";
const HEADER: usize = 12;

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Other majors are refused by name.
    pub major: u16,
    /// Raised for additions.
    pub minor: u16,
}

impl Version {
    /// Whether nodes of the two versions may talk: the same major, minors at most one apart.
    pub fn works_with(self, other: Version) -> bool {
        self.major == other.major && self.minor.abs_diff(other.minor) <= 1
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster's name, from deploy.json.
    pub cluster: String,
    /// The node's id.
    pub node: NodeId,
    /// The node's role.
    pub role: Role,
    /// The node's type.
    pub node_type: String,
    /// Which life of the node this is: larger with each start.
    pub incarnation: u64,
    /// Whom the sender believes to be talking to; `None` in an answer.
    pub to: Option<NodeId>,
    /// What the connection is for.
    #[serde(default)]
    pub purpose: Purpose,
    /// Of a master, the term under which it leads; of another node, the highest that it has heard of. 0: none. A connection
    /// to a master belongs to one term of it, and so does everything on it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub term: u64,
    /// The sender has a secret to prove; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The version of the sender's program, for people. Empty: it does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// That a side has a secret, and what the other's proof must be made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// Drawn for this handshake.
    pub nonce: Nonce,
    /// It lets in also who shows none.
    pub optional: bool,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Messages.
    #[default]
    Messages,
    /// Heartbeats from the thread beside the node's own, to the master.
    Pulse,
    /// A master that leads from now on makes itself known: the node is to leave another and to call this one. No messages
    /// follow.
    Lead,
}

fn is_none(term: &u64) -> bool {
    *term == 0
}

/// A turned-down hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// The reason's code.
    pub reason: Reason,
    /// The same for a person: who refuses whom, and over what.
    pub message: String,
}

/// What one side of the handshake says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    /// Here I am.
    #[serde(rename = "hello")]
    Hello(Hello),
    /// Not with you.
    #[serde(rename = "refuse")]
    Refuse(Refusal),
    /// Here I am; and you, do you know the secret?
    #[serde(rename = "challenge")]
    Challenge(Hello),
    /// I do: a proof for each of the dialling side's secrets.
    #[serde(rename = "prove")]
    Prove(Vec<Proof>),
    /// So do I. From here on frames follow.
    #[serde(rename = "welcome")]
    Welcome(Proof),
}

impl Greeting {
    /// The encoded form, under version `version`.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        // A greeting is plain strings and integers: it always encodes.
        let body = value::encode(self).unwrap_or_default();
        let mut out = Vec::with_capacity(HEADER + body.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&version.major.to_le_bytes());
        out.extend_from_slice(&version.minor.to_le_bytes());
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// Reads a greeting from the front of `buf`: it, the sender's version and the bytes it took, or `None`
    /// when it is not yet whole.
    ///
    /// # Errors
    /// [`WireError::NotChappe`] for another magic, [`WireError::ForeignVersion`] for a version that does not
    /// work with `mine`, [`WireError::FrameTooLarge`], and [`WireError::BadGreeting`].
    pub fn decode(buf: &[u8], mine: Version) -> Result<Option<(Greeting, Version, usize)>, WireError> {
        let seen = buf.len().min(MAGIC.len());
        if buf[..seen] != MAGIC[..seen] {
            return Err(WireError::NotChappe);
        }
        let Some((head, rest)) = buf.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [_, _, _, _, a, b, c, d, len @ ..] = *head;
        let theirs = Version { major: u16::from_le_bytes([a, b]), minor: u16::from_le_bytes([c, d]) };
        if !mine.works_with(theirs) {
            return Err(WireError::ForeignVersion { theirs, mine });
        }
        let len = u32::from_le_bytes(len) as usize;
        if len > MAX_HELLO {
            return Err(WireError::FrameTooLarge { size: len, limit: MAX_HELLO });
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let greeting = value::decode(body).map_err(|err| WireError::BadGreeting { why: err.to_string() })?;
        Ok(Some((greeting, theirs, HEADER + len)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Greeting {
        Greeting::Hello(Hello {
            cluster: "arena".into(),
            node: NodeId(6001),
            role: Role::Service,
            node_type: "service_mail".into(),
            incarnation: 9,
            to: Some(NodeId(1)),
            purpose: Purpose::Messages,
            term: 0,
            auth: None,
            version: String::new(),
        })
    }

    #[test]
    fn a_hello_in_pieces_is_waited_for() {
        let bytes = hello().encode(PROTOCOL);
        for cut in 0..bytes.len() {
            assert_eq!(Greeting::decode(&bytes[..cut], PROTOCOL).unwrap(), None, "cut at {cut}");
        }
        let (greeting, version, used) = Greeting::decode(&bytes, PROTOCOL).unwrap().unwrap();
        assert_eq!((greeting, version, used), (hello(), PROTOCOL, bytes.len()));
    }

    #[test]
    fn a_foreign_version_is_named_whatever_its_hello_looks_like() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[9, 0, 1, 0, 255, 255, 255, 255]);
        let err = Greeting::decode(&bytes, PROTOCOL).unwrap_err();
        assert_eq!(err.to_string(), "the peer speaks protocol 9.1, which does not work with 1.1");
    }

    #[test]
    fn neighbouring_minors_talk_for_rolling_updates() {
        let v = |major, minor| Version { major, minor };
        assert!(v(1, 3).works_with(v(1, 2)) && v(1, 2).works_with(v(1, 3)));
        assert!(!v(1, 3).works_with(v(1, 1)) && !v(1, 0).works_with(v(2, 0)));
    }

    #[test]
    fn a_web_browser_on_a_node_socket_is_turned_away() {
        assert!(matches!(Greeting::decode(b"GET / HTTP/1.1\r\n", PROTOCOL), Err(WireError::NotChappe)));
    }
}
