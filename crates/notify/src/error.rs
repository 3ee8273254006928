//! What goes wrong in a handler, and with a call of [`Server`](crate::Server).

use chappe_node::Failure;
use chappe_wire::Reason;
use chappe_wire::value::ValueError;

/// Why a handler did not do what it was asked. Nothing that it changed, sent or answered leaves a trace (snipe.md
/// section 3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct HandlerError {
    code: String,
    text: String,
    is_refusal: bool,
    /// It failed for a reason that passes.
    passing: Option<Reason>,
}

impl HandlerError {
    /// The code of handlers that raised.
    pub const FAILED: &'static str = "handlerFailed";
    /// The code of what was undone together with the handler that asked for it: it never was.
    pub const UNDONE: &'static str = "undone";
    /// The code of a missing or wrong-typed field.
    pub const BAD_PARAMS: &'static str = "badParams";

    /// A no that the player is to hear, by its `errorCode`: not enough money. Nothing is wrong, so nothing is logged.
    pub fn refuse(code: impl Into<String>) -> HandlerError {
        let code = code.into();
        HandlerError { text: code.clone(), code, is_refusal: true, passing: None }
    }

    /// As [`HandlerError::refuse`], with a text for the log and for `message` in the response.
    pub fn refuse_with(code: impl Into<String>, text: impl Into<String>) -> HandlerError {
        HandlerError { code: code.into(), text: text.into(), is_refusal: true, passing: None }
    }

    /// Something is wrong: logged and counted; the player hears `handlerFailed`.
    pub fn failed(text: impl Into<String>) -> HandlerError {
        HandlerError { code: Self::FAILED.to_owned(), text: text.into(), is_refusal: false, passing: None }
    }

    /// The `errorCode`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The same for a person.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is an expected no.
    pub fn is_refusal(&self) -> bool {
        self.is_refusal
    }

    /// Whether it was undone together with the handler that asked for it. That handler runs again, or has failed.
    pub fn is_undone(&self) -> bool {
        self.code == Self::UNDONE
    }

    /// The reason of a failure that passes by itself: the master restarts, nobody answered in time. A player who asks
    /// again, under the same id too, is served then; so the player hears this reason, and it is not kept.
    pub fn passing(&self) -> Option<Reason> {
        self.passing
    }

    pub(crate) fn undone(text: &str) -> HandlerError {
        HandlerError {
            code: Self::UNDONE.to_owned(),
            text: text.to_owned(),
            is_refusal: false,
            passing: None,
        }
    }

    pub(crate) fn bad_params(text: impl Into<String>) -> HandlerError {
        HandlerError::refuse_with(Self::BAD_PARAMS, text)
    }
}

impl From<ValueError> for HandlerError {
    fn from(error: ValueError) -> HandlerError {
        HandlerError::failed(error.to_string())
    }
}

impl From<Failure> for HandlerError {
    fn from(failure: Failure) -> HandlerError {
        let passing = Some(failure.reason).filter(|reason| reason.is_transient());
        HandlerError { passing, ..HandlerError::failed(failure.to_string()) }
    }
}

impl From<NotifyError> for HandlerError {
    fn from(error: NotifyError) -> HandlerError {
        HandlerError::failed(error.to_string())
    }
}

impl From<String> for HandlerError {
    fn from(text: String) -> HandlerError {
        HandlerError::failed(text)
    }
}

impl From<&str> for HandlerError {
    fn from(text: &str) -> HandlerError {
        HandlerError::failed(text)
    }
}

/// Why a call was not carried out. Nothing has left the node.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NotifyError {
    /// The record is not of the form that the call takes; names the place.
    #[error("{call}: {what}")]
    BadMessage {
        /// The call's name.
        call: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// Too many notifications lie behind this one: handlers that notify each other in a circle.
    #[error("{call}: {kind:?} would be the {depth}th notification in a chain; the limit is {limit}")]
    TooDeep {
        /// The call's name.
        call: &'static str,
        /// Its `_type`.
        kind: String,
        /// How many.
        depth: u32,
        /// The bound.
        limit: u32,
    },
    /// Only a node of another role can do that.
    #[error("{call}: only {who} can do that")]
    WrongRole {
        /// The call's name.
        call: &'static str,
        /// Who can.
        who: &'static str,
    },
    /// The handler waits for a record that it owns itself.
    #[error("WouldDeadlock: player {uid} is owned by the handler that waits for them")]
    WouldDeadlock {
        /// Whose record.
        uid: u64,
    },
    /// The handler waits for the answer to what it sends itself, which leaves after its commit.
    #[error(
        "WouldDeadlock: {call} is awaited in the handler that calls it, and leaves after that handler's commit"
    )]
    WouldWait {
        /// The call's name.
        call: &'static str,
    },
    /// The handler has ended; what it was given is of no use any more.
    #[error("{call} on player {uid} after the handler has ended")]
    RunEnded {
        /// The call's name.
        call: &'static str,
        /// Whose record.
        uid: u64,
    },
    /// An attribute was given a value of another type than modules declared.
    #[error("player {uid}: the attribute {name:?} is declared as {declared}, not {given}")]
    WrongType {
        /// Whose record.
        uid: u64,
        /// Which attribute.
        name: String,
        /// Its type.
        declared: &'static str,
        /// The value's.
        given: &'static str,
    },
    /// A name is registered twice, or is no name.
    #[error("{0}")]
    Registration(String),
    /// It could not be carried out for a reason that may pass.
    #[error("{call}: {reason}: {text}")]
    Failed {
        /// The call's name.
        call: &'static str,
        /// The stable code.
        reason: Reason,
        /// The same for a person.
        text: String,
    },
}
