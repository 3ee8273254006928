//! The master's part: the leader board, the seasons, and rewards for winners.

use crate::messages::{
    ARENA, Leader, MAIL_SERVICE, Mailed, Outcome, Reward, Season, Standing, data, sent, service, system,
};
use chappe::master::{Master, MasterSystem};
use chappe::{Node, NodeId, Role};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many rounds make a season.
const SEASON: u64 = 4;

/// Sets the master's part up.
pub(crate) fn setup(master: &Master) -> Result<(), String> {
    let master = MasterSystem::new(master, ARENA, system::SEASON);
    let board: Rc<RefCell<Board>> = Rc::default();
    let (here, scores) = (master.clone(), board.clone());
    master.listen(ARENA, system::GAME, "Score", move |event| {
        if let Some(outcome) = data::<Outcome>(&event) {
            let news = scores.borrow_mut().score(&outcome.standings);
            tell(&here, event.from(), &outcome, news);
        }
    });
    let letters = board.clone();
    master.listen(ARENA, system::MAIL, "Mailed", move |event| {
        if let Some(mailed) = data::<Mailed>(&event) {
            letters.borrow_mut().rewarded(mailed.uid);
        }
    });
    master.register_rpc_method("season", "Champion", move |call| {
        let champion =
            call.args().ok().and_then(|season: u64| board.borrow().champion(season.saturating_sub(1)));
        let _ = call.respond(&champion);
    });
    Ok(())
}

/// What a round has changed.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    leader: Option<Leader>,
    is_new_leader: bool,
    season: Option<Season>,
}

fn tell(master: &MasterSystem, from: NodeId, outcome: &Outcome, news: News) {
    if let Some(leader) = news.leader {
        sent(master.notify_to_server_node(from, "Leader", &leader));
        if news.is_new_leader {
            for lobby in lobbies(master) {
                sent(master.notify_to_server_node(lobby, "Leader", &leader));
            }
        }
    }
    if let (Some(winner), Some(mail)) = (outcome.standings.first(), service(master, MAIL_SERVICE)) {
        let text = format!("You won {} points in round {}.", winner.points, outcome.id);
        sent(master.notify_to_service_node(mail, "Reward", &Reward { uid: winner.uid, text }));
    }
    if let Some(season) = news.season {
        sent(master.broadcast_to_service("Season", &season));
    }
}

fn lobbies(node: &Node) -> Vec<NodeId> {
    node.with_view(|view| {
        view.members().filter(|member| member.role == Role::Lobby).map(|member| member.id).collect()
    })
}

/// Points by player, for the season and for all seasons before it.
#[derive(Debug, Default)]
struct Board {
    points: BTreeMap<u64, u64>,
    leader: Option<Leader>,
    rounds: u64,
    champions: Vec<u64>,
    rewards: BTreeMap<u64, u64>,
}

impl Board {
    /// Adds a round's points; the last round of a season empties the board.
    fn score(&mut self, standings: &[Standing]) -> News {
        for standing in standings {
            *self.points.entry(standing.uid).or_default() += standing.points;
        }
        // Of equals the one with the smaller uid leads.
        let best = self.points.iter().max_by_key(|(uid, points)| (**points, std::cmp::Reverse(**uid)));
        let leader = best.map(|(uid, points)| Leader { uid: *uid, points: *points });
        let is_new_leader = leader.map(|leader| leader.uid) != self.leader.map(|leader| leader.uid);
        self.leader = leader;
        self.rounds += 1;
        let season = self.rounds.is_multiple_of(SEASON).then(|| self.next_season());
        News { leader, is_new_leader, season }
    }

    fn next_season(&mut self) -> Season {
        self.champions.extend(self.leader.take().map(|leader| leader.uid));
        self.points.clear();
        Season { number: self.rounds / SEASON }
    }

    /// Who won that season; the first is 0.
    fn champion(&self, season: u64) -> Option<u64> {
        self.champions.get(usize::try_from(season).ok()?).copied()
    }

    fn rewarded(&mut self, uid: u64) {
        *self.rewards.entry(uid).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(board: &mut Board, uid: u64, points: u64) -> News {
        board.score(&[Standing { uid, points }])
    }

    #[test]
    fn the_leader_is_news_when_it_is_another_and_not_each_time() {
        let mut board = Board::default();
        assert!(round(&mut board, 1, 5).is_new_leader);
        assert!(!round(&mut board, 1, 5).is_new_leader);
        assert!(!round(&mut board, 2, 10).is_new_leader, "as many points: the smaller uid leads");
        assert_eq!(board.leader, Some(Leader { uid: 1, points: 10 }));
    }

    #[test]
    fn a_season_ends_with_its_champion_and_an_empty_board() {
        let mut board = Board::default();
        let news: Vec<News> = (0..SEASON).map(|n| round(&mut board, n, n + 1)).collect();
        assert_eq!(news.iter().filter(|news| news.season.is_some()).count(), 1);
        assert_eq!(news.last().and_then(|news| news.season), Some(Season { number: 1 }));
        assert_eq!((board.champion(0), board.champion(1)), (Some(SEASON - 1), None));
        assert_eq!(round(&mut board, 9, 1).leader, Some(Leader { uid: 9, points: 1 }));
    }
}
