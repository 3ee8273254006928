//! The calls that games use.
