//! Why the master cannot do its work.

use std::net::SocketAddr;

/// Why the master cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// The HTTP control port cannot be opened.
    #[error("the master cannot serve HTTP at {address}: {source}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
