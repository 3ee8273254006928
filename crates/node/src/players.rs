//! The players on a lobby or game: who is here, and how they come and go (apollo.md section 5).

use crate::call::Call;
use crate::control::{self, Enter, Leave};
use crate::node::{Inner, Node};
use chappe_route::{Changed, State};
use chappe_wire::{NodeId, Origin, PlayerId, Reason, Role, Row, value};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// A player on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// The player's id while this session lasts.
    pub id: PlayerId,
    /// The player.
    pub uid: u64,
    /// The proxy that holds the client's connection.
    pub proxy: NodeId,
    /// The name that the client gave at login.
    pub nickname: String,
}

/// The players here, by session epoch and by uid.
#[derive(Debug, Default)]
pub(crate) struct Players {
    by_epoch: BTreeMap<u64, Player>,
    epoch_of: FxHashMap<u64, u64>,
    /// Proxies whose next life is to say which of their players go on.
    awaited: BTreeSet<NodeId>,
}

impl Players {
    /// Whether a message of that session may be heard: it is the player's current one, through that proxy.
    pub(crate) fn is_here(&self, origin: Origin) -> bool {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::Sabotage::StaleEpoch) {
            return true;
        }
        let player = self.by_epoch.get(&origin.epoch);
        player.is_some_and(|player| player.uid == origin.uid && player.proxy == origin.proxy)
    }

    pub(crate) fn add(&mut self, player: Player) {
        self.epoch_of.insert(player.uid, player.id.0);
        self.by_epoch.insert(player.id.0, player);
    }

    fn remove(&mut self, epoch: u64) -> Option<Player> {
        let player = self.by_epoch.remove(&epoch)?;
        if self.epoch_of.get(&player.uid) == Some(&epoch) {
            self.epoch_of.remove(&player.uid);
        }
        Some(player)
    }
}

impl Node {
    /// The players on this server, in the order of their logins.
    pub fn players(&self) -> Vec<Player> {
        self.0.players.borrow().by_epoch.values().cloned().collect()
    }

    /// How many players are on this server.
    pub fn player_count(&self) -> usize {
        self.0.players.borrow().by_epoch.len()
    }

    /// The player of that id, while they are on this server.
    pub fn player(&self, id: PlayerId) -> Option<Player> {
        self.0.players.borrow().by_epoch.get(&id.0).cloned()
    }

    /// The player with that uid, while they are on this server.
    pub fn player_by_uid(&self, uid: u64) -> Option<Player> {
        let players = self.0.players.borrow();
        players.epoch_of.get(&uid).and_then(|epoch| players.by_epoch.get(epoch)).cloned()
    }

    /// The proxy of a player here, without copying their record.
    pub(crate) fn proxy_of(&self, id: PlayerId) -> Option<NodeId> {
        self.0.players.borrow().by_epoch.get(&id.0).map(|player| player.proxy)
    }

    /// Takes players from proxies, for a lobby or game.
    pub(crate) fn serve_players(&self) {
        let node = self.clone();
        self.register(Row::Internal, control::SERVER, "enter", move |call| node.take_enter(call));
        let node = self.clone();
        self.register(Row::Internal, control::SERVER, "leave", move |call| match call.args::<Leave>() {
            Ok(leave) => {
                node.cancel_arrivals(|arrival| arrival.epoch() == leave.epoch);
                node.remove_player(leave.epoch, leave.is_transfer);
                node.answer_left(leave.epoch, call.into_responder());
            }
            Err(error) => call.fail(Reason::BadData, &error.to_string()),
        });
        let node = self.clone();
        self.register(Row::Internal, control::SERVER, "hold", move |call| {
            match call.args::<control::Hold>() {
                Ok(epochs) => {
                    node.keep_players_of(call.from(), &epochs.into_iter().collect());
                    let _ = call.respond(&());
                }
                Err(error) => call.fail(Reason::BadData, &error.to_string()),
            }
        });
        let node = self.clone();
        self.on_view(move |change| match change {
            Changed::Gone(member) if member.role == Role::Proxy => {
                if node.awaits_next(member.id) {
                    node.0.players.borrow_mut().awaited.insert(member.id);
                } else {
                    node.lose_proxy(member.id);
                }
            }
            // It has said nothing of them.
            Changed::Member(_, member) if member.role == Role::Proxy && member.state == State::Ready => {
                node.lose_awaited(member.id);
            }
            _ => {}
        });
    }

    /// The next life of a proxy has these sessions; the players of all others of it are gone.
    fn keep_players_of(&self, proxy: NodeId, epochs: &BTreeSet<u64>) {
        let awaited = self.0.players.borrow_mut().awaited.remove(&proxy);
        if awaited {
            self.lose_players(proxy, |epoch| !epochs.contains(&epoch));
        }
    }

    /// A proxy did not come back, or not with its sessions.
    pub(crate) fn lose_awaited(&self, proxy: NodeId) {
        let awaited = self.0.players.borrow_mut().awaited.remove(&proxy);
        if awaited {
            self.lose_proxy(proxy);
        }
    }

    fn take_enter(&self, call: Call<'_>) {
        let enter: Enter = match call.args() {
            Ok(enter) => enter,
            Err(error) => return call.fail(Reason::BadData, &error.to_string()),
        };
        if let Err(reason) = self.may_enter(&enter) {
            return call.fail(reason, &format!("node {} does not take player {}", self.id(), enter.uid));
        }
        // A newer session of the same player: the old one must be gone before the new one is here.
        let older = self.player_by_uid(enter.uid).filter(|player| player.id.0 < enter.epoch);
        if let Some(older) = older {
            self.remove_player(older.id.0, false);
        }
        if self.takes_time(&enter) {
            return self.arrive(enter, call.into_responder());
        }
        self.let_in(enter, call.from());
        let _ = call.respond(&());
    }

    pub(crate) fn let_in(&self, enter: Enter, proxy: NodeId) {
        let id = PlayerId(enter.epoch);
        let is_known = self.player(id).is_some();
        self.0.players.borrow_mut().add(Player { id, uid: enter.uid, proxy, nickname: enter.nickname });
        // Entering again what was never left is a repeat of a request whose answer was lost.
        if !is_known || enter.is_reconnect {
            let event = value!({
                "id": id.to_string(),
                "uid": enter.uid,
                "proxyId": proxy.0,
                "isTransfer": enter.is_transfer,
                "isReconnect": enter.is_reconnect,
                "transferParam": enter.transfer_param,
            });
            self.raise("AddServerPlayerEvent", &event);
        }
    }

    fn may_enter(&self, enter: &Enter) -> Result<(), Reason> {
        if let Some(player) = self.player_by_uid(enter.uid) {
            // Someone who is here already takes no new place.
            return if player.id.0 > enter.epoch { Err(Reason::StaleSession) } else { Ok(()) };
        }
        let epoch = self.0.passage.borrow().arriving(enter.uid);
        if let Some(epoch) = epoch {
            return if epoch > enter.epoch { Err(Reason::StaleSession) } else { Ok(()) };
        }
        let bound = self.config().limits.players as usize;
        match self.state() {
            State::Ready if bound > 0 && self.player_count() + self.0.passage.borrow().count() >= bound => {
                Err(Reason::ServerFull)
            }
            State::Ready => Ok(()),
            State::Draining => Err(Reason::Draining),
            State::Starting | State::Stuck => Err(Reason::NotReady),
        }
    }

    fn remove_player(&self, epoch: u64, is_transfer: bool) {
        let player = self.0.players.borrow_mut().remove(epoch);
        if let Some(player) = player {
            let event = value!({"id": player.id.to_string(), "uid": player.uid, "isTransfer": is_transfer});
            self.raise("DelServerPlayerEvent", &event);
            self.see_off(&player, is_transfer);
        }
    }

    /// A proxy is gone, and with it the sessions of everyone who came through it.
    fn lose_proxy(&self, proxy: NodeId) {
        self.lose_players(proxy, |_| true);
    }

    fn lose_players(&self, proxy: NodeId, is_lost: impl Fn(u64) -> bool) {
        self.cancel_arrivals(|arrival| arrival.proxy() == proxy && is_lost(arrival.epoch()));
        let lost: Vec<u64> = {
            let players = self.0.players.borrow();
            let here = players.by_epoch.values().filter(|player| player.proxy == proxy);
            here.map(|player| player.id.0).filter(|epoch| is_lost(*epoch)).collect()
        };
        lost.into_iter().for_each(|epoch| self.remove_player(epoch, false));
    }
}

impl Inner {
    /// Sends a request of the runtime's own that wants no answer. Returns whether it was queued.
    pub(crate) fn tell(&self, to: NodeId, module: &str, method: &str, payload: &[u8]) -> bool {
        let target = crate::listeners::target(module, method);
        let body = chappe_wire::Body::Request { id: 0, timeout_ms: 0, one_way: true, target: &target };
        let meta = chappe_wire::Meta::of(Row::Internal);
        let posted = self.post(to, &chappe_wire::Envelope { meta, body, payload });
        posted.inspect_err(|reason| self.stats.dropped(Row::Internal, *reason)).is_ok()
    }
}
