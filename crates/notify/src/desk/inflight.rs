//! Which notifications are under way, and where each is. Pure: changed only by what is durable and by what servers
//! have said.

use chappe_store::{NotificationId, Sender, Step};
use chappe_wire::NodeId;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Payloads that are kept beyond this many bytes in all are read again from the store instead.
const KEPT_BYTES: usize = 64 << 20;

/// One life of a node: its id and incarnation.
pub(crate) type Life = (NodeId, u64);

/// Whose step it is: where that is decides where the step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// A player's, by uid.
    Player(u64),
    /// A node's, whichever life of it.
    Node(NodeId),
}

/// How far a step has come on its way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is here.
    Waiting,
    /// It is on the way to that life of a node.
    Sent(Life),
    /// That life of a node is responsible for it.
    Accepted(Life),
}

/// A notification that is not settled.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) order: u64,
    pub(crate) step: Step,
    pub(crate) sender: Sender,
    pub(crate) receiver: u64,
    pub(crate) kind: String,
    pub(crate) depth: u32,
    /// By the store's clock.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) place: Place,
    /// When it came to its step, by the master's clock.
    pub(crate) since: Duration,
    /// Kept until it ends, as long as there is room; else it is read again from the store.
    pub(crate) payload: Option<Vec<u8>>,
    /// The same of its outcome, once it is decided.
    pub(crate) outcome: Option<Vec<u8>>,
}

/// A step that is to be delivered now.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) id: NotificationId,
    pub(crate) step: Step,
    /// What it carries is here, and need not be read.
    pub(crate) is_whole: bool,
}

/// All that is under way.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    flights: FxHashMap<NotificationId, Flight>,
    by_order: BTreeMap<u64, NotificationId>,
    queues: FxHashMap<Target, Queue>,
    deadlines: BTreeSet<(u64, NotificationId)>,
    decided: usize,
    kept_bytes: usize,
}

/// The steps of one target, by their notifications' order.
#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeMap<u64, NotificationId>,
    held: BTreeMap<Life, BTreeMap<u64, NotificationId>>,
}

impl Flight {
    pub(crate) fn target(&self) -> Target {
        match (self.step, self.sender) {
            (Step::Sent, _) => Target::Player(self.receiver),
            (Step::Decided, Sender::Player(uid)) => Target::Player(uid),
            (Step::Decided, Sender::Node(node)) => Target::Node(node),
        }
    }
}

impl Flight {
    fn is_whole(&self) -> bool {
        self.payload.is_some() && (self.step == Step::Sent || self.outcome.is_some())
    }

    fn carried_bytes(&self) -> usize {
        [&self.payload, &self.outcome].into_iter().flatten().map(Vec::len).sum()
    }
}

impl Place {
    /// The life of a node that has it or is about to.
    pub(crate) fn life(self) -> Option<Life> {
        match self {
            Place::Waiting => None,
            Place::Sent(life) | Place::Accepted(life) => Some(life),
        }
    }
}

impl InFlight {
    /// Takes a notification in that is not known yet; false when it is.
    pub(crate) fn insert(&mut self, id: NotificationId, mut flight: Flight) -> bool {
        if self.flights.contains_key(&id) {
            return false;
        }
        let room = KEPT_BYTES.saturating_sub(self.kept_bytes);
        if flight.carried_bytes() > room {
            (flight.payload, flight.outcome) = (None, None);
        }
        self.kept_bytes += flight.carried_bytes();
        if let (Step::Sent, Some(at)) = (flight.step, flight.deadline_ms) {
            self.deadlines.insert((at, id));
        }
        self.decided += usize::from(flight.step == Step::Decided);
        self.by_order.insert(flight.order, id);
        self.enqueue(id, &flight);
        self.flights.insert(id, flight);
        true
    }

    /// A notification has its outcome; `place` is where its next step is. Returns whose queues have changed: the
    /// receiver's and the sender's. `None` when it is not known, or was decided before.
    pub(crate) fn decide(
        &mut self,
        id: NotificationId,
        outcome: Option<Vec<u8>>,
        place: Place,
        now: Duration,
    ) -> Option<[Target; 2]> {
        if self.flights.get(&id)?.step == Step::Decided {
            return None;
        }
        let mut flight = self.take(id)?;
        let before = flight.target();
        (flight.step, flight.place, flight.since) = (Step::Decided, place, now);
        flight.outcome = outcome;
        let after = flight.target();
        self.insert(id, flight);
        Some([before, after])
    }

    /// A notification has ended. Returns whose queue has changed.
    pub(crate) fn settle(&mut self, id: NotificationId) -> Option<Target> {
        self.take(id).map(|flight| flight.target())
    }

    /// A server has it, or not.
    pub(crate) fn put(&mut self, id: NotificationId, step: Step, place: Place) -> Option<Target> {
        if self.flights.get(&id)?.step != step {
            return None;
        }
        let mut flight = self.flights.remove(&id)?;
        self.dequeue(&flight);
        flight.place = place;
        self.enqueue(id, &flight);
        let target = flight.target();
        self.flights.insert(id, flight);
        Some(target)
    }

    /// What it carries, for a delivery: its payload, and its outcome once decided.
    pub(crate) fn carried(&self, id: NotificationId) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let flight = self.flights.get(&id).filter(|flight| flight.is_whole())?;
        Some((flight.payload.clone()?, flight.outcome.clone()))
    }

    /// A life of a node has ended: what it had waits again. Returns whose.
    pub(crate) fn lose(&mut self, life: Life) -> BTreeSet<Target> {
        let mut changed = BTreeSet::new();
        for (target, queue) in &mut self.queues {
            let Some(lost) = queue.held.remove(&life) else { continue };
            for id in lost.values() {
                if let Some(flight) = self.flights.get_mut(id) {
                    flight.place = Place::Waiting;
                }
            }
            queue.waiting.extend(lost);
            changed.insert(*target);
        }
        changed
    }

    /// A life of a node gives a step back that it had. Returns whose it is.
    pub(crate) fn give_back(&mut self, id: NotificationId, step: Step, life: Life) -> Option<Target> {
        if self.flights.get(&id)?.place.life() != Some(life) {
            return None;
        }
        self.put(id, step, Place::Waiting)
    }

    /// The first steps of a target, in order, that wait and may go to `to`: none of those before them is with
    /// another node, where it might yet run.
    pub(crate) fn due(&self, target: Target, to: Life, most: usize) -> Vec<Due> {
        let Some(queue) = self.queues.get(&target) else { return Vec::new() };
        let elsewhere = queue.held.iter().filter(|(life, _)| **life != to);
        let bound = elsewhere.filter_map(|(_, held)| held.keys().next()).min().copied().unwrap_or(u64::MAX);
        let first = queue.waiting.range(..bound).take(most);
        let due = |(_, id): (&u64, &NotificationId)| {
            let flight = self.flights.get(id)?;
            Some(Due { id: *id, step: flight.step, is_whole: flight.is_whole() })
        };
        first.filter_map(due).collect()
    }

    /// Whether a target has steps that wait.
    pub(crate) fn has_waiting(&self, target: Target) -> bool {
        self.queues.get(&target).is_some_and(|queue| !queue.waiting.is_empty())
    }

    /// The targets that have steps that wait.
    pub(crate) fn waiting_targets(&self) -> BTreeSet<Target> {
        let waiting = self.queues.iter().filter(|(_, queue)| !queue.waiting.is_empty());
        waiting.map(|(target, _)| *target).collect()
    }

    /// How many notifications to a player that life of a node is still to get.
    pub(crate) fn outstanding(&self, uid: u64, life: Life) -> Vec<NotificationId> {
        let Some(queue) = self.queues.get(&Target::Player(uid)) else { return Vec::new() };
        // What is on the way there and not accepted may not have come yet.
        let is_to_come = |id: &&NotificationId| {
            let flight = self.flights.get(id);
            flight.is_some_and(|flight| flight.step == Step::Sent && flight.place != Place::Accepted(life))
        };
        let held = queue.held.values().flat_map(BTreeMap::values);
        queue.waiting.values().chain(held).filter(is_to_come).copied().collect()
    }

    pub(crate) fn get(&self, id: NotificationId) -> Option<&Flight> {
        self.flights.get(&id)
    }

    /// All, in order, from after the place `after`.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = (NotificationId, &Flight)> {
        let later = self.by_order.range(after.saturating_add(1)..);
        later.filter_map(|(_, id)| self.flights.get(id).map(|flight| (*id, flight)))
    }

    /// How many there are that nobody has acted on, and how many whose sender is to hear of the outcome.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.flights.len() - self.decided, self.decided)
    }

    /// When the next deadline passes.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes out, at most `most`, those whose deadline has passed at `now_ms`.
    pub(crate) fn take_overdue(&mut self, now_ms: u64, most: usize) -> Vec<NotificationId> {
        let mut overdue = Vec::new();
        while overdue.len() < most
            && let Some((at, id)) = self.deadlines.first().copied()
            && at <= now_ms
        {
            self.deadlines.pop_first();
            overdue.push(id);
        }
        overdue
    }

    /// Looks at a deadline again at `at_ms`.
    pub(crate) fn postpone(&mut self, id: NotificationId, at_ms: u64) {
        if let Some(flight) = self.flights.get_mut(&id).filter(|flight| flight.step == Step::Sent)
            && let Some(deadline) = &mut flight.deadline_ms
        {
            self.deadlines.remove(&(*deadline, id));
            *deadline = at_ms;
            self.deadlines.insert((at_ms, id));
        }
    }

    fn take(&mut self, id: NotificationId) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        self.dequeue(&flight);
        self.by_order.remove(&flight.order);
        if let Some(at) = flight.deadline_ms {
            self.deadlines.remove(&(at, id));
        }
        self.decided -= usize::from(flight.step == Step::Decided);
        self.kept_bytes -= flight.carried_bytes();
        Some(flight)
    }

    fn enqueue(&mut self, id: NotificationId, flight: &Flight) {
        let queue = self.queues.entry(flight.target()).or_default();
        let steps = match flight.place.life() {
            None => &mut queue.waiting,
            Some(life) => queue.held.entry(life).or_default(),
        };
        steps.insert(flight.order, id);
    }

    fn dequeue(&mut self, flight: &Flight) {
        let target = flight.target();
        let Some(queue) = self.queues.get_mut(&target) else { return };
        match flight.place.life() {
            None => drop(queue.waiting.remove(&flight.order)),
            Some(life) => {
                if let Some(held) = queue.held.get_mut(&life) {
                    held.remove(&flight.order);
                    if held.is_empty() {
                        queue.held.remove(&life);
                    }
                }
            }
        }
        if queue.waiting.is_empty() && queue.held.is_empty() {
            self.queues.remove(&target);
        }
    }
}
