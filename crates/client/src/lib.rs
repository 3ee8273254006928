//! The client library: one player's connection to a proxy.
