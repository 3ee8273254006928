//! Proxies that are being replaced: their sessions go on, and are settled when the next life is ready.

use crate::directory::Effect;
use crate::master::Master;
use chappe_node::control::{self, Leave, Left, Move, Session};
use chappe_node::{Failure, Member, State, To};
use chappe_wire::{NodeId, Reason, Row};
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

/// How long a server may take to let a player go.
const LEAVE: Duration = Duration::from_secs(3);

/// What a proxy that is away will have to know, or to be asked.
#[derive(Debug, Default)]
pub(crate) struct AwayProxy {
    /// Its sessions, by epoch; those that its next life has told of are taken out.
    open: BTreeMap<u64, Session>,
    /// By epoch: the last word counts.
    moves: BTreeMap<u64, Move>,
}

impl Master {
    /// A proxy has left, and its next life is awaited.
    pub(crate) fn proxy_away(&self, id: NodeId) {
        let open = self.0.directory.borrow().of_proxy(id);
        self.0.away.borrow_mut().entry(id).or_default().open.extend(open);
    }

    /// The next life of a proxy has told of these sessions.
    pub(crate) fn proxy_told(&self, id: NodeId, sessions: &[Session]) {
        if let Some(away) = self.0.away.borrow_mut().get_mut(&id) {
            for session in sessions {
                away.open.remove(&session.epoch);
            }
        }
    }

    /// A proxy is ready: of what it has not told, nothing is left.
    pub(crate) fn proxy_back(&self, member: &Member) {
        if member.state != State::Ready {
            return;
        }
        let Some(away) = self.0.away.borrow_mut().remove(&member.id) else { return };
        self.end_open(away.open);
        for order in away.moves.values() {
            self.0.node.tell(member.id, control::PROXY, "move", order);
        }
    }

    /// Gives up proxies that did not come back in time.
    pub(crate) fn expire_away(&self) {
        let ids: Vec<NodeId> = self.0.away.borrow().keys().copied().collect();
        for id in ids.into_iter().filter(|id| !self.0.node.awaits_next(*id)) {
            let away = self.0.away.borrow_mut().remove(&id);
            self.end_open(away.unwrap_or_default().open);
        }
    }

    fn end_open(&self, open: BTreeMap<u64, Session>) {
        for Session { uid, epoch, .. } in open.into_values() {
            let left = Left { uid, epoch, reason: Reason::NodeLost };
            let effects = self.0.directory.borrow_mut().left(&left);
            self.carry_out(effects);
        }
    }

    /// Keeps an order for a proxy that is away. Returns whether it is.
    pub(crate) fn keep_move(&self, proxy: NodeId, order: &Move) -> bool {
        let mut away = self.0.away.borrow_mut();
        let away = away.get_mut(&proxy);
        away.is_some_and(|away| {
            away.moves.insert(order.epoch, order.clone());
            true
        })
    }

    /// Has the server of a session let its player go, where the session's proxy is away and cannot.
    pub(crate) fn leave_for(
        &self,
        close: &Effect,
    ) -> Option<impl Future<Output = Result<(), Failure>> + use<>> {
        let Effect::Close { proxy, epoch } = close else { return None };
        let server = self.0.away.borrow().get(proxy)?.open.get(epoch)?.server?;
        let leave = Leave { epoch: *epoch, is_transfer: false };
        Some(self.0.node.ask(Row::Internal, To::Node(server), (control::SERVER, "leave"), &leave, LEAVE))
    }
}
