//! What the demo knows of its bots: where they are, what they have counted, and when it is over.

use crate::bot::Place;
use crate::demo::account::Clients;
use chappe::client::{Counts, Received};
use chappe::{NodeId, Row};
use chappe_hosts::Logins;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// Kept of each bot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) place: Place,
    pub(crate) server: Option<NodeId>,
}

/// A server that is to be killed and the players on it: when each of them was on another one, and when in a round
/// again.
#[derive(Debug, Default)]
pub(crate) struct Rescue {
    pub(crate) from: Option<NodeId>,
    waiting: BTreeSet<u64>,
    idle: BTreeSet<u64>,
    pub(crate) moved: Vec<Instant>,
    pub(crate) playing: Vec<Instant>,
    pub(crate) left: usize,
}

impl Rescue {
    /// Everyone who has not logged out since is on another server.
    pub(crate) fn all_moved(&self) -> bool {
        self.waiting.is_empty()
    }

    /// And in a round again.
    pub(crate) fn all_playing(&self) -> bool {
        self.waiting.is_empty() && self.idle.is_empty()
    }
}

/// Shared by all bots and the demo.
#[derive(Clone)]
pub(crate) struct Watch {
    over: watch::Receiver<bool>,
    heard: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    logins: Logins,
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    seats: BTreeMap<u64, Seat>,
    clients: Clients,
    counters: BTreeMap<&'static str, u64>,
    troubles: Vec<String>,
    rescue: Rescue,
}

impl Watch {
    /// A watch, and what ends it.
    pub(crate) fn new() -> (Watch, watch::Sender<bool>) {
        let (end, over) = watch::channel(false);
        let (heard, lost, books) = (Arc::default(), Arc::default(), Arc::default());
        (Watch { over, heard, lost, logins: Logins::default(), books }, end)
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Resolves when the demo is over.
    pub(crate) async fn over(&self) {
        let mut over = self.over.clone();
        let _ = over.wait_for(|over| *over).await;
    }

    pub(crate) fn count(&self, what: &'static str) {
        *self.lock().counters.entry(what).or_default() += 1;
    }

    pub(crate) fn trouble(&self, text: String) {
        self.lock().troubles.push(text);
    }

    /// An event has come to a bot.
    pub(crate) fn heard(&self, event: &Received) {
        self.heard.fetch_add(1, Relaxed);
        if let (Some(row), Some(age)) = (event.row(), event.age()) {
            let nanos = bucket(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
            *self.lock().clients.latency.entry(row.code()).or_default().entry(nanos).or_default() += 1;
        }
    }

    /// How many events have come to bots.
    pub(crate) fn events(&self) -> u64 {
        self.heard.load(Relaxed)
    }

    /// A session has ended though nobody wanted it.
    pub(crate) fn lose(&self) {
        self.lost.fetch_add(1, Relaxed);
    }

    /// How many have.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// A player is in.
    pub(crate) fn let_in(&self) {
        self.count("logins");
        self.logins.let_in();
    }

    /// When players were.
    pub(crate) fn logins(&self) -> &Logins {
        &self.logins
    }

    /// A session has ended; these are its counts.
    pub(crate) fn took_part(&self, counts: &Counts) {
        let mut books = self.lock();
        let clients = &mut books.clients;
        for row in Row::ALL {
            let add = |to: &mut BTreeMap<u8, u64>, of: &[u64]| {
                *to.entry(row.code()).or_default() += of[row.index()];
            };
            add(&mut clients.sent, &counts.sent);
            add(&mut clients.lost, &counts.lost);
            add(&mut clients.received, &counts.received);
        }
    }

    /// As [`Watch::took_part`], of a client that runs a mod in Python.
    pub(crate) fn took_part_in_python(&self, counts: &Counts) {
        self.took_part(counts);
        let mut books = self.lock();
        for row in Row::ALL {
            let of = counts.sent[row.index()] + counts.received[row.index()];
            *books.clients.in_python.entry(row.code()).or_default() += of;
        }
    }

    /// A bot is somewhere else; with no server it is where it was.
    pub(crate) fn moved(&self, uid: u64, place: Place, server: Option<NodeId>) {
        let mut books = self.lock();
        let seat = books.seats.entry(uid).or_insert(Seat { place, server });
        seat.place = place;
        seat.server = if place == Place::Out { None } else { server.or(seat.server) };
        let rescue = &mut books.rescue;
        if place == Place::Out {
            // Logged out of its own will meanwhile.
            let was_waiting = rescue.waiting.remove(&uid) | rescue.idle.remove(&uid);
            rescue.left += usize::from(was_waiting);
        } else if server.is_some() && server != rescue.from && rescue.waiting.remove(&uid) {
            rescue.moved.push(Instant::now());
        }
    }

    /// A bot's round has begun.
    pub(crate) fn plays(&self, uid: u64) {
        let mut books = self.lock();
        let rescue = &mut books.rescue;
        if !rescue.waiting.contains(&uid) && rescue.idle.remove(&uid) {
            rescue.playing.push(Instant::now());
        }
    }

    /// Follows those who are on `server` now; how many they are.
    pub(crate) fn follow(&self, server: NodeId) -> usize {
        let mut books = self.lock();
        let here: BTreeSet<u64> =
            books.seats.iter().filter(|(_, seat)| seat.server == Some(server)).map(|(uid, _)| *uid).collect();
        let count = here.len();
        books.rescue = Rescue { from: Some(server), waiting: here.clone(), idle: here, ..Rescue::default() };
        count
    }

    pub(crate) fn rescue<R>(&self, read: impl FnOnce(&Rescue) -> R) -> R {
        read(&self.lock().rescue)
    }

    /// How many bots are at each place.
    pub(crate) fn places(&self) -> BTreeMap<Place, usize> {
        let mut places = BTreeMap::new();
        for seat in self.lock().seats.values() {
            *places.entry(seat.place).or_default() += 1;
        }
        places
    }

    pub(crate) fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counters.clone()
    }

    pub(crate) fn troubles(&self) -> Vec<String> {
        self.lock().troubles.clone()
    }

    pub(crate) fn clients(&self) -> Clients {
        self.lock().clients.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time to two significant digits and a half (in 1/64 of its power of two), rounded up.
fn bucket(nanos: u64) -> u64 {
    let step = (nanos.max(64).ilog2() - 6).min(57);
    nanos.div_ceil(1 << step) << step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_two_parts_in_a_hundred() {
        for nanos in [0, 1, 63, 64, 65, 1000, 123_456, 9_876_543_210] {
            let told = bucket(nanos);
            assert!(told >= nanos && told - nanos <= nanos / 64 + 1, "{nanos}: {told}");
        }
    }

    #[test]
    fn who_was_on_the_killed_server_is_followed_until_playing_elsewhere() {
        let (watch, _end) = Watch::new();
        let (killed, other) = (NodeId(31), NodeId(32));
        for uid in 1..=3 {
            watch.moved(uid, Place::Game, Some(killed));
        }
        watch.moved(4, Place::Game, Some(other));
        assert_eq!(watch.follow(killed), 3);
        watch.moved(1, Place::Lobby, Some(NodeId(21)));
        watch.moved(2, Place::Out, None);
        watch.plays(3);
        assert!(watch.rescue(|rescue| !rescue.all_moved() && rescue.moved.len() == 1 && rescue.left == 1));
        watch.moved(3, Place::Lobby, Some(NodeId(22)));
        assert!(watch.rescue(|rescue| rescue.all_moved() && !rescue.all_playing()));
        watch.plays(1);
        watch.plays(3);
        assert!(watch.rescue(|rescue| rescue.all_playing() && rescue.playing.len() == 2));
    }
}
