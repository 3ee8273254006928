//! What the tests above single crates share.
//!
//! [`sim`] runs a whole cluster (a master, proxies, lobbies, games and services, each on a thread of its own as
//! far as it knows) in one thread on virtual time, over the [`fault`] link, under faults that a seed decides.
//! [`oracle`] is told what was sent and what handlers saw, knows nothing of the implementation, and says which
//! promises were broken. [`world`] is a cluster over real links, for the conformance list; [`nats`] the
//! server that one of them needs.

pub mod fault;
pub mod load;
pub mod money;
#[path = "../../crates/link/tests/server/mod.rs"]
pub mod nats;
pub mod oracle;
pub mod rng;
pub mod sessions;
pub mod sim;
pub mod steps;
pub mod world;
