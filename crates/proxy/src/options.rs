//! What a proxy allows, and who may log in.

use crate::tls::Tls;
use chappe_node::Node;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// The outcome of a check, later.
pub type Checking = Pin<Box<dyn Future<Output = Result<Granted, Denied>>>>;

/// Whoever it is may log in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// The player's name, which then goes before the one that the client gives.
    pub nickname: Option<String>,
}

/// Whoever it is may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What the player is told, and what may stand in a log: no part of a token.
    pub message: String,
    /// A counter of the proxy's that tells this kind of refusal from others.
    pub counter: Option<&'static str>,
}

impl<T: Into<String>> From<T> for Denied {
    fn from(message: T) -> Denied {
        Denied { message: message.into(), counter: None }
    }
}

/// Decides who may log in as whom.
pub trait LoginCheck {
    /// Whether the bearer of `token` is the player `uid`. It runs on the node's thread: what takes time awaits.
    fn check(&self, uid: u64, token: Option<&str>) -> Checking;

    /// The proxy on `node` begins: what must be kept up to date looks again every `reload_every`.
    fn start(&self, node: &Node, reload_every: Duration) {
        let _ = (node, reload_every);
    }

    /// A warning to be logged when the proxy starts.
    fn warning(&self) -> Option<&str> {
        None
    }
}

/// Lets everyone in as whomever they say they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAnyone;

impl LoginCheck for AcceptAnyone {
    fn check(&self, _: u64, _: Option<&str>) -> Checking {
        Box::pin(std::future::ready(Ok(Granted::default())))
    }

    fn warning(&self) -> Option<&str> {
        Some("NO LOGIN CHECK: anyone who reaches this proxy can log in as any player")
    }
}

/// The bounds of a proxy. All are on by default.
#[derive(Clone)]
pub struct ProxyOptions {
    /// The largest data of one message, in bytes.
    pub message_bytes: usize,
    /// Messages a second that one client may send, on the long run; what is over it is dropped.
    pub client_rate: u32,
    /// Messages that one client may send at once before the rate counts. Ten times that many dropped within a
    /// second end the session.
    pub client_burst: u32,
    /// Messages of one client that are held while its player is between two servers.
    pub hold_messages: usize,
    /// The same in bytes.
    pub hold_bytes: usize,
    /// What may wait for one client, in bytes; a client that lets it grow beyond is closed (`SlowClient`).
    pub queue_bytes: usize,
    /// What is kept for one client until it has acknowledged it, in bytes.
    pub resume_bytes: usize,
    /// For how long a session waits for a client whose socket has dropped.
    pub resume: Duration,
    /// Clients at this proxy; more are turned away (`Overloaded`).
    pub max_clients: usize,
    /// How long a socket may stay without a login; so long its TLS handshake may take, too.
    pub login_deadline: Duration,
    /// A socket that was silent for so long is pinged, and dropped after twice the time.
    pub ping_every: Duration,
    /// Who may log in.
    pub check: Rc<dyn LoginCheck>,
    /// The certificates; none: clients speak plain WebSocket.
    pub tls: Option<Rc<Tls>>,
    /// TLS handshakes under way at once; more are turned away.
    pub max_handshakes: usize,
    /// Pages of which sites may connect (`https://play.example.com`); none: of all. Who is no browser names no site, and
    /// is let in.
    pub origins: Vec<String>,
    /// The file in which sessions are left to the node's next life when it is replaced (`chappe roll`), and found there; none:
    /// they end with this one.
    pub handover: Option<PathBuf>,
    /// How often the files of certificates and login keys are looked at.
    pub reload_every: Duration,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        ProxyOptions {
            message_bytes: 1 << 20,
            client_rate: 200,
            client_burst: 400,
            hold_messages: 1024,
            hold_bytes: 1 << 20,
            queue_bytes: 1 << 20,
            resume_bytes: 256 << 10,
            resume: Duration::from_secs(30),
            max_clients: 20_000,
            login_deadline: Duration::from_secs(10),
            ping_every: Duration::from_secs(30),
            check: Rc::new(AcceptAnyone),
            tls: None,
            max_handshakes: 4096,
            origins: Vec::new(),
            handover: None,
            reload_every: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for ProxyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyOptions")
            .field("message_bytes", &self.message_bytes)
            .field("client_rate", &self.client_rate)
            .field("client_burst", &self.client_burst)
            .field("max_clients", &self.max_clients)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}
