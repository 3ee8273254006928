//! The end of a cluster, in the order that lets each node still reach what it needs to leave.

use super::{Event, Order, Supervisor};
use crate::signals::Signals;
use chappe_deploy::NodeEntry;
use chappe_wire::Role;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Who leaves when, and at the latest until when the others wait for them: players first, so that the servers can
/// store what they leave behind, then servers, then the services that do the storing, then the master.
const STAGES: [(&[Role], Duration); 4] = [
    (&[Role::Proxy], Duration::from_millis(1_200)),
    (&[Role::Lobby, Role::Game], Duration::from_millis(2_800)),
    (&[Role::Service], Duration::from_millis(3_900)),
    (&[Role::Master], Duration::from_millis(4_500)),
];
/// How long the killed may take to be gone.
const KILLED: Duration = Duration::from_millis(300);

impl Supervisor {
    /// Ends all nodes within 5 s; at once when another signal comes.
    pub(super) async fn shut_down(&self, signals: &mut Signals) {
        if self.kept.borrow().is_empty() {
            return;
        }
        self.output.event(&Event::Stopping);
        let began = Instant::now();
        let is_told = tokio::select! {
            biased;
            () = signals.next() => false,
            () = self.leave_in_stages(began) => true,
        };
        let left: Vec<i64> = self.kept.borrow().iter().copied().collect();
        if !left.is_empty() {
            self.output.event(&Event::Killing { nodes: left.clone(), asked: !is_told });
            self.order(&left, Order::Kill);
            let _ = timeout(KILLED, self.until_gone(&left)).await;
        }
        self.output.event(&Event::Stopped { seconds: began.elapsed().as_secs_f64() });
    }

    async fn leave_in_stages(&self, began: Instant) {
        for (roles, until) in STAGES {
            let of_stage = |entry: &&NodeEntry| roles.contains(&entry.role);
            let ids: Vec<i64> = self.nodes.borrow().iter().filter(of_stage).map(|entry| entry.id).collect();
            self.order(&ids, Order::Leave);
            let _ = timeout_at(began + until, self.until_gone(&ids)).await;
        }
    }

    pub(super) fn order(&self, ids: &[i64], order: Order) {
        let orders = self.orders.borrow();
        for sender in ids.iter().filter_map(|id| orders.get(id)) {
            sender.send_replace(order);
        }
    }

    pub(super) async fn until_gone(&self, ids: &[i64]) {
        loop {
            let changed = self.changed.notified();
            if !ids.iter().any(|id| self.kept.borrow().contains(id)) {
                return;
            }
            changed.await;
        }
    }
}
