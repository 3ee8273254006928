//! What was sent to a client and is not acknowledged yet, so that a dropped socket loses and doubles nothing.

use chappe_wire::{Meta, Reason};
use std::collections::VecDeque;
use std::rc::Rc;

/// One event for a client: its frame, shared by all clients that get the same.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) frame: Rc<[u8]>,
    pub(crate) meta: Meta,
    /// Whether it was handed to a socket, ever.
    pub(crate) is_sent: bool,
}

/// The events of one session from the first that may be asked for again. Pure.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// How many events came before `kept`.
    before: u64,
}

impl Replay {
    /// As it was, in another life of the proxy.
    pub(crate) fn of(before: u64, kept: VecDeque<Kept>) -> Replay {
        let bytes = kept.iter().map(|kept| kept.frame.len()).sum();
        Replay { kept, bytes, before }
    }

    /// How many events came before those that are kept, and these.
    pub(crate) fn parts(&self) -> (u64, impl Iterator<Item = &Kept>) {
        (self.before, self.kept.iter())
    }

    /// Takes note of the session's next event.
    ///
    /// # Errors
    /// `Overloaded` when it was not sent and what waits is more than `limit` bytes already. Of what was sent, the
    /// oldest is forgotten instead: a client that never acknowledges can then not resume.
    pub(crate) fn push(&mut self, kept: Kept, limit: usize) -> Result<(), Reason> {
        let size = kept.frame.len();
        if !kept.is_sent && self.bytes + size > limit && !self.kept.is_empty() {
            return Err(Reason::Overloaded);
        }
        self.bytes += size;
        self.kept.push_back(kept);
        while self.bytes > limit && self.kept.back().is_some_and(|newest| newest.is_sent) {
            self.forget_oldest();
        }
        Ok(())
    }

    /// The client has so many of the session's events.
    pub(crate) fn acknowledge(&mut self, received: u64) {
        while self.before < received && self.kept.front().is_some_and(|oldest| oldest.is_sent) {
            self.forget_oldest();
        }
        if self.kept.is_empty() {
            // An idle client costs nothing.
            self.kept = VecDeque::new();
        }
    }

    /// Whether a client that has so many of the session's events can be given all the others.
    pub(crate) fn can_resume(&self, received: u64) -> bool {
        let sent = self.kept.iter().take_while(|kept| kept.is_sent).count() as u64;
        (self.before..=self.before + sent).contains(&received)
    }

    /// Everything that the client lacks, in order, marked as sent; with each, whether this is its first time.
    pub(crate) fn send_all(&mut self) -> Vec<(Kept, bool)> {
        let all = self.kept.iter_mut().map(|kept| {
            let is_first = !std::mem::replace(&mut kept.is_sent, true);
            (kept.clone(), is_first)
        });
        all.collect()
    }

    /// As [`Replay::send_all`], of only what was never sent.
    pub(crate) fn send_new(&mut self) -> Vec<Kept> {
        let new = self.kept.iter_mut().filter(|kept| !kept.is_sent).map(|kept| {
            kept.is_sent = true;
            kept.clone()
        });
        new.collect()
    }

    /// Ends it: what was never handed to a socket.
    pub(crate) fn unsent(&mut self) -> Vec<Meta> {
        let kept = std::mem::take(&mut self.kept);
        kept.into_iter().filter(|kept| !kept.is_sent).map(|kept| kept.meta).collect()
    }

    /// Puts every frame into another form, for a client that came back speaking it.
    pub(crate) fn convert(&mut self, convert: impl Fn(&[u8]) -> Option<Vec<u8>>) {
        for kept in &mut self.kept {
            if let Some(frame) = convert(&kept.frame) {
                self.bytes = self.bytes - kept.frame.len() + frame.len();
                kept.frame = frame.into();
            }
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.bytes -= oldest.frame.len();
            self.before += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::Row;

    fn event(bytes: &[u8], is_sent: bool) -> Kept {
        Kept { frame: bytes.into(), meta: Meta::of(Row::ServerToClient), is_sent }
    }

    fn frames(events: &[(Kept, bool)]) -> Vec<(&[u8], bool)> {
        events.iter().map(|(kept, is_first)| (&*kept.frame, *is_first)).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_and_nothing_else() {
        let mut replay = Replay::default();
        for (byte, is_sent) in [(1, true), (2, true), (3, false)] {
            replay.push(event(&[byte], is_sent), 100).unwrap();
        }
        assert!(replay.can_resume(0) && replay.can_resume(2) && !replay.can_resume(3));
        replay.acknowledge(1);
        assert!(!replay.can_resume(0), "what was acknowledged is gone");
        assert_eq!(frames(&replay.send_all()), [(&[2u8][..], false), (&[3][..], true)]);
        replay.acknowledge(99);
        assert!(replay.send_all().is_empty());
        assert!(replay.can_resume(3), "an acknowledgement beyond the end counts up to it");
    }

    #[test]
    fn a_client_that_never_acknowledges_cannot_fill_the_memory() {
        let mut replay = Replay::default();
        for _ in 0..100 {
            replay.push(event(&[0; 10], true), 35).unwrap();
        }
        assert_eq!(replay.send_all().len(), 3);
        assert!(!replay.can_resume(0) && replay.can_resume(97));
    }

    #[test]
    fn what_a_client_that_is_away_has_no_room_for_is_refused() {
        let mut replay = Replay::default();
        replay.push(event(&[0; 30], false), 35).unwrap();
        assert_eq!(replay.push(event(&[0; 10], false), 35), Err(Reason::Overloaded));
        assert_eq!(replay.unsent().len(), 1);
    }
}
