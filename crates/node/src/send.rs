//! Events, broadcasts and pushes on their way out.

use crate::error::SendError;
use crate::gate::{Hold, Receiver, Receivers};
use crate::listeners::{Handler, ListenerId, topic};
use crate::node::Node;
use crate::peer::Ticket;
use crate::receipt::Sent;
use crate::{Event, OwnedEvent};
use chappe_link::Group;
use chappe_route::{Address, NoRoute};
use chappe_wire::client::Names;
use chappe_wire::{Body, Envelope, Meta, NodeId, PlayerId, PushTo, Reason, Role, Row};
use serde::Serialize;
use smallvec::SmallVec;
use std::future::Future;
use std::rc::Rc;

impl Node {
    /// Listens to an event of the system `(namespace, system)`, on whatever node it is sent (apollo.md section
    /// 2). Larger priorities are called first; the largest is 10.
    pub fn listen(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        priority: i32,
        handler: impl Fn(Event<'_>) + 'static,
    ) -> ListenerId {
        let handler: Handler = Rc::new(handler);
        self.0.listeners.borrow_mut().add(&topic(namespace, system, event), priority, handler)
    }

    /// As [`Node::listen`], for a handler that awaits. It starts in the order of events; while it waits,
    /// other handlers run. The node does not leave before it has ended, for up to 3 s. While 100,000 such
    /// handlers wait, no more are started: the counter `overloaded_handlers` tells.
    pub fn listen_async<F: Future<Output = ()> + 'static>(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        priority: i32,
        handler: impl Fn(OwnedEvent) -> F + 'static,
    ) -> ListenerId {
        let node = self.clone();
        self.listen(namespace, system, event, priority, move |event| match node.running() {
            Some(place) => node.spawn_running(place, handler(event.to_owned())),
            None => node.stats().count("overloaded_handlers"),
        })
    }

    /// Undoes a registration. Returns false when that was done before.
    pub fn unlisten(&self, id: ListenerId) -> bool {
        let removed = self.0.listeners.borrow_mut().remove(id);
        removed.is_some()
    }

    /// Sends an event to wherever `address` leads. A broadcast is encoded once.
    ///
    /// # Errors
    /// [`SendError::Data`]; [`SendError::Route`] when the one node that is meant cannot get it, or nobody is of
    /// that type. For broadcasts, nodes that cannot get it are in [`Sent::missing`].
    pub fn send<T: Serialize + ?Sized>(
        &self,
        row: Row,
        address: Address<'_>,
        topic: &[u8],
        data: &T,
    ) -> Result<Sent, SendError> {
        let sent = self.0.encode("data", data, |payload| self.send_raw(row, address, topic, payload));
        sent.map_err(|error| SendError::data(row, error))?
    }

    /// As [`Node::send`] for data that is MessagePack already.
    ///
    /// # Errors
    /// [`SendError::Route`], as [`Node::send`]; with `TooLarge` for data over the limit on a message.
    pub fn send_raw(
        &self,
        row: Row,
        address: Address<'_>,
        topic: &[u8],
        payload: &[u8],
    ) -> Result<Sent, SendError> {
        self.check_size(row, payload)?;
        let (id, takes): (_, fn(Role) -> bool) = match address {
            Address::Server(id) => (id, Role::is_server),
            Address::Service(id) => (id, |role| role == Role::Service),
            Address::Proxy(id) => (id, |role| role == Role::Proxy),
            Address::Master | Address::ServersOfType(_) | Address::Services => {
                return self.broadcast(row, address, topic, payload, None);
            }
        };
        let node = &self.0;
        node.stats.sent(row, 1);
        let envelope = Envelope { meta: node.meta(row), body: Body::Event { topic }, payload };
        if node.gate.holds(row)
            && let Some(hold) = node.gate.hold_for(&[Receiver::Node(id)])
        {
            return self.hold_one(hold, [Receiver::Node(id)].into_iter().collect(), (id, takes), &envelope);
        }
        self.post_or_keep(id, takes, &envelope).map_err(|reason| {
            node.stats.dropped(row, reason);
            SendError::route(row, format!("node {id}"), reason)
        })
    }

    /// Queues an event or a push for a node, or keeps it for that node's next life.
    fn post_or_keep(
        &self,
        id: NodeId,
        takes: fn(Role) -> bool,
        envelope: &Envelope<'_>,
    ) -> Result<Sent, Reason> {
        if self.0.is_replaced(id) {
            return self.keep(id, takes, envelope);
        }
        self.0.post_to_role(id, takes, envelope).map(|ticket| self.sent_to(id, ticket))
    }

    #[cold]
    fn keep(&self, id: NodeId, takes: fn(Role) -> bool, envelope: &Envelope<'_>) -> Result<Sent, Reason> {
        let mut body = Vec::with_capacity(64 + envelope.payload.len());
        envelope.encode_into(&mut body);
        let later = self.0.keep_frame(id, takes, envelope.meta.row, body)?;
        let mut sent = Sent::none(self.clone());
        sent.later.push(later);
        Ok(sent)
    }

    /// As [`Node::send`] for a broadcast that need not be in order with anything, not even with itself: nodes on other machines
    /// get it by one publication for all of them, where the link can do that (NATS; memory and local: as
    /// [`Node::send`]). What is lost on the way is counted by those who should have it (`Lost`), and the sender is not told: in the receipt
    /// they are [`crate::Receipt::published`]. In a handler run it is held, and leaves as an ordinary broadcast.
    ///
    /// # Errors
    /// As [`Node::send`].
    pub fn send_unordered<T: Serialize + ?Sized>(
        &self,
        row: Row,
        address: Address<'_>,
        topic: &[u8],
        data: &T,
    ) -> Result<Sent, SendError> {
        let group = match address {
            Address::ServersOfType(name) => Group::Servers(name.to_owned()),
            Address::Services => Group::Services,
            _ => return self.send(row, address, topic, data),
        };
        let sent = self.0.encode("data", data, |payload| {
            self.check_size(row, payload)?;
            self.broadcast(row, address, topic, payload, Some(group))
        });
        sent.map_err(|error| SendError::data(row, error))?
    }

    /// Data that did not come through the encoder, which bounds it: beyond the limit the receiver would close the
    /// connection.
    fn check_size(&self, row: Row, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() <= self.config().limits.message_bytes {
            return Ok(());
        }
        self.0.stats.sent(row, 1);
        self.0.stats.dropped(row, Reason::TooLarge);
        let to = format!("any node, of {} bytes", payload.len());
        Err(SendError::route(row, to, Reason::TooLarge))
    }

    fn sent_to(&self, id: NodeId, ticket: Ticket) -> Sent {
        let mut to = SmallVec::new();
        to.push((id, ticket));
        Sent { to, ..Sent::none(self.clone()) }
    }

    /// Holds an event or a push for one node, if it could be sent now.
    #[cold]
    fn hold_one(
        &self,
        hold: Hold,
        receivers: Receivers,
        (id, takes): (NodeId, fn(Role) -> bool),
        envelope: &Envelope<'_>,
    ) -> Result<Sent, SendError> {
        let row = envelope.meta.row;
        let reachable = match self.0.is_replaced(id) {
            true => Ok(id),
            false => self.0.view.borrow().reachable(id, takes),
        };
        let held = match reachable {
            Ok(id) => self.hold_frame(hold, receivers, (&[id], takes), envelope),
            Err(reason) => {
                self.0.stats.dropped(row, reason);
                Err(reason)
            }
        };
        held.map_err(|reason| SendError::route(row, format!("node {id}"), reason))
    }

    fn broadcast(
        &self,
        row: Row,
        address: Address<'_>,
        topic: &[u8],
        payload: &[u8],
        unordered: Option<Group>,
    ) -> Result<Sent, SendError> {
        let node = &self.0;
        let (mut to, mut missing) = node.view.borrow().resolve(address);
        missing.retain(|at| match at.node.filter(|id| node.is_replaced(*id)) {
            Some(id) => {
                to.push(id);
                false
            }
            None => true,
        });
        node.stats.sent(row, (to.len() + missing.len()) as u64);
        missing.iter().for_each(|at| node.stats.dropped(row, at.reason));
        let envelope = Envelope { meta: node.meta(row), body: Body::Event { topic }, payload };
        if node.gate.holds(row) && !to.is_empty() {
            let receivers: Receivers = to.iter().copied().map(Receiver::Node).collect();
            if let Some(hold) = node.gate.hold_for(&receivers) {
                let held = self.hold_frame(hold, receivers, (&to, |_| true), &envelope);
                return match held {
                    Ok(sent) => Ok(Sent { missing, ..sent }),
                    Err(reason) => Err(SendError::route(row, "all that are meant", reason)),
                };
            }
        }
        let mut body = Vec::with_capacity(64 + topic.len() + payload.len());
        envelope.encode_into(&mut body);
        let stream = unordered.and_then(|group| {
            let there: Vec<NodeId> = to.iter().copied().filter(|id| !node.is_replaced(*id)).collect();
            node.publish(&group, &there, &body)
        });
        let mut sent = Sent::none(self.clone());
        for id in to {
            if stream.as_ref().is_some_and(|stream| stream.reaches(id)) {
                sent.published.push(id);
                continue;
            }
            let posted = if id == self.id() {
                node.post_local(&envelope).map(|ticket| sent.to.push((id, ticket)))
            } else if node.is_replaced(id) {
                node.keep_frame(id, |_| true, row, body.clone()).map(|later| sent.later.push(later))
            } else {
                let peer = node.peer(id);
                let posted =
                    peer.and_then(|peer| node.post_peer(&peer, row, |out| out.extend_from_slice(&body)));
                posted.map(|ticket| sent.to.push((id, ticket)))
            };
            if let Err(reason) = posted {
                node.stats.dropped(row, reason);
                missing.push(NoRoute { node: Some(id), reason });
            }
        }
        match (address, missing.first()) {
            (Address::Master, Some(at)) => Err(SendError::route(row, "the master", at.reason)),
            (_, None) if sent.targets() == 0 => {
                let to = match address {
                    Address::ServersOfType(name) => format!("servers of type {name:?}"),
                    _ => "services".to_owned(),
                };
                node.stats.sent(row, 1);
                node.stats.dropped(row, Reason::NoRoute);
                Err(SendError::route(row, to, Reason::NoRoute))
            }
            _ => Ok(Sent { missing, ..sent }),
        }
    }

    /// Passes on an event as it came, for a proxy: the data is not decoded.
    ///
    /// # Errors
    /// The reason why it cannot reach the node; counted.
    pub fn forward(&self, to: NodeId, meta: Meta, topic: &[u8], payload: &[u8]) -> Result<(), Reason> {
        let envelope = Envelope { meta, body: Body::Event { topic }, payload };
        let takes: fn(Role) -> bool = match meta.row {
            Row::ClientToService => |role| role == Role::Service,
            _ => Role::is_server,
        };
        self.post_or_keep(to, takes, &envelope)
            .map(drop)
            .inspect_err(|reason| self.0.stats.dropped(meta.row, *reason))
    }

    /// Sends an event to clients, through their proxy. Encoded once for the proxy, whatever the number.
    ///
    /// # Errors
    /// [`SendError::Data`]; [`SendError::Route`] when the proxy cannot be reached.
    pub fn push<T: Serialize + ?Sized>(
        &self,
        row: Row,
        proxy: NodeId,
        to: PushTo<'_>,
        topic: &[u8],
        data: &T,
    ) -> Result<Sent, SendError> {
        let sent = self.0.encode("data", data, |payload| self.push_raw(row, proxy, to, topic, payload));
        sent.map_err(|error| SendError::data(row, error))?
    }

    /// As [`Node::push`] for data that is MessagePack already. For no sessions at all, nothing is sent.
    ///
    /// # Errors
    /// [`SendError::Route`], as [`Node::push`]; with `TooLarge` for data over the limit on a message, and for more
    /// than 65,535 sessions at once.
    pub fn push_raw(
        &self,
        row: Row,
        proxy: NodeId,
        to: PushTo<'_>,
        topic: &[u8],
        payload: &[u8],
    ) -> Result<Sent, SendError> {
        let node = &self.0;
        self.check_size(row, payload)?;
        match to {
            PushTo::Epochs([]) => {
                return Ok(Sent::none(self.clone()));
            }
            PushTo::Epochs(epochs) if epochs.len() / 8 > usize::from(u16::MAX) => {
                node.stats.sent(row, 1);
                node.stats.dropped(row, Reason::TooLarge);
                return Err(SendError::route(row, format!("proxy {proxy}"), Reason::TooLarge));
            }
            _ => {}
        }
        node.stats.sent(row, 1);
        let envelope = Envelope { meta: node.meta(row), body: Body::Push { to, topic }, payload };
        let takes: fn(Role) -> bool = |role| role == Role::Proxy;
        if node.gate.holds(row) {
            let receivers: Receivers = match to {
                PushTo::Uid(uid) => [Receiver::Uid(uid)].into_iter().collect(),
                PushTo::Epochs(_) => to.epochs().map(Receiver::Player).collect(),
            };
            if let Some(hold) = node.gate.hold_for(&receivers) {
                return self.hold_one(hold, receivers, (proxy, takes), &envelope);
            }
        }
        self.post_or_keep(proxy, takes, &envelope).map_err(|reason| {
            node.stats.dropped(row, reason);
            SendError::route(row, format!("proxy {proxy}"), reason)
        })
    }

    /// Sends an event to a player on this server (row 1).
    ///
    /// # Errors
    /// [`SendError`]; `PlayerOffline` when the player is not here.
    pub fn push_to_player<T: Serialize + ?Sized>(
        &self,
        player: PlayerId,
        topic: &[u8],
        data: &T,
    ) -> Result<Sent, SendError> {
        self.push_here(Row::ServerToClient, player, topic, data)
    }

    /// Sends a response to a player on this server, who may have asked for it (row 29): a map with its type under
    /// [`chappe_wire::client::KIND_FIELD`].
    ///
    /// # Errors
    /// As [`Node::push_to_player`].
    pub fn respond_to_player<T: Serialize + ?Sized>(
        &self,
        player: PlayerId,
        response: &T,
    ) -> Result<Sent, SendError> {
        let Names { namespace, system, event } = Names::RESPONSE;
        self.push_here(
            Row::PlayerResponse,
            player,
            &crate::listeners::topic(namespace, system, event),
            response,
        )
    }

    fn push_here<T: Serialize + ?Sized>(
        &self,
        row: Row,
        player: PlayerId,
        topic: &[u8],
        data: &T,
    ) -> Result<Sent, SendError> {
        let Some(proxy) = self.proxy_of(player) else {
            self.0.stats.sent(row, 1);
            self.0.stats.dropped(row, Reason::PlayerOffline);
            return Err(SendError::route(row, format!("player {player}"), Reason::PlayerOffline));
        };
        self.push(row, proxy, PushTo::Epochs(&player.0.to_le_bytes()), topic, data)
    }
}
