//! Ends what nobody has acted on in time. The store's clock decides; the one here only says when to ask it.

use super::commits::Outcome;
use super::dispatch::legible;
use super::{Desk, retry_after};
use crate::protocol::{Outcome as Told, Sealed};
use chappe_store::{
    Commit, NewDeadLetter, NewNotification, Notification, NotificationId, Refused, Step, Transition, When,
};
use chappe_wire::value;
use std::cell::Cell;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// The most that are ended at once.
const AT_ONCE: usize = 256;
/// How long the loop sleeps when there is no deadline.
const IDLE: Duration = Duration::from_secs(60);
/// What the sender is told, and the reason of a dead letter.
const EXCEEDED: &str = "deadlineExceeded";

/// The store's clock, as far as it is known here, and what wakes the loop.
#[derive(Default)]
pub(super) struct Deadlines {
    seen: Cell<Option<(u64, Instant)>>,
    /// The deadline that the loop sleeps for.
    awaited: Cell<Option<u64>>,
    earlier: Notify,
}

impl Desk {
    /// Starts the loop.
    pub(super) fn keep_deadlines(&self) {
        let desk = self.clone();
        self.0.node.spawn(async move {
            loop {
                desk.until_due().await;
                let Some(now_ms) = desk.store_ms() else { continue };
                let overdue = desk.0.table.borrow_mut().take_overdue(now_ms, AT_ONCE);
                if !overdue.is_empty() {
                    desk.end(overdue).await;
                }
            }
        });
    }

    /// The store's clock showed this a moment ago.
    pub(super) fn see_clock(&self, at_ms: u64) {
        self.0.deadlines.seen.set(Some((at_ms, Instant::now())));
    }

    /// Deadlines may have come that are earlier than the one that is awaited.
    pub(super) fn see_deadlines(&self) {
        let next = self.0.table.borrow().next_deadline();
        let awaited = self.0.deadlines.awaited.get();
        if next.is_some_and(|next| awaited.is_none_or(|awaited| next < awaited)) {
            self.0.deadlines.earlier.notify_one();
        }
    }

    /// What the store's clock shows now, about: never ahead of it unless it was set back.
    pub(super) fn store_ms(&self) -> Option<u64> {
        let (seen_ms, at) = self.0.deadlines.seen.get()?;
        Some(seen_ms.saturating_add(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)))
    }

    async fn until_due(&self) {
        let deadlines = &self.0.deadlines;
        let next = self.0.table.borrow().next_deadline();
        deadlines.awaited.set(next);
        let wait = match (next, self.store_ms()) {
            (Some(next), Some(now_ms)) if next <= now_ms => return,
            // Not sooner than the millisecond has passed in which it is due.
            (Some(next), Some(now_ms)) => Duration::from_millis(next - now_ms).min(IDLE),
            _ => IDLE,
        };
        // Either way the loop looks again.
        let _ = timeout(wait, deadlines.earlier.notified()).await;
    }

    async fn end(&self, overdue: Vec<NotificationId>) {
        let ids = overdue.clone();
        let read = self.0.store.read(move |store| {
            let read = |id: NotificationId| legible(id, store.notification(id)).map(|found| (id, found));
            ids.into_iter().map(read).collect::<Result<Vec<_>, _>>()
        });
        let read = match read.await {
            Ok(read) => read,
            Err(error) => {
                self.note::<()>(&Err(error));
                return self.later(&overdue).await;
            }
        };
        let mut ending = Vec::new();
        for (id, found) in read {
            match found {
                Some(found) if found.step == Step::Sent => {
                    ending.push((id, self.commit_own(self.ending(found))));
                }
                moved => self.take_in(id, moved),
            }
        }
        let mut failed = Vec::new();
        for (id, outcome) in ending {
            if self.ended(id, outcome.await) {
                failed.push(id);
            }
        }
        if !failed.is_empty() {
            self.later(&failed).await;
        }
    }

    /// The commit that ends a notification by its deadline.
    fn ending(&self, found: Notification) -> Commit {
        let validate = value::decode::<Sealed>(&found.payload).ok().and_then(|sealed| sealed.validate);
        let told = || Told {
            success: false,
            result: value::encode(&value!({ "errorCode": EXCEEDED })).unwrap_or_default(),
        };
        let has_handler = validate.as_ref().is_some_and(|validate| validate.handler(false).is_some());
        // A map of two fields can always be encoded.
        let outcome = has_handler.then(|| value::encode(&told()).unwrap_or_default());
        let mut commit = Commit::new(self.next_commit(), EXCEEDED);
        commit.transitions.push(Transition {
            id: found.id,
            from: Step::Sent,
            when: When::Passed,
            outcome,
            handled: None,
        });
        if validate.is_none() {
            // Nobody hears of its end: it must not vanish.
            let deadline_in_ms = found.deadline_ms.map(|at| at.saturating_sub(found.created_ms));
            commit.dead_letters.push(NewDeadLetter {
                reason: EXCEEDED.to_owned(),
                notification: NewNotification {
                    id: found.id,
                    sender: found.sender,
                    receiver: found.receiver,
                    kind: found.kind,
                    payload: found.payload,
                    deadline_in_ms,
                    depth: found.depth,
                },
            });
        }
        commit
    }

    /// Takes in what became of such a commit; true when it is to be tried again.
    fn ended(&self, id: NotificationId, outcome: Outcome) -> bool {
        match outcome {
            Ok(Ok(_)) => self.0.node.stats().count("deadlines_exceeded"),
            Ok(Err(Refused::DeadlineAhead { in_ms: Some(in_ms), .. })) => {
                // The clock here is ahead of the store's: that one is right.
                let known = self.0.table.borrow().get(id).and_then(|flight| flight.deadline_ms);
                if let Some(deadline_ms) = known {
                    self.see_clock(deadline_ms.saturating_sub(in_ms));
                    self.0.table.borrow_mut().postpone(id, deadline_ms);
                }
            }
            // Somebody has acted on it; their commit tells the table.
            Ok(Err(Refused::NotificationMoved { found: Some(_), .. })) => {}
            Ok(Err(Refused::NotificationMoved { found: None, .. })) => self.take_in(id, None),
            Ok(Err(Refused::GivenUp(_))) | Err(_) => return true,
            Ok(Err(refused)) => {
                self.0.node.stats().count("deadlines_failed");
                tracing::error!(%id, %refused, "a notification cannot be ended by its deadline");
            }
        }
        false
    }

    /// Tries again later what could not be ended now.
    async fn later(&self, ids: &[NotificationId]) {
        {
            let mut table = self.0.table.borrow_mut();
            for id in ids {
                let at = table.get(*id).and_then(|flight| flight.deadline_ms);
                at.into_iter().for_each(|at| table.postpone(*id, at));
            }
        }
        sleep(retry_after(4)).await;
    }
}
