//! Publishing to a group's subject, and hearing there.

use super::NatsLink;
use super::hub::{ANSWER, Hub};
use super::message::{HEADER, Head, Kind};
use super::stats::count;
use crate::{Group, Hearing, Opening, Publication, Spread, Subscribing};
use async_nats::{Client, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use tokio::task::unconstrained;
use tokio::time::timeout;

/// Publications that may wait for their node, and the most bytes of them: more is lost, and counted.
const MOST: (usize, usize) = (16_384, 16 << 20);

impl Spread for NatsLink {
    fn open(&self, group: &Group) -> Opening {
        let hub = self.0.hub.clone();
        let subject = hub.subjects.group(group);
        self.on_thread(async move {
            // Read and dropped wherever it arrives: a kind that does not belong there.
            let nothing = Head::new(Kind::Ack, 0, 0).with(&[]);
            let client = hub.connected().await?;
            let may = async {
                client.publish(subject, nothing).await.map_err(io::Error::other)?;
                allowed(&hub).await
            };
            hub.unless_refused(may).await?;
            super::random().ok_or_else(|| io::Error::other("the system gives no random numbers"))
        })
    }

    fn publish(&self, group: &Group, stream: u64, seq: u64, message: &[u8]) -> bool {
        let hub = &self.0.hub;
        let Some(client) = hub.standing().filter(|_| HEADER + message.len() <= hub.most()) else {
            return false;
        };
        let message = Head::new(Kind::Spread, stream, seq).with(message);
        let published = client.publish(hub.subjects.group(group), message);
        // Without the task's budget, which would look like a full queue.
        matches!(unconstrained(published).now_or_never(), Some(Ok(())))
    }

    fn hear(&self, group: &Group) -> Subscribing {
        let hub = self.0.hub.clone();
        let subject = hub.subjects.group(group);
        let hearing = self.on_thread(async move {
            let client = hub.connected().await?;
            let messages = hub.unless_refused(subscribed(&hub, &client, subject)).await?;
            let (into, heard) = mpsc::channel(MOST.0);
            let waiting = Arc::<AtomicUsize>::default();
            tokio::spawn(pass_on(hub, messages, into, waiting.clone()));
            Ok((heard, waiting))
        });
        Box::pin(async move {
            let (heard, waiting) = hearing.await?;
            Ok(Box::new(NatsHearing { heard, waiting }) as Box<dyn Hearing>)
        })
    }
}

impl NatsLink {
    /// Runs what talks to NATS on the link's own thread.
    fn on_thread<T: Send + 'static>(
        &self,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> std::pin::Pin<Box<dyn Future<Output = io::Result<T>>>> {
        let handle = self.handle();
        Box::pin(async move {
            let (done, result) = oneshot::channel();
            handle?.spawn(async move {
                let late = |_| Err(io::ErrorKind::TimedOut.into());
                let _ = done.send(timeout(ANSWER * 2, work).await.unwrap_or_else(late));
            });
            result.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
        })
    }
}

async fn subscribed(hub: &Hub, client: &Client, subject: Subject) -> io::Result<Subscriber> {
    let messages = client.subscribe(subject).await.map_err(io::Error::other)?;
    allowed(hub).await?;
    Ok(messages)
}

/// Waits until the servers must have said what they forbid. They say it before the first echo comes back; the second is
/// for its way through the client library.
async fn allowed(hub: &Hub) -> io::Result<()> {
    hub.echo().await?;
    hub.echo().await
}

/// From the link's thread to the node's, as far as there is room.
async fn pass_on(
    hub: Arc<Hub>,
    mut messages: Subscriber,
    into: mpsc::Sender<Publication>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(message) = messages.next().await {
        let Some(publication) = read(&message) else { continue };
        let bytes = publication.message.len();
        let is_full = waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST.1;
        let is_passed_on = !is_full && into.try_send(publication).is_ok();
        if into.is_closed() {
            return;
        }
        if !is_passed_on {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            count(&hub.counters.unordered_overruns);
        }
    }
}

fn read(message: &Message) -> Option<Publication> {
    let (head, data) = Head::decode(&message.payload).ok()?;
    let message: Bytes = message.payload.slice_ref(data);
    (head.kind == Kind::Spread).then_some(Publication { stream: head.ack, seq: head.seq, message })
}

struct NatsHearing {
    heard: mpsc::Receiver<Publication>,
    waiting: Arc<AtomicUsize>,
}

impl Hearing for NatsHearing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Publication>> {
        let publication = ready!(self.heard.poll_recv(cx));
        if let Some(publication) = &publication {
            self.waiting.fetch_sub(publication.message.len(), Ordering::Relaxed);
        }
        Poll::Ready(publication)
    }
}
