//! Who is online, through which proxy and on which server. Pure: the caller passes the time in and carries out
//! the [`Effect`]s.
//!
//! Every session has an epoch that grows from login to login, for ever: what comes late from an old session
//! carries an old epoch and touches nothing.

use chappe_node::control::{Entered, Left, PlayerInfo, Session};
use chappe_wire::{NodeId, Reason};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Epochs are the wall clock's milliseconds, shifted: room for a million logins in each.
const EPOCH_SHIFT: u32 = 20;
/// A login or transfer that no proxy has reported the end of is forgotten after so long.
const ON_THE_WAY: Duration = Duration::from_secs(60);

/// The sessions of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    by_uid: BTreeMap<u64, Entry>,
    uid_of: FxHashMap<u64, u64>,
    /// Players on a server and on their way to it.
    loads: FxHashMap<NodeId, usize>,
    /// Players who stand on a server, and sessions of a proxy.
    standing: FxHashMap<NodeId, usize>,
    /// Since when who is on the way, in the order of time; also some who no longer are. So nobody else is looked at.
    on_the_way: VecDeque<(Duration, u64)>,
    last_epoch: u64,
}

/// A session, and where it is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) session: Session,
    /// The server that the player was sent to and has not entered yet.
    pub(crate) going: Option<NodeId>,
    since: Duration,
}

/// What is to be done about a change of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A proxy is to end a session: a newer one took over.
    Close { proxy: NodeId, epoch: u64 },
    /// `PlayerLoginServerEvent`.
    Login { server: NodeId, uid: u64, is_transfer: bool, is_reconnect: bool },
    /// `PlayerLogoutServerEvent`.
    Logout { server: NodeId, uid: u64, is_transfer: bool },
}

impl Directory {
    /// The epoch of a new session, larger than every one before it.
    pub(crate) fn next_epoch(&mut self, unix_millis: u64) -> u64 {
        self.last_epoch = (unix_millis << EPOCH_SHIFT).max(self.last_epoch + 1);
        self.last_epoch
    }

    /// A login was granted: the player goes to `server`. An older session of the player ends.
    ///
    /// # Errors
    /// [`Reason::Replaced`] when a login that came later was granted first.
    pub(crate) fn grant(
        &mut self,
        now: Duration,
        (uid, epoch): (u64, u64),
        proxy: NodeId,
        server: NodeId,
    ) -> Result<Vec<Effect>, Reason> {
        if self.by_uid.get(&uid).is_some_and(|entry| entry.session.epoch >= epoch) {
            return Err(Reason::Replaced);
        }
        let effects = self.replace(uid);
        let session = Session { uid, epoch, proxy, server: None };
        self.insert(Entry { session, going: Some(server), since: now });
        Ok(effects)
    }

    /// A proxy says that a server has accepted a player. Of a session that the directory does not know it is
    /// the truth, unless a newer one is known.
    pub(crate) fn entered(&mut self, now: Duration, proxy: NodeId, entered: &Entered) -> Vec<Effect> {
        let (uid, epoch, server) = (entered.uid, entered.epoch, entered.server);
        let known = self.by_uid.get(&uid).copied();
        let mut effects = Vec::new();
        match known {
            Some(entry) if entry.session.epoch > epoch => return vec![Effect::Close { proxy, epoch }],
            Some(entry) if entry.session.epoch == epoch => {
                if let Some(left) = entry.session.server.filter(|old| *old != server) {
                    effects.push(Effect::Logout { server: left, uid, is_transfer: true });
                }
                self.remove(uid);
            }
            _ => effects = self.replace(uid),
        }
        self.last_epoch = self.last_epoch.max(epoch);
        let session = Session { uid, epoch, proxy, server: Some(server) };
        // A move that was ordered after the proxy had spoken still stands.
        let going = known.filter(|entry| entry.session.epoch == epoch).and_then(|entry| entry.going);
        let going = going.filter(|going| *going != server);
        self.insert(Entry { session, going, since: now });
        let (is_transfer, is_reconnect) = (entered.is_transfer, entered.is_reconnect);
        effects.push(Effect::Login { server, uid, is_transfer, is_reconnect });
        effects
    }

    /// A proxy says that a session is over.
    pub(crate) fn left(&mut self, left: &Left) -> Vec<Effect> {
        if self.by_uid.get(&left.uid).is_none_or(|entry| entry.session.epoch != left.epoch) {
            return Vec::new();
        }
        self.end(left.uid)
    }

    /// A player is sent to a server. Returns false when there is no such session.
    pub(crate) fn send_to(&mut self, now: Duration, epoch: u64, server: NodeId) -> bool {
        let Some(entry) = self.by_epoch(epoch) else { return false };
        self.remove(entry.session.uid);
        self.insert(Entry { going: Some(server), since: now, ..entry });
        true
    }

    /// A proxy tells the sessions that it holds. Of two sessions of one player the one with the larger epoch
    /// wins.
    pub(crate) fn rebuild(&mut self, now: Duration, proxy: NodeId, sessions: &[Session]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for session in sessions {
            let session = Session { proxy, ..*session };
            self.last_epoch = self.last_epoch.max(session.epoch);
            match self.by_uid.get(&session.uid) {
                Some(entry) if entry.session.epoch > session.epoch => {
                    effects.push(Effect::Close { proxy, epoch: session.epoch });
                    continue;
                }
                Some(entry) if entry.session.epoch == session.epoch => self.remove(session.uid),
                _ => effects.extend(self.replace(session.uid)),
            }
            self.insert(Entry { session, going: None, since: now });
        }
        effects
    }

    /// A proxy is gone, and all its sessions with it.
    pub(crate) fn lose_proxy(&mut self, proxy: NodeId) -> Vec<Effect> {
        let lost = self.by_uid.values().filter(|entry| entry.session.proxy == proxy);
        let lost: Vec<u64> = lost.map(|entry| entry.session.uid).collect();
        lost.into_iter().flat_map(|uid| self.end(uid)).collect()
    }

    /// The sessions that a proxy holds, by epoch.
    pub(crate) fn of_proxy(&self, proxy: NodeId) -> BTreeMap<u64, Session> {
        let held = self.by_uid.values().filter(|entry| entry.session.proxy == proxy);
        held.map(|entry| (entry.session.epoch, entry.session)).collect()
    }

    /// A server is gone. Its players' sessions go on: their proxies ask where to take them.
    pub(crate) fn lose_server(&mut self, now: Duration, server: NodeId) -> Vec<Effect> {
        let there = |entry: &&Entry| entry.session.server == Some(server) || entry.going == Some(server);
        let lost: Vec<Entry> = self.by_uid.values().filter(there).copied().collect();
        let mut effects = Vec::new();
        for mut entry in lost {
            let uid = entry.session.uid;
            self.remove(uid);
            entry.going = entry.going.filter(|going| *going != server);
            if entry.session.server == Some(server) {
                entry.session.server = None;
                entry.since = now;
                effects.push(Effect::Logout { server, uid, is_transfer: true });
            }
            self.insert(entry);
        }
        effects
    }

    /// Forgets what was on its way for too long.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some((since, uid)) = self.on_the_way.front().copied() {
            let entry = self.by_uid(uid).filter(|entry| entry.since == since && entry.is_on_the_way());
            if entry.is_some() && now.saturating_sub(since) < ON_THE_WAY {
                return;
            }
            self.on_the_way.pop_front();
            if let Some(entry) = entry {
                self.remove(uid);
                if entry.session.server.is_some() {
                    self.insert(Entry { going: None, ..entry });
                }
            }
        }
    }

    /// Of `servers`, the one with the fewest players on it and on their way to it; the first of equals.
    pub(crate) fn emptiest(&self, servers: impl Iterator<Item = NodeId>) -> Option<NodeId> {
        servers.min_by_key(|server| self.load(*server))
    }

    /// How many players are on a server or on their way to it.
    pub(crate) fn load(&self, server: NodeId) -> usize {
        self.loads.get(&server).copied().unwrap_or_default()
    }

    /// The session of that epoch.
    pub(crate) fn by_epoch(&self, epoch: u64) -> Option<Entry> {
        self.uid_of.get(&epoch).and_then(|uid| self.by_uid.get(uid)).copied()
    }

    /// The player's session.
    pub(crate) fn by_uid(&self, uid: u64) -> Option<Entry> {
        self.by_uid.get(&uid).copied()
    }

    /// All sessions, by uid, from `after` on.
    pub(crate) fn after(&self, after: Option<u64>) -> impl Iterator<Item = &Entry> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.by_uid.range((after.map_or(Unbounded, Excluded), Unbounded)).map(|(_, entry)| entry)
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// How many players stand on each server, and how many sessions each proxy holds.
    pub(crate) fn players_by_node(&self) -> BTreeMap<NodeId, usize> {
        self.standing.iter().map(|(node, players)| (*node, *players)).collect()
    }

    /// Where a player is. One who has entered no server yet counts as offline.
    pub(crate) fn info(&self, uid: u64) -> PlayerInfo {
        let session = self.by_uid.get(&uid).map(|entry| entry.session);
        let session = session.filter(|session| session.server.is_some());
        PlayerInfo {
            uid,
            is_pe_user: false,
            server_id: session.and_then(|session| session.server),
            proxy_id: session.map(|session| session.proxy),
            protocol_version: session.map(|_| chappe_wire::client::PROTOCOL),
        }
    }

    /// Ends the player's session because a newer one takes its place.
    fn replace(&mut self, uid: u64) -> Vec<Effect> {
        let Some(Entry { session, .. }) = self.by_uid(uid) else { return Vec::new() };
        let mut effects = vec![Effect::Close { proxy: session.proxy, epoch: session.epoch }];
        effects.extend(self.end(uid));
        effects
    }

    fn end(&mut self, uid: u64) -> Vec<Effect> {
        let server = self.by_uid(uid).and_then(|entry| entry.session.server);
        self.remove(uid);
        server.into_iter().map(|server| Effect::Logout { server, uid, is_transfer: false }).collect()
    }

    fn insert(&mut self, entry: Entry) {
        entry.occupies().for_each(|server| *self.loads.entry(server).or_default() += 1);
        entry.stands().for_each(|node| *self.standing.entry(node).or_default() += 1);
        if entry.is_on_the_way() {
            // At the end, but for one that was put back as it was.
            let at = self.on_the_way.partition_point(|(since, _)| *since <= entry.since);
            self.on_the_way.insert(at, (entry.since, entry.session.uid));
        }
        self.uid_of.insert(entry.session.epoch, entry.session.uid);
        self.by_uid.insert(entry.session.uid, entry);
    }

    fn remove(&mut self, uid: u64) {
        let Some(entry) = self.by_uid.remove(&uid) else { return };
        self.uid_of.remove(&entry.session.epoch);
        entry.occupies().for_each(|server| take_one(&mut self.loads, server));
        entry.stands().for_each(|node| take_one(&mut self.standing, node));
    }
}

fn take_one(counts: &mut FxHashMap<NodeId, usize>, node: NodeId) {
    if let Some(count) = counts.get_mut(&node) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&node);
        }
    }
}

impl Entry {
    fn occupies(&self) -> impl Iterator<Item = NodeId> + use<> {
        let server = self.session.server;
        server.into_iter().chain(self.going.filter(|going| Some(*going) != server))
    }

    fn stands(&self) -> impl Iterator<Item = NodeId> + use<> {
        [self.session.proxy].into_iter().chain(self.session.server)
    }

    fn is_on_the_way(&self) -> bool {
        self.going.is_some() || self.session.server.is_none()
    }
}

#[cfg(test)]
mod tests;
