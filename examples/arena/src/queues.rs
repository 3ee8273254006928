//! Who waits for a match, and which game gets the next one. Pure: no node, no clock.

use crate::messages::{Enqueue, Mode, Ticket};
use chappe::NodeId;
use std::collections::{BTreeMap, VecDeque};

/// The queues, one for each mode, and the matches that are being played.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    waiting: BTreeMap<Mode, VecDeque<Enqueue>>,
    playing: BTreeMap<u64, Option<NodeId>>,
    last: u64,
}

/// A match: its players, and the game that is to have it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) ticket: Ticket,
    pub(crate) mode: Mode,
    pub(crate) server: Option<NodeId>,
    pub(crate) players: Vec<Enqueue>,
}

impl Queues {
    /// Lets a player wait; whoever waited under the same uid no longer does. `servers` are the games of the mode
    /// that are up. The place in the queue, or the match that is complete with this player.
    pub(crate) fn enqueue(&mut self, player: Enqueue, servers: &[NodeId]) -> Result<usize, Found> {
        self.remove(player.uid);
        let mode = player.mode;
        let queue = self.waiting.entry(mode).or_default();
        queue.push_back(player);
        if queue.len() < mode.size() {
            return Ok(queue.len());
        }
        let players: Vec<Enqueue> = queue.drain(..mode.size()).collect();
        let server = servers.iter().copied().min_by_key(|server| (self.matches_on(*server), *server));
        self.last += 1;
        let ticket = Ticket { id: self.last, size: players.len() };
        self.playing.insert(ticket.id, server);
        Err(Found { ticket, mode, server, players })
    }

    /// The player no longer waits.
    pub(crate) fn remove(&mut self, uid: u64) {
        self.waiting.values_mut().for_each(|queue| queue.retain(|player| player.uid != uid));
    }

    /// A match is over.
    pub(crate) fn over(&mut self, id: u64) {
        self.playing.remove(&id);
    }

    /// A game went away, and its matches with it.
    pub(crate) fn lose(&mut self, server: NodeId) {
        self.playing.retain(|_, on| *on != Some(server));
    }

    fn matches_on(&self, server: NodeId) -> usize {
        self.playing.values().filter(|on| **on == Some(server)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe::PlayerId;

    const GAMES: [NodeId; 2] = [NodeId(31), NodeId(32)];

    fn player(uid: u64, mode: Mode) -> Enqueue {
        Enqueue { uid, player: PlayerId(uid), lobby: NodeId(21), mode }
    }

    fn duel(queues: &mut Queues, uids: [u64; 2]) -> Found {
        assert_eq!(queues.enqueue(player(uids[0], Mode::Duel), &GAMES), Ok(1));
        queues.enqueue(player(uids[1], Mode::Duel), &GAMES).unwrap_err()
    }

    #[test]
    fn who_waits_longest_plays_first_and_only_those_of_the_same_mode() {
        let mut queues = Queues::default();
        assert_eq!(queues.enqueue(player(1, Mode::Duel), &GAMES), Ok(1));
        assert_eq!(queues.enqueue(player(2, Mode::Brawl), &GAMES), Ok(1));
        let found = queues.enqueue(player(3, Mode::Duel), &GAMES).unwrap_err();
        assert_eq!(found.players.iter().map(|player| player.uid).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn who_queues_twice_is_not_matched_with_themself() {
        let mut queues = Queues::default();
        assert_eq!(queues.enqueue(player(1, Mode::Duel), &GAMES), Ok(1));
        assert_eq!(queues.enqueue(player(1, Mode::Duel), &GAMES), Ok(1));
        queues.remove(1);
        assert_eq!(queues.enqueue(player(2, Mode::Duel), &GAMES), Ok(1), "1 has gone");
    }

    #[test]
    fn matches_go_to_the_game_with_the_fewest_and_none_to_one_that_died() {
        let mut queues = Queues::default();
        let first = duel(&mut queues, [1, 2]);
        assert_eq!(first.server, Some(NodeId(31)));
        assert_eq!(duel(&mut queues, [3, 4]).server, Some(NodeId(32)));
        queues.over(first.ticket.id);
        assert_eq!(duel(&mut queues, [5, 6]).server, Some(NodeId(31)));
        queues.lose(NodeId(32));
        assert_eq!(duel(&mut queues, [7, 8]).server, Some(NodeId(32)), "its matches died with it");
        let none = {
            queues.enqueue(player(1, Mode::Duel), &[]).unwrap();
            queues.enqueue(player(2, Mode::Duel), &[]).unwrap_err()
        };
        assert_eq!(none.server, None);
    }
}
