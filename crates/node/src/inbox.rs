//! What comes in: bytes to frames, frames to envelopes, envelopes to handlers.

use crate::Event;
use crate::call::{Call, Responder};
use crate::control;
use crate::error::Failure;
use crate::node::{Inner, Node};
use crate::peer::Peer;
use crate::rpc::Data;
use chappe_link::{Buffer, Conn};
use chappe_route::{Seen, State};
use chappe_wire::envelope::split_target;
use chappe_wire::frame::{Frame, read_frame};
use chappe_wire::{Body, Envelope, Meta, NodeId, PushTo, Reason, Row, WireError};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What an envelope may take beside its data: names, and the epochs of a push.
const ENVELOPE_ROOM: usize = 1 << 20;

/// Room that an emptied buffer keeps: above what one read asks for, or each read would allocate.
const KEEP: usize = 512 * 1024;

/// How long what came may go untold: acknowledgements ride on other frames meanwhile.
const ACK_DELAY: Duration = Duration::from_millis(20);
/// How far refusals may fill a queue above its bound.
const UNREAD: usize = 2 << 20;
/// A turn that has taken this long writes out what it has so far.
const LONG_TURN: Duration = Duration::from_micros(500);
/// A turn that has taken this long leaves the rest for the next: timers and other peers have theirs first.
const MAX_TURN: Duration = Duration::from_millis(5);
/// Reads of one connection that found something at once, before others have their turn.
const READS: u32 = 16;
/// How many frames are taken in between two looks at the clock.
const LOOK_AFTER: u32 = 8;

/// What the topics of engine events begin with ([`crate::ENGINE_NAMESPACE`], [`crate::ENGINE_SYSTEM`]).
const ENGINE_PREFIX: &[u8] = b"Minecraft\0Engine\0";
/// The most topics of which it is said that nobody listens.
const UNHEARD: usize = 1000;

/// Where an envelope came from.
struct From<'a> {
    node: NodeId,
    incarnation: u64,
    /// The peer and the frame's number, to refuse it by; none for what the node sent itself.
    frame: Option<(&'a Rc<Peer>, u32)>,
}

impl Inner {
    /// Reads a connection until it ends. `buffer` may hold what came behind the greeting.
    pub(crate) async fn reader(self: Rc<Self>, peer: Rc<Peer>, conn: Rc<dyn Conn>, mut buffer: Buffer) {
        let limit = self.config.limits.message_bytes + ENVELOPE_ROOM;
        let mut reads = 0;
        loop {
            let is_cut_short = match self.take_in(&peer, &mut buffer, limit) {
                Ok(is_cut_short) => is_cut_short,
                Err(error) => {
                    self.stats.count("protocol_errors");
                    self.close_peer(&peer, error.reason(), &error.to_string());
                    break;
                }
            };
            self.tell_acks(&peer);
            if is_cut_short || reads == READS {
                reads = 0;
                tokio::task::yield_now().await;
            }
            if !is_cut_short {
                buffer.shrink(KEEP);
                reads += 1;
                let read = poll_fn(|cx| {
                    let read = conn.poll_read(cx, &mut buffer);
                    if read.is_pending() {
                        reads = 0;
                    }
                    read
                });
                match read.await {
                    Ok(0) => self.peer_ended(&peer, "the other side closed the connection"),
                    Ok(_) => {}
                    Err(error) => self.peer_ended(&peer, &error.to_string()),
                }
            }
            if peer.is_closed() {
                break;
            }
        }
    }

    /// Takes in every whole frame of `buffer`, or as many as fit into one turn of the loop: whether it was cut
    /// short so.
    fn take_in(
        self: &Rc<Self>,
        peer: &Rc<Peer>,
        buffer: &mut Buffer,
        limit: usize,
    ) -> Result<bool, WireError> {
        self.progress.fetch_add(1, Ordering::Relaxed);
        let (mut taken, mut frames, mut result) = (0, 0u32, Ok(()));
        let started = self.clock.now();
        let (mut since, mut is_cut_short) = (started, false);
        while !peer.is_closed() {
            match read_frame(&buffer.filled()[taken..], limit) {
                Ok(None) => break,
                Ok(Some((frame, length))) => {
                    taken += length;
                    frames += 1;
                    result = self.on_frame(peer, frame);
                    if frames.is_multiple_of(LOOK_AFTER) {
                        let now = self.clock.now();
                        if now - since > LONG_TURN {
                            // Slow handlers: what the first of them have answered does not wait for the last.
                            self.flush();
                            since = now;
                        }
                        is_cut_short = now - started > MAX_TURN;
                    }
                    if self.has_local() {
                        // What a message raised (a player entered) is heard before the next message.
                        self.deliver_local();
                    }
                }
                Err(error) => result = Err(error),
            }
            if result.is_err() || is_cut_short {
                break;
            }
        }
        buffer.consume(taken);
        result.map(|()| is_cut_short)
    }

    fn on_frame(self: &Rc<Self>, peer: &Rc<Peer>, frame: Frame<'_>) -> Result<(), WireError> {
        match peer.receive(frame.seq) {
            Seen::InOrder => {}
            Seen::Gap(missing) => {
                self.stats.count_many("sequence_gaps", u64::from(missing));
                tracing::error!(from = %peer.id, missing, "frames are missing");
            }
            Seen::Duplicate => {
                self.stats.count("duplicate_frames");
                return Ok(());
            }
        }
        let envelope = Envelope::decode(frame.body)?;
        if peer.is_pulse && !is_beat(&envelope) {
            return Err(WireError::BadName { what: "heartbeat" });
        }
        // A nack stands in front of the acknowledgement that would otherwise settle its frame as reached.
        if let Body::Nack { seq, reason } = envelope.body {
            peer.refused(seq, reason);
        }
        peer.acknowledged(frame.ack);
        if frame.seq != 0 {
            peer.pair.arrived.count(envelope.meta.row);
        }
        if let Body::Close { reason } = envelope.body {
            let text = format!("{reason}: {}", String::from_utf8_lossy(envelope.payload));
            self.peer_ended(peer, &text);
            return Ok(());
        }
        let frame = Some((peer, frame.seq));
        self.on_envelope(From { node: peer.id, incarnation: peer.incarnation, frame }, envelope);
        Ok(())
    }

    /// Takes in a message that the node sent to itself.
    pub(crate) fn take_in_own(self: &Rc<Self>, body: &[u8]) {
        if let Ok(envelope) = Envelope::decode(body) {
            let from = From { node: self.config.id, incarnation: self.config.incarnation, frame: None };
            self.on_envelope(from, envelope);
        }
    }

    /// Takes in an event that came beside the connection with `peer`.
    pub(crate) fn take_in_published(self: &Rc<Self>, peer: &Peer, envelope: Envelope<'_>) {
        self.on_envelope(From { node: peer.id, incarnation: peer.incarnation, frame: None }, envelope);
        if self.has_local() {
            self.deliver_local();
        }
    }

    fn on_envelope(self: &Rc<Self>, from: From<'_>, envelope: Envelope<'_>) {
        let Envelope { meta, body, payload } = envelope;
        let is_starting = self.state.get() == State::Starting;
        #[cfg(feature = "sabotage")]
        let is_starting = is_starting && !crate::sabotage::is(crate::sabotage::Sabotage::RouteUnready);
        // An answer is to something that its own setup has asked.
        let is_answer = matches!(body, Body::Response { .. });
        if is_starting && meta.row != Row::Internal && !is_answer {
            // Nothing is routed here yet: whoever sent it did not look.
            return match body {
                Body::Request { id, one_way, .. } => {
                    self.refuse(&from, meta.row, Reason::NotReady);
                    let responder = self.responder(&from, meta.row, id, one_way);
                    responder.fail(Reason::NotReady, "the node is still starting");
                }
                Body::Event { .. } | Body::Push { .. } => self.refuse(&from, meta.row, Reason::NotReady),
                _ => {}
            };
        }
        match body {
            Body::Event { topic } => self.on_event(&from, meta, topic, payload),
            Body::Request { id, one_way, target, timeout_ms } => {
                let patience = Duration::from_millis(timeout_ms.into());
                self.longest_request.set(self.longest_request.get().max(patience));
                let responder = self.responder(&from, meta.row, id, one_way);
                self.on_request(meta, target, payload, responder);
            }
            Body::Response { id, status } => self.on_response(from.node, id, meta, status, payload),
            Body::Push { to, topic } => self.on_push(&from, meta, to, topic, payload),
            Body::Ack | Body::Nack { .. } | Body::Close { .. } => {}
        }
    }

    fn responder(self: &Rc<Self>, from: &From<'_>, row: Row, id: u64, one_way: bool) -> Responder {
        Responder::new(Node(self.clone()), row, (from.node, from.incarnation), id, one_way)
    }

    fn on_event(self: &Rc<Self>, from: &From<'_>, meta: Meta, topic: &[u8], data: &[u8]) {
        // Only their proxy speaks for players, and on a lobby or game only for those who are here.
        if let Some(origin) = meta.origin
            && (origin.proxy != from.node
                || self.config.role.is_server() && !self.players.borrow().is_here(origin))
        {
            return self.refuse(from, meta.row, Reason::StaleSession);
        }
        if meta.origin.is_some() && topic.starts_with(ENGINE_PREFIX) {
            // What a node raises itself is never a client's to say.
            return self.refuse(from, meta.row, Reason::Refused);
        }
        self.stats.delivered(meta.row, meta.stamp);
        self.dispatch(Event { topic, meta, from: from.node, data });
    }

    /// Calls the listeners of an event.
    pub(crate) fn dispatch(self: &Rc<Self>, event: Event<'_>) {
        let listeners = self.listeners.borrow_mut().of(event.topic);
        let Some(listeners) = listeners else {
            if event.meta.row != Row::Internal {
                self.tell_unheard(event);
            }
            return;
        };
        let (first, removals) = (listeners.first().map(|first| first.id), self.listeners.borrow().removals);
        for listener in listeners.iter() {
            // One of those before it may have removed it.
            if Some(listener.id) != first && !self.listeners.borrow().stands(listener.id, removals) {
                continue;
            }
            self.guarded(&event, || (listener.handler)(event));
        }
    }

    /// Counts an event that nobody listens to, and says so once for each topic: it may be misspelt.
    #[cold]
    fn tell_unheard(&self, event: Event<'_>) {
        self.stats.count("unheard_events");
        let mut unheard = self.unheard.borrow_mut();
        if unheard.len() < UNHEARD && unheard.insert(event.topic.into()) {
            tracing::info!(node = %self.config.id, %event, row = %event.row(), "nobody listens to this event");
        }
    }

    fn on_request(self: &Rc<Self>, meta: Meta, target: &[u8], args: &[u8], responder: Responder) {
        let method = self.methods.borrow().of(target);
        let Some((registered, method)) = method else {
            let (module, method) = split_target(target).unwrap_or_default();
            let known = self.methods.borrow().serves(module);
            let reason = if known { Reason::NoMethod } else { Reason::NoProvider };
            self.stats.dropped(meta.row, reason);
            let text = format!("node {} has no method {method:?} in the module {module:?}", self.config.id);
            return responder.fail(reason, &text);
        };
        if meta.row != Row::Internal {
            self.stats.delivered(meta.row, meta.stamp);
            self.stats.sent(registered, 1);
            self.stats.delivered(registered, meta.stamp);
        }
        self.guarded(&"request", || method(Call { target, args, row: meta.row, responder }));
    }

    fn on_response(&self, from: NodeId, id: u64, meta: Meta, status: Result<(), Reason>, payload: &[u8]) {
        let waiter = self.pending.borrow_mut().answer(id, from);
        let Some(waiter) = waiter else {
            // It had its outcome: the deadline passed, or this is a second answer.
            self.stats.count("late_answers");
            self.stats.dropped(meta.row, Reason::DeadlineExceeded);
            return;
        };
        self.stats.delivered(meta.row, meta.stamp);
        let reply = match status {
            Ok(()) => Ok(Data(payload)),
            Err(reason) => Err(Failure::new(reason, String::from_utf8_lossy(payload))),
        };
        self.finish(waiter, reply);
    }

    fn on_push(self: &Rc<Self>, from: &From<'_>, meta: Meta, to: PushTo<'_>, topic: &[u8], data: &[u8]) {
        let handler = self.on_push.borrow().clone();
        match handler {
            Some(handler) => self.guarded(&"push", || handler(from.node, meta, to, topic, data)),
            None => self.refuse(from, meta.row, Reason::WrongRole),
        }
    }

    /// Drops what came, counts it with the reason, and tells the sender.
    fn refuse(self: &Rc<Self>, from: &From<'_>, row: Row, reason: Reason) {
        self.stats.dropped(row, reason);
        let Some((peer, seq)) = from.frame else { return };
        if peer.queued() > self.config.limits.queue_bytes + UNREAD {
            // Only one that does not read what it is told comes so far.
            self.stats.count("refusals_unread");
            return self.close_peer(peer, Reason::Overloaded, "what is refused is sent again and again");
        }
        let envelope =
            Envelope { meta: Meta::of(Row::Internal), body: Body::Nack { seq, reason }, payload: &[] };
        peer.push_bare(|out| envelope.encode_into(out));
        self.mark_dirty(peer);
    }

    /// Tells the peer what was taken in: at once after a burst, else soon.
    fn tell_acks(&self, peer: &Rc<Peer>) {
        if peer.owes_ack() {
            self.push_ack(peer);
        } else if peer.has_untold() && self.acks_due.get().is_none() {
            let due = self.clock.now() + ACK_DELAY;
            self.acks_due.set(Some(due));
            self.wake_by(due);
        }
    }

    /// Tells every peer that was not told since its last frame came.
    pub(crate) fn tell_all_acks(&self) {
        let untold: Vec<_> = self.peers.borrow().values().filter(|peer| peer.has_untold()).cloned().collect();
        untold.iter().for_each(|peer| self.push_ack(peer));
    }

    fn push_ack(&self, peer: &Rc<Peer>) {
        let envelope = Envelope { meta: Meta::of(Row::Internal), body: Body::Ack, payload: &[] };
        peer.push_bare(|out| envelope.encode_into(out));
        self.mark_dirty(peer);
    }
}

/// Whether it is what a heartbeat connection is for.
fn is_beat(envelope: &Envelope<'_>) -> bool {
    let is_pulse = |target| split_target(target).is_ok_and(|at| at == (control::MASTER, "pulse"));
    match envelope.body {
        Body::Request { one_way, target, .. } => {
            one_way && envelope.meta.row == Row::Internal && is_pulse(target)
        }
        Body::Close { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_prefix_is_that_of_its_topics() {
        let topic = crate::listeners::topic(crate::ENGINE_NAMESPACE, crate::ENGINE_SYSTEM, "");
        assert_eq!(topic.as_slice(), ENGINE_PREFIX);
    }
}
