//! The client library: one player's connection to a proxy (apollo.md sections 1 and 5).
//!
//! [`Client::connect`] logs in; the calls of the table's rows 2 and 12 send, [`Client::next_event`] or
//! [`Client::listen`] receive; [`Client::ask`] sends a request and waits for its response. A dropped socket is taken up again by itself: what was under way is neither lost
//! nor doubled while the proxy keeps the session. It runs on any tokio runtime, one thread or many.
//!
//! ```no_run
//! # async fn play() -> Result<(), chappe_client::ClientError> {
//! use chappe_client::{Client, ClientEvent, Login};
//!
//! let client = Client::connect("ws://127.0.0.1:8100", Login::new(7)).await?;
//! client.notify_to_server("Arena", "ArenaClient", "Queue", &"duel")?;
//! while let Some(event) = client.next_event().await {
//!     if let ClientEvent::Event(event) = event {
//!         println!("{}: {:?}", event.name(), event.value());
//!     }
//! }
//! # Ok(()) }
//! ```

mod client;
mod connection;
mod error;
mod event;
mod outbox;
mod request;
mod socket;
mod state;
mod tls;

pub use client::{Client, Login};
pub use error::ClientError;
pub use event::{ClientEvent, Received};
pub use request::Response;
pub use state::Counts;
pub use tls::Tls;
