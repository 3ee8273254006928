//! What handlers leave behind, on its way to the disk and into the table.
//!
//! Commits are handed to the store in the order in which they come and enter the table in that order, so that a
//! notification is known before the commit that ends it.

use super::inflight::{Flight, Life, Place};
use super::{Desk, args, retry_after, unavailable};
use crate::protocol::{AnswerOf, CommitReply, Exists, NodeCommit, PushesDelivered, Resolve};
use chappe_node::Responder;
use chappe_store::{
    Commit, CommitId, Committed, NewNotification, Notification, NotificationId, Refused, Step, StoreError,
    Verdict,
};
use chappe_wire::{Reason, Row};
use serde_bytes::ByteBuf;
use std::collections::BTreeSet;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

/// What became of a commit, for certain: never `AnswerLost`, unless the store is closed.
pub(super) type Outcome = Result<Result<Committed, Refused>, StoreError>;

/// What is called with it.
type Done = Box<dyn FnOnce(Outcome)>;

/// The commits that are on their way, in order. Bounded by the store's own queue: what that does not take is not here.
pub(super) struct Line(mpsc::UnboundedSender<InLine>);

pub(super) struct InLine {
    durable: oneshot::Receiver<(Committed, Done)>,
    effects: Effects,
}

/// What a commit does to the table once it is durable.
struct Effects {
    /// The first of them has the first order.
    sent: Vec<(NotificationId, Flight)>,
    /// Those that have their outcome, or ended.
    moved: Vec<(NotificationId, Option<Vec<u8>>)>,
    kept: BTreeSet<NotificationId>,
    by: Option<Life>,
}

impl Line {
    pub(super) fn new() -> (Line, mpsc::UnboundedReceiver<InLine>) {
        let (line, commits) = mpsc::unbounded_channel();
        (Line(line), commits)
    }
}

impl Desk {
    pub(super) fn serve_commits(&self, mut commits: mpsc::UnboundedReceiver<InLine>) {
        self.serve(Row::Internal, "commit", |desk, call| {
            let asked: NodeCommit = match args(&call) {
                Ok(asked) => asked,
                Err((reason, text)) => return call.fail(reason, &text),
            };
            let by = Some((call.from(), call.incarnation()));
            let (this, responder) = (desk.clone(), call.into_responder());
            let kept = asked.kept.into_iter().collect();
            desk.commit(asked.commit, kept, by, move |outcome| this.answer_commit(responder, outcome));
        });
        self.serve(Row::Internal, "resolve", |desk, call| match args::<Resolve>(&call) {
            Ok(Resolve { id }) => {
                let resolved = desk.0.store.resolve(id);
                let desk = desk.clone();
                desk.clone().answer_with(call.into_responder(), async move {
                    let resolved = resolved.await;
                    desk.note(&resolved);
                    match resolved.map_err(|error| (Reason::StoreUnavailable, error.to_string()))? {
                        Ok(Verdict::Committed) => Ok(CommitReply::Committed { pushes_dropped: 0 }),
                        Ok(_) => Ok(CommitReply::Again),
                        Err(refused) => Ok(CommitReply::Failed(refused.to_string())),
                    }
                });
            }
            Err((reason, text)) => call.fail(reason, &text),
        });
        self.serve(Row::Internal, "exists", |desk, call| match args::<Exists>(&call) {
            // Whose record is owned has one.
            Ok(Exists { uid }) if desk.known_owner(uid).is_some() => drop(call.respond(&true)),
            Ok(Exists { uid }) => {
                // The next uid that there is: unlike the record, it costs no document.
                let next = desk.0.store.players(uid.checked_sub(1), 1);
                desk.answer_with(call.into_responder(), async move {
                    next.await.map(|next| next.first() == Some(&uid)).map_err(|error| unavailable(&error))
                });
            }
            Err((reason, text)) => call.fail(reason, &text),
        });
        self.serve(Row::Internal, "answer", |desk, call| match args::<AnswerOf>(&call) {
            Ok(AnswerOf { uid, request }) => {
                let answer = desk.0.store.answer(uid, request);
                desk.answer_with(call.into_responder(), async move {
                    answer.await.map(|answer| answer.map(ByteBuf::from)).map_err(|error| unavailable(&error))
                });
            }
            Err((reason, text)) => call.fail(reason, &text),
        });
        self.serve(Row::Internal, "delivered", |desk, call| {
            if let Ok(delivered) = args::<PushesDelivered>(&call) {
                let mut commit = Commit::new(desk.next_commit(), "delivered");
                commit.delivered.push(delivered);
                // One that fails is made good by the next: pushes may come twice, and never get lost.
                desk.commit(commit, BTreeSet::new(), None, |_| {});
            }
        });
        let desk = self.clone();
        self.0.node.spawn(async move {
            while let Some(InLine { durable, effects }) = commits.recv().await {
                // Not durable: whoever asked has been told.
                if let Ok((committed, done)) = durable.await {
                    desk.take_effect(committed, effects, done).await;
                }
            }
        });
    }

    /// Hands a commit to the store. `done` gets its one outcome; `kept` and `by` as in [`NodeCommit::kept`].
    pub(super) fn commit(
        &self,
        commit: Commit,
        kept: BTreeSet<NotificationId>,
        by: Option<Life>,
        done: impl FnOnce(Outcome) + 'static,
    ) {
        let id = commit.id;
        let effects = Effects::of(&commit, kept, by, self);
        #[cfg(feature = "sabotage")]
        self.dispatch_early(&effects);
        let handed_in = self.0.store.commit(commit);
        let (durable, waits) = oneshot::channel();
        // The receiver is there as long as the desk is.
        let _ = self.0.line.0.send(InLine { durable: waits, effects });
        let (desk, done): (_, Done) = (self.clone(), Box::new(done));
        self.0.node.spawn(async move {
            let outcome = desk.for_certain(id, handed_in.await).await;
            desk.note(&outcome);
            match outcome {
                Ok(Ok(committed)) => drop(durable.send((committed, done))),
                not_done => done(not_done),
            }
        });
    }

    /// Hands on what a commit sends before anything is durable.
    #[cfg(feature = "sabotage")]
    fn dispatch_early(&self, effects: &Effects) {
        if !chappe_store::sabotage::is(chappe_store::sabotage::Sabotage::ActBeforeCommit) {
            return;
        }
        for (id, flight) in effects.sent.iter().filter(|(id, _)| !effects.kept.contains(id)) {
            let mut flight = flight.clone();
            flight.order = (1 << 60) + self.next_number();
            flight.deadline_ms = None;
            let target = flight.target();
            self.0.table.borrow_mut().insert(*id, flight);
            self.advanced(target);
        }
    }

    /// As [`Desk::commit`], for the desk's own.
    pub(super) fn commit_own(&self, commit: Commit) -> impl Future<Output = Outcome> + use<> {
        let (tell, told) = oneshot::channel();
        self.commit(commit, BTreeSet::new(), None, move |outcome| drop(tell.send(outcome)));
        async move { told.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// Asks until it is known what became of a commit whose answer was lost.
    async fn for_certain(&self, id: CommitId, outcome: Outcome) -> Outcome {
        if !matches!(outcome, Err(StoreError::AnswerLost(_))) {
            return outcome;
        }
        self.note(&outcome);
        self.0.node.stats().count("commits_resolved");
        let mut failures = 0;
        loop {
            match self.0.store.resolve(id).await {
                Ok(Ok(Verdict::Committed)) => {
                    return Ok(Ok(Committed { repeated: true, ..Committed::default() }));
                }
                Ok(Ok(_)) => return Ok(Err(Refused::GivenUp(id))),
                Ok(Err(refused)) => return Ok(Err(refused)),
                Err(StoreError::Closed) => return outcome,
                Err(_) => sleep(retry_after(failures)).await,
            }
            failures += 1;
        }
    }

    /// A commit is durable: whoever asked is told, and what it has sent and moved on goes its way.
    async fn take_effect(&self, committed: Committed, effects: Effects, done: Done) {
        let first_order = committed.first_order;
        if committed.at_ms != 0 {
            self.see_clock(committed.at_ms);
        }
        let (is_repeated, at_ms) = (committed.repeated, committed.at_ms);
        done(Ok(Ok(committed)));
        self.0.node.stats().count("commits");
        if is_repeated {
            // It was done before, and under which orders its answer does not say.
            let ids = effects.ids().collect();
            return self.read_again(ids).await;
        }
        let mut changed = BTreeSet::new();
        let by = effects.by.filter(|life| self.is_live(*life));
        let place = |id: &NotificationId| match by {
            Some(life) if effects.kept.contains(id) => Place::Accepted(life),
            _ => Place::Waiting,
        };
        let mut unknown = Vec::new();
        {
            let mut table = self.0.table.borrow_mut();
            for (at, (id, mut flight)) in effects.sent.into_iter().enumerate() {
                flight.order = first_order + at as u64;
                flight.place = place(&id);
                flight.since = self.now();
                flight.deadline_ms = flight.deadline_ms.map(|in_ms| at_ms.saturating_add(in_ms));
                changed.insert(flight.target());
                let place = flight.place;
                // One that was read from the store meanwhile is known, and not that its server keeps it.
                if !table.insert(id, flight) && place != Place::Waiting {
                    table.put(id, Step::Sent, place);
                }
            }
            for (id, outcome) in effects.moved {
                let known = table.get(id).is_some();
                if outcome.is_some() {
                    let decided = table.decide(id, outcome, place(&id), self.now());
                    if known && decided.is_none() && place(&id) != Place::Waiting {
                        table.put(id, Step::Decided, place(&id));
                    }
                    changed.extend(decided.into_iter().flatten());
                    unknown.extend((!known).then_some(id));
                } else {
                    changed.extend(table.settle(id));
                }
            }
        }
        self.see_deadlines();
        self.publish();
        changed.into_iter().for_each(|target| self.advanced(target));
        if !unknown.is_empty() {
            // The master has started anew and has not read so far yet.
            self.read_again(unknown).await;
        }
    }

    /// Takes in what the store has of these notifications; what it has not is settled.
    pub(super) async fn read_again(&self, ids: Vec<NotificationId>) {
        let mut failures = 0;
        for id in ids {
            loop {
                match self.0.store.notification(id).await {
                    Ok(found) => {
                        self.take_in(id, found);
                        break;
                    }
                    Err(StoreError::Closed) => return,
                    Err(StoreError::Corrupt(why)) => {
                        self.0.node.stats().count("corrupt_notifications");
                        tracing::error!(%id, why, "a notification cannot be read");
                        break;
                    }
                    Err(_) => sleep(retry_after(failures)).await,
                }
                failures += 1;
            }
        }
    }

    /// Takes in one notification as the store has it.
    pub(super) fn take_in(&self, id: NotificationId, found: Option<Notification>) {
        let mut table = self.0.table.borrow_mut();
        let known = table.get(id).map(|flight| flight.step);
        let changed: Vec<_> = match found {
            None => table.settle(id).into_iter().collect(),
            Some(found) if known.is_some() => match found.step {
                Step::Decided => table
                    .decide(id, found.outcome, Place::Waiting, self.now())
                    .into_iter()
                    .flatten()
                    .collect(),
                Step::Sent => Vec::new(),
            },
            Some(found) => {
                let flight = Flight::stored(found, self.now());
                let target = flight.target();
                table.insert(id, flight);
                vec![target]
            }
        };
        drop(table);
        self.see_deadlines();
        self.publish();
        changed.into_iter().for_each(|target| self.advanced(target));
    }

    fn answer_commit(&self, responder: Responder, outcome: Outcome) {
        let stats = self.0.node.stats();
        let refused = |name, reply| {
            stats.count(name);
            reply
        };
        let reply = match outcome {
            Ok(Ok(committed)) => CommitReply::Committed { pushes_dropped: committed.pushes_dropped },
            Ok(Err(Refused::RequestAnswered { response, .. })) => {
                refused("commits_answered_before", CommitReply::Answered { response })
            }
            Ok(Err(Refused::StaleEpoch { uid, .. } | Refused::NoSuchPlayer(uid))) => {
                refused("commits_stale", CommitReply::Stale { uid })
            }
            Ok(Err(Refused::StaleVersion { .. } | Refused::CauseMissing(_) | Refused::GivenUp(_))) => {
                refused("commits_again", CommitReply::Again)
            }
            Ok(Err(Refused::NotificationMoved { .. } | Refused::DuplicateNotification(_))) => {
                refused("commits_moved", CommitReply::Moved)
            }
            Ok(Err(Refused::DeadlinePassed(_))) => refused("commits_late", CommitReply::DeadlinePassed),
            Ok(Err(other)) => refused("commits_failed", CommitReply::Failed(other.to_string())),
            Err(error @ StoreError::AnswerLost(_)) => {
                return responder.fail(Reason::HandlerFailed, &error.to_string());
            }
            Err(error) => {
                stats.count("commits_unavailable");
                return responder.fail(Reason::StoreUnavailable, &error.to_string());
            }
        };
        // An answer that cannot be sent is told to the caller.
        let _ = responder.respond(&reply);
    }
}

impl Effects {
    fn of(commit: &Commit, kept: BTreeSet<NotificationId>, by: Option<Life>, desk: &Desk) -> Effects {
        let flight = |sent: &NewNotification| {
            let payload = (!kept.contains(&sent.id)).then(|| sent.payload.clone());
            (sent.id, Flight::new(sent, payload, desk.now()))
        };
        let sent = commit.sent.iter().map(flight).collect();
        let moved = commit.transitions.iter().map(|moved| (moved.id, moved.outcome.clone())).collect();
        Effects { sent, moved, kept, by }
    }

    fn ids(&self) -> impl Iterator<Item = NotificationId> {
        self.sent.iter().map(|(id, _)| *id).chain(self.moved.iter().map(|(id, _)| *id))
    }
}

impl Flight {
    /// Of a commit that is not durable yet: its order, and when its deadline is, come with the answer.
    fn new(sent: &NewNotification, payload: Option<Vec<u8>>, since: std::time::Duration) -> Flight {
        Flight {
            order: 0,
            step: Step::Sent,
            sender: sent.sender,
            receiver: sent.receiver,
            kind: sent.kind.clone(),
            depth: sent.depth,
            deadline_ms: sent.deadline_in_ms,
            place: Place::Waiting,
            since,
            payload,
            outcome: None,
        }
    }

    /// As the store has it.
    pub(super) fn stored(found: Notification, since: std::time::Duration) -> Flight {
        Flight {
            order: found.order,
            step: found.step,
            sender: found.sender,
            receiver: found.receiver,
            kind: found.kind,
            depth: found.depth,
            deadline_ms: found.deadline_ms,
            place: Place::Waiting,
            since,
            payload: None,
            outcome: None,
        }
    }
}
