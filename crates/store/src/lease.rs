//! The lease: of several masters that have one store open, the one that leads. The store's clock says when it ends, and
//! every transaction looks at it.

use crate::StoreError;
use chappe_wire::NodeId;
use std::time::Duration;

/// A master that would lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The master.
    pub node: NodeId,
    /// Which life of it: an earlier one's lease is its own.
    pub incarnation: u64,
    /// How long the lease is to last from each renewal on.
    pub lasts: Duration,
}

/// How the lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lease {
    /// Grows by one with each leader.
    pub term: u64,
    /// Who has it, and which life of it; `None`: it was given back, or never taken.
    pub holder: Option<(NodeId, u64)>,
    /// When it ends: milliseconds since 1970, by the store's clock.
    pub ends_ms: u64,
    /// What that clock showed when this was read.
    pub now_ms: u64,
}

impl Lease {
    /// Of a store that only one process can have open: it needs no lease, and its one master leads.
    pub(crate) fn needless(by: &Candidate, now_ms: u64) -> Lease {
        let Candidate { node, incarnation, .. } = *by;
        Lease { term: incarnation, holder: Some((node, incarnation)), ends_ms: u64::MAX, now_ms }
    }

    /// Whether that life of a master has it.
    pub fn is_of(&self, by: &Candidate) -> bool {
        self.holder == Some((by.node, by.incarnation))
    }

    /// Whether it has ended, or was given back.
    pub fn has_ended(&self) -> bool {
        self.holder.is_none() || self.ends_ms <= self.now_ms
    }

    /// Whether a candidate may take it at once: it was given back, or an earlier life of the same master has it.
    pub fn is_given_to(&self, by: &Candidate) -> bool {
        self.holder.is_none_or(|(node, incarnation)| node == by.node && incarnation < by.incarnation)
    }

    /// The lease as the candidate has it from now on; `None` while another has it.
    pub(crate) fn taken(&self, by: &Candidate) -> Option<Lease> {
        if !(self.is_of(by) || self.is_given_to(by) || self.has_ended()) {
            return None;
        }
        let term = if self.is_of(by) { self.term } else { self.term + 1 };
        Some(Lease { term, holder: Some((by.node, by.incarnation)), ..*self }.extended(by))
    }

    /// With a time that begins now.
    pub(crate) fn extended(self, by: &Candidate) -> Lease {
        Lease { ends_ms: self.now_ms.saturating_add(millis(by.lasts)), ..self }
    }
}

/// What a store remembers of having been told to lead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Led {
    pub(crate) by: Candidate,
    pub(crate) term: u64,
}

impl Led {
    /// Passes while the lease is still the one under which this master leads.
    pub(crate) fn holds(&self, found: &Lease) -> Result<(), StoreError> {
        match found.term == self.term && found.is_of(&self.by) {
            true => Ok(()),
            false => Err(self.lost(found)),
        }
    }

    /// Passes while work may be done under it.
    pub(crate) fn permits(&self, found: &Lease) -> Result<(), StoreError> {
        self.holds(found)?;
        if found.has_ended() {
            let text = format!("the lease of term {} has run out and is not renewed yet", self.term);
            return Err(StoreError::StoreUnavailable(text));
        }
        Ok(())
    }

    fn lost(&self, found: &Lease) -> StoreError {
        let by = found.holder.filter(|_| found.term != self.term).map(|(node, _)| node);
        StoreError::LeaseLost { term: self.term, now: found.term, by }
    }
}

/// What a store that several may have open answers to one that was never told to lead.
pub(crate) fn not_led() -> StoreError {
    StoreError::StoreUnavailable("this master does not have the lease".to_owned())
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Candidate = Candidate { node: NodeId(1), incarnation: 7, lasts: Duration::from_secs(5) };
    const B: Candidate = Candidate { node: NodeId(2), incarnation: 1, lasts: Duration::from_secs(5) };

    #[test]
    fn two_masters_would_lead_at_once() {
        let at = |lease: Lease, now_ms| Lease { now_ms, ..lease };
        let first = Lease { now_ms: 1000, ..Lease::default() }.taken(&A).expect("it is free");
        assert_eq!((first.term, first.ends_ms), (1, 6000));
        assert_eq!(at(first, 5999).taken(&B), None);
        let second = at(first, 6000).taken(&B).expect("it has ended");
        assert_eq!((second.term, second.holder), (2, Some((NodeId(2), 1))));
        let led = Led { by: A, term: 1 };
        assert!(led.permits(&at(first, 5999)).is_ok());
        assert!(matches!(led.permits(&at(first, 6000)), Err(StoreError::StoreUnavailable(_))));
        let lost = led.permits(&second).expect_err("it is another's");
        assert_eq!(lost, StoreError::LeaseLost { term: 1, now: 2, by: Some(NodeId(2)) });
    }

    #[test]
    fn a_master_that_was_killed_would_wait_for_its_own_lease() {
        let held = Lease { now_ms: 1000, ..Lease::default() }.taken(&A).expect("it is free");
        let next = Candidate { incarnation: 8, ..A };
        assert_eq!(held.taken(&next).map(|lease| lease.term), Some(2));
        let earlier = Candidate { incarnation: 6, ..A };
        assert_eq!(held.taken(&earlier), None, "an old life that wakes up takes nothing");
        assert_eq!(held.taken(&A).map(|lease| lease.term), Some(1), "asked twice");
    }
}
