//! The stores with real processes and real players: backups and the way back, and a disk that is full.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod cluster;
mod full_disk;
mod postgres;
mod restore;
