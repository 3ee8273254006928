//! One commit: everything is checked before anything is changed.

use super::{Judge, within};
use crate::changes::{AnswerRow, Document, NoteRow, PlayerRow};
use crate::{Commit, Committed, DeadLetter, NewNotification, Refused, Step, Transition, When};
use std::collections::BTreeSet;

impl Judge<'_> {
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Committed, Refused> {
        match self.commits.get(&commit.id) {
            Some(true) => {
                return Ok(Committed { repeated: true, at_ms: self.now_ms, ..Committed::default() });
            }
            Some(false) => return Err(Refused::GivenUp(commit.id)),
            None => {}
        }
        if let Some(cause) = commit.rests_on.filter(|cause| self.commits.get(cause) != Some(&true)) {
            return Err(Refused::CauseMissing(cause));
        }
        self.check_shape(commit)?;
        self.check_records(commit)?;
        commit.transitions.iter().try_for_each(|transition| self.check_transition(transition))?;
        self.check_new(commit)?;
        Ok(self.apply(commit))
    }

    /// Limits, and that it names nothing twice.
    fn check_shape(&self, commit: &Commit) -> Result<(), Refused> {
        let limits = self.limits;
        within("a handler's name", commit.handler.len(), limits.name)?;
        for document in commit.records.iter().filter_map(|change| change.document.as_ref()) {
            within("an attribute document", document.len(), limits.document)?;
        }
        for outcome in commit.transitions.iter().filter_map(|transition| transition.outcome.as_ref()) {
            within("an outcome", outcome.len(), limits.payload)?;
        }
        commit.sent.iter().try_for_each(|sent| self.check_size(sent))?;
        for answer in &commit.answers {
            within("a request id", answer.request.len(), limits.name)?;
            within("an answer", answer.response.len(), limits.payload)?;
        }
        for push in &commit.pushes {
            within("a push", push.payload.len(), limits.payload)?;
        }
        for letter in &commit.dead_letters {
            within("a reason", letter.reason.len(), limits.name)?;
            self.check_size(&letter.notification)?;
        }
        let notifications = commit.transitions.iter().map(|transition| transition.id);
        let notifications = notifications.chain(commit.sent.iter().map(|sent| sent.id));
        if !all_differ(commit.records.iter().map(|change| change.uid)) {
            return Err(Refused::Malformed("a record twice in one commit"));
        }
        if !all_differ(notifications) {
            return Err(Refused::Malformed("a notification twice in one commit"));
        }
        if !all_differ(commit.answers.iter().map(|answer| (answer.uid, &answer.request))) {
            return Err(Refused::Malformed("a request twice in one commit"));
        }
        // Both databases hold 64 bits with a sign.
        let deadlines = commit.sent.iter().filter_map(|sent| sent.deadline_in_ms);
        if deadlines.chain([self.now_ms]).any(|ms| ms > 1 << 61) {
            return Err(Refused::Malformed("a deadline beyond all time"));
        }
        Ok(())
    }

    fn check_size(&self, notification: &NewNotification) -> Result<(), Refused> {
        within("a notification's type", notification.kind.len(), self.limits.name)?;
        within("a notification", notification.payload.len(), self.limits.payload)
    }

    fn check_records(&self, commit: &Commit) -> Result<(), Refused> {
        for change in &commit.records {
            let row = self.owned(change.uid, change.epoch)?;
            let is_stale = row.version != change.version;
            #[cfg(feature = "sabotage")]
            let is_stale = is_stale
                && !(crate::sabotage::is(crate::sabotage::Sabotage::SkipFence) && row.epoch != change.epoch);
            if is_stale {
                let (uid, version, current) = (change.uid, change.version, row.version);
                return Err(Refused::StaleVersion { uid, version, current });
            }
        }
        Ok(())
    }

    fn check_transition(&self, transition: &Transition) -> Result<(), Refused> {
        let id = transition.id;
        #[cfg(feature = "sabotage")]
        if self.is_unchecked(transition) {
            return Ok(());
        }
        let row = self.notifications.row(&id)?.ok_or(Refused::NotificationMoved { id, found: None })?;
        if row.step != transition.from {
            return Err(Refused::NotificationMoved { id, found: Some(row.step) });
        }
        if transition.from == Step::Decided && transition.outcome.is_some() {
            return Err(Refused::Malformed("a second outcome"));
        }
        // A server goes on from an outcome before it is durable; another one may have come first.
        if transition.handled.is_some() && transition.handled != row.outcome {
            return Err(Refused::NotificationMoved { id, found: Some(row.step) });
        }
        let left = row.deadline_ms.map(|deadline| deadline.saturating_sub(self.now_ms));
        match (transition.when, left) {
            (When::Before, Some(0)) => Err(Refused::DeadlinePassed(id)),
            (When::Passed, None) => Err(Refused::DeadlineAhead { id, in_ms: None }),
            (When::Passed, Some(ms)) if ms > 0 => Err(Refused::DeadlineAhead { id, in_ms: Some(ms) }),
            _ => Ok(()),
        }
    }

    #[cfg(feature = "sabotage")]
    fn is_unchecked(&self, transition: &Transition) -> bool {
        use crate::sabotage::{Sabotage, is};
        let step = self.notifications.row(&transition.id).ok().flatten().map(|row| row.step);
        is(Sabotage::SkipDedup) && step != Some(transition.from)
            || is(Sabotage::ActBeforeCommit) && step.is_none()
    }

    fn check_new(&self, commit: &Commit) -> Result<(), Refused> {
        for sent in &commit.sent {
            if self.notifications.row(&sent.id)?.is_some() {
                return Err(Refused::DuplicateNotification(sent.id));
            }
        }
        for answer in &commit.answers {
            let (uid, request) = (answer.uid, answer.request.clone());
            if let Some(row) = self.answers.row(&(uid, request.clone()))? {
                return Err(Refused::RequestAnswered { uid, request, response: row.response.clone() });
            }
        }
        Ok(())
    }

    fn apply(&mut self, commit: &Commit) -> Committed {
        self.commits.insert(commit.id, true);
        self.new_commits.insert(commit.id, true);
        for change in &commit.records {
            let Some(document) = &change.document else { continue };
            let Ok(Some(row)) = self.players.row(&change.uid) else { continue };
            let (epoch, owner, version) = (row.epoch, row.owner, row.version + 1);
            self.remember(change.uid, version, epoch, Some(commit.id), &commit.handler, document);
            let document = Document::New(document.clone());
            self.players.put(change.uid, PlayerRow { epoch, version, owner, document });
        }
        commit.transitions.iter().for_each(|transition| self.move_on(transition));
        let orders: Vec<u64> = commit.sent.iter().map(|sent| self.send(sent)).collect();
        for answer in &commit.answers {
            let row = AnswerRow { at_ms: self.now_ms, response: answer.response.clone() };
            self.answers.put((answer.uid, answer.request.clone()), row);
        }
        for letter in &commit.dead_letters {
            let sequence = self.next();
            let (reason, notification) = (letter.reason.clone(), letter.notification.clone());
            self.letters.put(sequence, DeadLetter { sequence, at_ms: self.now_ms, reason, notification });
        }
        for delivered in &commit.delivered {
            self.drop_pushes(delivered.uid, delivered.up_to);
        }
        let dropped = commit.pushes.iter().map(|push| self.push(push.uid, &push.payload)).sum();
        Committed {
            repeated: false,
            first_order: orders.first().copied().unwrap_or(0),
            at_ms: self.now_ms,
            pushes_dropped: dropped,
        }
    }

    fn move_on(&mut self, transition: &Transition) {
        let Ok(Some(row)) = self.notifications.row(&transition.id) else { return };
        match &transition.outcome {
            None => self.notifications.remove(transition.id),
            Some(outcome) => {
                let row = NoteRow { step: Step::Decided, outcome: Some(outcome.clone()), ..row.clone() };
                self.notifications.put(transition.id, row);
            }
        }
    }

    /// Keeps a push; how many older ones made room.
    fn push(&mut self, uid: u64, payload: &[u8]) -> u32 {
        let sequence = self.next();
        let waiting = self.pushes.entry(uid).or_default();
        waiting.push(sequence);
        let beyond = waiting.len().saturating_sub(self.limits.pushes_per_player.max(1));
        let up_to = beyond.checked_sub(1).and_then(|last| waiting.get(last)).copied();
        self.new_pushes.insert(sequence, (uid, payload.to_vec()));
        if let Some(up_to) = up_to {
            self.drop_pushes(uid, up_to);
        }
        u32::try_from(beyond).unwrap_or(u32::MAX)
    }

    fn drop_pushes(&mut self, uid: u64, up_to: u64) {
        if let Some(waiting) = self.pushes.get_mut(&uid) {
            waiting.retain(|sequence| *sequence > up_to);
        }
        self.new_pushes.retain(|sequence, (of, _)| *of != uid || *sequence > up_to);
        let gone = self.pushes_gone.entry(uid).or_default();
        *gone = up_to.max(*gone);
    }
}

fn all_differ<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
