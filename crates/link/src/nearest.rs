//! Two links as one: each peer is reached by the nearer link if it is there, else by the farther one. Which it is stands
//! in the deployment, so it never changes while a peer's life lasts, and order holds.

use crate::{Conn, Dialing, Link, ListenError, Listener, Spread};
use chappe_wire::NodeId;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Any link.
type Any = Arc<dyn Link + Send + Sync>;

/// Reaches peers of this machine by one link and all others by another; is reached by both.
pub struct NearestLink {
    near: Any,
    far: Any,
    is_near: Box<dyn Fn(NodeId) -> bool + Send + Sync>,
}

impl NearestLink {
    /// Of two links; `is_near` says of a node's id whether the nearer one leads there.
    pub fn new(near: Any, far: Any, is_near: impl Fn(NodeId) -> bool + Send + Sync + 'static) -> NearestLink {
        NearestLink { near, far, is_near: Box::new(is_near) }
    }
}

impl Link for NearestLink {
    fn name(&self) -> &'static str {
        self.far.name()
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        // The nearer one first: its answer is quick, and an id that is taken is most often taken here.
        let listeners = [self.near.listen(me)?, self.far.listen(me)?];
        Ok(Box::new(NearestListener(listeners)))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        [self.near.counters(), self.far.counters()].concat()
    }

    fn spread(&self) -> Option<&dyn Spread> {
        self.far.spread()
    }

    fn dial(&self, to: NodeId) -> Dialing {
        if (self.is_near)(to) { self.near.dial(to) } else { self.far.dial(to) }
    }
}

struct NearestListener([Box<dyn Listener>; 2]);

impl Listener for NearestListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        for listener in &mut self.0 {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryLink;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_peer_of_another_machine_is_not_looked_for_on_this_one() {
        let (near, far) = (Arc::new(MemoryLink::new()), Arc::new(MemoryLink::new()));
        let other_machine = Arc::new(MemoryLink::new());
        let is_near = |node: NodeId| node.0 < 10;
        let here = NearestLink::new(near.clone(), far.clone(), is_near);
        let there = NearestLink::new(other_machine, far, move |node| !is_near(node));
        let mut two = here.listen(NodeId(2)).unwrap();
        let mut eleven = there.listen(NodeId(11)).unwrap();
        for (dials, to) in [(&here, NodeId(2)), (&there, NodeId(2)), (&here, NodeId(11))] {
            let accepts = if to == NodeId(2) { &mut two } else { &mut eleven };
            let conn = dials.dial(to).await.unwrap();
            let accepted = poll_fn(|cx| accepts.poll_accept(cx)).await;
            assert!(accepted.is_ok());
            conn.close();
        }
        assert!(near.dial(NodeId(11)).await.is_err(), "it listens on its own machine only");
    }

    #[test]
    fn an_id_that_is_taken_on_either_is_taken() {
        let (near, far) = (Arc::new(MemoryLink::new()), Arc::new(MemoryLink::new()));
        let _held = far.listen(NodeId(2)).unwrap();
        let link = NearestLink::new(near.clone(), far, |_| true);
        assert!(matches!(link.listen(NodeId(2)), Err(ListenError::IdTaken(NodeId(2)))));
        assert!(near.listen(NodeId(2)).is_ok(), "what could not be had as a whole is given back");
    }
}
