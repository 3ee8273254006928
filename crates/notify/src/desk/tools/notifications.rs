//! What is under way, for the command line.

use super::limit;
use crate::desk::Desk;
use crate::desk::inflight::{Flight, Place};
use crate::tools::{NotificationLine, NotificationsPage, NotificationsQuery, Whereabouts};
use chappe_store::{NotificationId, Sender, Step};

impl Desk {
    pub(super) fn serve_notifications(&self) {
        self.tool("notifications", |desk, query: NotificationsQuery| async move {
            Ok(desk.notifications(&query))
        });
    }

    /// What is under way, in order.
    pub fn notifications(&self, query: &NotificationsQuery) -> NotificationsPage {
        let table = self.0.table.borrow();
        let (sent, decided) = table.counts();
        let wanted = |flight: &Flight| {
            query.uid.is_none_or(|uid| flight.receiver == uid || flight.sender == Sender::Player(uid))
        };
        let mut found = table.after(query.after.unwrap_or(0)).filter(|(_, flight)| wanted(flight));
        let page = found.by_ref().take(limit(query.limit));
        let notifications = page.map(|(id, flight)| self.line(id, flight)).collect();
        NotificationsPage { sent, decided, notifications, more: found.next().is_some() }
    }

    fn line(&self, id: NotificationId, flight: &Flight) -> NotificationLine {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let now_ms = self.store_ms();
        let deadline = flight.deadline_ms.filter(|_| flight.step == Step::Sent);
        NotificationLine {
            id: id.to_string(),
            order: flight.order,
            kind: flight.kind.clone(),
            sender: flight.sender,
            receiver: flight.receiver,
            step: flight.step,
            place: match flight.place {
                Place::Waiting => Whereabouts::Waiting,
                Place::Sent((node, _)) => Whereabouts::Sent(node),
                Place::Accepted((node, _)) => Whereabouts::Accepted(node),
            },
            age_ms: u64::try_from(self.now().saturating_sub(flight.since).as_millis()).unwrap_or(u64::MAX),
            deadline_in_ms: deadline.zip(now_ms).map(|(at, now)| signed(at) - signed(now)),
            depth: flight.depth,
        }
    }
}
