//! How the cost of a cluster grows with its nodes and its players.
//!
//! [`nodes`] and [`players`] measure: real nodes, a real master and its real directory, in one thread on virtual time
//! ([`cluster`]), over a link that counts ([`wires`]), each node's CPU time and memory by itself ([`meter`]). [`report`] and
//! [`chart`] show it. Each size is meant to be a process of its own, so that none inherits another's memory.

pub mod chart;
pub mod cluster;
pub mod meter;
pub mod nodes;
pub mod players;
pub mod report;
pub mod wires;
