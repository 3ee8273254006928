//! Faults put in on purpose, each of which the test suite must catch. Compiled in by the feature `sabotage` alone.
//!
//! A sync that is skipped is [`MemoryDisk::skip_sync`](crate::MemoryDisk::skip_sync).

use std::cell::Cell;

/// A fault, in the store or in `chappe-notify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A server takes a delivery again that it has, and the store moves a notification on that has moved.
    SkipDedup,
    /// A commit under a stale record epoch is accepted.
    SkipFence,
    /// The master hands a notification on before the commit that sends it is durable, and the store does not ask for it.
    ActBeforeCommit,
    /// What a handler says leaves before its commit is durable.
    ReleaseEarly,
}

thread_local! {
    static ACTIVE: Cell<Option<Sabotage>> = const { Cell::new(None) };
}

/// Switches a fault on for everything on this thread, or all of them off.
pub fn set(sabotage: Option<Sabotage>) {
    ACTIVE.set(sabotage);
}

/// Whether that fault is on.
pub fn is(sabotage: Sabotage) -> bool {
    ACTIVE.get() == Some(sabotage)
}
