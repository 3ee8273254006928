//! The handle: what a game calls.

use crate::connection;
use crate::error::ClientError;
use crate::event::{ClientEvent, Received, unix_nanos};
use crate::state::{Counts, Handler, Shared};
use crate::tls::Tls;
use bytes::Bytes;
use chappe_wire::client::{FromClient, Names};
use chappe_wire::value::{self, ValueError};
use chappe_wire::{NodeId, PlayerId, Reason, Row};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The largest data of one message, in bytes, unless a login says otherwise.
const MESSAGE_BYTES: usize = 1 << 20;
/// How long a logout waits for the proxy.
const LOGOUT: Duration = Duration::from_secs(10);

/// Who a client is.
#[derive(Clone)]
pub struct Login {
    /// The player.
    pub uid: u64,
    /// The login token that proves it, for a proxy that checks.
    pub token: Option<String>,
    /// The player's name.
    pub nickname: String,
    /// The largest data of one message, in bytes: 1 MiB.
    pub message_bytes: usize,
    /// Whom to trust and what to show at `wss://`; none: as [`Tls::new`].
    pub tls: Option<Tls>,
}

impl Login {
    /// The player `uid`, without a token, named after the uid.
    pub fn new(uid: u64) -> Login {
        Login { uid, token: None, nickname: format!("player{uid}"), message_bytes: MESSAGE_BYTES, tls: None }
    }

    /// With another name.
    pub fn nickname(mut self, nickname: impl Into<String>) -> Login {
        self.nickname = nickname.into();
        self
    }

    /// With a login token. A reconnect sends it again, and the proxy asks for it only where the session is over.
    pub fn token(mut self, token: impl Into<String>) -> Login {
        self.token = Some(token.into());
        self
    }

    /// With other authorities than the system's, or a certificate of its own, at `wss://`.
    pub fn tls(mut self, tls: Tls) -> Login {
        self.tls = Some(tls);
        self
    }
}

/// Without the token.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Login { uid, token, nickname, .. } = self;
        write!(f, "Login(uid {uid}, {nickname:?}, {} token)", if token.is_some() { "with a" } else { "no" })
    }
}

/// One player's connection: a handle that is cheap to clone. When the last one goes without a
/// [`Client::logout`], the socket is dropped, and the session ends when its time is up.
#[derive(Clone)]
pub struct Client(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    uid: u64,
    message_bytes: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().is_abandoned = true;
        self.shared.work.notify_one();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client(uid {}, on server {})", self.uid(), self.server_id())
    }
}

impl Client {
    /// Logs in at the proxy at `url` (`ws://host:port`, `wss://host:port`), and returns when the player is on a server.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`]; [`ClientError::Tls`]; [`ClientError::Closed`] with the reason why the player is not let in.
    pub async fn connect(url: impl Into<String>, login: Login) -> Result<Client, ClientError> {
        let shared = Shared::new();
        let (uid, message_bytes) = (login.uid, login.message_bytes);
        connection::start(shared.clone(), url.into(), login).await?;
        Ok(Client(Arc::new(Handle { shared, uid, message_bytes })))
    }

    /// `NotifyToServer` (row 2): an event to the lobby or game that the player is on, from the system
    /// `(namespace, system)`. It is queued and goes by itself.
    ///
    /// # Errors
    /// [`ClientError::Data`]; [`ClientError::Overloaded`]; [`ClientError::Closed`] when the session is over.
    pub fn notify_to_server<T: Serialize + ?Sized>(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        data: &T,
    ) -> Result<(), ClientError> {
        self.send(Row::ClientToServer, None, Names { namespace, system, event }, data).map(drop)
    }

    /// `NotifyToServiceNode` (row 12): an event to a service, where it arrives with `__uid__` and
    /// `__neteaseProxyId__` added.
    ///
    /// # Errors
    /// As [`Client::notify_to_server`].
    pub fn notify_to_service_node<T: Serialize + ?Sized>(
        &self,
        server_id: NodeId,
        namespace: &str,
        system: &str,
        event: &str,
        data: &T,
    ) -> Result<(), ClientError> {
        self.send(Row::ClientToService, Some(server_id), Names { namespace, system, event }, data).map(drop)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Queues a message; returns its frame.
    pub(crate) fn send<T: Serialize + ?Sized>(
        &self,
        row: Row,
        to: Option<NodeId>,
        names: Names<'_>,
        data: &T,
    ) -> Result<Bytes, ClientError> {
        let data = value::encode_limited("data", data, self.0.message_bytes)?;
        let mut state = self.0.shared.lock();
        if let Some((reason, message)) = &state.end {
            return Err(ClientError::Closed { reason: *reason, message: message.clone() });
        }
        let measure = state.welcome.as_ref().is_some_and(|welcome| welcome.measure);
        let stamp = if measure { unix_nanos() } else { 0 };
        let message = match to {
            None => FromClient::Event { names, data: &data, stamp },
            Some(to) => FromClient::Service { to, names, data: &data, stamp },
        };
        let mut frame = Vec::with_capacity(data.len() + 64);
        message.encode_into(&mut frame)?;
        let frame = Bytes::from(frame);
        if !state.outbox.push(row, frame.clone()) {
            return Err(ClientError::Overloaded);
        }
        state.counts.sent[row.index()] += 1;
        drop(state);
        self.0.shared.work.notify_one();
        Ok(frame)
    }

    /// Calls `handler` for each such event of the system `(namespace, system)`; [`Client::next_event`] does then
    /// not return it. The handler must not wait.
    pub fn listen(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        handler: impl Fn(&Received) + Send + Sync + 'static,
    ) {
        let handler: Handler = Arc::new(handler);
        let names = [namespace, system, event].map(str::to_owned);
        self.0.shared.lock().listeners.entry(names).or_default().push(handler);
    }

    /// What happens next; `None` after [`ClientEvent::Closed`].
    pub async fn next_event(&self) -> Option<ClientEvent> {
        loop {
            let news = self.0.shared.news.notified();
            {
                let mut state = self.0.shared.lock();
                state.is_fetched = true;
                if let Some(event) = state.inbox.pop_front() {
                    if state.inbox.len() + 1 == crate::state::INBOX {
                        // There is room again.
                        self.0.shared.work.notify_one();
                    }
                    return Some(event);
                }
                if state.end.is_some() {
                    return None;
                }
            }
            news.await;
        }
    }

    /// What has happened and was not fetched yet, without waiting.
    pub fn try_next_event(&self) -> Option<ClientEvent> {
        let event = {
            let mut state = self.0.shared.lock();
            state.is_fetched = true;
            state.inbox.pop_front()
        };
        self.0.shared.work.notify_one();
        event
    }

    /// Ends the session: what was sent before goes first, and what is on its way to the client is still received.
    ///
    /// # Errors
    /// [`ClientError::Closed`] with how it ended, when not by this logout.
    pub async fn logout(&self) -> Result<(), ClientError> {
        self.0.shared.lock().wants_logout = true;
        self.0.shared.work.notify_one();
        let closed = async {
            loop {
                let over = self.0.shared.over.notified();
                tokio::pin!(over);
                over.as_mut().enable();
                if let Some(end) = self.0.shared.lock().end.clone() {
                    return end;
                }
                over.await;
            }
        };
        match tokio::time::timeout(LOGOUT, closed).await {
            Ok((Reason::Logout, _)) => Ok(()),
            Ok((reason, message)) => Err(ClientError::Closed { reason, message }),
            Err(_) => {
                let (reason, message) = (Reason::DeadlineExceeded, "the proxy did not answer".to_owned());
                self.0.shared.finish(reason, message.clone(), false);
                self.0.shared.work.notify_one();
                Err(ClientError::Closed { reason, message })
            }
        }
    }

    /// Drops the socket as a bad network would. For tests.
    pub fn drop_socket(&self) {
        self.0.shared.lock().wants_drop = true;
        self.0.shared.work.notify_one();
    }

    /// The player.
    pub fn uid(&self) -> u64 {
        self.0.uid
    }

    /// The player's id while this session lasts.
    pub fn player_id(&self) -> PlayerId {
        self.0.shared.lock().player_id()
    }

    /// The lobby or game that the player is on.
    pub fn server_id(&self) -> NodeId {
        self.0.shared.lock().server
    }

    /// The proxy.
    pub fn proxy_id(&self) -> NodeId {
        self.0.shared.lock().welcome.as_ref().map_or(NodeId(0), |welcome| welcome.proxy_id)
    }

    /// What it has sent and received.
    pub fn counts(&self) -> Counts {
        self.0.shared.lock().counts
    }

    /// How the session has ended, once it has.
    pub fn end(&self) -> Option<(Reason, String)> {
        self.0.shared.lock().end.clone()
    }
}

impl From<(Reason, String)> for ClientError {
    fn from((reason, message): (Reason, String)) -> ClientError {
        ClientError::Closed { reason, message }
    }
}

/// A name or a login that cannot be encoded.
impl ClientError {
    pub(crate) fn unsendable(error: ValueError) -> ClientError {
        ClientError::Data(error)
    }
}
