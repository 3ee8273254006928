//! What must survive: player records, notifications, answers to requests, offline pushes and dead letters
//! (snipe.md sections 3 and 4).
//!
//! The master alone opens a store. In flow order:
//!
//! - [`Work`] is what callers hand in, pure data; a [`Commit`] is what one handler run leaves behind.
//! - [`StoreClient`] is the callers' end, and [`on_thread`] or [`on_task`] the other: it takes everything that
//!   waits and hands it to a [`Store`] as **one** transaction with one sync (group commit).
//! - `judge` (pure) decides each work against the rows it names, one after another, so that a stale owner's
//!   commit is refused while its neighbours in the same flush are untouched. All stores share it: what may be
//!   committed is decided once.
//! - [`MemoryStore`], [`SqliteStore`] and [`PostgresStore`] read those rows and write what changed. One suite,
//!   `tests/suite`, runs against each. [`LazyStore`] opens one of them at its first use.
//! - [`FaultyStore`] puts faults between: lost answers, failed flushes, delays, a crash that drops what was not
//!   yet synced.
//!
//! A store is known by the cluster that owns it and by the version of its schema; another cluster's, and a newer
//! one, are refused by name. Every document carries a checksum and is never served when that does not hold.

mod changes;
mod client;
mod clock;
mod columns;
mod commit;
mod error;
mod fault;
mod id;
mod judge;
mod lazy;
mod leadership;
mod lease;
mod legible;
mod memory;
mod notification;
mod open;
mod options;
mod overlay;
mod owner;
mod postgres;
mod record;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod schema;
mod seal;
mod seen;
mod serve;
mod sqlite;
mod store;
mod survey;
mod work;

pub use client::{StoreClient, StoreStats};
pub use clock::Clock;
pub use commit::{Commit, Delivered, NewAnswer, NewDeadLetter, NewPush, RecordChange, Transition, When};
pub use error::{Refused, StoreError};
pub use fault::{Fault, Faults, FaultyStore};
pub use id::{CommitId, NotificationId};
pub use lazy::LazyStore;
pub use leadership::{Keeping, Leadership};
pub use lease::{Candidate, Lease};
pub use memory::{MemoryDisk, MemoryStore};
pub use notification::{NewNotification, Notification, Sender, Step};
pub(crate) use open::is_url;
pub use open::{check_place, open};
pub use options::{Limits, Options};
pub use postgres::PostgresStore;
pub use record::{Claimed, HistoryEntry, Record};
pub use serve::{Pace, on_task, on_thread};
pub use sqlite::SqliteStore;
pub use store::{DeadLetter, Push, Store, Verdict};
pub use survey::{Survey, survey};
pub use work::{Committed, Done, Work};
