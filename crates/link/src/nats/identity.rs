//! Which cluster a process is of, beyond the cluster's name: two teams may choose one name.

use std::fmt;

/// What tells a cluster from another one of the same name. A list of facts, each with its name, the weightiest first:
/// the first that both clusters have decides, so a fact can be added, or one behind it changed, node by node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity(Vec<(String, String)>);

impl Identity {
    /// Of those facts; line breaks in them count as blanks. Without any it is like every other one.
    pub fn new(facts: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Identity {
        let plain = |text: String| text.replace(['\n', '\r'], " ");
        let facts = facts.into_iter().map(|(name, fact)| (name.into(), fact.into()));
        Identity(facts.map(|(name, fact)| (plain(name).replace('=', " "), plain(fact))).collect())
    }

    /// Whether that is another cluster, as far as both can tell.
    #[must_use]
    pub fn differs_from(&self, other: &Identity) -> bool {
        let theirs = |name: &str| other.0.iter().find(|(known, _)| known == name).map(|(_, fact)| fact);
        let decided = self.0.iter().find_map(|(name, fact)| theirs(name).map(|theirs| theirs != fact));
        decided.unwrap_or(false)
    }
}

/// For people.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("of no identity");
        }
        for (at, (name, fact)) in self.0.iter().enumerate() {
            write!(f, "{}{name} {fact:?}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// What a process says of itself to others: where it is, and which cluster it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) place: String,
    pub(super) identity: Identity,
}

/// The longest that is sent, so that it fits into any message.
const LONGEST: usize = 1024;

impl Card {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = self.place.replace(['\n', '\r'], " ");
        for (name, fact) in &self.identity.0 {
            text.push_str(&format!("\n{name}={fact}"));
        }
        text.truncate(text.floor_char_boundary(LONGEST));
        text.into_bytes()
    }

    pub(super) fn decode(data: &[u8]) -> Card {
        let text = String::from_utf8_lossy(&data[..data.len().min(LONGEST)]);
        let mut lines = text.lines();
        // Strangers' words end up on terminals.
        let place = lines.next().unwrap_or_default().replace(char::is_control, " ");
        let facts = lines.filter_map(|line| line.split_once('='));
        Card { place, identity: Identity(facts.map(|(name, fact)| (name.into(), fact.into())).collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_would_be_refused_for_a_fact_that_was_added_to_it_or_changed_behind_another() {
        let of = |facts: &[(&str, &str)]| Identity::new(facts.iter().copied());
        let (store, both) = (of(&[("store", "a")]), of(&[("id", "x"), ("store", "a")]));
        let moved = of(&[("id", "x"), ("store", "b")]);
        for (one, other) in [(&store, &both), (&both, &moved), (&of(&[]), &both), (&both, &both)] {
            assert!(!one.differs_from(other) && !other.differs_from(one), "{one} and {other}");
        }
        let others = [of(&[("id", "y"), ("store", "a")]), of(&[("store", "b")])];
        assert!(both.differs_from(&others[0]) && store.differs_from(&others[1]));
    }

    #[test]
    fn a_card_comes_back_as_it_was_and_garbage_is_a_card_too() {
        let card = Card { place: "node 20\non east".into(), identity: Identity::new([("a=b", "c\nd=e")]) };
        let back = Card::decode(&card.encode());
        assert_eq!((back.place.as_str(), back.identity), ("node 20 on east", card.identity));
        assert!(!Card::decode(&[0xff, 0x1b, b'\n', b'=', 0]).place.contains('\x1b'));
        assert_eq!(Card::decode(&[]).identity, Identity::default());
    }
}
