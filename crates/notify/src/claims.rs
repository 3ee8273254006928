//! How a record becomes this node's: with a player who comes, or for what waits for an offline one.

use crate::attributes;
use crate::held::{Held, Ownership};
use crate::protocol::{Claim, ClaimReply, Owned, Release, STORE};
use crate::records::tell;
use crate::{HandlerError, Server};
use chappe_node::{Failure, To};
use chappe_store::{NotificationId, Step};
use chappe_wire::{NodeId, Reason, Row, value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// Turns of the loop that it takes at most to let a player in whose record has come.
const ADMITTED: usize = 8;
/// How long a claim may take, with all that is asked again: longer than another master needs to take over.
const CLAIM: Duration = Duration::from_secs(15);
/// Before a claim that was lost with its master is made again.
const AGAIN: Duration = Duration::from_millis(50);

/// Why a record did not become this node's.
enum NotOwned {
    NoSuchPlayer,
    Elsewhere(NodeId),
    Failed(Failure),
}

impl Server {
    pub(crate) async fn enter(&self, uid: u64) -> Result<(), Failure> {
        if !self.0.modules.borrow().handle_players() {
            return Ok(());
        }
        let (mut failed, mut is_claimed) = (None, false);
        loop {
            let wait = self.0.records.borrow_mut().get_mut(&uid).map(Held::wait);
            match wait {
                Some(None) if is_claimed => return Ok(()),
                // It is here for a notification: claimed anew, it comes with what has waited for a login.
                Some(None) => {
                    let (server, (told, left)) = (self.clone(), oneshot::channel());
                    // Begun, it is done to its end, also when whoever waits has gone: nobody else would let go of it.
                    self.0.node.spawn(async move {
                        server.leave(uid).await;
                        let _ = told.send(());
                    });
                    drop(left.await);
                }
                // Looked at again when another claim has ended, or the record has gone.
                Some(Some(changed)) => drop(changed.await),
                None => {
                    if let Some(failure) = failed.take() {
                        return Err(failure);
                    }
                    let fresh = attributes::fresh(self.0.modules.borrow().attributes());
                    let fresh = attributes::encode(&fresh).map_err(Failure::from)?;
                    let (server, (told, claimed)) = (self.clone(), oneshot::channel());
                    let number = self.claiming(uid);
                    is_claimed = true;
                    // It goes on when whoever waits for it has gone.
                    self.0.node.spawn(async move {
                        let _ = told.send(server.claim(uid, number, Some(fresh)).await);
                        // What waits for the record finds the player here: whoever waits for this lets them in first.
                        for _ in 0..ADMITTED {
                            yield_now().await;
                        }
                        server.pump(uid);
                    });
                    let gone = || Failure::new(Reason::ShuttingDown, "the node has ended");
                    failed = claimed.await.map_err(|_| gone())?.err().map(|why| why.into_failure(uid));
                }
            }
        }
    }

    /// Has the record come here for what waits for it: an offline player's.
    pub(crate) fn fetch(&self, uid: u64) {
        if self.0.records.borrow().contains_key(&uid) {
            return;
        }
        let number = self.claiming(uid);
        let server = self.clone();
        self.0.node.spawn(async move {
            // Those who wait have been told.
            let _ = server.claim(uid, number, None).await;
            server.pump(uid);
        });
    }

    /// From now on the record is asked for, under a number of its own.
    fn claiming(&self, uid: u64) -> u64 {
        let number = self.0.undecided.borrow_mut().next();
        self.0.records.borrow_mut().insert(uid, Held::claiming(number));
        number
    }

    /// Whether it is still that claim which is waited for.
    pub(crate) fn is_awaited(&self, uid: u64, number: u64) -> bool {
        self.0.records.borrow().get(&uid).is_some_and(|held| held.claim == number)
    }

    async fn claim(&self, uid: u64, number: u64, create: Option<Vec<u8>>) -> Result<(), NotOwned> {
        let claim = Claim { uid, create };
        let asked = self.ask_claim(&claim).await;
        if !self.is_awaited(uid, number) {
            // It has been let go of meanwhile, or is claimed anew: this answer is for nobody.
            if let Ok(ClaimReply::Owned(Owned { epoch, .. })) = asked {
                self.tell_master("release", &Release { uid, epoch });
            }
            return Err(NotOwned::Failed(Failure::new(Reason::StaleSession, "the record was let go of")));
        }
        let owned = match asked {
            Ok(ClaimReply::Owned(owned)) => self.own(uid, number, owned),
            Ok(ClaimReply::NoSuchPlayer) => Err(NotOwned::NoSuchPlayer),
            Ok(ClaimReply::Elsewhere(server)) => Err(NotOwned::Elsewhere(server)),
            Err(failure) => Err(NotOwned::Failed(failure)),
        };
        if let Err(why) = &owned {
            self.claim_failed(uid, why);
        }
        owned
    }

    /// Asks the master, and the next one if it is lost with the question: an answer that nobody has heard is replaced by a
    /// later one, which has a later epoch.
    async fn ask_claim(&self, claim: &Claim) -> Result<ClaimReply, Failure> {
        let until = Instant::now() + CLAIM;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let asked = self.0.node.ask(Row::Internal, To::Master, (STORE, "claim"), claim, left).await;
            match asked {
                Err(lost) if lost.reason == Reason::NodeLost && Instant::now() < until => sleep(AGAIN).await,
                answer => return answer,
            }
        }
    }

    fn own(&self, uid: u64, number: u64, owned: Owned) -> Result<(), NotOwned> {
        // Upgrades are the author's code: nothing is borrowed meanwhile.
        let declared = self.0.modules.borrow().attributes().to_vec();
        let load = || attributes::load(&declared, &owned.document);
        let loaded =
            catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| Err("an upgrade panicked".to_owned()));
        let (document, upgraded) = loaded.map_err(|why| {
            tracing::error!(node = %self.0.node.id(), uid, "the record of player {uid} is not used: {why}");
            NotOwned::Failed(Failure::new(Reason::BadData, format!("player {uid}: {why}")))
        })?;
        let mut records = self.0.records.borrow_mut();
        let held = records.entry(uid).or_insert_with(|| Held::claiming(number));
        held.ownership = Ownership::Owned(owned.epoch);
        let waiters = std::mem::take(&mut held.waiters);
        held.version = owned.version;
        held.document = Rc::new(document);
        held.upgraded = upgraded;
        let steps = self.0.steps.borrow();
        let is_to_come = |id: &NotificationId| !steps.contains(&(*id, Step::Sent));
        held.awaited.extend(owned.outstanding.into_iter().filter(is_to_come));
        drop(steps);
        held.idle_since = Instant::now();
        for (place, push) in owned.pushes {
            match value::decode(&push) {
                Ok(fields) => held.pushes.push_back((Some(place), fields)),
                Err(error) => tracing::error!(uid, %error, "a kept push cannot be read"),
            }
        }
        let has_pushes = !held.pushes.is_empty();
        drop(records);
        tell(waiters);
        if has_pushes {
            self.push_later(uid);
        }
        Ok(())
    }

    /// What waited for a record that did not come.
    fn claim_failed(&self, uid: u64, why: &NotOwned) {
        let Some(held) = self.0.records.borrow_mut().remove(&uid) else { return };
        if let NotOwned::Elsewhere(server) = why {
            tracing::debug!(node = %self.0.node.id(), uid, %server, "the player is elsewhere");
        }
        let mut returned = Vec::new();
        for job in held.queue {
            match (why, job.step_key()) {
                (NotOwned::NoSuchPlayer, _) => {
                    *job.forced.borrow_mut() = Some(HandlerError::refuse("userNotFound"));
                    self.start(None, job);
                }
                (_, Some(step)) => returned.push(step),
                (NotOwned::Elsewhere(_), None) => self.reroute(uid, &job),
                (NotOwned::Failed(failure), None) => self.refuse_job(uid, &job, failure.reason),
            }
        }
        self.give_back(returned);
        tell(held.waiters);
    }
}

impl NotOwned {
    fn into_failure(self, uid: u64) -> Failure {
        match self {
            NotOwned::NoSuchPlayer => Failure::new(Reason::UserNotFound, format!("there is no player {uid}")),
            NotOwned::Elsewhere(server) => {
                Failure::new(Reason::StaleSession, format!("player {uid} is on node {server}"))
            }
            NotOwned::Failed(failure) => failure,
        }
    }
}
