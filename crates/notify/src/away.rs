//! Plain notifications for players of other servers: straight to where the master has said that the player is.
//!
//! The first one for a player asks; those that follow wait for the answer, in order. A server that gets one for a player
//! who has left it passes it on through the master and says so; only then can two for one player cross.

use crate::protocol::{NOTIFY, Plain, STORE, WhereIs};
use crate::run::Run;
use crate::{Params, Server};
use chappe_node::{Call, State, To};
use chappe_wire::value::ValueError;
use chappe_wire::{NodeId, Reason, Row};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::time::Duration;

/// How long the master may take to say where a player is.
const ASK: Duration = Duration::from_secs(5);
/// What is one-way has no time-out; the wire wants one.
const ONE_WAY: Duration = Duration::ZERO;
/// The most that wait for one player's whereabouts.
const WAITING: usize = 1024;
/// Room that an emptied buffer keeps.
const SCRATCH: usize = 64 << 10;
/// The most players whose whereabouts are remembered.
const PLACES: usize = 100_000;

/// Where players of other servers are, as far as it is known here.
#[derive(Default)]
pub(crate) struct Away(FxHashMap<u64, Place>);

enum Place {
    /// The master is asked; what waits for its answer.
    Asked(VecDeque<Vec<u8>>),
    /// On that life of a node, unless it has become stale.
    At(NodeId, u64),
}

impl Server {
    /// A plain notification for a player who is not here; `write` appends the encoded record. Fails when that does.
    pub(crate) fn send_away(
        &self,
        uid: u64,
        id: Option<u64>,
        depth: u32,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        // The buffer is used again: one that is in use by a call further out is replaced by an empty one.
        let mut plain = self.0.scratch.take();
        plain.clear();
        Plain { uid, id, depth, record: &[] }.write(&mut plain);
        let written = write(&mut plain);
        if written.is_ok() {
            self.post_away(uid, &plain);
        }
        plain.shrink_to(SCRATCH);
        self.0.scratch.replace(plain);
        written
    }

    /// As [`Server::send_away`] of a record that was read before.
    pub(crate) fn send_on_away(&self, uid: u64, id: Option<u64>, depth: u32, record: &Params) {
        if let Err(error) = self.send_away(uid, id, depth, |out| record.encode_into(out)) {
            tracing::error!(node = %self.0.node.id(), uid, %error, "a notification cannot be sent");
        }
    }

    /// Sends an encoded [`Plain`] to where its player is, once that is known.
    fn post_away(&self, uid: u64, plain: &[u8]) {
        let mut away = self.0.away.borrow_mut();
        match away.0.get_mut(&uid) {
            Some(Place::At(node, life)) if self.is_up(*node, *life) => {
                let node = *node;
                drop(away);
                return self.0.node.one_way_raw(Row::Notify, node, &self.0.plain_target, plain);
            }
            Some(Place::Asked(waiting)) if waiting.len() < WAITING => {
                return waiting.push_back(plain.to_vec());
            }
            Some(Place::Asked(_)) => {
                drop(away);
                self.0.node.stats().dropped(Row::Notify, Reason::Overloaded);
                if let Some(Plain { uid, id, depth, record }) = Plain::read(plain) {
                    let record = Params::read(record).unwrap_or_default();
                    self.dead(Reason::Overloaded.as_str(), Some(uid), id, &record, depth);
                }
                return;
            }
            Some(Place::At(..)) | None => {}
        }
        if away.0.len() >= PLACES {
            away.0.retain(|_, place| matches!(place, Place::Asked(_)));
        }
        away.0.insert(uid, Place::Asked(VecDeque::from([plain.to_vec()])));
        drop(away);
        self.ask_place(uid);
    }

    fn ask_place(&self, uid: u64) {
        let server = self.clone();
        let told = move |reply: chappe_node::Reply<'_>| {
            let place = reply.ok().and_then(|data| data.parse::<Option<NodeId>>().ok()).flatten();
            server.found(uid, place.filter(|node| *node != server.0.node.id()));
        };
        let asked =
            self.0.node.request(Row::Internal, To::Master, (STORE, "where_is"), &WhereIs { uid }, ASK, told);
        if asked.is_err() {
            self.found(uid, None);
        }
    }

    /// The master has said where a player is; nowhere, and what waits goes where it decides.
    fn found(&self, uid: u64, node: Option<NodeId>) {
        let life = node.and_then(|node| self.life_of(node));
        let waiting = {
            let mut away = self.0.away.borrow_mut();
            let place = match (node, life) {
                (Some(node), Some(life)) => away.0.insert(uid, Place::At(node, life)),
                _ => away.0.remove(&uid),
            };
            match place {
                Some(Place::Asked(waiting)) => waiting,
                Some(Place::At(..)) | None => VecDeque::new(),
            }
        };
        for bytes in waiting {
            match node.filter(|_| life.is_some()) {
                Some(node) => self.0.node.one_way_raw(Row::Notify, node, &self.0.plain_target, &bytes),
                None => self.let_master_route(&bytes),
            }
        }
    }

    /// `$notify plain`: a notification for a player here, from the master or straight from the sender.
    pub(crate) fn on_plain(&self, call: Call<'_>) {
        let Some(Plain { uid, id, depth, record }) = Plain::read(call.raw()) else {
            return self.0.node.stats().dropped(Row::Notify, Reason::BadData);
        };
        let read = Run::of_plain(self.0.spare.take(), uid, (id, depth), |place| place.read_again(record));
        let Ok(run) = read else {
            return self.0.node.stats().dropped(Row::Notify, Reason::BadData);
        };
        // What can run at once is for a player who is here.
        let Err(run) = self.run_at_once(uid, run) else { return };
        let is_straight = !self.0.node.config().is_master(call.from());
        if is_straight && !self.is_here(uid) {
            self.0.node.tell(call.from(), NOTIFY, "moved", &WhereIs { uid });
            return self.let_master_route(call.raw());
        }
        self.queue_behind(uid, &run);
    }

    /// `$notify moved` (one-way): a player is not any more where this node thinks.
    pub(crate) fn on_moved(&self, call: Call<'_>) {
        let Ok(WhereIs { uid }) = call.args() else { return };
        let mut away = self.0.away.borrow_mut();
        if matches!(away.0.get(&uid), Some(Place::At(node, _)) if *node == call.from()) {
            away.0.remove(&uid);
        }
    }

    /// Whether a player's notifications are handled here: they are on this server, or their record is.
    pub(crate) fn is_here(&self, uid: u64) -> bool {
        self.0.records.borrow().contains_key(&uid) || self.0.node.player_by_uid(uid).is_some()
    }

    fn let_master_route(&self, plain: &[u8]) {
        self.0.node.request_raw(Row::Notify, To::Master, (STORE, "route"), plain, ONE_WAY, None);
    }

    fn life_of(&self, node: NodeId) -> Option<u64> {
        let takes = |state| matches!(state, State::Ready | State::Draining);
        self.0.node.with_view(|view| {
            view.member(node).filter(|member| takes(member.state)).map(|member| member.incarnation)
        })
    }

    fn is_up(&self, node: NodeId, life: u64) -> bool {
        self.life_of(node) == Some(life)
    }
}
