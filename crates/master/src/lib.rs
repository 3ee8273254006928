//! The master: membership, logins, the player directory and the HTTP control port.
