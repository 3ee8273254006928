//! What the gate holds, and how each kind of it leaves or does not.

use crate::call::Responder;
use crate::gate::{Hold, Receivers};
use crate::node::{Inner, Node};
use crate::peer::Ticket;
use crate::receipt::{Later, Sent};
use crate::waiting::HeldRequest;
use chappe_route::NoRoute;
use chappe_wire::{Envelope, NodeId, Reason, Role, Row};
use smallvec::SmallVec;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What one held message is taken to cost beside its payload.
const OVERHEAD: usize = 64;

/// A message that waits at the gate.
pub(crate) enum Held {
    Frame(Frame),
    Request { pinned: Option<NodeId>, request: HeldRequest },
    Answer(Answer),
}

/// An event or a push, encoded.
pub(crate) struct Frame {
    row: Row,
    to: SmallVec<[NodeId; 2]>,
    takes: fn(Role) -> bool,
    body: Vec<u8>,
    left: oneshot::Sender<Sent>,
}

/// An answer, with what answers.
pub(crate) struct Answer {
    pub(crate) responder: Responder,
    pub(crate) status: Result<(), Reason>,
    pub(crate) payload: Box<[u8]>,
}

impl Held {
    pub(crate) fn bytes(&self) -> usize {
        let payload = match self {
            Held::Frame(frame) => frame.body.len() + frame.to.len() * size_of::<NodeId>(),
            Held::Request { request, .. } => request.bytes(),
            Held::Answer(answer) => answer.payload.len(),
        };
        payload + OVERHEAD
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self {
            Held::Request { request, .. } => request.deadline(),
            Held::Frame(_) | Held::Answer(_) => None,
        }
    }

    /// It may leave now.
    pub(crate) fn leave(self, node: &Rc<Inner>) {
        match self {
            Held::Frame(frame) => frame.leave(node),
            Held::Request { pinned, request } => node.send_held(pinned, request),
            Held::Answer(Answer { mut responder, status, payload }) => responder.send_now(status, &payload),
        }
    }

    /// It never leaves. Returns what can still answer.
    pub(crate) fn discard(self, node: &Rc<Inner>) -> Option<Responder> {
        match self {
            Held::Frame(frame) => frame.drop_as(node, Reason::HandlerFailed),
            Held::Request { request, .. } => node.stats.dropped(request.row(), Reason::HandlerFailed),
            Held::Answer(Answer { mut responder, .. }) => {
                responder.reopen();
                return Some(responder);
            }
        }
        None
    }

    /// It does not leave, and whoever waits for it is told.
    pub(crate) fn fail(self, node: &Rc<Inner>, reason: Reason, text: &str) {
        match self {
            Held::Frame(frame) => frame.drop_as(node, reason),
            Held::Request { request, .. } => {
                let row = request.row();
                node.fail_later(request.into_waiter(), row, reason, text.to_owned());
            }
            Held::Answer(Answer { mut responder, .. }) => responder.send_now(Err(reason), text.as_bytes()),
        }
    }
}

impl Frame {
    /// For the nodes `to`; with what tells where it went, once it has left.
    pub(crate) fn new(row: Row, to: &[NodeId], takes: fn(Role) -> bool, body: Vec<u8>) -> (Frame, Later) {
        let (left, leaving) = oneshot::channel();
        let to = SmallVec::from_slice(to);
        (Frame { row, to: to.clone(), takes, body, left }, Later { to, left: leaving })
    }

    fn leave(self, node: &Rc<Inner>) {
        let mut sent = Sent::none(Node(node.clone()));
        for id in self.to {
            let posted = if node.is_replaced(id) {
                let kept = node.keep_frame(id, self.takes, self.row, self.body.clone());
                kept.map(|later| sent.later.push(later))
            } else {
                let posted = node.post_body(id, self.takes, self.row, &self.body);
                posted.map(|ticket| sent.to.push((id, ticket)))
            };
            if let Err(reason) = posted {
                node.stats.dropped(self.row, reason);
                sent.missing.push(NoRoute { node: Some(id), reason });
            }
        }
        let _ = self.left.send(sent);
    }

    fn drop_as(self, node: &Rc<Inner>, reason: Reason) {
        let mut sent = Sent::none(Node(node.clone()));
        for id in self.to {
            node.stats.dropped(self.row, reason);
            sent.missing.push(NoRoute { node: Some(id), reason });
        }
        let _ = self.left.send(sent);
    }
}

impl Node {
    /// Holds an event or a push for the nodes `to`, which were counted as sent to. Counts what there is no room for.
    pub(crate) fn hold_frame(
        &self,
        hold: Hold,
        receivers: Receivers,
        (to, takes): (&[NodeId], fn(Role) -> bool),
        envelope: &Envelope<'_>,
    ) -> Result<Sent, Reason> {
        let row = envelope.meta.row;
        let mut body = Vec::with_capacity(64 + envelope.payload.len());
        envelope.encode_into(&mut body);
        let (frame, later) = Frame::new(row, to, takes, body);
        if self.0.hold_back(hold, receivers, Held::Frame(frame)).is_err() {
            to.iter().for_each(|_| self.0.stats.dropped(row, Reason::Overloaded));
            return Err(Reason::Overloaded);
        }
        let mut sent = Sent::none(self.clone());
        sent.later.push(later);
        Ok(sent)
    }
}

impl Inner {
    /// Queues what is encoded already for a node that takes new messages and is of a role that `takes` accepts.
    fn post_body(
        &self,
        to: NodeId,
        takes: fn(Role) -> bool,
        row: Row,
        body: &[u8],
    ) -> Result<Ticket, Reason> {
        let id = self.view.borrow().reachable(to, takes)?;
        if id == self.config.id {
            return self.post_local_body(body.to_vec());
        }
        let peer = self.peer(id)?;
        self.post_peer(&peer, row, |out| out.extend_from_slice(body))
    }
}
