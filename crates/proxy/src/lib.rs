//! The proxy: WebSocket clients on one side, the cluster on the other (apollo.md sections 1 and 5).
//!
//! ```text
//! socket -> inbound -> node.forward          client to cluster; data is passed on as bytes
//! node.on_push -> push -> conn -> socket     cluster to client; encoded once for all that get the same
//! login -> place -> session                  who is here, where they stand, and how they get elsewhere
//! leave -> handover -> the next life          sessions go on when the node is replaced
//! tls, token <- files                        certificates and login keys, read again while the proxy runs
//! ```
//!
//! A [`Proxy`] runs on its node's one thread. A session outlives its socket: `replay` keeps what the client has
//! not acknowledged, so that a dropped socket loses and doubles nothing. The frames are those of
//! [`chappe_wire::client`]. Every message that is taken from a client and not forwarded, and every push that is
//! not handed to a socket, is counted once as dropped, with its row and the reason.

mod conn;
mod files;
mod handover;
mod inbound;
mod login;
mod options;
mod place;
mod proxy;
mod push;
mod rate;
mod replay;
mod session;
mod socket;
mod tls;
mod token;

pub use files::FileError;
pub use options::{AcceptAnyone, Checking, Denied, Granted, LoginCheck, ProxyOptions};
pub use proxy::Proxy;
pub use tls::{Tls, TlsError, TlsFiles};
pub use token::{LoginKeysError, TokenCheck};
