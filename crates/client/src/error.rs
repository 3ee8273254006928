//! What can go wrong with a call.

use chappe_wire::Reason;
use chappe_wire::value::{Refusal, ValueError};

/// Why a client is not connected, or a message was not sent.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The proxy cannot be reached, or does not answer.
    #[error("cannot reach the proxy at {url}: {why}")]
    Unreachable {
        /// Its address.
        url: String,
        /// What the system said.
        why: String,
    },
    /// TLS has failed: a certificate of the proxy, or the client's own, is not taken. Trying again changes nothing.
    #[error("no secure connection to the proxy at {url}: {why}")]
    Tls {
        /// Its address.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The proxy, the master or a server said no, or the session is over.
    #[error("{reason}: {message}")]
    Closed {
        /// Why.
        reason: Reason,
        /// The same for the player.
        message: String,
    },
    /// The data cannot be sent, or is over the limit; names the place in it.
    #[error(transparent)]
    Data(#[from] ValueError),
    /// So much waits for the connection that nothing more is taken.
    #[error("{}: too much waits to be sent", Reason::Overloaded)]
    Overloaded,
    /// A request's response has not come in time.
    #[error("{}: no response came in time", Reason::DeadlineExceeded)]
    Late,
}

impl ClientError {
    /// The reason's stable code.
    pub fn reason(&self) -> Reason {
        match self {
            ClientError::Unreachable { .. } => Reason::Disconnected,
            ClientError::Tls { .. } => Reason::Refused,
            ClientError::Closed { reason, .. } => *reason,
            ClientError::Data(error) if matches!(error.refusal(), Refusal::TooBig { .. }) => Reason::TooLarge,
            ClientError::Data(_) => Reason::BadData,
            ClientError::Overloaded => Reason::Overloaded,
            ClientError::Late => Reason::DeadlineExceeded,
        }
    }
}
