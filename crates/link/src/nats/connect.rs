//! Getting a connection to NATS: every reason why there is none is told by its name, and within some seconds.

use super::creds::expired_for;
use super::hub::{ANSWER, Hub, lock};
use super::message::{Head, Kind};
use super::options::Credentials;
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::unconstrained;

/// The servers' silence after which their connection counts as lost is about three of these.
const PING: Duration = Duration::from_secs(2);
/// How long connecting to one server may take.
const CONNECT: Duration = Duration::from_secs(4);
/// The first wait between two attempts to reconnect, doubled up to the second.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How many messages may wait between the client library and us. Windows bound them long before.
const DEPTH: usize = 1 << 17;
/// How many messages may wait to be written to the socket.
const OUTBOX: usize = 4096;
/// The least that a server must take in one message.
const LEAST_PAYLOAD: usize = 4096;

impl Hub {
    /// The connection to NATS, made if there is none. To be called on the link's own thread.
    pub(super) async fn connected(self: &Arc<Self>) -> io::Result<Client> {
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = self.connect().await.map_err(|error| self.naming(error))?;
        let conns = client.subscribe(self.subjects.conns()).await.map_err(io::Error::other)?;
        let messages = tokio::spawn(unconstrained(Arc::clone(self).take_in(conns)));
        // What NATS lets us neither publish nor hear would look like a peer that does not answer.
        let echo = self.echo_through(&client);
        if let Err(error) = self.unless_refused(echo).await {
            messages.abort();
            return Err(self.naming(error));
        }
        *lock(&self.up) = Some(Instant::now());
        let _ = self.client.set(client.clone());
        tokio::spawn(Arc::clone(self).look_after());
        Ok(client)
    }

    /// Waits until something has gone to the servers and come back, and with it all that they had to say before.
    pub(super) async fn echo(&self) -> io::Result<()> {
        let Some(client) = self.standing() else { return Err(io::ErrorKind::NotConnected.into()) };
        self.echo_through(client).await
    }

    async fn echo_through(&self, client: &Client) -> io::Result<()> {
        let mut echoed = self.echoed.subscribe();
        let number = self.next_probe();
        let probe = client.publish(self.subjects.conn(0), Head::new(Kind::Ack, 0, number).with(&[]));
        probe.await.map_err(io::Error::other)?;
        echoed.wait_for(|last| *last >= number).await.map(drop).map_err(io::Error::other)
    }

    async fn connect(self: &Arc<Self>) -> io::Result<Client> {
        // Were another crate to bring a second provider, the client library would not know which to take.
        let _ = async_nats::rustls::crypto::ring::default_provider().install_default();
        let this = Arc::downgrade(self);
        let options = ConnectOptions::new()
            .name(format!("chappe {}", self.options.cluster))
            .custom_inbox_prefix(self.subjects.inbox())
            .subscription_capacity(DEPTH)
            .client_capacity(OUTBOX)
            .read_buffer_capacity(u16::MAX)
            .skip_subject_validation(true)
            .request_timeout(None)
            .connection_timeout(CONNECT)
            .ping_interval(PING)
            .reconnect_delay_callback(|attempts| match attempts {
                0 | 1 => Duration::ZERO,
                more => RECONNECT.0.saturating_mul(1 << (more - 2).min(8)).min(RECONNECT.1),
            })
            .event_callback(move |event| {
                if let Some(this) = this.upgrade() {
                    this.on_event(event);
                }
                std::future::ready(())
            });
        let options = self.options.apply(options).await?;
        let connected = options.connect(&self.options.servers).await;
        let client = connected.map_err(|error| self.named(&error))?;
        let most = client.max_payload();
        if most < LEAST_PAYLOAD {
            let why = format!(
                "it takes {most} bytes in one message; set its max_payload to {LEAST_PAYLOAD} at least, 1 MB is usual"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(client)
    }

    /// For how long the credentials are no longer valid, if they are known to be so.
    fn lateness(&self) -> String {
        let late = match &self.options.credentials {
            Credentials::File(path) => expired_for(path),
            _ => None,
        };
        late.map_or_else(String::new, |late| {
            format!("; its token has expired, {} s ago by this machine's clock", late.as_secs())
        })
    }

    /// What an answer did not come for, as far as that can be known: a connection that was let in and cut off at once, when
    /// its time ran out in that moment, hears nothing more.
    pub(super) fn unanswered(&self) -> io::Error {
        let why = match self.lateness() {
            late if late.is_empty() => String::new(),
            late => format!("; with {}{late}", self.options.credentials),
        };
        io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {ANSWER:?}{why}"))
    }

    /// What the client library says, and what to do about it.
    fn named(&self, error: &ConnectError) -> io::Error {
        let text = told_by(error);
        let kind = match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                let why = match &self.options.credentials {
                    Credentials::None if self.options.servers.iter().all(|server| !server.contains('@')) => {
                        "it refuses these credentials: it wants some, and there are none".to_owned()
                    }
                    credentials => format!("it refuses these credentials: {credentials}{}", self.lateness()),
                };
                return io::Error::new(io::ErrorKind::PermissionDenied, why);
            }
            ConnectErrorKind::ServerParse => io::ErrorKind::InvalidInput,
            ConnectErrorKind::TimedOut => io::ErrorKind::TimedOut,
            _ => kind_of(error),
        };
        let lower = text.to_lowercase();
        let has_own = self.options.tls.as_ref().is_some_and(|tls| tls.own.is_some());
        let hint = if lower.contains("certificaterequired") || lower.contains("certificate required") {
            "; it asks for a certificate of ours, and there is none: `tls` needs `cert` and `key`"
        } else if lower.contains("alert") && has_own {
            "; it does not take our own certificate"
        } else if lower.contains("expired") {
            "; its certificate has expired: it needs a new one, or this machine's clock is wrong"
        } else if lower.contains("unknownissuer") || lower.contains("badsignature") {
            "; its certificate is by an authority that is not trusted here: name that authority's file as `ca` of `tls`"
        } else if lower.contains("not valid for name") {
            "; its certificate is for another name: use the name that the certificate has as the address"
        } else {
            ""
        };
        io::Error::new(kind, format!("{text}{hint}"))
    }

    fn naming(&self, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("NATS at {}: {error}", self.options.places()))
    }
}

/// An error with its causes, each said once.
fn told_by(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The kind of the input/output error that is the cause.
fn kind_of(error: &(dyn Error + 'static)) -> io::ErrorKind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind();
        }
        cause = error.source();
    }
    io::ErrorKind::Other
}
