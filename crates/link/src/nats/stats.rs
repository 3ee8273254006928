//! What has happened between this process and NATS, and how it stands.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// Counts since the link was made, and what goes up and down.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct NatsStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl NatsStats {
            /// Each by its name, `nats_` before it.
            pub(super) fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((concat!("nats_", stringify!($name)), self.$name),)*]
            }
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
    /// Times that a process of another cluster of our name was turned away.
    strangers
    /// Publications to many nodes (`unordered` broadcasts) that were dropped because their node took them too slowly.
    unordered_overruns
    /// 1 while the connection to NATS stands. It goes up and down.
    up
    /// Microseconds that the last probe took to the servers and back: measured every two seconds. It goes up and down.
    round_trip_us
    /// Bytes that came over NATS, those of our own probes among them.
    received_bytes
    /// Bytes that went out.
    sent_bytes
    /// Messages of NATS that came; several of the cluster's may be in one.
    received_messages
    /// Messages of NATS that went out.
    sent_messages
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
