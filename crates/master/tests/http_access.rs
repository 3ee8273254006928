//! Who may use the HTTP control port, and what one client can take from the others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chappe_link::memory::MemoryLink;
use chappe_master::{Access, Master, MasterError};
use chappe_node::{Beats, Config, Node};
use chappe_wire::secret::Secrets;
use chappe_wire::{NodeId, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

const TOKENS: &str = "the token of this cluster\nthe one that comes after it";

/// Runs a test against a master that is ready, and its node.
fn run(test: impl AsyncFnOnce(Master, Node)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let node = Node::new(Config::new("test", NodeId(1), Role::Master, "master"));
        let master = Master::attach(&node);
        let (ready, is_ready) = oneshot::channel();
        let runs = node.clone();
        spawn_local(async move {
            let setup = async |_: &Node| ready.send(()).map_err(|()| "nobody waits".to_owned());
            runs.run(Arc::new(MemoryLink::new()), Beats::Task, setup).await.unwrap();
        });
        is_ready.await.unwrap();
        timeout(Duration::from_secs(60), test(master, node)).await.unwrap();
    });
}

async fn serve(master: &Master, access: Access) -> SocketAddr {
    master.serve_http("127.0.0.1:0".parse().unwrap(), access).await.unwrap()
}

fn with_token(open_metrics: bool) -> Access {
    Access { token: Secrets::parse(TOKENS).unwrap(), open_metrics }
}

/// What is answered to `head`, without its last blank line, sent over a connection of its own: the status.
async fn status(address: SocketAddr, head: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default()
}

#[test]
fn who_has_no_token_reads_who_is_online() {
    run(async |master, node| {
        master.register_http("/mod/url", |_, _| {});
        let address = serve(&master, with_token(false)).await;
        let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: x{more}");
        for path in
            ["/nodes", "/players", "/players/7", "/metrics", "/mod/url", "/nothing", "//healthz", "/healthz/"]
        {
            assert_eq!(status(address, &get(path, "")).await, 401, "{path}");
        }
        let shows = |token: &str| format!("\r\nauthorization: {token}");
        for wrong in ["Bearer ", "Bearer the token of this cluste", "Basic dGhlOnRva2Vu", "Bearer none", "é"]
        {
            assert_eq!(status(address, &get("/nodes", &shows(wrong))).await, 403, "{wrong}");
        }
        assert_eq!(node.stats().named("http_without_token"), 8);
        assert_eq!(node.stats().named("http_wrong_token"), 5);
        for token in TOKENS.lines() {
            assert_eq!(status(address, &get("/nodes", &shows(&format!("bearer {token}")))).await, 200);
        }
        assert_eq!(status(address, &get("/healthz", "")).await, 200, "load balancers have no token");
        let post = "POST /mod/url HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000";
        assert_eq!(status(address, post).await, 401, "and its body is not waited for");
    });
}

#[test]
fn prometheus_without_a_token_sees_nothing_but_what_it_is_shown() {
    run(async |master, _| {
        let address = serve(&master, with_token(true)).await;
        assert_eq!(status(address, "GET /metrics HTTP/1.1\r\nhost: x").await, 200);
        assert_eq!(status(address, "GET /players HTTP/1.1\r\nhost: x").await, 401);
    });
}

#[test]
fn a_port_for_the_world_opens_without_a_token() {
    run(async |master, _| {
        let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let refused = master.serve_http(everywhere, Access::default()).await.unwrap_err();
        assert!(
            matches!(refused, MasterError::NoToken { .. })
                && refused.to_string().contains("control_token_file")
        );
        assert!(master.serve_http(everywhere, with_token(false)).await.is_ok());
    });
}

#[test]
fn clients_that_say_nothing_take_every_connection_of_the_port() {
    run(async |master, node| {
        let address = serve(&master, Access::default()).await;
        let mut silent = Vec::new();
        for _ in 0..256 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut one_more = TcpStream::connect(address).await.unwrap();
        let mut answer = String::new();
        one_more.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
        assert_eq!(node.stats().named("http_connections_refused"), 1);
        // Who is silent is let go of in the end, and makes room.
        for stream in &mut silent {
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        }
        assert_eq!(status(address, "GET /healthz HTTP/1.1\r\nhost: x").await, 200);
        assert!(node.stats().named("http_slow_clients") >= 256);
    });
}

#[test]
fn a_head_without_an_end_fills_the_memory() {
    run(async |master, _| {
        let address = serve(&master, Access::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        let line = [b"x: ".as_slice(), &[b'y'; 1000], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 10 << 20 && stream.write_all(&line).await.is_ok() {
            sent += line.len();
        }
        assert!(sent < 10 << 20, "{sent} bytes of a head were taken");
    });
}
