//! What a node sends to itself: encoded like any other message, so that it gets its own copy, and delivered when the
//! handler that sent it has ended.

use crate::Event;
use crate::listeners::Topic;
use crate::node::Inner;
use crate::peer::Ticket;
use chappe_wire::{Envelope, Meta, Reason, Row};
use std::rc::Rc;

/// The most messages that a node may have waiting for itself.
const LOCAL_QUEUE: usize = 100_000;

/// A message from a node to itself.
pub(crate) enum Local {
    Body(Vec<u8>),
    Engine(Topic, Vec<u8>),
    Run(Box<dyn FnOnce()>),
}

impl Inner {
    pub(crate) fn post_local(&self, envelope: &Envelope<'_>) -> Result<Ticket, Reason> {
        let mut body = Vec::with_capacity(64 + envelope.payload.len());
        envelope.encode_into(&mut body);
        self.post_local_body(body)
    }

    pub(crate) fn post_local_body(&self, body: Vec<u8>) -> Result<Ticket, Reason> {
        self.push_local(Local::Body(body)).map(|()| Ticket::default())
    }

    pub(crate) fn raise_raw(&self, namespace: &str, system: &str, event: &str, data: Vec<u8>) {
        let topic = crate::listeners::topic(namespace, system, event);
        if self.push_local(Local::Engine(topic, data)).is_err() {
            self.stats.dropped(Row::Internal, Reason::Overloaded);
        }
    }

    /// Runs `run` after what the current handler does. Bounded by what it follows from, so never refused.
    pub(crate) fn later(&self, run: impl FnOnce() + 'static) {
        self.local.borrow_mut().push_back(Local::Run(Box::new(run)));
        self.want_flush();
    }

    pub(crate) fn has_local(&self) -> bool {
        !self.local.borrow().is_empty()
    }

    fn push_local(&self, message: Local) -> Result<(), Reason> {
        if self.has_left.get() {
            return Err(Reason::ShuttingDown);
        }
        let mut local = self.local.borrow_mut();
        if local.len() >= LOCAL_QUEUE {
            return Err(Reason::Overloaded);
        }
        local.push_back(message);
        drop(local);
        self.want_flush();
        Ok(())
    }

    /// Delivers what the node has sent to itself, what that sends too, up to a bound: peers get their turn.
    pub(crate) fn deliver_local(self: &Rc<Self>) {
        for _ in 0..1024 {
            let next = self.local.borrow_mut().pop_front();
            match next {
                None => return,
                Some(Local::Body(body)) => self.take_in_own(&body),
                Some(Local::Engine(topic, data)) => {
                    let meta = Meta::of(Row::Internal);
                    self.dispatch(Event { topic: &topic, meta, from: self.config.id, data: &data });
                }
                Some(Local::Run(run)) => self.guarded(&"callback", run),
            }
        }
        self.want_flush();
    }
}
