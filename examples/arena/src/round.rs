//! One round: who fights, who hits whom, and who has won. Pure: no node, no clock.

use crate::messages::Standing;

/// What a player begins with.
pub(crate) const HEALTH: u32 = 60;
/// What a hit takes.
const DAMAGE: u32 = 10;
/// Points for a hit, for a knock-out, and for standing at the end.
const HIT: u64 = 1;
const KNOCK_OUT: u64 = 5;
const STANDING: u64 = 10;

/// A round and its players.
#[derive(Debug, Default)]
pub(crate) struct Round {
    fighters: Vec<Fighter>,
}

#[derive(Debug)]
struct Fighter {
    uid: u64,
    health: u32,
    points: u64,
}

impl Round {
    /// Lets a player in. Coming again changes nothing.
    pub(crate) fn join(&mut self, uid: u64) {
        if !self.uids().any(|other| other == uid) {
            self.fighters.push(Fighter { uid, health: HEALTH, points: 0 });
        }
    }

    /// Takes a player out: no standing is kept for who leaves.
    pub(crate) fn leave(&mut self, uid: u64) {
        self.fighters.retain(|fighter| fighter.uid != uid);
    }

    /// The players, in the order in which they came.
    pub(crate) fn uids(&self) -> impl Iterator<Item = u64> + '_ {
        self.fighters.iter().map(|fighter| fighter.uid)
    }

    /// One player strikes another: what the other has left, or `None` when the blow does not count: someone is
    /// down, not here, or strikes themself.
    pub(crate) fn hit(&mut self, by: u64, uid: u64) -> Option<u32> {
        let at = |of| self.fighters.iter().position(|fighter| fighter.uid == of && fighter.health > 0);
        let (striker, struck) = (at(by)?, at(uid)?);
        if striker == struck {
            return None;
        }
        let left = self.fighters[struck].health.saturating_sub(DAMAGE);
        self.fighters[struck].health = left;
        self.fighters[striker].points += HIT + if left == 0 { KNOCK_OUT } else { 0 };
        Some(left)
    }

    /// Whether at most one player still stands.
    pub(crate) fn is_decided(&self) -> bool {
        self.fighters.iter().filter(|fighter| fighter.health > 0).count() <= 1
    }

    /// The result, the best first; of equals the one who came first.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        let points = |of: &Fighter| of.points + if of.health > 0 { STANDING } else { 0 };
        let mut all: Vec<Standing> =
            self.fighters.iter().map(|of| Standing { uid: of.uid, points: points(of) }).collect();
        all.sort_by_key(|standing| std::cmp::Reverse(standing.points));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(uids: &[u64]) -> Round {
        let mut round = Round::default();
        uids.iter().for_each(|uid| round.join(*uid));
        round
    }

    #[test]
    fn the_last_one_standing_wins_and_gets_the_points_of_the_blows() {
        let mut round = round(&[1, 2]);
        for blow in 1..=HEALTH / DAMAGE {
            assert!(!round.is_decided());
            assert_eq!(round.hit(2, 1), Some(HEALTH - blow * DAMAGE));
        }
        assert!(round.is_decided());
        let won = u64::from(HEALTH / DAMAGE) * HIT + KNOCK_OUT + STANDING;
        assert_eq!(round.standings(), [Standing { uid: 2, points: won }, Standing { uid: 1, points: 0 }]);
    }

    #[test]
    fn a_blow_of_the_fallen_or_of_a_stranger_or_at_oneself_does_not_count() {
        let mut round = round(&[1, 2, 3]);
        assert_eq!((round.hit(1, 1), round.hit(9, 1), round.hit(1, 9)), (None, None, None));
        while round.hit(1, 2).is_some() {}
        assert_eq!(round.hit(2, 3), None, "2 is down");
        assert!(!round.is_decided(), "1 and 3 stand");
    }

    #[test]
    fn who_leaves_decides_a_duel_and_has_no_standing() {
        let mut round = round(&[1, 2]);
        round.join(2);
        assert_eq!(round.uids().count(), 2, "coming twice is coming once");
        round.leave(1);
        assert!(round.is_decided());
        assert_eq!(round.standings(), [Standing { uid: 2, points: STANDING }]);
    }
}
