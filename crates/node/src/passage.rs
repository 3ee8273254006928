//! Players on their way in and out, where something has to be done first: a record loaded before a player is let in,
//! stored before the next server has them.

use crate::call::Responder;
use crate::control::Enter;
use crate::error::Failure;
use crate::node::Node;
use crate::players::Player;
use chappe_wire::{NodeId, Reason};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// How long letting a player in may take: less than a proxy waits.
const ENTER: Duration = Duration::from_secs(4);
/// How long a leaving player may keep the next server, or the next session, waiting.
const LEAVE: Duration = Duration::from_secs(3);

/// Why a player who waited is not let in.
const OVER: &str = "the session has ended, or a newer one has come";

/// A player who is about to be let in ([`Node::on_enter`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entering {
    /// The player.
    pub uid: u64,
    /// The session.
    pub epoch: u64,
    /// The player comes from another server.
    pub is_transfer: bool,
    /// The client came back after its socket had dropped.
    pub is_reconnect: bool,
}

/// A player who is no longer here ([`Node::on_player_leave`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaving {
    /// The player.
    pub uid: u64,
    /// The session.
    pub epoch: u64,
    /// To another server.
    pub is_transfer: bool,
}

type Doing<T> = Pin<Box<dyn Future<Output = T>>>;
type EnterHook = Rc<dyn Fn(Entering) -> Doing<Result<(), Failure>>>;
type LeaveHook = Rc<dyn Fn(Leaving) -> Doing<()>>;

/// The hooks, and whom they are at work for.
#[derive(Default)]
pub(crate) struct Passage {
    on_enter: Option<EnterHook>,
    on_leave: Option<LeaveHook>,
    /// By uid.
    arrivals: BTreeMap<u64, Arrival>,
    /// By epoch: what ends when everything is done for a session that has left.
    leaving: FxHashMap<u64, watch::Receiver<()>>,
    /// By uid: the latest of those.
    latest: FxHashMap<u64, u64>,
}

/// A player who waits to be let in.
pub(crate) struct Arrival {
    enter: Enter,
    proxy: NodeId,
    /// All that ask for the same: the second is a repeat of a request whose answer was lost.
    asked: Vec<Responder>,
    /// Dropped with the arrival: whoever works for it stops.
    _cancel: oneshot::Sender<()>,
}

impl Arrival {
    pub(crate) fn epoch(&self) -> u64 {
        self.enter.epoch
    }

    pub(crate) fn proxy(&self) -> NodeId {
        self.proxy
    }

    fn refuse(self, reason: Reason, message: &str) {
        self.asked.into_iter().for_each(|responder| responder.fail(reason, message));
    }
}

impl Passage {
    /// The session of that player that waits to be let in.
    pub(crate) fn arriving(&self, uid: u64) -> Option<u64> {
        self.arrivals.get(&uid).map(Arrival::epoch)
    }

    /// How many wait to be let in.
    pub(crate) fn count(&self) -> usize {
        self.arrivals.len()
    }
}

impl Node {
    /// For a lobby or game: a player who is not here yet is let in when `hook` has ended well; its failure is what the
    /// proxy is told. Until then the player is not among [`Node::players`], and `AddServerPlayerEvent` comes after. When
    /// the session ends meanwhile, or a newer one of the same player comes, the hook's future is dropped where it
    /// waits, and the `enter` ends as `StaleSession`; after 4 s, as `DeadlineExceeded`. A hook that ends well has a
    /// player let in at once, so whatever it took is given back by [`Node::on_player_leave`] and only then. Replaces
    /// the hook before.
    pub fn on_enter(
        &self,
        hook: impl Fn(Entering) -> Pin<Box<dyn Future<Output = Result<(), Failure>>>> + 'static,
    ) {
        let before = self.0.passage.borrow_mut().on_enter.replace(Rc::new(hook));
        drop(before);
    }

    /// For a lobby or game: when a player has left, and the listeners of `DelServerPlayerEvent` have been called, `hook`
    /// runs. For at most 3 s, the next server, or a newer session here, waits until it has ended; it then goes on
    /// alone. Replaces the hook before.
    pub fn on_player_leave(&self, hook: impl Fn(Leaving) -> Pin<Box<dyn Future<Output = ()>>> + 'static) {
        let before = self.0.passage.borrow_mut().on_leave.replace(Rc::new(hook));
        drop(before);
    }

    /// Whether something has to be done before that player is here.
    pub(crate) fn takes_time(&self, enter: &Enter) -> bool {
        let passage = self.0.passage.borrow();
        let has_work = passage.on_enter.is_some() || passage.latest.contains_key(&enter.uid);
        has_work && self.player(chappe_wire::PlayerId(enter.epoch)).is_none()
    }

    /// Lets a player in when everything is done for it. An older session that waits for the same waits in vain.
    pub(crate) fn arrive(&self, enter: Enter, responder: Responder) {
        let (uid, epoch) = (enter.uid, enter.epoch);
        {
            let mut passage = self.0.passage.borrow_mut();
            if let Some(arrival) = passage.arrivals.get_mut(&uid)
                && arrival.enter.epoch == epoch
                && arrival.proxy == responder.to()
            {
                return arrival.asked.push(responder);
            }
        }
        let older = self.0.passage.borrow_mut().arrivals.remove(&uid);
        if let Some(older) = older {
            older.refuse(Reason::StaleSession, OVER);
        }
        let entering =
            Entering { uid, epoch, is_transfer: enter.is_transfer, is_reconnect: enter.is_reconnect };
        let (cancel, cancelled) = oneshot::channel();
        let arrival = Arrival { enter, proxy: responder.to(), asked: vec![responder], _cancel: cancel };
        self.0.passage.borrow_mut().arrivals.insert(uid, arrival);
        let node = self.clone();
        self.spawn_counted(async move {
            let mut outcome = Outcome { node: &node, uid: Some(uid) };
            let work = timeout(ENTER, node.prepare(entering));
            let done = tokio::select! {
                biased;
                _ = cancelled => {
                    outcome.uid = None;
                    return;
                }
                done = work => done,
            };
            outcome.uid = None;
            let late = || Failure::new(Reason::DeadlineExceeded, "letting the player in took too long");
            node.arrived(uid, done.unwrap_or_else(|_| Err(late())));
        });
    }

    async fn prepare(&self, entering: Entering) -> Result<(), Failure> {
        let left = {
            let passage = self.0.passage.borrow();
            passage.latest.get(&entering.uid).and_then(|epoch| passage.leaving.get(epoch)).cloned()
        };
        if let Some(left) = left {
            ended(left).await;
        }
        let hook = self.0.passage.borrow().on_enter.clone();
        match hook {
            Some(hook) => hook(entering).await,
            None => Ok(()),
        }
    }

    fn arrived(&self, uid: u64, done: Result<(), Failure>) {
        let arrival = self.0.passage.borrow_mut().arrivals.remove(&uid);
        let Some(arrival) = arrival else { return };
        match done {
            Ok(()) => {
                self.let_in(arrival.enter, arrival.proxy);
                arrival.asked.into_iter().for_each(|responder| drop(responder.respond(&())));
            }
            Err(failure) => arrival.refuse(failure.reason, &failure.message),
        }
    }

    /// Ends the waiting of those that `is_over` knows; they are not let in.
    pub(crate) fn cancel_arrivals(&self, is_over: impl Fn(&Arrival) -> bool) {
        let over: Vec<Arrival> = {
            let mut passage = self.0.passage.borrow_mut();
            let uids: Vec<u64> = passage
                .arrivals
                .iter()
                .filter(|(_, arrival)| is_over(arrival))
                .map(|(uid, _)| *uid)
                .collect();
            uids.iter().filter_map(|uid| passage.arrivals.remove(uid)).collect()
        };
        for arrival in over {
            arrival.refuse(Reason::StaleSession, OVER);
        }
    }

    /// Does what is to be done for a player who has left.
    pub(crate) fn see_off(&self, player: &Player, is_transfer: bool) {
        let hook = self.0.passage.borrow().on_leave.clone();
        let Some(hook) = hook else { return };
        let (uid, epoch) = (player.uid, player.id.0);
        let (done, left) = watch::channel(());
        {
            let mut passage = self.0.passage.borrow_mut();
            passage.leaving.insert(epoch, left);
            passage.latest.insert(uid, epoch);
        }
        let seen_off = SeenOff { node: self.clone(), uid, epoch, _done: done };
        // Behind the event that tells of it.
        self.0.later(move || {
            let node = seen_off.node.clone();
            node.spawn_counted(async move {
                let _seen_off = seen_off;
                hook(Leaving { uid, epoch, is_transfer }).await;
            });
        });
    }

    /// Answers a `$server leave` when everything is done for that session.
    pub(crate) fn answer_left(&self, epoch: u64, responder: Responder) {
        let left = self.0.passage.borrow().leaving.get(&epoch).cloned();
        let Some(left) = left else {
            let _ = responder.respond(&());
            return;
        };
        self.spawn(async move {
            ended(left).await;
            let _ = responder.respond(&());
        });
    }

    /// As [`Node::spawn`]; the node does not leave before it has ended, if it can be helped.
    fn spawn_counted(&self, work: impl Future<Output = ()> + 'static) {
        match self.running() {
            Some(place) => self.spawn_running(place, work),
            None => drop(self.spawn(work)),
        }
    }
}

/// Tells a player who waits that what was done for them has panicked.
struct Outcome<'a> {
    node: &'a Node,
    uid: Option<u64>,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if let Some(uid) = self.uid {
            self.node.arrived(uid, Err(Failure::new(Reason::HandlerFailed, "letting the player in failed")));
        }
    }
}

/// While it lives, something is done for a player who has left.
struct SeenOff {
    node: Node,
    uid: u64,
    epoch: u64,
    _done: watch::Sender<()>,
}

impl Drop for SeenOff {
    fn drop(&mut self) {
        let mut passage = self.node.0.passage.borrow_mut();
        let left = passage.leaving.remove(&self.epoch);
        if passage.latest.get(&self.uid) == Some(&self.epoch) {
            passage.latest.remove(&self.uid);
        }
        drop(passage);
        drop(left);
    }
}

/// Until what is done for a leaving player has ended, or has taken too long.
async fn ended(mut left: watch::Receiver<()>) {
    let _ = timeout(LEAVE, async { while left.changed().await.is_ok() {} }).await;
}
