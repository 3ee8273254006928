//! What has happened between this process and NATS.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// Counts since the link was made.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct NatsStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> NatsStats {
                NatsStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Times that the connection to NATS was lost.
    disconnects
    /// Times that it stood again.
    reconnects
    /// Attempts to reconnect that failed.
    failed_reconnects
    /// Messages dropped because this process took them too slowly. They are sent again.
    slow_consumer
    /// Servers that said that they are about to stop.
    lame_duck
    /// Errors that a server reported, such as missing permissions.
    server_errors
    /// Times that messages were missing between two that came; they were asked for again.
    gaps
    /// Messages that were published again.
    resent
    /// Messages that came a second time, and were dropped.
    duplicates
    /// Connections between nodes that ended otherwise than by a close.
    broken
    /// Messages that nothing here could read.
    unreadable
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
