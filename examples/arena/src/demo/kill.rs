//! In the middle of the demo a game node is killed, and its players are followed.

use super::cluster::Cluster;
use super::watch::{Rescue, Watch};
use chappe::control_tool::NodeInfo;
use chappe::{NodeId, Role, State};
use std::time::{Duration, Instant};

/// How long its players may take to play elsewhere, and the supervisor to start it again.
const RESCUE: Duration = Duration::from_secs(15);

/// A kill, and what has come of it so far.
pub(crate) struct Kill {
    node: NodeId,
    life: u64,
    at: Instant,
    players: usize,
    told_moved: bool,
    told_playing: bool,
    told_back: bool,
}

impl Kill {
    /// Kills the game with the most players among those that are not the only one of their type.
    pub(crate) fn strike(cluster: &Cluster, watch: &Watch) -> Result<Kill, String> {
        let nodes = cluster.nodes()?;
        let games = || nodes.iter().filter(|node| node.role == Role::Game);
        let has_sibling =
            |game: &&NodeInfo| games().filter(|node| node.node_type == game.node_type).count() > 1;
        let game =
            games().filter(has_sibling).max_by_key(|node| node.players).ok_or("there is no game to kill")?;
        let players = watch.follow(game.id);
        let process = cluster.kill(game.id)?;
        super::say(&format!(
            "       kill -9 {process}: game {} is gone, with {players} players on it",
            game.id
        ));
        Ok(Kill {
            node: game.id,
            life: game.incarnation,
            at: Instant::now(),
            players,
            told_moved: false,
            told_playing: false,
            told_back: false,
        })
    }

    /// Looks what has come of it, and tells news. To be called often.
    pub(crate) fn look(&mut self, cluster: &Cluster, watch: &Watch) {
        if !self.told_moved && watch.rescue(Rescue::all_moved) {
            self.told_moved = true;
            let when = self.when(watch.rescue(|rescue| rescue.moved.clone()));
            super::say(&format!("       its players are on another server: {when}"));
        }
        if !self.told_playing && watch.rescue(Rescue::all_playing) {
            self.told_playing = true;
            let when = self.when(watch.rescue(|rescue| rescue.playing.clone()));
            let left = watch.rescue(|rescue| rescue.left);
            let gone = if left > 0 { format!("; {left} logged out meanwhile") } else { String::new() };
            super::say(&format!("       and play another round: {when}{gone}"));
        }
        if !self.told_back && cluster.nodes().is_ok_and(|nodes| nodes.iter().any(|node| self.is_back(node))) {
            self.told_back = true;
            let took = self.at.elapsed();
            super::say(&format!(
                "       game {} was back after {took:.1?}: the supervisor has restarted it",
                self.node
            ));
        }
    }

    /// Whether there is still something to wait for.
    pub(crate) fn is_open(&self) -> bool {
        !(self.told_moved && self.told_playing && self.told_back) && self.at.elapsed() < RESCUE
    }

    /// What has not come of it.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |told: bool, text: String| {
            if !told {
                faults.push(text);
            }
        };
        let node = self.node;
        fault(self.players > 0, format!("game {node} had no players when it was killed"));
        fault(self.told_moved, format!("not all players of the killed game {node} came to another server"));
        fault(self.told_playing, format!("not all players of the killed game {node} played again"));
        fault(self.told_back, format!("the killed game {node} was not restarted"));
        faults
    }

    fn when(&self, mut times: Vec<Instant>) -> String {
        times.sort_unstable();
        let took = |at: Option<&Instant>| at.map_or(0, |at| (*at - self.at).as_millis());
        let (half, all) = (took(times.get(times.len() / 2)), took(times.last()));
        format!("half of them after {half} ms, all {} after {all} ms", times.len())
    }

    fn is_back(&self, node: &NodeInfo) -> bool {
        node.id == self.node && node.incarnation != self.life && node.state == State::Ready
    }
}
