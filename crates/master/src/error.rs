//! Why the master cannot do its work.

use std::net::SocketAddr;

/// Why the master cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// The HTTP control port would be open to other machines.
    #[error(
        "the master does not serve HTTP at {address} to whoever asks: it needs a token there (CHAPPE_CONTROL_TOKEN_FILE, or `control_token_file` in deploy.json)"
    )]
    NoToken {
        /// Where.
        address: SocketAddr,
    },
    /// The HTTP control port cannot be opened.
    #[error("the master cannot serve HTTP at {address}: {source}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
