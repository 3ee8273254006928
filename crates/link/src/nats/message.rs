//! The messages that connections over NATS are made of (protocol/nodes.md, "Over NATS"), and their subjects.

use crate::Group;
use async_nats::Subject;
use bytes::Bytes;
use chappe_wire::NodeId;

/// The first byte of each message.
const VERSION: u8 = 1;
/// What stands in front of a message's data.
pub(super) const HEADER: usize = 18;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Wants a connection; `seq` is how many bytes the sender takes before it has read them. The data says who dials:
    /// [`Subjects::caller`].
    Dial = 1,
    /// Answers a dial; `seq` as there.
    Accept,
    /// Bytes of the stream, numbered by `seq` from 1 on.
    Data,
    /// The end of the stream, numbered as data is.
    End,
    /// Says only what the header says; `seq` is the last number that was sent.
    Ack,
    /// As `Ack`, and wants one back.
    Ping,
    /// As `Ack`, and asks for everything after `seq` once more.
    Ask,
    /// The connection is no more; the data says why.
    Reset,
    /// Asks a node's subject whether a live node holds it.
    Claim,
    /// Answers a claim: it is held.
    Taken,
    /// Tells a node's subject who holds it from now on; `seq` names the holder.
    Hold,
    /// Asks which cluster has this name; the data is the card of who asks, and of who answers.
    Who,
    /// A publication to many: `ack` is its stream, `seq` its number there.
    Spread,
}

const KINDS: [Kind; 13] = [
    Kind::Dial,
    Kind::Accept,
    Kind::Data,
    Kind::End,
    Kind::Ack,
    Kind::Ping,
    Kind::Ask,
    Kind::Reset,
    Kind::Claim,
    Kind::Taken,
    Kind::Hold,
    Kind::Who,
    Kind::Spread,
];

/// A message without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// The last number that the sender's node has read.
    pub(super) ack: u64,
    /// What the kind makes of it.
    pub(super) seq: u64,
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    Version(u8),
    Garbage,
}

impl Head {
    pub(super) fn new(kind: Kind, ack: u64, seq: u64) -> Head {
        Head { kind, ack, seq }
    }

    /// The message with that data.
    pub(super) fn with(self, data: &[u8]) -> Bytes {
        let mut bytes = Vec::with_capacity(HEADER + data.len());
        bytes.extend_from_slice(&[VERSION, self.kind as u8]);
        bytes.extend_from_slice(&self.ack.to_le_bytes());
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(data);
        bytes.into()
    }

    /// Takes a message apart.
    pub(super) fn decode(message: &[u8]) -> Result<(Head, &[u8]), Unreadable> {
        let (head, data) = message.split_first_chunk::<HEADER>().ok_or(Unreadable::Garbage)?;
        let [version, kind, numbers @ ..] = head;
        if *version != VERSION {
            return Err(Unreadable::Version(*version));
        }
        let kind =
            usize::from(*kind).checked_sub(1).and_then(|at| KINDS.get(at)).ok_or(Unreadable::Garbage)?;
        let (ack, rest) = numbers.split_first_chunk().ok_or(Unreadable::Garbage)?;
        let (seq, _) = rest.split_first_chunk().ok_or(Unreadable::Garbage)?;
        Ok((Head::new(*kind, u64::from_le_bytes(*ack), u64::from_le_bytes(*seq)), data))
    }
}

/// The subjects of one cluster, as one process uses them.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    cluster: String,
    /// What permissions of this process go by, and the number of its connection to NATS: two tokens.
    endpoint: String,
}

impl Subjects {
    pub(super) fn new(cluster: &str, scope: &str, endpoint: u64) -> Subjects {
        Subjects { cluster: token(cluster), endpoint: format!("{}.{endpoint:016x}", token(scope)) }
    }

    /// What all subjects of a cluster begin with.
    pub(super) fn prefix(cluster: &str) -> String {
        format!("chappe.{}", token(cluster))
    }

    /// Where a node hears of dials and of claims to its id.
    pub(super) fn node(&self, id: NodeId) -> Subject {
        format!("chappe.{}.node.{id}.*", self.cluster).into()
    }

    /// Where a node is dialled: by all others.
    pub(super) fn dial(&self, id: NodeId) -> Subject {
        format!("chappe.{}.node.{id}.dial", self.cluster).into()
    }

    /// Where a node's id is claimed: by itself alone, as far as NATS sees to it.
    pub(super) fn claim(&self, id: NodeId) -> Subject {
        format!("chappe.{}.node.{id}.claim", self.cluster).into()
    }

    /// Whether that is a [`Subjects::claim`].
    pub(super) fn is_claim(subject: &str) -> bool {
        subject.ends_with(".claim")
    }

    /// Where this process's side of a connection is written to.
    pub(super) fn conn(&self, conn: u64) -> Subject {
        format!("chappe.{}.at.{}.{conn:x}", self.cluster, self.endpoint).into()
    }

    /// All of this process's connections.
    pub(super) fn conns(&self) -> Subject {
        format!("chappe.{}.at.{}.*", self.cluster, self.endpoint).into()
    }

    /// Where one node of the cluster says which cluster it is.
    pub(super) fn who(&self) -> Subject {
        format!("chappe.{}.who", self.cluster).into()
    }

    /// Where a group hears what is published to all of it.
    pub(super) fn group(&self, group: &Group) -> Subject {
        format!("chappe.{}.{}", self.cluster, Subjects::group_end(group)).into()
    }

    /// What [`Subjects::group`] ends with.
    pub(super) fn group_end(group: &Group) -> String {
        match group {
            Group::Servers(name) => format!("type.{}", token(name)),
            Group::Services => "services".to_owned(),
        }
    }

    /// What the subjects of answers to this process's questions begin with.
    pub(super) fn inbox(&self) -> String {
        format!("chappe.{}.inbox.{}", self.cluster, self.endpoint)
    }

    /// A dial's data: the id of the sender's node, where it is one, and its card.
    pub(super) fn caller(node: Option<NodeId>, card: &[u8]) -> Vec<u8> {
        let mut data = vec![u8::from(node.is_some())];
        data.extend(node.iter().flat_map(|node| node.0.to_le_bytes()));
        data.extend_from_slice(card);
        data
    }

    /// What [`Subjects::caller`] has written.
    pub(super) fn called_by(data: &[u8]) -> (Option<NodeId>, &[u8]) {
        match data {
            [1, rest @ ..] => match rest.split_first_chunk() {
                Some((id, card)) => (Some(NodeId(i64::from_le_bytes(*id))), card),
                None => (None, &[]),
            },
            [_, card @ ..] => (None, card),
            [] => (None, &[]),
        }
    }

    /// Whether both subjects are of one process's connections.
    pub(super) fn are_one_process(a: &str, b: &str) -> bool {
        a.rsplit_once('.').map(|(process, _)| process) == b.rsplit_once('.').map(|(process, _)| process)
    }

    /// Which connection a subject of [`Subjects::conns`] is of.
    pub(super) fn conn_of(subject: &str) -> Option<u64> {
        subject.rsplit_once('.').and_then(|(_, conn)| u64::from_str_radix(conn, 16).ok())
    }
}

/// A name as one token of a subject: what has a meaning there is written as `=` and its code.
fn token(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("={byte:02x}"));
        }
    }
    if token.is_empty() { "=".into() } else { token }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was() {
        for kind in KINDS {
            let message = Head::new(kind, 7, u64::MAX).with(b"data");
            assert_eq!(Head::decode(&message), Ok((Head::new(kind, 7, u64::MAX), &b"data"[..])));
        }
    }

    #[test]
    fn garbage_is_refused_and_never_read_beyond_its_end() {
        let message = Head::new(Kind::Who, 1, 2).with(b"");
        for end in 0..message.len() {
            assert_eq!(Head::decode(&message[..end]), Err(Unreadable::Garbage));
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = message.to_vec();
            bytes[at] = byte;
            Head::decode(&bytes).map(|(head, _)| head)
        };
        assert_eq!(with(0, 9), Err(Unreadable::Version(9)));
        assert_eq!((with(1, 0), with(1, 14)), (Err(Unreadable::Garbage), Err(Unreadable::Garbage)));
    }

    #[test]
    fn a_cluster_name_cannot_reach_into_another_clusters_subjects() {
        let subjects = |name| Subjects::new(name, "any", 1).who().to_string();
        assert_eq!(subjects("arena-1"), "chappe.arena-1.who");
        assert_eq!(subjects("a.*"), "chappe.a=2e=2a.who");
        assert_eq!(subjects(""), "chappe.=.who");
        assert_eq!(Subjects::conn_of(&Subjects::new("a", "20", 5).conn(255)), Some(255));
    }

    #[test]
    fn who_dials_comes_back_as_it_was_and_is_never_read_beyond_its_end() {
        for node in [None, Some(NodeId(-7))] {
            assert_eq!(Subjects::called_by(&Subjects::caller(node, b"card")), (node, &b"card"[..]));
        }
        let data = Subjects::caller(Some(NodeId(7)), b"");
        (0..data.len()).for_each(|end| assert_eq!(Subjects::called_by(&data[..end]).0, None));
    }

    #[test]
    fn processes_are_told_apart_and_their_connections_are_not() {
        let conn = |process, conn| Subjects::new("a", "20", process).conn(conn);
        assert!(Subjects::are_one_process(&conn(5, 1), &conn(5, 20)));
        assert!(!Subjects::are_one_process(&conn(5, 1), &conn(6, 1)));
    }
}
