//! What can go wrong with a call, and with a node.

use chappe_link::ListenError;
use chappe_wire::hello::Refusal;
use chappe_wire::value::{self, ValueError};
use chappe_wire::{NodeId, Reason, Row};

/// Why a message was not sent. Nothing has left the node.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The data cannot be sent, or is over the limit; names the place in it.
    #[error("{call}: {error}")]
    Data {
        /// The call's name.
        call: &'static str,
        /// What is wrong, and where in the data.
        error: ValueError,
    },
    /// The address leads nowhere, or its queue is full.
    #[error("{call} to {to}: {reason}")]
    Route {
        /// The call's name.
        call: &'static str,
        /// Whom it was for.
        to: String,
        /// Why not. [`Reason::is_transient`] tells whether trying again can help.
        reason: Reason,
    },
}

impl SendError {
    pub(crate) fn data(row: Row, error: ValueError) -> SendError {
        SendError::Data { call: row.call(), error }
    }

    pub(crate) fn route(row: Row, to: impl ToString, reason: Reason) -> SendError {
        SendError::Route { call: row.call(), to: to.to_string(), reason }
    }

    /// The reason's stable code.
    pub fn reason(&self) -> Reason {
        match self {
            SendError::Data { error, .. } => reason_of(error),
            SendError::Route { reason, .. } => *reason,
        }
    }
}

/// The outcome of a request that brought no answer (apollo.md section 3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// The same for a person.
    pub message: String,
}

impl Failure {
    /// A failure of that reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Failure {
        Failure { reason, message: message.into() }
    }
}

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Failure {
        Failure::new(reason_of(&error), error.to_string())
    }
}

/// Data over the limit is told from data that cannot be sent at all.
fn reason_of(error: &ValueError) -> Reason {
    match error.refusal() {
        value::Refusal::TooBig { .. } => Reason::TooLarge,
        _ => Reason::BadData,
    }
}

/// Why a node does not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The master turned it away.
    #[error("node {node} was turned away by the master: {refusal}")]
    Refused {
        /// This node.
        node: NodeId,
        /// What the master said.
        refusal: Refusal,
    },
    /// Its setup failed: a mod that does not load, a port that is taken.
    #[error("node {node} cannot start: {why}")]
    Setup {
        /// This node.
        node: NodeId,
        /// What the setup said.
        why: String,
    },
    /// The master took it for lost and has told everyone; it must start anew.
    #[error("node {node} was declared lost while it was silent; it must start as a new life")]
    Evicted {
        /// This node.
        node: NodeId,
    },
}
