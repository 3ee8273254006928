//! What a client's handle and its connection share.

use crate::event::{ClientEvent, Received};
use crate::outbox::Outbox;
use crate::request::{Asks, ResponseHandler};
use chappe_wire::client::Welcome;
use chappe_wire::{NodeId, PlayerId, Reason, Row};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Events that may wait to be fetched; then nothing more is read, and the proxy's bound applies.
pub(crate) const INBOX: usize = 16_384;

/// What is kept of events that have no listener, in a client that has listeners and fetches nothing.
const UNFETCHED: usize = 256;

/// How many messages a client has sent and received, by row ([`Row::index`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Taken to be sent (rows 2, 12 and 28).
    pub sent: [u64; Row::COUNT],
    /// Sent, and lost with a session that could not be resumed; or not come to the proxy before the end.
    pub lost: [u64; Row::COUNT],
    /// Events that arrived, by the row that the proxy names where the cluster measures; else all under
    /// [`Row::Internal`].
    pub received: [u64; Row::COUNT],
    /// Events that had no listener and that nobody fetched; they are in `received` too.
    pub unheard: u64,
}

impl Counts {
    /// All events that have arrived.
    pub fn received_events(&self) -> u64 {
        self.received.iter().sum()
    }
}

impl Default for Counts {
    fn default() -> Self {
        Counts { sent: [0; Row::COUNT], lost: [0; Row::COUNT], received: [0; Row::COUNT], unheard: 0 }
    }
}

pub(crate) type Handler = Arc<dyn Fn(&Received) + Send + Sync>;

pub(crate) struct State {
    pub(crate) outbox: Outbox,
    pub(crate) inbox: VecDeque<ClientEvent>,
    pub(crate) listeners: HashMap<[String; 3], Vec<Handler>>,
    pub(crate) asks: Asks,
    pub(crate) on_response: HashMap<String, Vec<ResponseHandler>>,
    pub(crate) counts: Counts,
    pub(crate) welcome: Option<Welcome>,
    pub(crate) server: NodeId,
    /// Events of this session that have arrived, and how many of them the proxy was told of.
    pub(crate) received: u64,
    pub(crate) told: u64,
    pub(crate) wants_logout: bool,
    pub(crate) wants_drop: bool,
    pub(crate) is_abandoned: bool,
    /// Someone fetches events; else, with listeners there, only the newest are kept.
    pub(crate) is_fetched: bool,
    pub(crate) end: Option<(Reason, String)>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes the connection.
    pub(crate) work: Notify,
    /// Wakes whoever waits for events.
    pub(crate) news: Notify,
    /// Wakes whoever waits for the end.
    pub(crate) over: Notify,
}

impl Shared {
    pub(crate) fn new() -> Arc<Shared> {
        Arc::new(Shared {
            state: Mutex::new(State {
                outbox: Outbox::default(),
                inbox: VecDeque::new(),
                listeners: HashMap::new(),
                asks: Asks::new(),
                on_response: HashMap::new(),
                counts: Counts::default(),
                welcome: None,
                server: NodeId(0),
                received: 0,
                told: 0,
                wants_logout: false,
                wants_drop: false,
                is_abandoned: false,
                is_fetched: false,
                end: None,
            }),
            work: Notify::new(),
            news: Notify::new(),
            over: Notify::new(),
        })
    }

    /// Never held while calling out or waiting.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, event: ClientEvent) {
        let mut state = self.lock();
        let is_heard = !state.listeners.is_empty() || !state.on_response.is_empty();
        if !state.is_fetched && is_heard && state.inbox.len() >= UNFETCHED {
            state.inbox.pop_front();
            state.counts.unheard += 1;
        }
        state.inbox.push_back(event);
        drop(state);
        self.news.notify_one();
    }

    /// It is over. `is_told`: the proxy has acknowledged all that came before it closed.
    pub(crate) fn finish(&self, reason: Reason, message: String, is_told: bool) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        for row in state.outbox.left(is_told) {
            state.counts.lost[row.index()] += 1;
        }
        state.end = Some((reason, message.clone()));
        state.asks.end();
        state.inbox.push_back(ClientEvent::Closed { reason, message });
        drop(state);
        self.news.notify_one();
        self.over.notify_waiters();
    }
}

impl State {
    /// Sends again the requests whose response is waited for and may never come otherwise.
    pub(crate) fn ask_again(&mut self) {
        for frame in self.asks.frames() {
            if !self.outbox.will_write(&frame) && self.outbox.push(Row::PlayerRequest, frame) {
                self.counts.sent[Row::PlayerRequest.index()] += 1;
            }
        }
    }

    pub(crate) fn player_id(&self) -> PlayerId {
        PlayerId(self.welcome.as_ref().map_or(0, |welcome| welcome.epoch))
    }
}
