//! Where a message went, and where it arrived.

use crate::node::Node;
use crate::peer::{ReceiptWaiter, Ticket};
use chappe_route::NoRoute;
use chappe_wire::{NodeId, Reason};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tokio::sync::oneshot;

/// A message that was sent: where it went. Nothing need be done with it; [`Sent::receipt`] tells where it
/// arrived.
pub struct Sent {
    pub(crate) node: Node,
    pub(crate) to: SmallVec<[(NodeId, Ticket); 2]>,
    pub(crate) missing: Vec<NoRoute>,
    /// The nodes that it was published to at once ([`Node::send_unordered`]).
    pub(crate) published: Vec<NodeId>,
    /// What is held, or waits for a node's next life.
    pub(crate) later: Vec<Later>,
}

/// A message, or a part of a broadcast, that has not left yet.
pub(crate) struct Later {
    /// Whom it is for.
    pub(crate) to: SmallVec<[NodeId; 2]>,
    /// Where it went, once it has left.
    pub(crate) left: oneshot::Receiver<Sent>,
}

/// Where a message arrived. "Reached" means: taken into a ready node's inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The nodes that have it.
    pub reached: Vec<NodeId>,
    /// The nodes that were meant and do not have it, or are not known to: each with the reason.
    pub missing: Vec<(NodeId, Reason)>,
    /// The nodes that it was published to at once ([`Node::send_unordered`]), of which none tells whether it has it.
    pub published: Vec<NodeId>,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reached, missing) = (self.reached.len(), self.missing.len());
        write!(f, "{reached} of {}", reached + missing)?;
        for (at, (node, reason)) in self.missing.iter().enumerate() {
            write!(f, "{} {node}: {reason}", if at == 0 { "; missing" } else { "," })?;
        }
        match self.published.len() {
            0 => Ok(()),
            count => write!(f, "; published to {count} more"),
        }
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("to", &self.to).field("missing", &self.missing).finish_non_exhaustive()
    }
}

impl Sent {
    /// Of a message that went nowhere so far.
    pub(crate) fn none(node: Node) -> Sent {
        Sent { node, to: SmallVec::new(), missing: Vec::new(), published: Vec::new(), later: Vec::new() }
    }

    /// How many nodes it was sent to.
    pub fn targets(&self) -> usize {
        self.to.len() + self.published.len() + self.later.iter().map(|later| later.to.len()).sum::<usize>()
    }

    /// How many of those nodes got it by one publication for them all ([`Node::send_unordered`]).
    pub fn published(&self) -> usize {
        self.published.len()
    }

    /// The nodes that were meant and did not get it, known at once.
    pub fn missing(&self) -> &[NoRoute] {
        &self.missing
    }

    /// Resolves when every node it was sent to has taken it in, refused it, or gone away; may be asked for at any
    /// time after the call. It has no deadline of its own: a frozen node settles it when it goes on or is lost, and a
    /// message that is held by its run ([`Node::in_run`]) when it has left; one that was discarded is missing as
    /// `HandlerFailed`. For a node that is being replaced it waits for the next life.
    pub fn receipt(mut self) -> impl Future<Output = Receipt> {
        let later = std::mem::take(&mut self.later);
        let settled = self.settle();
        async move {
            let mut receipt = settled.await.unwrap_or_default();
            for Later { to, left } in later {
                let Ok(left) = left.await else {
                    receipt.missing.extend(to.into_iter().map(|id| (id, Reason::HandlerFailed)));
                    continue;
                };
                // What the gate has let go may have to wait for a node's next life.
                let rest: Pin<Box<dyn Future<Output = Receipt>>> = Box::pin(left.receipt());
                let rest = rest.await;
                receipt.reached.extend(rest.reached);
                receipt.missing.extend(rest.missing);
                receipt.published.extend(rest.published);
            }
            receipt
        }
    }

    fn settle(self) -> oneshot::Receiver<Receipt> {
        let missing = self.missing.iter().filter_map(|at| at.node.map(|node| (node, at.reason)));
        let receipt =
            Receipt { reached: Vec::new(), missing: missing.collect(), published: self.published.clone() };
        let (done, settled) = oneshot::channel();
        let open = Rc::new(RefCell::new(Open { left: self.to.len(), receipt, done: Some(done) }));
        open.borrow_mut().finish();
        for (id, ticket) in &self.to {
            let (id, open) = (*id, open.clone());
            let waiter: ReceiptWaiter = Box::new(move |result| open.borrow_mut().settle(id, result));
            let peer = self.node.0.peers.borrow().get(&id).cloned();
            match peer {
                // Behind the message in the node's own queue.
                _ if id == self.node.id() => self.node.0.later(move || waiter(Ok(()))),
                Some(peer) => peer.wait(*ticket, waiter),
                None => waiter(Err(Reason::Disconnected)),
            }
        }
        settled
    }
}

struct Open {
    left: usize,
    receipt: Receipt,
    done: Option<oneshot::Sender<Receipt>>,
}

impl Open {
    fn settle(&mut self, id: NodeId, result: Result<(), Reason>) {
        match result {
            Ok(()) => self.receipt.reached.push(id),
            Err(reason) => self.receipt.missing.push((id, reason)),
        }
        self.left -= 1;
        self.finish();
    }

    fn finish(&mut self) {
        if self.left == 0
            && let Some(done) = self.done.take()
        {
            let _ = done.send(std::mem::take(&mut self.receipt));
        }
    }
}
