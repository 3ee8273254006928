//! Who is a member, as the master decides it. Pure: the caller passes the time in, and passes on what has
//! changed.
//!
//! A member beats over a connection of its own. Beats that tell of no progress make it stuck; no beats at all,
//! or a closed connection, make it lost, and a lost life never comes back: others have been told that it ended.

use chappe_node::control::StateChange;
use chappe_node::{Member, State, Timing, ViewChange};
use chappe_wire::{NodeId, Reason, Role};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most ids of which the last ended life is remembered.
const REMEMBERED: usize = 100_000;

/// The members, and what the master has heard of each.
#[derive(Debug)]
pub(crate) struct Membership {
    timing: Timing,
    members: BTreeMap<NodeId, Tracked>,
    /// The latest life of each id that has ended.
    ended: BTreeMap<NodeId, u64>,
    last_tick: Option<Duration>,
}

#[derive(Debug)]
struct Tracked {
    /// With the state that the node states of itself.
    member: Member,
    is_stuck: bool,
    progress: Option<u64>,
    progressed_at: Duration,
    heard_at: Duration,
    /// For a member that others told of after a restart of the master: when. `None` once it has joined itself.
    told_at: Option<Duration>,
}

impl Membership {
    pub(crate) fn new(timing: Timing) -> Membership {
        Membership { timing, members: BTreeMap::new(), ended: BTreeMap::new(), last_tick: None }
    }

    /// Whether that life of a node may connect and join.
    ///
    /// # Errors
    /// [`Reason::Evicted`] for a life that has ended or is older than a known one; [`Reason::IdTaken`] while an
    /// earlier life is a member.
    pub(crate) fn admits(&self, id: NodeId, incarnation: u64) -> Result<(), Reason> {
        if self.ended.get(&id).is_some_and(|ended| *ended >= incarnation) {
            return Err(Reason::Evicted);
        }
        match self.members.get(&id) {
            Some(known) if known.member.incarnation > incarnation => Err(Reason::Evicted),
            Some(known) if known.member.incarnation < incarnation && known.told_at.is_none() => {
                Err(Reason::IdTaken)
            }
            _ => Ok(()),
        }
    }

    /// A node joins. `known` is everyone that it knows: after a restart of the master they are members as they
    /// were told, and have the loss period to join themselves.
    ///
    /// # Errors
    /// As [`Membership::admits`].
    pub(crate) fn join(
        &mut self,
        now: Duration,
        member: Member,
        known: Vec<Member>,
    ) -> Result<ViewChange, Reason> {
        self.admits(member.id, member.incarnation)?;
        let mut change = ViewChange::default();
        let (older, newer) = (self.members.remove(&member.id), Tracked::new(member, now, None));
        if let Some(older) = &older
            && older.member.incarnation < newer.member.incarnation
        {
            self.remember(older.member.id, older.member.incarnation);
        }
        // Of one that others told of everybody knows: told again, a restart would cost a message for each pair of nodes.
        let is_known = |older: &Tracked| older.told_at.is_some() && older.seen() == newer.seen();
        if !older.as_ref().is_some_and(is_known) {
            change.members.push(newer.seen());
        }
        self.members.insert(newer.member.id, newer);
        for told in known {
            let is_node = !matches!(told.role, Role::Master | Role::Tool);
            let has_ended = self.ended.get(&told.id).is_some_and(|ended| *ended >= told.incarnation);
            if is_node && !has_ended && !self.members.contains_key(&told.id) {
                change.members.push(told.clone());
                self.members.insert(told.id, Tracked::new(told, now, Some(now)));
            }
        }
        Ok(change)
    }

    /// Others were told that these lives have ended, by a master before this one: they are not taken back, and a
    /// member that is one of them is none any more.
    pub(crate) fn learn_ended(&mut self, ended: Vec<(NodeId, u64)>) -> ViewChange {
        let mut change = ViewChange::default();
        for (id, life) in ended {
            if self.members.get(&id).is_some_and(|tracked| tracked.member.incarnation <= life)
                && let Some(tracked) = self.members.remove(&id)
            {
                change.gone.push((id, tracked.member.incarnation));
            }
            self.remember(id, life);
        }
        change
    }

    /// A member says what it can do.
    pub(crate) fn restate(&mut self, id: NodeId, incarnation: u64, stated: StateChange) -> ViewChange {
        let Some(tracked) = self.life(id, incarnation) else { return ViewChange::default() };
        (tracked.member.state, tracked.member.modules) = (stated.state, stated.modules);
        tracked.change()
    }

    /// A member's process is alive, and its loop has made so much progress.
    pub(crate) fn pulse(&mut self, now: Duration, id: NodeId, incarnation: u64, progress: u64) -> ViewChange {
        let stuck_after = self.timing.stuck;
        let Some(tracked) = self.life(id, incarnation) else { return ViewChange::default() };
        tracked.heard_at = now;
        let was_stuck = tracked.is_stuck;
        if tracked.progress.replace(progress) != Some(progress) {
            (tracked.progressed_at, tracked.is_stuck) = (now, false);
        } else if now.saturating_sub(tracked.progressed_at) >= stuck_after {
            tracked.is_stuck = true;
        }
        match (was_stuck, tracked.is_stuck) {
            (false, true) => tracing::warn!(node = %id, "stuck: its handlers make no progress"),
            (true, false) => tracing::info!(node = %id, "no longer stuck"),
            _ => return ViewChange::default(),
        }
        tracked.change()
    }

    /// A node's connection has ended: it is lost at once. A life that was only starting may come back, because
    /// nobody has sent it anything.
    pub(crate) fn disconnected(&mut self, id: NodeId, incarnation: u64) -> ViewChange {
        let Some(tracked) = self.life(id, incarnation).filter(|tracked| tracked.told_at.is_none()) else {
            return ViewChange::default();
        };
        let may_return = tracked.member.state == State::Starting;
        self.members.remove(&id);
        if !may_return {
            self.remember(id, incarnation);
        }
        ViewChange { gone: vec![(id, incarnation)], ..ViewChange::default() }
    }

    /// Finds who was silent for too long. To be called every `period`; when the master itself was held up
    /// meanwhile, nobody's silence counts for that time.
    pub(crate) fn tick(&mut self, now: Duration, period: Duration) -> ViewChange {
        let since = self.last_tick.replace(now).map_or(Duration::ZERO, |last| now.saturating_sub(last));
        if since > period * 2 {
            let missed = since - period;
            tracing::warn!(?missed, "the master itself was held up; nobody's silence counts for that time");
            for tracked in self.members.values_mut() {
                tracked.heard_at += missed;
                tracked.progressed_at += missed;
                tracked.told_at = tracked.told_at.map(|at| at + missed);
            }
        }
        let silent = |tracked: &&Tracked| now.saturating_sub(tracked.heard_at) >= self.timing.loss;
        let lost = self.members.values().filter(silent);
        let gone: Vec<_> = lost.map(|tracked| (tracked.member.id, tracked.member.incarnation)).collect();
        for (id, incarnation) in &gone {
            self.members.remove(id);
            self.remember(*id, *incarnation);
        }
        ViewChange { gone, ..ViewChange::default() }
    }

    /// All members as the others are to know them.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> {
        self.members.values().map(Tracked::seen)
    }

    /// The members that have joined themselves, and so can be told.
    pub(crate) fn joined(&self) -> impl Iterator<Item = NodeId> {
        self.members.values().filter(|tracked| tracked.told_at.is_none()).map(|tracked| tracked.member.id)
    }

    /// The role of a member.
    pub(crate) fn role(&self, id: NodeId) -> Option<Role> {
        self.members.get(&id).map(|tracked| tracked.member.role)
    }

    /// Whether a proxy that was told of has yet to join, so that not all sessions are known.
    pub(crate) fn is_recovering(&self, now: Duration) -> bool {
        let awaited = |tracked: &Tracked| {
            tracked.member.role == Role::Proxy
                && tracked.told_at.is_some_and(|at| now.saturating_sub(at) < self.timing.loss)
        };
        self.members.values().any(awaited)
    }

    fn life(&mut self, id: NodeId, incarnation: u64) -> Option<&mut Tracked> {
        self.members.get_mut(&id).filter(|tracked| tracked.member.incarnation == incarnation)
    }

    fn remember(&mut self, id: NodeId, incarnation: u64) {
        let ended = self.ended.entry(id).or_default();
        *ended = incarnation.max(*ended);
        if self.ended.len() > REMEMBERED {
            let oldest = self.ended.iter().min_by_key(|(_, incarnation)| **incarnation).map(|(id, _)| *id);
            oldest.map(|id| self.ended.remove(&id));
        }
    }
}

impl Tracked {
    fn new(member: Member, now: Duration, told_at: Option<Duration>) -> Tracked {
        Tracked { member, is_stuck: false, progress: None, progressed_at: now, heard_at: now, told_at }
    }

    /// As the others are to know it. One that loads its mods may well block; it is starting, not stuck.
    fn seen(&self) -> Member {
        let mut member = self.member.clone();
        if self.is_stuck && member.state != State::Starting {
            member.state = State::Stuck;
        }
        member
    }

    fn change(&self) -> ViewChange {
        ViewChange { members: vec![self.seen()], ..ViewChange::default() }
    }
}

#[cfg(test)]
mod tests;
