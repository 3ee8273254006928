//! Where a request goes, and the ones that wait for a declared provider to come up.

use crate::error::Failure;
use crate::gate::{Receiver, Receivers};
use crate::held::Held;
use crate::node::{Inner, Node};
use crate::rpc::{To, Waiter};
use chappe_route::{Provider, State};
use chappe_wire::{Body, Envelope, NodeId, Reason, Row};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// A request on its way out.
pub(crate) struct Outgoing<'a> {
    pub(crate) row: Row,
    pub(crate) to: To<'a>,
    pub(crate) module: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) args: &'a [u8],
    pub(crate) now: Duration,
    pub(crate) timeout: Duration,
}

impl Outgoing<'_> {
    fn deadline(&self) -> Duration {
        self.now.saturating_add(self.timeout)
    }
}

/// Requests for which no provider is up, in the order made.
#[derive(Default)]
pub(crate) struct Waiting(VecDeque<HeldRequest>);

/// A request that waits: for a provider, or at the gate.
pub(crate) struct HeldRequest {
    row: Row,
    to: HeldTo,
    module: String,
    target: Box<[u8]>,
    args: Box<[u8]>,
    deadline: Duration,
    waiter: Option<Waiter>,
}

enum HeldTo {
    Module,
    Key(Box<[u8]>),
    Node(NodeId),
    Master,
}

impl HeldRequest {
    pub(crate) fn new(request: &Outgoing<'_>, waiter: Option<Waiter>) -> HeldRequest {
        let to = match request.to {
            To::Module => HeldTo::Module,
            To::Key(key) => HeldTo::Key(key.into()),
            To::Node(id) => HeldTo::Node(id),
            To::Master => HeldTo::Master,
        };
        HeldRequest {
            row: request.row,
            to,
            module: request.module.to_owned(),
            target: request.target.into(),
            args: request.args.into(),
            deadline: request.deadline(),
            waiter,
        }
    }

    pub(crate) fn row(&self) -> Row {
        self.row
    }

    /// None for what wants no answer: it may come as late as it likes.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.waiter.is_some().then_some(self.deadline)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.module.len() + self.target.len() + self.args.len()
    }

    pub(crate) fn into_waiter(self) -> Option<Waiter> {
        self.waiter
    }

    /// The same request, with the time that is left of it.
    fn outgoing(&self, now: Duration) -> Outgoing<'_> {
        let to = match &self.to {
            HeldTo::Module => To::Module,
            HeldTo::Key(key) => To::Key(key),
            HeldTo::Node(id) => To::Node(*id),
            HeldTo::Master => To::Master,
        };
        let timeout = self.deadline.saturating_sub(now);
        Outgoing {
            row: self.row,
            to,
            module: &self.module,
            target: &self.target,
            args: &self.args,
            now,
            timeout,
        }
    }
}

impl Waiting {
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.0.iter().map(|held| held.deadline).min()
    }
}

impl Inner {
    /// Sends a request to a provider, or lets it wait for one, or ends it at once.
    pub(crate) fn route_request(self: &Rc<Self>, request: &Outgoing<'_>, waiter: Option<Waiter>) {
        let provider = self.provider_of(request);
        if self.gate.holds(request.row) {
            return self.route_gated(provider, request, waiter);
        }
        self.route_to(provider, request, waiter);
    }

    fn provider_of(&self, request: &Outgoing<'_>) -> Result<Provider, Reason> {
        let is_internal = request.row == Row::Internal;
        let found = match request.to {
            To::Module => self.view.borrow_mut().provider(request.module),
            To::Key(key) => self.view.borrow().provider_for_key(request.module, key),
            To::Master => self.view.borrow().master().map_or(Provider::Wait, Provider::Node),
            // The runtime's own: a node that is connected and not yet in the view can be asked.
            To::Node(id) if self.is_connected(id) => Provider::Node(id),
            To::Node(id) if !is_internal && self.is_replaced(id) => Provider::Node(id),
            To::Node(id) => Provider::Node(self.view.borrow().reachable(id, |_| true)?),
        };
        Ok(match found {
            Provider::None if self.will_be_served(request.module) => Provider::Wait,
            found => found,
        })
    }

    /// As [`Inner::route_to`], unless the gate holds the request.
    #[cold]
    fn route_gated(
        self: &Rc<Self>,
        provider: Result<Provider, Reason>,
        request: &Outgoing<'_>,
        waiter: Option<Waiter>,
    ) {
        let pinned = match provider {
            Ok(Provider::Node(id)) => Some(id),
            _ => None,
        };
        let receivers: Receivers = pinned.map(Receiver::Node).into_iter().collect();
        let Some(hold) = self.gate.hold_for(&receivers) else {
            return self.route_to(provider, request, waiter);
        };
        let held = Held::Request { pinned, request: HeldRequest::new(request, waiter) };
        if let Err(held) = self.hold_back(hold, receivers, held) {
            held.fail(self, Reason::Overloaded, "too much output is held");
        }
    }

    /// Sends a request that the gate has let go: to the provider that it was to go to, or where that is gone, as anew.
    pub(crate) fn send_held(self: &Rc<Self>, pinned: Option<NodeId>, held: HeldRequest) {
        let mut held = held;
        let waiter = held.waiter.take();
        let request = held.outgoing(self.clock.now());
        let is_up = |id: &NodeId| {
            let is_there = self.is_connected(*id) || self.is_replaced(*id);
            is_there || self.view.borrow().reachable(*id, |_| true).is_ok()
        };
        match pinned.filter(is_up) {
            Some(id) => self.send_request(id, &request, waiter),
            None => self.route_request(&request, waiter),
        }
    }

    fn route_to(
        self: &Rc<Self>,
        provider: Result<Provider, Reason>,
        request: &Outgoing<'_>,
        waiter: Option<Waiter>,
    ) {
        let provider = match provider {
            Ok(provider) => provider,
            Err(reason) => {
                let text = match request.to {
                    To::Node(id) => format!("node {id} cannot be reached"),
                    _ => "the provider cannot be reached".to_owned(),
                };
                return self.fail_later(waiter, request.row, reason, text);
            }
        };
        match provider {
            Provider::Node(id) => self.send_request(id, request, waiter),
            Provider::Wait => self.hold(request, waiter),
            // Before the first view nobody is known: what nobody declared may yet turn up in it.
            Provider::None if self.view.borrow().master().is_none() => self.hold(request, waiter),
            Provider::None => {
                let text = format!("no node serves the module {:?}, and none is declared to", request.module);
                self.fail_later(waiter, request.row, Reason::NoProvider, text);
            }
        }
    }

    pub(crate) fn is_connected(&self, id: NodeId) -> bool {
        self.peers.borrow().get(&id).is_some_and(|peer| peer.is_connected())
    }

    fn send_request(self: &Rc<Self>, to: NodeId, request: &Outgoing<'_>, waiter: Option<Waiter>) {
        if request.row != Row::Internal && self.is_replaced(to) {
            return self.keep_request(to, request, waiter);
        }
        let timeout_ms = request.timeout.as_millis().min(u128::from(u32::MAX)) as u32;
        let peer = if to == self.config.id { Ok(None) } else { self.peer(to).map(Some) };
        let peer = match peer {
            Ok(peer) => peer,
            Err(reason) => {
                return self.fail_later(waiter, request.row, reason, format!("node {to} cannot be reached"));
            }
        };
        let incarnation = peer.as_ref().map_or(self.config.incarnation, |peer| peer.incarnation);
        let one_way = waiter.is_none();
        let id = waiter.map_or(0, |waiter| self.expect(to, incarnation, request.deadline(), waiter));
        let body = Body::Request { id, timeout_ms, one_way, target: request.target };
        let envelope = Envelope { meta: self.meta(request.row), body, payload: request.args };
        let posted = match &peer {
            Some(peer) => self.post_peer(peer, request.row, |out| envelope.encode_into(out)).map(drop),
            None => self.post_local(&envelope).map(drop),
        };
        if let Err(reason) = posted {
            let waiter = self.pending.borrow_mut().answer(id, to);
            return self.fail_later(
                waiter,
                request.row,
                reason,
                format!("the request to node {to} was not sent"),
            );
        }
        if self.config.is_master(to) && !matches!(request.row, Row::Internal | Row::CacheNotify) {
            let hook = self.after_master_request.borrow().clone();
            if let Some(hook) = hook {
                hook();
            }
        }
    }

    fn expect(&self, to: NodeId, incarnation: u64, deadline: Duration, waiter: Waiter) -> u64 {
        self.wake_by(deadline);
        self.pending.borrow_mut().insert(to, incarnation, deadline, waiter)
    }

    fn hold(&self, request: &Outgoing<'_>, waiter: Option<Waiter>) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.0.len() >= self.config.limits.waiting_requests {
            drop(waiting);
            let text = "too many requests wait for providers that are not up".to_owned();
            return self.fail_later(waiter, request.row, Reason::Overloaded, text);
        }
        waiting.0.push_back(HeldRequest::new(request, waiter));
        drop(waiting);
        self.wake_by(request.deadline());
    }

    /// Tries again what waits; called when the view has changed.
    pub(crate) fn retry_waiting(self: &Rc<Self>) {
        let held = std::mem::take(&mut self.waiting.borrow_mut().0);
        let now = self.clock.now();
        for mut held in held {
            let waiter = held.waiter.take();
            self.route_request(&held.outgoing(now), waiter);
        }
    }

    /// Ends every request whose deadline has passed.
    pub(crate) fn expire_requests(self: &Rc<Self>, now: Duration) {
        let expired = self.pending.borrow_mut().expire(now);
        for waiter in expired {
            let text = "no answer came in time";
            self.finish(waiter, Err(Failure::new(Reason::DeadlineExceeded, text)));
        }
        let mut expired = Vec::new();
        self.waiting.borrow_mut().0.retain_mut(|held| {
            let due = held.deadline <= now;
            if due {
                expired.push((held.waiter.take(), held.row, std::mem::take(&mut held.module)));
            }
            !due
        });
        for (waiter, row, module) in expired {
            let text = format!("no provider of {module:?} came up in time");
            self.fail_later(waiter, row, Reason::DeadlineExceeded, text);
        }
    }

    /// Ends a request with a reason, after what the current handler does.
    pub(crate) fn fail_later(&self, waiter: Option<Waiter>, row: Row, reason: Reason, text: String) {
        self.stats.dropped(row, reason);
        if let Some(waiter) = waiter {
            self.later(move || waiter.finish(Err(Failure::new(reason, text))));
        }
    }

    /// Gives a request its outcome.
    pub(crate) fn finish(&self, waiter: Waiter, reply: crate::rpc::Reply<'_>) {
        if reply.is_err() {
            self.stats.count("failed_requests");
        }
        self.guarded(&"callback", || waiter.finish(reply));
    }

    /// Whether any request waits for a provider.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.borrow().0.is_empty()
    }

    /// Ends every request, for a node that stops.
    pub(crate) fn end_requests(self: &Rc<Self>) {
        self.end_held();
        self.end_replaced();
        let pending = self.pending.borrow_mut().drain();
        let held = std::mem::take(&mut self.waiting.borrow_mut().0);
        // These never left; those before are with whom they were sent to.
        held.iter().for_each(|held| self.stats.dropped(held.row, Reason::ShuttingDown));
        for waiter in pending.into_iter().chain(held.into_iter().filter_map(|held| held.waiter)) {
            self.finish(waiter, Err(Failure::new(Reason::ShuttingDown, "the node leaves")));
        }
    }

    /// Ends what a life of a node had, now that it has gone.
    pub(crate) fn lose_requests(&self, node: NodeId, incarnation: u64) {
        let lost = self.pending.borrow_mut().lose(node, incarnation);
        for waiter in lost {
            self.finish(
                waiter,
                Err(Failure::new(Reason::NodeLost, format!("node {node} went away with the request"))),
            );
        }
    }
}

impl Node {
    /// Whether the node takes messages.
    pub fn is_ready(&self) -> bool {
        matches!(self.state(), State::Ready | State::Draining)
    }
}
