//! Broadcasts sent `unordered`: one publication for all nodes that a link can publish to, in place of a frame for each.
//!
//! A publication belongs to a stream, and a stream to nodes that have each said, over their connection with the sender, that
//! they hear it. So it reaches exactly those lives of nodes that are meant: when one of them is not, the stream is given
//! up, and until another is open, frames are sent as ever. Numbers show what is missing.

use crate::Call;
use crate::control::{self, Hear, PublishedUpTo};
use crate::node::{Inner, Node};
use crate::peer::Peer;
use crate::rpc::To;
use chappe_link::{Group, Hearing, Publication};
use chappe_wire::value;
use chappe_wire::{Body, Envelope, NodeId, Reason, Role, Row};
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::sleep_until;

/// Fewer nodes are sent frames.
const FEWEST: usize = 2;
/// How long nodes may take to say that they hear a stream.
const HEAR: Duration = Duration::from_secs(5);
/// Between two attempts to open a stream: when nodes come and go one by one, and when one would not hear.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// After this long without a publication the nodes are told how many there were: what they lack then was lost.
const QUIET: Duration = Duration::from_secs(5);
/// Streams of one sender that are heard: of those before the last, publications may still be on their way.
const STREAMS: usize = 4;
/// Publications that are taken in before others have their turn.
const AT_ONCE: u32 = 32;

#[derive(Default)]
pub(crate) struct Unordered {
    outlets: RefCell<FxHashMap<Group, Outlet>>,
    ears: RefCell<FxHashMap<u64, Ear>>,
    /// How many streams were ever heard.
    heard: Cell<u64>,
    hearing: OnceCell<()>,
}

/// A group that this node broadcasts to.
#[derive(Default)]
struct Outlet {
    stream: Option<Rc<Stream>>,
    is_opening: bool,
    /// Not before then is another stream opened.
    again_at: Duration,
}

/// Publications to the same nodes.
pub(crate) struct Stream {
    id: u64,
    /// Who hears it, each by which connection; sorted.
    hearers: Vec<(NodeId, u32)>,
    published: Cell<u64>,
    told: Cell<u64>,
    last_at: Cell<Duration>,
    is_watched: Cell<bool>,
}

/// A stream that this node hears.
struct Ear {
    peer: Rc<Peer>,
    next: u64,
    /// Larger than that of every stream before it.
    number: u64,
}

impl Unordered {
    /// The connection with `peer` has ended, and with it what was heard of that life.
    pub(crate) fn forget(&self, peer: &Rc<Peer>) {
        self.ears.borrow_mut().retain(|_, ear| !Rc::ptr_eq(&ear.peer, peer));
    }

    fn add(&self, stream: u64, peer: Rc<Peer>) {
        let number = self.heard.replace(self.heard.get() + 1);
        let mut ears = self.ears.borrow_mut();
        let mut others: Vec<_> = ears
            .iter()
            .filter(|(_, ear)| Rc::ptr_eq(&ear.peer, &peer))
            .map(|(stream, ear)| (ear.number, *stream))
            .collect();
        others.sort_unstable();
        for (_, oldest) in others.iter().take((others.len() + 1).saturating_sub(STREAMS)) {
            ears.remove(oldest);
        }
        ears.insert(stream, Ear { peer, next: 1, number });
    }

    /// Takes note of number `seq` of a stream: who sent it, whether it is new, and how many before it are missing.
    fn note(&self, stream: u64, seq: u64) -> Option<(Rc<Peer>, bool, u64)> {
        let mut ears = self.ears.borrow_mut();
        let ear = ears.get_mut(&stream).filter(|ear| !ear.peer.is_closed())?;
        let is_new = seq >= ear.next;
        let missing = seq.saturating_sub(ear.next);
        ear.next = ear.next.max(seq.saturating_add(1));
        Some((ear.peer.clone(), is_new, missing))
    }
}

impl Stream {
    /// Whether a publication reaches that node.
    pub(crate) fn reaches(&self, id: NodeId) -> bool {
        self.hearers.binary_search_by_key(&id, |(hearer, _)| *hearer).is_ok()
    }
}

impl Inner {
    /// Publishes an envelope to as many of `to`, who are sorted, as hear a stream. `None` when that cannot be now.
    pub(crate) fn publish(self: &Rc<Self>, group: &Group, to: &[NodeId], body: &[u8]) -> Option<Rc<Stream>> {
        let link = self.link.borrow().clone()?;
        let spread = link.spread()?;
        let stream = self.stream_to(group, &self.connections(to))?;
        let seq = stream.published.get() + 1;
        if !spread.publish(group, stream.id, seq, body) {
            return None;
        }
        stream.published.set(seq);
        stream.last_at.set(self.clock.now());
        self.stats.count("unordered_published");
        if !stream.is_watched.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).tell_published(stream.clone()));
        }
        Some(stream)
    }

    /// Those of the nodes that can be published to, each with its connection.
    fn connections(&self, to: &[NodeId]) -> Vec<(NodeId, u32)> {
        let peers = self.peers.borrow();
        let spread_to = |id: &NodeId| peers.get(id).filter(|peer| peer.is_spread_to());
        to.iter().filter_map(|id| Some((*id, spread_to(id)?.number()))).collect()
    }

    /// The stream that is heard by none but `connected`; another is opened when it does not reach all of them.
    fn stream_to(self: &Rc<Self>, group: &Group, connected: &[(NodeId, u32)]) -> Option<Rc<Stream>> {
        let mut outlets = self.unordered.outlets.borrow_mut();
        let outlet = outlets.entry(group.clone()).or_default();
        let is_meant = |hearer: &(NodeId, u32)| connected.binary_search(hearer).is_ok();
        if let Some(over) = outlet.stream.take_if(|stream| !stream.hearers.iter().all(is_meant)) {
            self.count_unsettled(&over);
        }
        let reached = outlet.stream.as_ref().map_or(0, |stream| stream.hearers.len());
        let is_due = !outlet.is_opening && self.clock.now() >= outlet.again_at;
        if reached < connected.len() && connected.len() >= FEWEST && is_due {
            outlet.is_opening = true;
            tokio::task::spawn_local(Rc::clone(self).open_stream(group.clone(), connected.to_vec()));
        }
        outlet.stream.clone()
    }

    /// What went to nodes that have gone meanwhile, and may have arrived there or not.
    fn count_unsettled(&self, stream: &Stream) {
        let open = stream.published.get() - stream.told.get();
        let gone = stream.hearers.iter().filter(|hearer| !self.is_with(hearer)).count() as u64;
        if open * gone > 0 {
            self.stats.count_many("unordered_unsettled", open * gone);
        }
    }

    /// Whether that connection still stands.
    fn is_with(&self, (id, number): &(NodeId, u32)) -> bool {
        self.peers.borrow().get(id).is_some_and(|peer| peer.number() == *number)
    }

    async fn open_stream(self: Rc<Self>, group: Group, to: Vec<(NodeId, u32)>) {
        let opened = self.opened(&group, &to).await;
        let mut outlets = self.unordered.outlets.borrow_mut();
        let outlet = outlets.entry(group).or_default();
        outlet.is_opening = false;
        let is_whole = opened.as_ref().is_some_and(|stream| stream.hearers.len() == to.len());
        outlet.again_at = self.clock.now() + if is_whole { AGAIN.0 } else { AGAIN.1 };
        if let Some(stream) = opened {
            outlet.stream = Some(Rc::new(stream));
        }
    }

    /// A stream, and who of those it is for hears it.
    async fn opened(self: &Rc<Self>, group: &Group, to: &[(NodeId, u32)]) -> Option<Stream> {
        let opening = self.link.borrow().as_ref()?.spread()?.open(group);
        let id = match opening.await {
            Ok(id) => id,
            Err(error) => {
                self.stats.count("unordered_refused");
                tracing::warn!(node = %self.config.id, ?group, %error, "cannot publish broadcasts; each node is sent its own");
                return None;
            }
        };
        let node = Node(self.clone());
        let ask = |(id_of, number): &(NodeId, u32)| {
            let target = (control::NODE, "hear");
            let asked =
                node.ask::<_, bool>(Row::Internal, To::Node(*id_of), target, &Hear { stream: id }, HEAR);
            ((*id_of, *number), asked)
        };
        // All are asked before the first answer is waited for.
        let asked: Vec<_> = to.iter().map(ask).collect();
        let mut hearers = Vec::with_capacity(asked.len());
        for (hearer, answer) in asked {
            // One of a version before this knows nothing of it.
            if matches!(answer.await, Ok(true)) && self.is_with(&hearer) {
                hearers.push(hearer);
            }
        }
        (hearers.len() >= FEWEST).then(|| Stream {
            id,
            hearers,
            published: Cell::new(0),
            told: Cell::new(0),
            last_at: Cell::new(Duration::ZERO),
            is_watched: Cell::new(false),
        })
    }

    /// Tells those who hear a stream how much there was, once it is quiet.
    async fn tell_published(self: Rc<Self>, stream: Rc<Stream>) {
        loop {
            let due = stream.last_at.get() + QUIET;
            sleep_until(self.clock.at(due)).await;
            if self.clock.now() >= stream.last_at.get() + QUIET {
                break;
            }
        }
        stream.is_watched.set(false);
        let seq = stream.published.get();
        stream.told.set(seq);
        let Ok(payload) = value::encode(&PublishedUpTo { stream: stream.id, seq }) else { return };
        for hearer in stream.hearers.iter().filter(|hearer| self.is_with(hearer)) {
            self.tell(hearer.0, control::NODE, "published", &payload);
        }
    }
}

impl Node {
    /// What a sender of unordered broadcasts asks and tells.
    pub(crate) fn serve_unordered(&self) {
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "hear", move |call| node.0.hear(call));
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "published", move |call| {
            if let Ok(PublishedUpTo { stream, seq }) = call.args::<PublishedUpTo>()
                && node.0.hears(stream, (call.from(), call.incarnation()))
                && let Some((peer, true, missing)) = node.0.unordered.note(stream, seq)
            {
                node.0.count_lost(&peer, missing.saturating_add(1));
            }
        });
    }
}

impl Inner {
    /// The group that publications reach this node by.
    fn own_group(&self) -> Option<Group> {
        match self.config.role {
            role if role.is_server() => Some(Group::Servers(self.config.node_type.clone())),
            Role::Service => Some(Group::Services),
            _ => None,
        }
    }

    /// The row of broadcasts that `peer` publishes to this node.
    fn published_row(&self, peer: &Peer) -> Row {
        match self.config.role {
            role if role.is_server() => Row::ServiceToType,
            _ if self.config.is_master(peer.id) => Row::MasterToServices,
            _ => Row::NodeToServices,
        }
    }

    fn hears(&self, stream: u64, (from, incarnation): (NodeId, u64)) -> bool {
        let ears = self.unordered.ears.borrow();
        ears.get(&stream).is_some_and(|ear| ear.peer.id == from && ear.peer.incarnation == incarnation)
    }

    /// Answers whether a stream is heard from now on.
    fn hear(self: &Rc<Self>, call: Call<'_>) {
        let (from, life) = (call.from(), call.incarnation());
        let peer = self.peers.borrow().get(&from).filter(|peer| peer.incarnation == life).cloned();
        let stream = call.args::<Hear>().map(|hear| hear.stream);
        let responder = call.into_responder();
        let (Ok(stream), Some(peer)) = (stream, peer.filter(|peer| peer.is_spread_to())) else {
            drop(responder.respond(&false));
            return;
        };
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let hearing = this.unordered.hearing.get_or_try_init(|| this.start_hearing()).await;
            if let Err(error) = &hearing {
                this.stats.count("unordered_refused");
                tracing::warn!(node = %this.config.id, %error, "cannot hear published broadcasts; they come over connections");
            } else if !peer.is_closed() {
                this.unordered.add(stream, peer);
            }
            let _ = responder.respond(&hearing.is_ok());
        });
    }

    async fn start_hearing(self: &Rc<Self>) -> io::Result<()> {
        let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
        let group = self.own_group().ok_or_else(unsupported)?;
        let hearing = {
            let link = self.link.borrow();
            link.as_ref().and_then(|link| link.spread()).map(|spread| spread.hear(&group))
        };
        let heard = hearing.ok_or_else(unsupported)?.await?;
        tokio::task::spawn_local(Rc::clone(self).hear_all(heard));
        Ok(())
    }

    async fn hear_all(self: Rc<Self>, mut heard: Box<dyn Hearing>) {
        let mut taken = 0u32;
        while let Some(publication) = poll_fn(|cx| heard.poll_next(cx)).await {
            if self.has_left.get() {
                return;
            }
            self.on_publication(&publication);
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn on_publication(self: &Rc<Self>, publication: &Publication) {
        let Publication { stream, seq, message } = publication;
        let Some((peer, is_new, missing)) = self.unordered.note(*stream, *seq) else {
            // For others of the group, or of a life that is over.
            return self.stats.count("unordered_ignored");
        };
        if missing > 0 {
            self.count_lost(&peer, missing);
        }
        if !is_new {
            // It was counted as lost, or came before.
            return self.stats.count("unordered_late");
        }
        match Envelope::decode(message) {
            Ok(envelope) if self.is_broadcast(&peer, &envelope) => self.take_in_published(&peer, envelope),
            _ => self.stats.count("protocol_errors"),
        }
    }

    fn is_broadcast(&self, peer: &Peer, envelope: &Envelope<'_>) -> bool {
        let Envelope { meta, body, .. } = envelope;
        matches!(body, Body::Event { .. }) && meta.origin.is_none() && meta.row == self.published_row(peer)
    }

    fn count_lost(&self, peer: &Peer, count: u64) {
        self.stats.dropped_many(self.published_row(peer), Reason::Lost, count);
        tracing::debug!(node = %self.config.id, from = %peer.id, count, "published broadcasts were lost");
    }
}
