//! Login tokens: what proves to a proxy that a client is the player that it says it is.
//!
//! ```text
//! sign     a private key set -> a token          the game's own servers, and `chappe token`
//! keys     the text of a JWK set -> verifying keys, each bound to its one algorithm
//! verify   a token, the keys, the time -> who it is for, or why it is refused
//! ```
//!
//! A token is a JWT (RFC 7519) in the compact form of a JWS (RFC 7515), keys are JWK sets (RFC 7517). There is no I/O and
//! no clock here: the caller passes both in. No error of this crate holds any part of a token or of a secret, so all of
//! them may be logged and told.

mod jwk;
mod keys;
mod sign;
mod verify;

pub use jwk::{Algorithm, KeyError};
pub use keys::KeySet;
pub use sign::{NewKey, SigningKeys};
pub use verify::{Claims, Expected, Refusal};
