//! What is not durable, on its way to where a player is: plain notifications, and responses from other servers.

use super::places::place;
use super::{Desk, Refusal, args, retry_after};
use crate::protocol::{Dead, NOTIFY, Plain, WhereIs};
use chappe_node::To;
use chappe_wire::{NodeId, Reason, Row};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::sleep;

/// The most plain notifications that wait until a restarted master knows all sessions.
const HELD: usize = 10_000;
/// What is one-way has no time-out; the wire wants one.
const ONE_WAY: Duration = Duration::ZERO;
/// The reason of a dead letter for which there was no server.
const NO_SERVER: &str = "noServer";

/// Plain notifications that wait until all sessions are known, in order, as they came.
#[derive(Default)]
pub(super) struct Held {
    plain: RefCell<VecDeque<Box<[u8]>>>,
    is_awaited: Cell<bool>,
}

/// Whom a `SendTo` is for: the record is not looked at.
#[derive(Deserialize)]
struct For {
    uid: u64,
}

impl Desk {
    pub(super) fn serve_routes(&self) {
        self.serve(Row::Notify, "route", |desk, call| desk.take_plain(call.raw()));
        self.serve(Row::SendTo, "send_to", |desk, call| {
            let uid = match args::<For>(&call) {
                Ok(For { uid }) => uid,
                Err((reason, text)) => return call.fail(reason, &text),
            };
            let (desk, bytes) = (desk.clone(), Box::<[u8]>::from(call.raw()));
            let (master, responder) = (desk.0.master.clone(), call.into_responder());
            master.when_recovered(move |has_room| {
                let sent = match has_room {
                    true => desk.send_to(uid, &bytes),
                    false => Err((Reason::Overloaded, "too many wait for the restarted master".to_owned())),
                };
                match sent {
                    Ok(()) => drop(responder.respond(&())),
                    Err((reason, text)) => {
                        desk.0.node.stats().dropped(Row::SendTo, reason);
                        responder.fail(reason, &text);
                    }
                }
            });
        });
        self.serve(Row::Internal, "where_is", |desk, call| match args::<WhereIs>(&call) {
            Ok(WhereIs { uid }) => {
                let (desk, responder) = (desk.clone(), call.into_responder());
                let master = desk.0.master.clone();
                master.when_recovered(move |_| {
                    let on =
                        desk.0.master.session_of(uid).and_then(|(on, going)| on.filter(|_| going.is_none()));
                    let _ = responder.respond(&on);
                });
            }
            Err((reason, text)) => call.fail(reason, &text),
        });
        self.serve(Row::Internal, "dead", |desk, call| {
            if let Ok(dead) = args::<Dead>(&call) {
                desk.bury(dead);
            }
        });
    }

    /// Takes a plain notification, an encoded [`Plain`]: it goes on at once, or when all sessions are known.
    pub(super) fn take_plain(&self, plain: &[u8]) {
        if self.0.master.is_recovering() || !self.0.held.plain.borrow().is_empty() {
            return self.hold(plain);
        }
        self.route(plain);
    }

    /// Passes a plain notification, an encoded [`Plain`], on to where its player is. An offline player's goes to the
    /// server that has the record, else to the first game server.
    fn route(&self, plain: &[u8]) {
        let Some(Plain { uid, .. }) = Plain::read(plain) else {
            return self.0.node.stats().dropped(Row::Notify, Reason::BadData);
        };
        let (session, owner) = (self.0.master.session_of(uid), self.live_owner(self.known_owner(uid)));
        let to = self.0.node.with_view(|view| place(session, owner, view));
        match to {
            Some(to) => self.forward(Row::Notify, to, "plain", plain),
            None => self.unroutable(plain),
        }
    }

    /// Keeps what could not be handled, for the command line.
    pub(super) fn bury(&self, dead: Dead) {
        self.0.node.stats().count("dead_letters");
        let at_ms = self.store_ms().unwrap_or_default();
        if self.0.dead.borrow_mut().add(at_ms, dead) {
            self.0.node.stats().count("dead_letters_dropped");
        }
    }

    fn send_to(&self, uid: u64, bytes: &[u8]) -> Result<(), Refusal> {
        let on = self.0.master.session_of(uid).and_then(|(on, _)| on);
        let on = on.ok_or_else(|| (Reason::PlayerOffline, format!("player {uid} is offline")))?;
        let reachable = self.0.node.with_view(|view| view.reachable(on, |role| role.is_server()));
        reachable.map_err(|reason| (reason, format!("player {uid} is on node {on}")))?;
        self.forward(Row::SendTo, on, "send_to", bytes);
        Ok(())
    }

    /// The same bytes, under the same row, one node further. What cannot be sent is counted by the node.
    fn forward(&self, row: Row, to: NodeId, method: &str, bytes: &[u8]) {
        self.0.node.request_raw(row, To::Node(to), (NOTIFY, method), bytes, ONE_WAY, None);
    }

    fn unroutable(&self, plain: &[u8]) {
        self.0.node.stats().dropped(Row::Notify, Reason::NoRoute);
        if let Some(Plain { uid, id, depth, record }) = Plain::read(plain) {
            let record = record.to_owned();
            self.bury(Dead { reason: NO_SERVER.to_owned(), uid: Some(uid), id, record, depth });
        }
    }

    /// Until all sessions are known; in order, so nothing that comes later goes first.
    fn hold(&self, plain: &[u8]) {
        let held = &self.0.held;
        if held.plain.borrow().len() >= HELD {
            return self.0.node.stats().dropped(Row::Notify, Reason::Overloaded);
        }
        held.plain.borrow_mut().push_back(plain.into());
        self.await_sessions();
    }

    fn await_sessions(&self) {
        if self.0.held.is_awaited.replace(true) {
            return;
        }
        let desk = self.clone();
        self.0.master.when_recovered(move |has_room| {
            desk.0.held.is_awaited.set(false);
            if has_room {
                while let Some(plain) = desk.next_held() {
                    desk.route(&plain);
                }
                return;
            }
            let later = desk.clone();
            desk.0.node.spawn(async move {
                sleep(retry_after(0)).await;
                later.await_sessions();
            });
        });
    }

    fn next_held(&self) -> Option<Box<[u8]>> {
        self.0.held.plain.borrow_mut().pop_front()
    }
}
