//! The match service: players wait here, and are told, through their lobbies, where to play.

use crate::messages::{
    ARENA, Enqueue, MatchFound, Mode, Outcome, Season, ServerGone, Unqueue, data, sent, system,
};
use crate::queues::{Found, Queues};
use chappe::system::ServiceSystem;
use chappe::{Node, NodeId, PlayerId, Reason, State};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

/// What a new player is rated.
const RATING: u64 = 1000;

/// Sets the match service up.
pub(crate) fn setup(node: &Node) -> Result<(), String> {
    let service = ServiceSystem::new(node, ARENA, system::MATCH);
    let queues: Rc<RefCell<Queues>> = Rc::default();
    let ratings: Rc<RefCell<HashMap<u64, u64>>> = Rc::default();

    let (here, queue) = (service.clone(), queues.clone());
    service.register_rpc_method("match", "Enqueue", move |call| {
        let player: Enqueue = match call.args() {
            Ok(player) => player,
            Err(error) => return call.fail(Reason::BadData, &error.to_string()),
        };
        let servers = games(&here, player.mode);
        let queued = queue.borrow_mut().enqueue(player, &servers);
        let _ = call.respond(queued.as_ref().unwrap_or(&0));
        if let Err(found) = queued {
            announce(&here, &found);
        }
    });
    let known = ratings.clone();
    service.register_rpc_method_for_mod("Rating", move |call| {
        let rating = call.args().ok().and_then(|uid: u64| known.borrow().get(&uid).copied());
        let _ = call.respond(&rating.unwrap_or(RATING));
    });

    let queue = queues.clone();
    service.listen(ARENA, system::LOBBY, "Unqueue", move |event| {
        if let Some(gone) = data::<Unqueue>(&event) {
            queue.borrow_mut().remove(gone.uid);
        }
    });
    let queue = queues.clone();
    service.listen(ARENA, system::GAME, "Result", move |event| {
        if let Some(outcome) = data::<Outcome>(&event) {
            queue.borrow_mut().over(outcome.id);
            rate(&mut ratings.borrow_mut(), &outcome);
        }
    });
    service.listen_engine("ServerDisconnectEvent", move |event| {
        if let Some(gone) = data::<ServerGone>(&event) {
            queues.borrow_mut().lose(gone.server_id);
        }
    });
    hear_seasons(&service);
    Ok(())
}

/// What every service does when a season begins: it asks the master how the last one ended.
pub(crate) fn hear_seasons(service: &ServiceSystem) {
    let here = service.clone();
    service.listen(ARENA, system::SEASON, "Season", move |event| {
        let Some(season) = data::<Season>(&event) else { return };
        let patience = Duration::from_secs(2);
        let asked = here.request_to_service::<_, Option<u64>>("season", "Champion", &season.number, patience);
        here.spawn(async move {
            match asked.await {
                Ok(champion) => tracing::debug!(season = season.number, ?champion, "a season begins"),
                Err(failure) => tracing::warn!(%failure, "the master did not name the champion"),
            }
        });
    });
}

fn announce(service: &ServiceSystem, found: &Found) {
    let mut lobbies: BTreeMap<NodeId, Vec<PlayerId>> = BTreeMap::new();
    for player in &found.players {
        lobbies.entry(player.lobby).or_default().push(player.player);
    }
    for (lobby, players) in lobbies {
        let message = MatchFound { ticket: found.ticket, mode: found.mode, server: found.server, players };
        sent(service.notify_to_server_node(lobby, "MatchFound", &message));
    }
}

/// The games of a mode that take players.
fn games(node: &Node, mode: Mode) -> Vec<NodeId> {
    node.with_view(|view| {
        let of_mode = view.members().filter(|member| member.node_type == mode.server_type());
        of_mode.filter(|member| member.state == State::Ready).map(|member| member.id).collect()
    })
}

/// The winner takes eight points from each of the others.
fn rate(ratings: &mut HashMap<u64, u64>, outcome: &Outcome) {
    let Some((winner, others)) = outcome.standings.split_first() else { return };
    for other in others {
        let rating = ratings.entry(other.uid).or_insert(RATING);
        let stake = (*rating).min(8);
        *rating -= stake;
        *ratings.entry(winner.uid).or_insert(RATING) += stake;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Standing;

    #[test]
    fn a_rating_is_won_from_the_others_and_never_made_or_negative() {
        let mut ratings = HashMap::from([(2, 3)]);
        let standings = [1, 2, 3].map(|uid| Standing { uid, points: 0 }).to_vec();
        rate(&mut ratings, &Outcome { id: 1, mode: Mode::Brawl, standings });
        assert_eq!((ratings[&1], ratings[&2], ratings[&3]), (RATING + 11, 0, RATING - 8));
    }
}
