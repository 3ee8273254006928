//! The judge: told what was sent, seen and suffered, it says which promises were broken (design, section 3).
//!
//! It is written from the promises, apart from the implementation, and looks at nothing of it but the counters
//! that [`accounts`] compares at the end. Every message that the load sends carries a number from
//! [`Oracle::sends`]; numbers grow in the order of the calls, so a receiver that sees one sender's numbers fall
//! has seen a message out of order, whatever its kind.

pub mod accounts;
mod verdict;

use chappe_node::Receipt;
use chappe_wire::{NodeId, Reason};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// One life of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub life: u64,
}

impl std::fmt::Display for Life {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.node, self.life)
    }
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An event for one node.
    Event(NodeId),
    /// An event for several, or for a player: who gets it is not for the oracle to know.
    Broadcast,
    /// A request, to be answered within the time.
    Request(Duration),
    /// The same, to a module that nobody has or declares.
    ToNobody(Duration),
    /// An answer to the request of that number.
    Answer(u64),
}

/// A step of the trace: when (nanoseconds), what, which message, who, and one more number.
pub type Entry = (u64, u64, u64, Life, u64);

/// What a handler does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It answers, now or later.
    Answers,
    /// It lets go of the request.
    Drops,
    /// It keeps the request for ever.
    Keeps,
}

struct Message {
    from: Life,
    kind: Kind,
    at: Duration,
    /// For an event: the life of the receiver that the sender knew of.
    meant: Option<Life>,
    /// The call was refused: nothing may arrive.
    refused: bool,
    /// It may have waited for a provider, so it need not keep its place.
    may_wait: bool,
    outcome: Option<Duration>,
    seen: Vec<(Life, Duration)>,
    handling: Option<Handling>,
    answered: bool,
}

/// The oracle: cheap to clone, shared by all nodes of a run.
#[derive(Clone)]
pub struct Oracle(Rc<RefCell<State>>);

struct State {
    started: Instant,
    /// Nothing may be lost: nodes are only replaced.
    is_strict: bool,
    messages: Vec<Message>,
    ready: BTreeSet<Life>,
    died: BTreeMap<Life, Duration>,
    /// The last number that a receiver saw of a sender.
    last: BTreeMap<(Life, Life), u64>,
    /// Who stands on which server: by session epoch, the uid.
    here: BTreeMap<Life, BTreeMap<u64, u64>>,
    /// Lives that a node was told have ended.
    gone: BTreeSet<(Life, Life)>,
    frozen: BTreeMap<NodeId, Vec<(Duration, Duration)>>,
    /// Pairs between which a connection ended or nothing passed: (from, to] in time.
    apart: Vec<(NodeId, NodeId, Duration)>,
    silent: Vec<(NodeId, NodeId, Duration, Duration)>,
    /// Requests that ended with what a handler, or the runtime for it, has answered.
    taken: u64,
    reasons: BTreeMap<Reason, u64>,
    violations: Vec<String>,
    trace: Vec<Entry>,
    story: Vec<String>,
}

/// What timers may be late by on virtual time, whose ticks are a millisecond.
const SLACK: Duration = Duration::from_millis(5);

impl Oracle {
    /// For a new run; a strict one has nothing that could excuse a loss.
    pub fn new(is_strict: bool) -> Oracle {
        Oracle(Rc::new(RefCell::new(State {
            is_strict,
            started: Instant::now(),
            messages: Vec::new(),
            ready: BTreeSet::new(),
            died: BTreeMap::new(),
            last: BTreeMap::new(),
            here: BTreeMap::new(),
            gone: BTreeSet::new(),
            frozen: BTreeMap::new(),
            apart: Vec::new(),
            silent: Vec::new(),
            taken: 0,
            reasons: BTreeMap::new(),
            violations: Vec::new(),
            trace: Vec::new(),
            story: Vec::new(),
        })))
    }
}

impl Oracle {
    /// A message is about to be sent; its number. `may_wait`: no provider is up, so it may wait for one.
    pub fn sends(&self, from: Life, kind: Kind, may_wait: bool) -> u64 {
        let mut state = self.0.borrow_mut();
        let (at, id) = (state.now(), state.messages.len() as u64);
        state.note(1, id, from, 0);
        state.messages.push(Message {
            from,
            kind,
            at,
            meant: None,
            refused: false,
            may_wait,
            outcome: None,
            seen: Vec::new(),
            handling: None,
            answered: false,
        });
        id
    }

    /// The sender of an event knows that life of its receiver.
    pub fn means(&self, id: u64, life: Life) {
        self.0.borrow_mut().messages[id as usize].meant = Some(life);
    }

    /// The call that sends it has returned an error.
    pub fn refused(&self, id: u64, reason: Reason) {
        let mut state = self.0.borrow_mut();
        let from = state.messages[id as usize].from;
        state.note(2, id, from, u64::from(reason.code()));
        state.messages[id as usize].refused = true;
    }

    /// A handler of `by` sees a message that came from `from`.
    pub fn sees(&self, by: Life, from: NodeId, id: u64) {
        let mut state = self.0.borrow_mut();
        state.note(3, id, by, from.0 as u64);
        let now = state.now();
        let Some(message) = state.messages.get(id as usize) else {
            return state.broken(format!("{by} saw message {id}, which nobody sent"));
        };
        let (sender, kind) = (message.from, message.kind);
        let may_wait = message.may_wait;
        let at_once_more = message.seen.iter().any(|(life, _)| match kind {
            Kind::Broadcast => life.node == by.node,
            _ => true,
        });
        let mut wrong = Vec::new();
        if sender.node != from {
            wrong.push(format!("{by} saw {id} as from {from}; {sender} sent it"));
        }
        if message.refused {
            wrong.push(format!("{by} saw {id}, whose call had failed"));
        }
        if at_once_more {
            wrong.push(format!("{by} saw {id} a second time ({kind:?})"));
        }
        if let Kind::Event(to) = kind
            && to != by.node
        {
            wrong.push(format!("{by} saw {id}, which was for {to}"));
        }
        if state.gone.contains(&(by, sender)) {
            wrong.push(format!("{by} saw {id} of {sender}, which it was told is gone"));
        }
        if !state.ready.contains(&by) {
            wrong.push(format!("{by} saw {id} before it was ready"));
        }
        // What waits for a node's next life comes behind answers to what that life has asked while it started.
        let keeps_order = !(may_wait || state.is_strict && matches!(kind, Kind::Answer(_)));
        if keeps_order {
            let last = state.last.insert((sender, by), id);
            if let Some(last) = last.filter(|last| *last > id) {
                wrong.push(format!("{by} saw {id} of {sender} after {last}: out of order"));
            }
        }
        wrong.into_iter().for_each(|text| state.broken(text));
        state.messages[id as usize].seen.push((by, now));
    }

    /// What the handler that has just seen a request does with it.
    pub fn handles(&self, id: u64, handling: Handling) {
        self.0.borrow_mut().messages[id as usize].handling = Some(handling);
    }

    /// An answer to the request `id` is sent.
    pub fn answers(&self, id: u64) {
        let mut state = self.0.borrow_mut();
        state.messages[id as usize].answered = true;
    }

    /// The outcome of a request.
    pub fn ends(&self, by: Life, id: u64, outcome: Result<(), Reason>, saw_master: bool) {
        let mut state = self.0.borrow_mut();
        state.note(4, id, by, outcome.err().map_or(0, |reason| u64::from(reason.code())));
        let now = state.now();
        let Some(message) = state.messages.get(id as usize) else { return };
        let (at, kind) = (message.at, message.kind);
        let mut wrong = Vec::new();
        if message.outcome.is_some() {
            wrong.push(format!("request {id} of {by} ended twice"));
        }
        match outcome {
            Ok(()) if !message.answered => wrong.push(format!("request {id} was answered by nobody")),
            Err(Reason::HandlerFailed) if message.handling != Some(Handling::Drops) => {
                wrong.push(format!("request {id} ended as HandlerFailed, and no handler failed"));
            }
            Err(Reason::NoProvider) if !matches!(kind, Kind::ToNobody(_)) => {
                wrong.push(format!("request {id} found no provider, and one is declared"));
            }
            Err(Reason::NoMethod | Reason::BadData | Reason::WrongRole) => {
                wrong.push(format!("request {id} ended as {outcome:?}"));
            }
            _ => {}
        }
        if matches!(kind, Kind::ToNobody(_))
            && saw_master
            && (outcome != Err(Reason::NoProvider) || now > at + SLACK)
        {
            wrong.push(format!("request {id} to nobody ended as {outcome:?} after {:?}", now - at));
        }
        let own = [Reason::HandlerFailed, Reason::DeadlineExceeded, Reason::NoProvider];
        if state.is_strict && outcome.is_err_and(|reason| !own.contains(&reason)) {
            wrong.push(format!("request {id} of {by} ended as {outcome:?}"));
        }
        wrong.into_iter().for_each(|text| state.broken(text));
        outcome.err().into_iter().for_each(|reason| *state.reasons.entry(reason).or_default() += 1);
        state.taken += u64::from(matches!(outcome, Ok(()) | Err(Reason::HandlerFailed)));
        state.messages[id as usize].outcome = Some(now);
    }

    /// The node that sent a message.
    pub fn sender(&self, id: u64) -> NodeId {
        self.0.borrow().messages.get(id as usize).map_or(NodeId(0), |message| message.from.node)
    }

    /// How many answers may at most have come to a caller that no longer waited: those given, without those that
    /// were an outcome. A handler that let go has the runtime answer for it.
    pub fn answers_left(&self) -> u64 {
        let state = self.0.borrow();
        let given = state.messages.iter().filter(|message| {
            matches!(message.kind, Kind::Answer(_)) || message.handling == Some(Handling::Drops)
        });
        given.count() as u64 - state.taken
    }

    /// A receipt has come.
    pub fn receipt(&self, id: u64, receipt: &Receipt) {
        let mut state = self.0.borrow_mut();
        let message = &state.messages[id as usize];
        let (from, saw) =
            (message.from, |node: NodeId| message.seen.iter().any(|(life, _)| life.node == node));
        let mut wrong = Vec::new();
        for node in receipt.reached.iter().filter(|node| !saw(**node)) {
            // What a node sends itself is in its inbox at once.
            if *node != from.node {
                wrong.push(format!("the receipt of {id} says {node} has it, which never saw it"));
            }
        }
        for (node, reason) in &receipt.missing {
            let certain = matches!(reason, Reason::NotReady | Reason::StaleSession | Reason::NoRoute);
            if certain && saw(*node) {
                wrong.push(format!("the receipt of {id} says {node} has it not ({reason}), and it saw it"));
            }
        }
        if state.is_strict && !receipt.missing.is_empty() {
            wrong.push(format!("{id} of {from} reached {receipt}"));
        }
        state.note(5, id, from, receipt.reached.len() as u64);
        wrong.into_iter().for_each(|text| state.broken(text));
    }

    /// A life's setup has ended: from now on it may be sent to.
    pub fn ready(&self, life: Life) {
        let mut state = self.0.borrow_mut();
        state.note(6, 0, life, 0);
        state.ready.insert(life);
    }

    /// A life has ended.
    pub fn died(&self, life: Life) {
        let mut state = self.0.borrow_mut();
        state.note(7, 0, life, 0);
        let now = state.now();
        state.died.insert(life, now);
        state.ready.remove(&life);
        state.here.remove(&life);
    }

    /// A node stands still for so long.
    pub fn freezes(&self, node: NodeId, length: Duration) {
        let mut state = self.0.borrow_mut();
        let now = state.now();
        state.frozen.entry(node).or_default().push((now, now + length));
    }

    /// A connection between two nodes has ended.
    pub fn parts(&self, a: NodeId, b: NodeId) {
        let mut state = self.0.borrow_mut();
        let now = state.now();
        state.apart.push((a, b, now));
    }

    /// A node was told that a life has ended, or is there.
    pub fn told(&self, by: Life, of: Life, is_gone: bool) {
        let mut state = self.0.borrow_mut();
        if is_gone {
            state.gone.insert((by, of));
        } else {
            state.gone.remove(&(by, of));
        }
    }

    /// Nothing passes between two nodes for so long.
    pub fn silences(&self, a: NodeId, b: NodeId, length: Duration) {
        let mut state = self.0.borrow_mut();
        let now = state.now();
        state.silent.push((a, b, now, now + length));
    }

    /// A player entered (`AddServerPlayerEvent`) or left (`DelServerPlayerEvent`) a server.
    pub fn player(&self, server: Life, uid: u64, epoch: u64, is_here: bool) {
        let mut state = self.0.borrow_mut();
        // Not the epoch, which a master takes from the wall clock.
        state.note(8, uid, server, u64::from(is_here));
        let here = state.here.entry(server).or_default();
        if is_here {
            here.insert(epoch, uid);
        } else {
            here.remove(&epoch);
        }
    }

    /// A server's handler sees what a session's client sent.
    pub fn hears_player(&self, server: Life, uid: u64, epoch: u64) {
        let mut state = self.0.borrow_mut();
        let here = state.here.get(&server);
        if here.and_then(|here| here.get(&epoch)) != Some(&uid) {
            state.broken(format!("{server} heard session {epoch} of player {uid}, which is not there"));
        }
    }

    /// Something else is wrong.
    pub fn wrong(&self, text: String) {
        self.0.borrow_mut().broken(text);
    }

    /// A line of the schedule, for whoever reads of a failure.
    pub fn tells(&self, text: String) {
        let mut state = self.0.borrow_mut();
        let line = format!("{:>9.3}s {text}", state.now().as_secs_f64());
        state.story.push(line);
    }

    /// How many requests ended for each reason.
    pub fn reasons(&self) -> BTreeMap<Reason, u64> {
        self.0.borrow().reasons.clone()
    }

    /// How many messages were sent so far.
    pub fn sent(&self) -> usize {
        self.0.borrow().messages.len()
    }
}

impl State {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn note(&mut self, what: u64, id: u64, who: Life, more: u64) {
        let now = self.now().as_nanos() as u64;
        self.trace.push((now, what, id, who, more));
    }

    fn broken(&mut self, text: String) {
        if self.violations.len() < 50 {
            let at = self.now().as_secs_f64();
            self.violations.push(format!("{at:.3}s {text}"));
        }
    }
}
