//! Who owns which record. A record changes hands one change at a time; the owner before is asked to let go first.

use super::inflight::Life;
use super::places::{may_own, place};
use super::{Desk, LOOK, Refusal, args, unavailable};
use crate::protocol::{Claim, ClaimReply, NOTIFY, Owned, Release};
use chappe_node::To;
use chappe_store::{Claimed, Refused, StoreError, Work};
use chappe_wire::{NodeId, Reason, Row};
use rustc_hash::FxHashMap;
use serde_bytes::ByteBuf;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long the owner before may take to let go.
const LET_GO: Duration = Duration::from_secs(2);
/// The most that may wait for one record to change hands.
const WAITING: usize = 64;

/// The records that were claimed in this life of the master, and those that are changing hands.
#[derive(Default)]
pub(super) struct Claims {
    owners: RefCell<FxHashMap<u64, Owner>>,
    turns: Turns,
}

/// Who owns a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) node: NodeId,
    /// Which life of it; `None`: it was claimed in an earlier life of the master.
    pub(super) incarnation: Option<u64>,
    pub(super) epoch: u64,
}

/// One at a time for each player, in the order in which they come.
#[derive(Clone, Default)]
struct Turns(Rc<RefCell<BTreeMap<u64, VecDeque<oneshot::Sender<()>>>>>);

/// The one whose turn it is; the next one's begins when it is dropped.
pub(super) struct Turn(Turns, u64);

impl Turns {
    async fn of(&self, uid: u64) -> Result<Turn, Refusal> {
        let next = {
            let mut turns = self.0.borrow_mut();
            match turns.get_mut(&uid) {
                None => {
                    turns.insert(uid, VecDeque::new());
                    None
                }
                Some(waiting) if waiting.len() >= WAITING => {
                    let text = format!("{WAITING} requests wait for the record of player {uid} already");
                    return Err((Reason::Overloaded, text));
                }
                Some(waiting) => {
                    let (turn, next) = oneshot::channel();
                    waiting.push_back(turn);
                    Some(next)
                }
            }
        };
        if let Some(next) = next {
            // Its sender is dropped only with the desk.
            let _ = next.await;
        }
        Ok(Turn(self.clone(), uid))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.0.0.borrow_mut();
        let Some(waiting) = turns.get_mut(&self.1) else { return };
        while let Some(next) = waiting.pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
        turns.remove(&self.1);
    }
}

impl Desk {
    pub(super) fn serve_claims(&self) {
        self.serve(Row::Internal, "claim", |desk, call| {
            let claim: Claim = match args(&call) {
                Ok(claim) => claim,
                Err((reason, text)) => return call.fail(reason, &text),
            };
            let asker = (call.from(), call.incarnation());
            let (desk, responder) = (desk.clone(), call.into_responder());
            let master = desk.0.master.clone();
            master.when_recovered(move |has_room| {
                if !has_room {
                    let text = "too many wait until the restarted master knows all sessions";
                    return responder.fail(Reason::Overloaded, text);
                }
                let this = desk.clone();
                desk.answer_with(responder, async move { this.claim(asker, claim).await });
            });
        });
        self.serve(Row::Internal, "release", |desk, call| {
            if let Ok(Release { uid, epoch }) = args(&call) {
                let desk = desk.clone();
                desk.0.node.clone().spawn(async move { desk.release(uid, epoch).await });
            }
        });
    }

    async fn claim(&self, asker: Life, Claim { uid, create }: Claim) -> Result<ClaimReply, Refusal> {
        let _turn = self.turn(uid).await?;
        // Who takes a player for offline that has a session elsewhere answers into the void.
        while self.may_have_session(uid) && self.is_live(asker) {
            sleep(LOOK).await;
        }
        let owner = self.owner_of(uid).await?;
        if let Some(elsewhere) = self.elsewhere(asker.0, create.is_some(), uid, owner)? {
            return Ok(ClaimReply::Elsewhere(elsewhere));
        }
        if let Some(owner) = owner.filter(|owner| owner.node != asker.0)
            && let Err(failure) = self.ask_release(uid, owner).await
        {
            tracing::warn!(uid, owner = %owner.node, %failure, "a record is taken from a server that does not let go");
            self.0.node.stats().count("records_taken");
        }
        // The player may have moved on meanwhile.
        if let Some(elsewhere) = self.elsewhere(asker.0, create.is_some(), uid, owner)? {
            return Ok(ClaimReply::Elsewhere(elsewhere));
        }
        // Handed in one behind the other, so the pushes are those at the time of the claim.
        let (claimed, pushes) = (self.0.store.claim(uid, asker.0, create), self.0.store.pushes(uid));
        let claimed = self.claimed(uid, asker, claimed.await)?;
        let Some(Claimed { record, .. }) = claimed else { return Ok(ClaimReply::NoSuchPlayer) };
        let pushes = pushes.await.map_err(|error| unavailable(&error))?;
        let outstanding = self.0.table.borrow().outstanding(uid, asker);
        Ok(ClaimReply::Owned(Owned {
            epoch: record.epoch,
            version: record.version,
            document: record.document,
            pushes: pushes.into_iter().map(|push| (push.sequence, ByteBuf::from(push.payload))).collect(),
            outstanding,
        }))
    }

    /// Takes note of what became of a claim; `None`: there is no such player.
    pub(super) fn claimed(
        &self,
        uid: u64,
        by: Life,
        claimed: Result<Result<Claimed, Refused>, StoreError>,
    ) -> Result<Option<Claimed>, Refusal> {
        self.note(&claimed);
        let mut owners = self.0.claims.owners.borrow_mut();
        match claimed {
            Ok(Ok(claimed)) => {
                let owner = Owner { node: by.0, incarnation: Some(by.1), epoch: claimed.record.epoch };
                owners.insert(uid, owner);
                self.0.node.stats().count("records_claimed");
                Ok(Some(claimed))
            }
            Ok(Err(Refused::NoSuchPlayer(_))) => Ok(None),
            Ok(Err(refused)) => Err((Reason::BadData, refused.to_string())),
            Err(error) => {
                // It may have been done: whoever asks next reads who owns the record.
                owners.remove(&uid);
                Err(unavailable(&error))
            }
        }
    }

    /// A record is let go of by its owner.
    pub(super) async fn release(&self, uid: u64, epoch: u64) {
        {
            let mut owners = self.0.claims.owners.borrow_mut();
            if owners.get(&uid).is_some_and(|owner| owner.epoch == epoch) {
                owners.remove(&uid);
            }
        }
        // A release that is not done leaves an owner who answers that it owns nothing.
        let released = self.0.store.work(Work::Release { uid, epoch }).await;
        self.note(&released);
    }

    /// Asks a record's owner to let go; `Ok` also when there is nobody any more to ask.
    pub(super) async fn ask_release(&self, uid: u64, owner: Owner) -> Result<(), chappe_node::Failure> {
        if self.live_owner(Some(owner)).is_none() || owner.node == self.0.node.id() {
            return Ok(());
        }
        let release = Release { uid, epoch: owner.epoch };
        let to = To::Node(owner.node);
        self.0.node.ask::<_, ()>(Row::Internal, to, (NOTIFY, "release"), &release, LET_GO).await
    }

    /// The owner of a record, as far as there is one.
    pub(super) async fn owner_of(&self, uid: u64) -> Result<Option<Owner>, Refusal> {
        if let Some(owner) = self.known_owner(uid) {
            return Ok(Some(owner));
        }
        let record = self.0.store.load(uid).await;
        self.note(&record);
        // A claim may have been answered meanwhile.
        if let Some(owner) = self.known_owner(uid) {
            return Ok(Some(owner));
        }
        let record = record.map_err(|error| unavailable(&error))?;
        let owner = |node, epoch| Owner { node, incarnation: None, epoch };
        Ok(record.and_then(|record| record.owner.map(|node| owner(node, record.epoch))))
    }

    /// The owner of a record that was claimed in this life of the master.
    pub(super) fn known_owner(&self, uid: u64) -> Option<Owner> {
        self.0.claims.owners.borrow().get(&uid).copied()
    }

    /// The node of an owner that is up.
    pub(super) fn live_owner(&self, owner: Option<Owner>) -> Option<NodeId> {
        let owner = owner?;
        let (_, incarnation) = self.life_of(owner.node)?;
        owner.incarnation.is_none_or(|of| of == incarnation).then_some(owner.node)
    }

    /// Nothing of the player's record changes hands while the turn is held.
    pub(super) async fn turn(&self, uid: u64) -> Result<Turn, Refusal> {
        self.0.claims.turns.of(uid).await
    }

    /// A life of a node has ended: it owns nothing.
    pub(super) fn forget_owner(&self, (node, incarnation): Life) {
        let mut owners = self.0.claims.owners.borrow_mut();
        owners.retain(|_, owner| (owner.node, owner.incarnation) != (node, Some(incarnation)));
    }

    /// A record is gone.
    pub(super) fn forget_record(&self, uid: u64) {
        self.0.claims.owners.borrow_mut().remove(&uid);
    }

    /// Where a record belongs when it does not belong to `asker`.
    fn elsewhere(
        &self,
        asker: NodeId,
        lets_in: bool,
        uid: u64,
        owner: Option<Owner>,
    ) -> Result<Option<NodeId>, Refusal> {
        let (session, owner) = (self.0.master.session_of(uid), self.live_owner(owner));
        self.0.node.with_view(|view| {
            if may_own(asker, lets_in, session, owner, view) {
                return Ok(None);
            }
            let (on, going) = session.unwrap_or_default();
            let elsewhere = place(session, owner, view).or(going).or(on);
            let nobody = || (Reason::NoRoute, format!("no server is ready for player {uid}"));
            elsewhere.map(Some).ok_or_else(nobody)
        })
    }
}
