//! The link of a master whose nodes are threads beside it: memory for them, a socket for `chappe call` and its like.

use chappe_link::local::LocalLink;
use chappe_link::memory::MemoryLink;
use chappe_link::{Conn, Dialing, Link, ListenError, Listener};
use chappe_wire::NodeId;
use std::io;
use std::task::{Context, Poll};

/// Listens on both links, dials through memory.
pub(super) struct Door {
    memory: MemoryLink,
    local: LocalLink,
}

impl Door {
    pub(super) fn new(memory: MemoryLink, local: LocalLink) -> Door {
        Door { memory, local }
    }
}

impl Link for Door {
    fn name(&self) -> &'static str {
        self.memory.name()
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        // The socket first: it is what tells that another process runs this cluster.
        let local = self.local.listen(me)?;
        Ok(Box::new(Doors { local, memory: self.memory.listen(me)? }))
    }

    fn dial(&self, to: NodeId) -> Dialing {
        self.memory.dial(to)
    }
}

struct Doors {
    local: Box<dyn Listener>,
    memory: Box<dyn Listener>,
}

impl Listener for Doors {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        match self.memory.poll_accept(cx) {
            Poll::Pending => self.local.poll_accept(cx),
            ready => ready,
        }
    }
}
