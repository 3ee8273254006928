//! Connections of the control port: how many, how long, how much of a head.

use super::access::Access;
use super::{Answer, Asked, BODY, BODY_TIME, unread_body};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use chappe_node::Node;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// The most connections at once.
const CONNECTIONS: usize = 256;
/// How long a client may take for the head of a request; also how long it may be idle between two.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The largest head, in bytes, and the most fields in it.
const HEAD: (usize, usize) = (64 * 1024, 100);
/// How long a connection is used; then the request that it has is answered, and it is closed.
const LIFE: Duration = Duration::from_secs(60);
/// How long that last one may take, with a client that reads slowly.
const LAST: Duration = Duration::from_secs(30);
/// After a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// The way from a connection to the node.
pub(super) struct Port {
    pub(super) node: Node,
    pub(super) asks: mpsc::Sender<Asked>,
    pub(super) access: Access,
}

impl Port {
    /// Takes connections for as long as the node lives.
    pub(super) async fn serve(self, listener: TcpListener) {
        let (port, open) = (Rc::new(self), Rc::new(Cell::new(0)));
        loop {
            match listener.accept().await {
                Ok((stream, _)) if open.get() >= CONNECTIONS => {
                    port.node.stats().count("http_connections_refused");
                    turn_away(&stream);
                }
                Ok((stream, _)) => {
                    let seat = Seat::take(&open);
                    let served = port.clone().connection(stream);
                    port.node.spawn(async move {
                        served.await;
                        drop(seat);
                    });
                }
                Err(error) => {
                    port.node.stats().count("accept_errors");
                    tracing::warn!(%error, "an HTTP connection could not be taken");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Rc<Self>, stream: TcpStream) {
        let service = service_fn(|request: axum::http::Request<hyper::body::Incoming>| async {
            Ok::<_, Infallible>(self.cross(request.map(Body::new)).await)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD.0).max_headers(HEAD.1);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                // One that hangs up is its own business.
                if ended.is_err_and(|error| error.is_timeout()) {
                    self.node.stats().count("http_slow_clients");
                }
                return;
            }
            () = sleep(LIFE) => connection.as_mut().graceful_shutdown(),
        }
        if timeout(LAST, connection).await.is_err() {
            self.node.stats().count("http_slow_clients");
        }
    }

    /// Takes a request to the node's thread and its answer back.
    async fn cross(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if let Err(refused) = self.access.check(&path, &head.headers) {
            refused.count(self.node.stats());
            return refused.answer().into();
        }
        let body = match timeout(BODY_TIME, to_bytes(body, BODY)).await {
            Ok(Ok(body)) => body.into(),
            Ok(Err(error)) => return unread_body(&error).into(),
            Err(_) => {
                self.node.stats().count("http_slow_clients");
                return Answer::error(StatusCode::REQUEST_TIMEOUT, "the body did not come in time").into();
            }
        };
        let (reply, answered) = oneshot::channel();
        let query = head.uri.query().unwrap_or_default().to_owned();
        if self.asks.try_send(Asked { method: head.method, path, query, body, reply }).is_err() {
            return Answer::error(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait for the master")
                .into();
        }
        let gone = |_| Answer::error(StatusCode::SERVICE_UNAVAILABLE, "the master is leaving");
        answered.await.unwrap_or_else(gone).into()
    }
}

/// Tells a client that there is no room, if it can be told at once.
fn turn_away(stream: &TcpStream) {
    let text = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let _ = stream.try_write(text);
}

/// One of the connections that are open.
struct Seat(Rc<Cell<usize>>);

impl Seat {
    fn take(open: &Rc<Cell<usize>>) -> Seat {
        open.set(open.get() + 1);
        Seat(open.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
