//! Who a node is on NATS: one live node holds an id, and one cluster a name.
//!
//! NATS lets anyone subscribe to anything. So a node asks before it listens: whether somebody answers for its id, and
//! which cluster answers for the name. Of two that ask at once one is told when the other's word comes.

use super::conn::NatsConn;
use super::hub::{ANSWER, Hub, lock};
use super::message::{Head, Kind, Subjects};
use super::stats::count;
use crate::{Conn, ListenError, Listener};
use async_nats::{Client, Message, Request, RequestErrorKind, Subject, Subscriber};
use bytes::Bytes;
use chappe_wire::NodeId;
use futures_util::StreamExt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// How long a holder that says nothing may stand still before its id is free.
const STANDS_STILL: Duration = Duration::from_secs(10);
/// How long one question waits for its answer.
const QUESTION: Duration = Duration::from_secs(1);
/// Holders younger than this may have claimed at the same time as another.
const YOUNG: Duration = Duration::from_secs(5);
/// The queue group in which one process answers for the cluster's name.
pub(super) const GROUP: &str = "one";
/// Connections that may wait to be taken.
const BACKLOG: usize = 1024;

/// A node of this process that listens.
pub(super) struct Held {
    life: u64,
    task: AbortHandle,
}

/// What arrives for a node that listens.
type Accepted = io::Result<NatsConn>;

/// Claims the id `me` for the life `life` and takes connections.
///
/// # Errors
/// As [`crate::Link::listen`].
pub(super) async fn listen(
    hub: Arc<Hub>,
    me: NodeId,
    life: u64,
) -> Result<mpsc::Receiver<Accepted>, ListenError> {
    let place = hub.options.places();
    let failed = |source| ListenError::Io { place: place.clone(), source };
    if lock(&hub.held).contains_key(&me) {
        return Err(ListenError::IdTaken(me));
    }
    let client = hub.connected().await.map_err(failed)?;
    if !hub.is_named.load(Ordering::Relaxed) {
        check_name(&hub, &client).await?;
        hub.is_named.store(true, Ordering::Relaxed);
    }
    check_id(&hub, &client, me, life).await?;
    let messages =
        client.subscribe(hub.subjects.node(me)).await.map_err(|error| failed(io::Error::other(error)))?;
    let (accepted, connections) = mpsc::channel(BACKLOG);
    let (told, established) = oneshot::channel();
    let door = Door { hub: hub.clone(), me, life, since: Instant::now(), accepted, told: Some(told) };
    let task = tokio::spawn(door.serve(messages)).abort_handle();
    let hold = async {
        let hold = Head::new(Kind::Hold, 0, life).with(&[]);
        client
            .publish_with_reply(hub.subjects.claim(me), hub.subjects.conn(0), hold)
            .await
            .map_err(io::Error::other)?;
        Ok(established.await.is_ok_and(|is_ours| is_ours))
    };
    match hub.unless_refused(hold).await {
        Ok(true) => {
            lock(&hub.held).insert(me, Held { life, task });
            Ok(connections)
        }
        Ok(false) => Err(ListenError::IdTaken(me)),
        Err(error) => {
            task.abort();
            Err(failed(error))
        }
    }
}

/// Gives the id up.
pub(super) fn release(hub: &Hub, me: NodeId, life: u64) {
    let mut held = lock(&hub.held);
    if held.get(&me).is_some_and(|held| held.life == life)
        && let Some(held) = held.remove(&me)
    {
        held.task.abort();
    }
}

/// Asks which cluster answers for our name, and answers for it from now on.
async fn check_name(hub: &Arc<Hub>, client: &Client) -> Result<(), ListenError> {
    ask_name(hub, client).await?;
    let answers = client.queue_subscribe(hub.subjects.who(), GROUP.to_owned()).await;
    let place = hub.options.places();
    let answers = answers.map_err(|error| ListenError::Io { place, source: io::Error::other(error) })?;
    tokio::spawn(tell_name(hub.clone(), answers));
    Ok(())
}

/// Asks which cluster answers for our name. One of its nodes does, whichever NATS picks.
pub(super) async fn ask_name(hub: &Hub, client: &Client) -> Result<(), ListenError> {
    let who = hub.subjects.who();
    let asked = Head::new(Kind::Who, 0, 0).with(&hub.options.card());
    // The one that was picked may stand still.
    for _ in 0..3 {
        let Some(answer) = ask(hub, client, &who, asked.clone()).await? else { continue };
        let Some(answer) = answer else { break };
        let Ok((_, data)) = Head::decode(&answer.payload) else { break };
        if let Some(stranger) = hub.stranger(data) {
            let (cluster, ours) = (hub.options.cluster.clone(), hub.options.identity.to_string());
            let (holder, other) = (stranger.place, stranger.identity.to_string());
            return Err(ListenError::NameTaken { cluster, place: hub.options.places(), holder, other, ours });
        }
        break;
    }
    Ok(())
}

async fn tell_name(hub: Arc<Hub>, mut questions: Subscriber) {
    while let Some(question) = questions.next().await {
        if let Ok((_, asker)) = Head::decode(&question.payload) {
            hub.stranger(asker).iter().for_each(|stranger| hub.tell_of(stranger));
        }
        if let Some(reply) = &question.reply {
            let card = hub.options.card();
            hub.publish(reply, &hub.subjects.conn(0), Head::new(Kind::Who, 0, 0).with(&card));
        }
    }
}

/// Asks whether a live node answers for our id.
async fn check_id(hub: &Arc<Hub>, client: &Client, me: NodeId, life: u64) -> Result<(), ListenError> {
    let subject = hub.subjects.claim(me);
    let claim = Head::new(Kind::Claim, 0, life).with(&[]);
    let begun = Instant::now();
    while begun.elapsed() < STANDS_STILL {
        match ask(hub, client, &subject, claim.clone()).await? {
            Some(Some(_)) => return Err(ListenError::IdTaken(me)),
            Some(None) => return Ok(()),
            None => {}
        }
    }
    tracing::warn!(node = %me, "a node of this id has not answered for {STANDS_STILL:?}: its id is taken over");
    Ok(())
}

/// The answer to a question; `Some(None)` when there is nobody to answer, `None` when nobody did in time.
async fn ask(
    hub: &Hub,
    client: &Client,
    to: &Subject,
    question: Bytes,
) -> Result<Option<Option<Message>>, ListenError> {
    let request = Request::new().payload(question).timeout(Some(QUESTION));
    let asked = async {
        match client.send_request(to.clone(), request).await {
            Ok(answer) => Ok(Some(Some(answer))),
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(Some(None)),
            Err(error) if error.kind() == RequestErrorKind::TimedOut => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    };
    let place = || hub.options.places();
    hub.unless_refused(asked).await.map_err(|source| ListenError::Io { place: place(), source })
}

/// Answers at a node's subject.
struct Door {
    hub: Arc<Hub>,
    me: NodeId,
    life: u64,
    since: Instant,
    accepted: mpsc::Sender<Accepted>,
    /// Told whether the id is ours.
    told: Option<oneshot::Sender<bool>>,
}

impl Door {
    async fn serve(mut self, mut messages: Subscriber) {
        while let Some(message) = messages.next().await {
            let own = self.hub.subjects.conn(0);
            let (head, data, reply) = match Head::decode(&message.payload) {
                Ok((head, data)) => (head, data, message.reply),
                Err(error) => {
                    self.hub.unreadable(error, message.reply.as_ref(), &own);
                    continue;
                }
            };
            if (head.kind == Kind::Dial) == Subjects::is_claim(&message.subject) {
                // Who may dial may not claim: permissions go by the subject.
                count(&self.hub.counters.unreadable);
                continue;
            }
            match (head.kind, reply) {
                (Kind::Dial, Some(peer)) => self.accept(peer, data, head.seq),
                (Kind::Claim, Some(reply)) if head.seq != self.life => {
                    self.hub.publish(&reply, &own, Head::new(Kind::Taken, 0, self.life).with(&[]));
                }
                (Kind::Hold, _) if head.seq == self.life => self.tell(true),
                (Kind::Hold, _) if self.yields_to(head.seq) => {
                    tracing::error!(node = %self.me, "another process has taken this node's id");
                    self.tell(false);
                    let why = format!("another process has taken the id {}", self.me);
                    let _ = self.accepted.try_send(Err(io::Error::new(io::ErrorKind::AddrInUse, why)));
                    return;
                }
                _ => {}
            }
        }
    }

    fn tell(&mut self, is_ours: bool) {
        self.told.take().into_iter().for_each(|told| {
            // Who asked may have given up.
            let _ = told.send(is_ours);
        });
    }

    /// An old holder has let the other one wait in vain; of two that came at once the larger life holds.
    fn yields_to(&self, life: u64) -> bool {
        self.since.elapsed() >= YOUNG || life > self.life
    }

    fn accept(&self, peer: Subject, from: &[u8], room: u64) {
        let (node, card) = Subjects::called_by(from);
        if let Some(stranger) = self.hub.stranger(card) {
            // Of two that came at once, neither has heard the other's answer.
            self.hub.tell_of(&stranger);
            let ours = &self.hub.options;
            let why = format!(
                "node {} is of another cluster of the name {:?} ({}; {}), and not of the caller's ({})",
                self.me, ours.cluster, ours.place, ours.identity, stranger.identity
            );
            return self.hub.reset(Some(&peer), &self.hub.subjects.conn(0), &why);
        }
        if let Some(node) = node {
            // Its id is held once, so the process before is gone, and this is the first that is heard of it.
            self.hub.outlived(node, &peer);
        }
        match self.accepted.try_reserve() {
            Ok(place) => place.send(Ok(self.hub.add().accept(peer, node, room))),
            Err(_) => {
                let why = format!("node {} takes no more connections now", self.me);
                self.hub.reset(Some(&peer), &self.hub.subjects.conn(0), &why);
            }
        }
    }
}

/// Takes the connections of one node, and gives its id up when it is dropped.
pub(super) struct NatsListener {
    pub(super) hub: Arc<Hub>,
    pub(super) handle: Handle,
    pub(super) me: NodeId,
    pub(super) life: u64,
    pub(super) accepted: mpsc::Receiver<Accepted>,
}

impl Listener for NatsListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        Poll::Ready(match ready!(self.accepted.poll_recv(cx)) {
            Some(conn) => conn.map(|conn| Box::new(conn) as Box<dyn Conn>),
            None => Err(io::Error::new(io::ErrorKind::NotConnected, "nothing listens on NATS any more")),
        })
    }
}

impl Drop for NatsListener {
    fn drop(&mut self) {
        release(&self.hub, self.me, self.life);
        // The node is about to leave, and its process with it: what it said last is to be on its way by then.
        let (done, flushed) = std::sync::mpsc::channel();
        let hub = self.hub.clone();
        self.handle.spawn(async move {
            tokio::task::yield_now().await;
            hub.flush().await;
            let _ = done.send(());
        });
        let _ = flushed.recv_timeout(ANSWER / 8);
    }
}
