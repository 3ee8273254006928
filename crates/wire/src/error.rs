//! What can be wrong with bytes from outside.

use crate::hello::Version;

/// Bytes that are no frame, envelope or greeting. The connection that they came on is closed with this reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A length above the limit.
    #[error("a frame of {size} bytes is over the limit of {limit}")]
    FrameTooLarge {
        /// Its length in bytes.
        size: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// A length below the frame header's own.
    #[error("a frame cannot be {size} bytes long")]
    FrameTooShort {
        /// Its length in bytes.
        size: usize,
    },
    /// It ends inside a field.
    #[error("the envelope ends inside its {what}")]
    Truncated {
        /// The field.
        what: &'static str,
    },
    /// No such kind of envelope.
    #[error("{kind} is no kind of envelope")]
    UnknownKind {
        /// The byte found.
        kind: u8,
    },
    /// A code of no meaning.
    #[error("{code} is no {what} code")]
    UnknownCode {
        /// Which code.
        what: &'static str,
        /// The byte found.
        code: u8,
    },
    /// A topic or target that is not the right number of utf-8 names.
    #[error("the {what} is malformed")]
    BadName {
        /// Which name.
        what: &'static str,
    },
    /// The peer is something else.
    #[error("the peer does not speak Chappe's protocol")]
    NotChappe,
    /// The peer is of an incompatible version.
    #[error("the peer speaks protocol {theirs}, which does not work with {mine}")]
    ForeignVersion {
        /// Its version.
        theirs: Version,
        /// Our version.
        mine: Version,
    },
    /// A handshake whose body cannot be read.
    #[error("the greeting cannot be read: {why}")]
    BadGreeting {
        /// What is wrong with it.
        why: String,
    },
}

impl WireError {
    /// The stable code that the peer is told.
    pub fn reason(&self) -> crate::Reason {
        match self {
            WireError::FrameTooLarge { .. } => crate::Reason::TooLarge,
            WireError::ForeignVersion { .. } => crate::Reason::ForeignVersion,
            _ => crate::Reason::ProtocolError,
        }
    }
}
