//! How a command ends: one error type, one table of exit codes.

use chappe_deploy::DeployErrors;
use chappe_link::ListenError;
use chappe_node::NodeError;
use chappe_store::StoreError;
use chappe_wire::Reason;
use serde_json::json;
use std::io;
use std::process::ExitCode;

/// It failed while it ran.
pub(crate) const FAILED: u8 = 1;
/// The arguments or deploy.json are wrong: trying again changes nothing.
pub(crate) const CONFIG: u8 = 2;
/// The master turned the node away, or its id is taken.
pub(crate) const REFUSED: u8 = 3;
/// The master took the node for lost; a new life of it may come.
pub(crate) const EVICTED: u8 = 4;
/// There is no running cluster to talk to.
pub(crate) const UNREACHABLE: u8 = 5;
/// A mod of the node cannot be loaded: trying again changes nothing.
pub(crate) const MOD: u8 = 6;
/// The node has left in order to be started again (`chappe roll`, `ResetServer`).
pub(crate) const RESTART: u8 = 75;

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// deploy.json is wrong.
    #[error("{0}")]
    Deploy(#[from] DeployErrors),
    /// What was asked for makes no sense with this deploy.json.
    #[error("{0}")]
    Usage(String),
    /// The node ended with an error.
    #[error("{0}")]
    Node(#[from] NodeError),
    /// The master cannot open its store.
    #[error("{0}")]
    Store(StoreError),
    /// The node's mods are wrong.
    #[error("{0}")]
    Mod(NodeError),
    /// The cluster said no; the reason is one of the stable codes.
    #[error("{reason}: {message}")]
    Outcome {
        /// The stable code.
        reason: Reason,
        /// The same for a person.
        message: String,
    },
    /// Nobody listens, or not a master of this cluster.
    #[error("the cluster `{cluster}` cannot be reached: {why}; is it running? (`chappe up {file}`)")]
    Unreachable {
        /// The cluster's name.
        cluster: String,
        /// What went wrong.
        why: String,
        /// Its deploy.json.
        file: String,
    },
    /// The system says no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It failed, and all of that is printed already.
    #[error("failed")]
    Told {
        /// The exit code.
        code: u8,
    },
    /// The cluster ended, and not because it was asked to.
    #[error("{message}")]
    Ended {
        /// The exit code of what made it end.
        code: u8,
        /// What happened.
        message: String,
    },
}

impl CommandError {
    /// A failed system call: what was tried, and what the system said.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> CommandError {
        move |source| CommandError::Io { what, source }
    }

    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            CommandError::Deploy(_) | CommandError::Usage(_) | CommandError::Store(_) => CONFIG,
            CommandError::Node(error) => node_code(error),
            CommandError::Mod(_) => MOD,
            CommandError::Outcome { .. } | CommandError::Io { .. } => FAILED,
            CommandError::Unreachable { .. } => UNREACHABLE,
            CommandError::Ended { code, .. } | CommandError::Told { code } => *code,
        }
    }

    /// The same for programs: what `--json` prints.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let message = self.to_string();
        let (kind, reason) = match self {
            CommandError::Deploy(errors) => {
                return json!({"ok": false, "code": CONFIG, "error": "deploy", "deploy": errors});
            }
            CommandError::Usage(_) => ("usage", None),
            CommandError::Node(NodeError::Refused { refusal, .. }) => ("node", Some(refusal.reason)),
            CommandError::Node(_) => ("node", None),
            CommandError::Store(_) => ("store", None),
            CommandError::Mod(_) => ("mod", None),
            CommandError::Outcome { reason, .. } => ("outcome", Some(*reason)),
            CommandError::Unreachable { .. } => ("unreachable", None),
            CommandError::Io { .. } => ("system", None),
            CommandError::Told { .. } => ("told", None),
            CommandError::Ended { .. } => ("ended", None),
        };
        json!({"ok": false, "code": self.code(), "error": kind, "reason": reason.map(Reason::as_str), "message": message})
    }
}

/// The exit code of a node that ended so.
fn node_code(error: &NodeError) -> u8 {
    match error {
        NodeError::Listen(ListenError::IdTaken(_) | ListenError::NameTaken { .. })
        | NodeError::Refused { .. } => REFUSED,
        NodeError::Evicted { .. } => EVICTED,
        _ => FAILED,
    }
}

/// The end of a command, told to whoever started it.
pub(crate) fn report(result: Result<(), CommandError>, as_json: bool) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if let CommandError::Told { .. } = error {
    } else if as_json {
        crate::cmd::say(&error.to_json().to_string());
    } else {
        crate::cmd::complain(&error.to_string());
    }
    ExitCode::from(error.code())
}
