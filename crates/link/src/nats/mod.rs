//! The nats link: between machines, over NATS servers (protocol/nodes.md, "Over NATS").
//!
//! ```text
//!   node's thread                        the link's thread                     NATS
//!   NatsConn --writes--> Pipe --publishes--> client library --socket--> at.PROCESS.CONNECTION
//!            <--wakes--  Pipe <--arrives---- Hub            <--socket--
//! ```
//!
//! A process has one connection to NATS, on a thread of its own: a handler that blocks its node does not keep the
//! process from taking in what NATS sends, which would cut off one that does not. A `pipe` makes a stream out of
//! messages that may get lost; a `claim` sees to it that an id is held once.

mod claim;
mod conn;
mod connect;
mod creds;
mod hub;
mod identity;
mod message;
mod options;
mod permissions;
mod pipe;
mod probe;
mod spread;
mod stats;

pub use identity::Identity;
pub use options::{Credentials, NatsOptions, Tls};
pub use permissions::{Permissions, Speaks};
pub use probe::Probed;
pub use stats::NatsStats;

use crate::{Conn, Dialing, Link, ListenError, Listener, Spread};
use chappe_wire::NodeId;
use claim::NatsListener;
use conn::NatsConn;
use hub::{Hub, lock};
use std::fmt;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long a node may take to listen: above all for an id whose holder does not answer.
const LISTEN: Duration = Duration::from_secs(30);

/// NATS, as one process uses it: the nodes of a process that share a link share its connection. Clones are one link.
/// Nothing happens before the first [`Link::listen`] or [`Link::dial`].
#[derive(Clone)]
pub struct NatsLink(Arc<Owner>);

struct Owner {
    hub: Arc<Hub>,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    join: Option<JoinHandle<()>>,
}

impl NatsLink {
    /// A link over those servers.
    pub fn new(options: NatsOptions) -> NatsLink {
        let endpoint = random().unwrap_or_else(|| u64::from(std::process::id()));
        NatsLink(Arc::new(Owner { hub: Arc::new(Hub::new(options, endpoint)), thread: Mutex::new(None) }))
    }

    /// What has happened so far, and how things stand.
    pub fn stats(&self) -> NatsStats {
        self.0.hub.stats()
    }

    /// Tries all that the node `me` (or a tool, when it is none) needs of NATS: the way there, credentials, certificates,
    /// permissions, the cluster's name. `to` are the nodes that it calls. It disturbs nobody and blocks for some
    /// seconds at most.
    ///
    /// # Errors
    /// [`ListenError::Io`] and [`ListenError::NameTaken`].
    pub fn probe(&self, me: Option<NodeId>, to: &[NodeId]) -> Result<Probed, ListenError> {
        let place = self.0.hub.options.places();
        let failed = |kind: io::ErrorKind| ListenError::Io { place: place.clone(), source: kind.into() };
        let handle = self.handle().map_err(|error| failed(error.kind()))?;
        let (done, probed) = channel();
        let (hub, to) = (self.0.hub.clone(), to.to_vec());
        handle.spawn(async move {
            let _ = done.send(probe::probe(&hub, me, &to).await);
        });
        match probed.recv_timeout(LISTEN) {
            Ok(probed) => probed,
            Err(_) => Err(failed(io::ErrorKind::TimedOut)),
        }
    }

    /// The link's thread, started if it does not run.
    fn handle(&self) -> io::Result<Handle> {
        let mut thread = lock(&self.0.thread);
        if let Some(thread) = &*thread {
            return Ok(thread.handle.clone());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let hub = self.0.hub.clone();
        let run = move || {
            runtime.block_on(async {
                let _ = stopped.await;
                hub.flush().await;
                hub.shut();
            });
            runtime.shutdown_background();
        };
        let join = std::thread::Builder::new().name("chappe-nats".into()).spawn(run)?;
        *thread = Some(Thread { handle: handle.clone(), stop: Some(stop), join: Some(join) });
        Ok(handle)
    }
}

impl fmt::Debug for NatsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsLink").field("options", &self.0.hub.options).finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(mut thread) = lock(&self.thread).take() else { return };
        drop(thread.stop.take());
        // Its own thread may be the one that drops the last handle.
        if let Some(join) =
            thread.join.take().filter(|join| join.thread().id() != std::thread::current().id())
        {
            let _ = join.join();
        }
    }
}

impl Link for NatsLink {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.stats().named()
    }

    fn spread(&self) -> Option<&dyn Spread> {
        Some(self)
    }

    /// Blocks until NATS has answered: some milliseconds, and half a minute at most.
    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        let place = self.0.hub.options.places();
        let failed = |source| ListenError::Io { place: place.clone(), source };
        let handle = self.handle().map_err(failed)?;
        let hub = self.0.hub.clone();
        let life = random().ok_or_else(|| failed(io::Error::other("the system gives no random numbers")))?;
        let (done, listening) = channel();
        let claiming = hub.clone();
        handle.spawn(async move {
            let _ = done.send(claim::listen(claiming, me, life).await);
        });
        let accepted = match listening.recv_timeout(LISTEN) {
            Ok(accepted) => accepted?,
            Err(RecvTimeoutError::Timeout) => return Err(failed(io::ErrorKind::TimedOut.into())),
            Err(RecvTimeoutError::Disconnected) => return Err(failed(io::ErrorKind::BrokenPipe.into())),
        };
        Ok(Box::new(NatsListener { hub, handle, me, life, accepted }))
    }

    fn dial(&self, to: NodeId) -> Dialing {
        let (hub, handle) = (self.0.hub.clone(), self.handle());
        Box::pin(async move {
            if !hub.has_connected() {
                let connecting = hub.clone();
                let (done, connected) = oneshot::channel();
                handle?.spawn(async move {
                    let _ = done.send(connecting.connected().await.map(drop));
                });
                connected.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
            }
            Ok(Box::new(NatsConn::dial(hub, to).await?) as Box<dyn Conn>)
        })
    }
}

fn random() -> Option<u64> {
    getrandom::u64().ok()
}
