//! Faults put in on purpose, each of which the test suite must catch. Compiled in by the feature `sabotage` alone.

use chappe_route::{State, ViewChange};
use std::cell::Cell;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Every answer is sent twice.
    AnswerTwice,
    /// Nodes that are starting are taken for ready, by others and by themselves.
    RouteUnready,
    /// A session's messages are heard whatever its epoch.
    StaleEpoch,
}

thread_local! {
    static ACTIVE: Cell<Option<Sabotage>> = const { Cell::new(None) };
}

/// Switches a fault on for all nodes of this thread, or all of them off.
pub fn set(sabotage: Option<Sabotage>) {
    ACTIVE.set(sabotage);
}

/// The view with nodes that are starting as ready ones, under [`Sabotage::RouteUnready`].
pub(crate) fn view(mut change: ViewChange) -> ViewChange {
    if is(Sabotage::RouteUnready) {
        let starting = change.members.iter_mut().filter(|member| member.state == State::Starting);
        starting.for_each(|member| member.state = State::Ready);
    }
    change
}

pub(crate) fn is(sabotage: Sabotage) -> bool {
    ACTIVE.get() == Some(sabotage)
}
