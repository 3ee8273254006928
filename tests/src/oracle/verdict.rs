//! What only the end of a run can show: requests without an outcome, news that came late, events that never
//! arrived.

use super::{Entry, Kind, Life, Message, Oracle, SLACK, State};
use chappe_wire::NodeId;
use std::time::Duration;

/// How late the news of a death may be: the longest delay on the way, and a margin.
const NEWS: Duration = Duration::from_millis(700);

/// How long after a message the death of its receiver can still explain that it never arrived: the longest freeze
/// or silence, and the longest delay.
const LOST: Duration = Duration::from_secs(6);

impl Oracle {
    /// Judges what only the end can show; everything that was wrong, the story, and the trace.
    pub fn judge(&self) -> (Vec<String>, Vec<String>, Vec<Entry>) {
        let mut state = self.0.borrow_mut();
        let end = state.now();
        let mut wrong = Vec::new();
        for (id, message) in state.messages.iter().enumerate() {
            wrong.extend(state.judge_strictly(id, message));
            match message.kind {
                Kind::Request(timeout) | Kind::ToNobody(timeout) => {
                    wrong.extend(state.judge_request(id, message, timeout, end))
                }
                Kind::Event(to) => wrong.extend(state.judge_event(id, message, to)),
                _ => {}
            }
        }
        wrong.into_iter().for_each(|text| state.broken(text));
        (state.violations.clone(), state.story.clone(), state.trace.clone())
    }
}

impl State {
    /// When what is due at `due` can have been done by a node that stands still now and then.
    fn when_awake(&self, node: NodeId, due: Duration) -> Duration {
        let mut due = due;
        for (from, to) in self.frozen.get(&node).into_iter().flatten() {
            if *from <= due && due <= *to {
                due = *to;
            }
        }
        due
    }

    /// When what one of two nodes says at `at` can have reached the other, between whom nothing passes now and then.
    fn when_heard(&self, a: NodeId, b: NodeId, at: Duration) -> Duration {
        let pair =
            |(x, y, ..): &&(NodeId, NodeId, Duration, Duration)| (*x, *y) == (a, b) || (*x, *y) == (b, a);
        let silences = self.silent.iter().filter(pair);
        silences.fold(at, |at, (_, _, since, until)| if *since <= at && at <= *until { *until } else { at })
    }

    /// Where nodes are only replaced, every call is taken and every event arrives, and requests fail by their handlers and
    /// their own time alone.
    fn judge_strictly(&self, id: usize, message: &Message) -> Option<String> {
        let Message { from, kind, at, .. } = message;
        let (at, is_unseen) = (at.as_secs_f64(), message.seen.is_empty());
        let wrong = match kind {
            _ if !self.is_strict => None,
            _ if message.refused => Some("was refused"),
            Kind::Event(_) if is_unseen => Some("never arrived"),
            _ => None,
        };
        wrong.map(|wrong| format!("{id} of {from} ({kind:?}), sent at {at:.3}s, {wrong}"))
    }

    fn judge_request(
        &self,
        id: usize,
        message: &Message,
        timeout: Duration,
        end: Duration,
    ) -> Option<String> {
        let from = message.from;
        let due = self.when_awake(from.node, message.at + timeout) + SLACK;
        let died = self.died.get(&from).copied().unwrap_or(Duration::MAX);
        match message.outcome {
            None if died > due && end > due => Some(format!("request {id} of {from} has no outcome")),
            Some(at) if at > due => Some(format!("request {id} of {from} ended {:?} late", at - due)),
            _ => self.judge_loss(id, message),
        }
    }

    /// A node that dies with a request has its caller told at once.
    fn judge_loss(&self, id: usize, message: &Message) -> Option<String> {
        let (provider, _) = message.seen.first()?;
        let lost = *self.died.get(provider)?;
        let outcome = message.outcome?;
        let from = message.from.node;
        let known = self.when_awake(from, lost + NEWS);
        let silent = |(a, b, since, until): &(NodeId, NodeId, Duration, Duration)| {
            let is_pair = (*a, *b) == (from, provider.node) || (*b, *a) == (from, provider.node);
            is_pair && *since <= known && lost <= *until
        };
        let late = outcome > known && !self.silent.iter().any(silent);
        late.then(|| {
            format!("{provider} died with request {id}; {} knew {:?} later", message.from, outcome - lost)
        })
    }

    /// An event between two nodes that nothing came between arrives.
    fn judge_event(&self, id: usize, message: &Message, to: NodeId) -> Option<String> {
        let from = message.from;
        if message.refused || !message.seen.is_empty() || from.node == to {
            return None;
        }
        // A dead life may be known for alive for a while: what went to it is lost.
        let died = |life: &Life, at: &Duration| {
            // A sender's queue for a node that it can no longer reach is lost with the sender.
            *life == from && *at >= message.at || Some(*life) == message.meant && *at <= message.at + LOST
        };
        let parted = |(a, b, at): &(NodeId, NodeId, Duration)| {
            let is_pair = (*a, *b) == (from.node, to) || (*b, *a) == (from.node, to);
            // A sender that stands still, or to whom nothing passes, learns of it late.
            is_pair && self.when_heard(*a, *b, self.when_awake(from.node, *at)) + NEWS >= message.at
        };
        let excused = self.died.iter().any(|(life, at)| died(life, at)) || self.apart.iter().any(parted);
        let at = message.at.as_secs_f64();
        (!excused).then(|| {
            format!("event {id} of {from} to {to}, sent at {at:.3}s, never arrived, and nothing came between")
        })
    }
}
