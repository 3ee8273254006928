//! A game server: gathers the players of a match, lets them fight a round, tells who has won, and sends them
//! back to a lobby.

use crate::lobby::relay;
use crate::messages::{
    ARENA, Added, Begin, CHAT_SERVICE, End, Health, Hit, MATCH_SERVICE, Mode, Outcome, Removed, Ticket,
    Welcome, data, sent, service, system,
};
use crate::round::Round;
use chappe::system::ServerSystem;
use chappe::{Node, PlayerId, Reason};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How long a match waits for players who are still on their way.
const GATHER: Duration = Duration::from_secs(2);
/// The longest round.
const ROUND: Duration = Duration::from_secs(4);
/// Between two attempts to send a player back.
const RETRY: Duration = Duration::from_millis(500);

/// Sets a game up; its type is the mode that it plays.
pub(crate) fn setup(node: &Node) -> Result<(), String> {
    let mode = &node.config().node_type;
    let mode = Mode::of_type(mode).ok_or_else(|| format!("{mode:?} is no mode of the arena"))?;
    let server = ServerSystem::new(node, ARENA, system::GAME);
    let game = Rc::new(Game { server: server.clone(), mode, matches: RefCell::default() });
    let here = game.clone();
    server.listen_engine("AddServerPlayerEvent", move |event| {
        if let Some(player) = data::<Added>(&event) {
            here.enter(&player);
        }
    });
    let here = game.clone();
    server.listen_engine("DelServerPlayerEvent", move |event| {
        if let Some(player) = data::<Removed>(&event) {
            here.leave(&player);
        }
    });
    let here = game;
    server.listen(ARENA, system::CLIENT, "Hit", move |event| {
        if let (Some(id), Some(hit)) = (event.player_id(), data::<Hit>(&event)) {
            here.hit(id, hit);
        }
    });
    relay(&server);
    Ok(())
}

struct Game {
    server: ServerSystem,
    mode: Mode,
    matches: RefCell<BTreeMap<u64, Match>>,
}

struct Match {
    ticket: Ticket,
    has_begun: bool,
    round: Round,
    players: BTreeMap<u64, PlayerId>,
}

impl Game {
    fn enter(self: &Rc<Self>, player: &Added) {
        let welcome = Welcome {
            server: self.server.id(),
            mode: Some(self.mode),
            chat: service(&self.server, CHAT_SERVICE),
        };
        sent(self.server.notify_to_client(player.id, "Welcome", &welcome));
        if player.is_reconnect {
            return;
        }
        let Some(ticket) = Ticket::from_param(&player.transfer_param) else {
            return self.send_back(player.id);
        };
        let (is_new, is_full, has_begun) = {
            let mut matches = self.matches.borrow_mut();
            let is_new = !matches.contains_key(&ticket.id);
            let of = matches.entry(ticket.id).or_insert_with(|| Match::new(ticket));
            if !of.has_begun {
                of.round.join(player.uid);
                of.players.insert(player.uid, player.id);
            }
            (is_new, of.players.len() >= ticket.size, of.has_begun)
        };
        if has_begun {
            // Too late for this one.
            return self.send_back(player.id);
        }
        if is_full {
            return self.begin(ticket.id);
        }
        if is_new {
            let here = self.clone();
            self.server.add_timer(GATHER, move || here.begin(ticket.id));
        }
    }

    /// Begins with whoever is here. Does nothing when it has begun before.
    fn begin(self: &Rc<Self>, id: u64) {
        let players = {
            let mut matches = self.matches.borrow_mut();
            let Some(of) = matches.get_mut(&id).filter(|of| !of.has_begun) else { return };
            of.has_begun = true;
            of.players.clone()
        };
        if players.len() < 2 {
            return self.end(id);
        }
        let begin = Begin { players: players.keys().copied().collect() };
        let everyone: Vec<PlayerId> = players.into_values().collect();
        sent(self.server.notify_to_multi_clients(&everyone, "Begin", &begin));
        let here = self.clone();
        self.server.add_timer(ROUND, move || here.end(id));
    }

    fn hit(self: &Rc<Self>, id: PlayerId, hit: Hit) {
        let Some(striker) = self.server.player(id) else { return };
        let struck = {
            let mut matches = self.matches.borrow_mut();
            let of = matches.values_mut().find(|of| of.players.contains_key(&striker.uid));
            of.filter(|of| of.has_begun).and_then(|of| {
                let left = of.round.hit(striker.uid, hit.uid)?;
                let target = of.players.get(&hit.uid).copied()?;
                Some((of.ticket.id, left, target, of.round.is_decided()))
            })
        };
        let Some((round, left, target, is_decided)) = struck else { return };
        let health = Health { uid: hit.uid, by: striker.uid, left };
        sent(self.server.notify_to_client(target, "State", &health));
        sent(self.server.notify_to_client(id, "State", &health));
        if is_decided {
            self.end(round);
        }
    }

    fn leave(self: &Rc<Self>, player: &Removed) {
        let decided = {
            let mut matches = self.matches.borrow_mut();
            let of = matches.values_mut().find(|of| of.players.get(&player.uid) == Some(&player.id));
            of.and_then(|of| {
                of.players.remove(&player.uid);
                of.round.leave(player.uid);
                (of.has_begun && of.round.is_decided()).then_some(of.ticket.id)
            })
        };
        if let Some(id) = decided {
            self.end(id);
        }
    }

    /// Ends a round, once: tells its players, the match service, all services and the master.
    fn end(self: &Rc<Self>, id: u64) {
        let Some(of) = self.matches.borrow_mut().remove(&id) else { return };
        let standings = of.round.standings();
        let everyone: Vec<PlayerId> = of.players.into_values().collect();
        let outcome = Outcome { id, mode: self.mode, standings: standings.clone() };
        if let Some(matches) = service(&self.server, MATCH_SERVICE) {
            sent(self.server.notify_to_service_node(matches, "Result", &outcome));
        }
        // A match that did not come about has no winner.
        if standings.len() > 1 {
            sent(self.server.broadcast_to_service("RoundOver", &outcome));
            sent(self.server.notify_to_master("Score", &outcome));
        }
        if !everyone.is_empty() {
            sent(self.server.notify_to_multi_clients(&everyone, "End", &End { standings }));
        }
        everyone.into_iter().for_each(|player| self.send_back(player));
    }

    fn send_back(&self, player: PlayerId) {
        let server = self.server.clone();
        self.server.spawn(async move {
            while let Err(failure) = server.transfer_to_other_server(player, "lobby", "").await {
                if failure.reason == Reason::PlayerOffline || server.player(player).is_none() {
                    return;
                }
                tracing::debug!(%player, %failure, "a player could not be sent back yet");
                tokio::time::sleep(RETRY).await;
            }
        });
    }
}

impl Match {
    fn new(ticket: Ticket) -> Match {
        Match { ticket, has_begun: false, round: Round::default(), players: BTreeMap::new() }
    }
}
