//! The HTTP control port (apollo.md section 5): fixed pages, and the urls that mods register.
//!
//! The server's handlers may run anywhere, the node's only on its thread: each request crosses to the node as
//! one [`Asked`] through a bounded queue, and its answer comes back the same way.

mod access;
mod metrics;
mod pages;
mod serve;
mod urls;

pub use access::Access;
pub(crate) use urls::Urls;
pub use urls::{ClientId, HttpError};

use self::serve::Port;
use crate::{Master, MasterError};
use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use chappe_node::Node;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// The largest body of a request, in bytes (apollo.md section 5).
const BODY: usize = 1 << 20;
/// How long a client may take to send its body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The most requests that may wait for the node's thread.
const QUEUE: usize = 1024;

/// A request on its way to the node's thread.
#[derive(Debug)]
pub(crate) struct Asked {
    method: Method,
    pub(crate) path: String,
    query: String,
    body: Vec<u8>,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// An answer on its way back.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Master {
    /// Serves HTTP at `address` (deploy.json's `ip` and `port` of the master; port 0 takes a free one) to those whom
    /// `access` lets in, until the node's tasks end. Returns where it listens.
    ///
    /// # Errors
    /// [`MasterError::NoToken`] when other machines reach the address and `access` wants no token;
    /// [`MasterError::Http`] when the port cannot be opened.
    pub async fn serve_http(&self, address: SocketAddr, access: Access) -> Result<SocketAddr, MasterError> {
        let port = HttpPort::open(&self.0.node, address, access).await?;
        let bound = port.bound;
        self.answer(port);
        Ok(bound)
    }

    /// Answers what is asked at a port from now on.
    pub fn answer(&self, mut port: HttpPort) {
        let master = self.clone();
        self.0.node.spawn(async move {
            while let Some(asked) = port.asked.recv().await {
                master.on_http(asked);
            }
        });
    }
}

/// An HTTP port that is open: what is asked there waits for whoever answers, a master that stands by or the one that leads.
#[derive(Debug)]
pub struct HttpPort {
    pub(crate) asked: mpsc::Receiver<Asked>,
    bound: SocketAddr,
}

impl HttpPort {
    /// Opens it. To be called inside the [`tokio::task::LocalSet`] that the node runs on.
    ///
    /// # Errors
    /// [`MasterError::NoToken`], [`MasterError::Http`].
    pub async fn open(node: &Node, address: SocketAddr, access: Access) -> Result<HttpPort, MasterError> {
        if access.token.is_none() && !address.ip().is_loopback() {
            return Err(MasterError::NoToken { address });
        }
        let failed = |source| MasterError::Http { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let (asks, asked) = mpsc::channel(QUEUE);
        node.spawn(Port { node: node.clone(), asks, access }.serve(listener));
        tracing::info!(%bound, "HTTP control port");
        Ok(HttpPort { asked, bound })
    }
}

/// A body over the limit is the one error whose cause lies with a limit of ours.
fn unread_body(error: &axum::Error) -> Answer {
    let is_limit = error.to_string().contains("length limit");
    if is_limit {
        Answer::error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is over {BODY} bytes"))
    } else {
        Answer::error(StatusCode::BAD_REQUEST, "the body could not be read")
    }
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, content_type, body: body.into() }
    }

    pub(crate) fn json<T: serde::Serialize>(status: StatusCode, data: &T) -> Answer {
        match serde_json::to_vec(data) {
            Ok(body) => Answer::new(status, "application/json", body),
            Err(error) => Answer::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    pub(crate) fn error(status: StatusCode, text: &str) -> Answer {
        let body = serde_json::json!({"error": text}).to_string();
        Answer::new(status, "application/json", body)
    }
}

impl Answer {
    /// A page of gauges, each with the node that it is of.
    pub(crate) fn metrics(gauges: &[(&str, chappe_wire::NodeId, u64)]) -> Answer {
        let line = |(name, node, value): &(&str, chappe_wire::NodeId, u64)| {
            format!("# TYPE {name} gauge\n{name}{{node=\"{node}\"}} {value}\n")
        };
        let page: String = gauges.iter().map(line).collect();
        Answer::new(StatusCode::OK, metrics::CONTENT_TYPE, page)
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Response {
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() = answer.status;
        let content_type = header::HeaderValue::from_static(answer.content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}
