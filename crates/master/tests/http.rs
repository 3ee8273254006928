//! The HTTP control port over a real socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chappe_link::memory::MemoryLink;
use chappe_master::{Access, HttpError, Master};
use chappe_node::control::{Entered, Login, LoginGrant, PlayerInfo, Where};
use chappe_node::{Beats, Config, Node, State};
use chappe_wire::{NodeId, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

/// Runs a test against a master that serves HTTP.
fn run(declared: &[(i64, Role)], test: impl AsyncFnOnce(Master, SocketAddr)) {
    run_over(&MemoryLink::new(), declared, Access::default(), test);
}

fn run_over(
    link: &MemoryLink,
    declared: &[(i64, Role)],
    access: Access,
    test: impl AsyncFnOnce(Master, SocketAddr),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut config = Config::new("test", NodeId(1), Role::Master, "master");
        let declare = |(id, role): &(i64, Role)| (NodeId(*id), *role, role.to_string());
        config.declared.nodes = declared.iter().map(declare).collect();
        let node = Node::new(config);
        let master = Master::attach(&node);
        launch(&node, link).await;
        let address = master.serve_http("127.0.0.1:0".parse().unwrap(), access).await.unwrap();
        timeout(Duration::from_secs(60), test(master, address)).await.unwrap();
    });
}

/// Runs a node until it is ready.
async fn launch(node: &Node, link: &MemoryLink) {
    let (runs, link) = (node.clone(), Arc::new(link.clone()));
    let (ready, is_ready) = oneshot::channel();
    spawn_local(async move {
        let setup = async |_: &Node| ready.send(()).map_err(|()| "nobody waits".to_owned());
        runs.run(link, Beats::Task, setup).await.unwrap();
    });
    is_ready.await.unwrap();
    while node.state() != State::Ready {
        tokio::task::yield_now().await;
    }
}

/// One request over a connection of its own: the status and the body.
async fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses a large body may close before it has read it.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_cluster_that_nobody_can_log_in_to_is_not_well() {
    run(&[(20, Role::Lobby)], async |_, address| {
        let (status, body) = request(address, "GET", "/healthz", b"").await;
        assert_eq!(status, 503);
        assert!(body.contains(r#""missing":["lobby"]"#), "{body}");
    });
    run(&[], async |_, address| {
        let (status, body) = request(address, "GET", "/healthz", b"").await;
        assert_eq!((status, body.contains(r#""status":"ok""#)), (200, true), "{body}");
    });
}

#[test]
fn the_fixed_pages() {
    run(&[], async |_, address| {
        let (status, body) = request(address, "GET", "/nodes", b"").await;
        let nodes: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200);
        assert_eq!(
            (&nodes[0]["id"], &nodes[0]["type"], &nodes[0]["state"]),
            (&1.into(), &"master".into(), &"ready".into())
        );
        assert_eq!(request(address, "GET", "/players?limit=5", b"").await.0, 200);
        assert_eq!(request(address, "GET", "/players?limit=x", b"").await.0, 400);
        assert_eq!(request(address, "GET", "/players/5", b"").await.0, 404);
        assert_eq!(request(address, "GET", "/players/me", b"").await.0, 400);
        assert_eq!(request(address, "POST", "/nodes", b"").await.0, 405);
        let (status, body) = request(address, "GET", "/metrics", b"").await;
        assert_eq!(status, 200);
        assert!(body.contains("chappe_nodes{role=\"master\",state=\"ready\"} 1"), "{body}");
    });
}

#[test]
fn a_registered_url_is_answered_at_once_or_later_and_only_once() {
    run(&[], async |master, address| {
        let now = master.clone();
        master.register_http("/gift", move |client, body| {
            let answer = [b"{\"got\":\"", body, b"\"}"].concat();
            now.send_http_response(client, answer).unwrap();
        });
        let (asked, mut waiting) = mpsc::unbounded_channel();
        master.register_http("later", move |client, _| asked.send(client).unwrap());

        let answer = request(address, "POST", "/gift", b"sword").await;
        assert_eq!(answer, (200, "{\"got\":\"sword\"}".to_owned()));
        let pending = spawn_local(request(address, "POST", "/later", "天".as_bytes()));
        let client = waiting.recv().await.unwrap();
        master.send_http_response(client, "first").unwrap();
        assert_eq!(master.send_http_response(client, "second"), Err(HttpError::Answered(client)));
        assert_eq!(pending.await.unwrap(), (200, "first".to_owned()));
        assert_eq!(request(address, "GET", "/later", b"").await.0, 405);
        assert_eq!(request(address, "POST", "/nowhere", b"").await.0, 404);
    });
}

#[test]
fn a_body_over_a_mebibyte_is_refused_and_the_next_request_is_served() {
    run(&[], async |master, address| {
        let echo = master.clone();
        master.register_http("/size", move |client, body| {
            echo.send_http_response(client, body.len().to_string()).unwrap();
        });
        assert_eq!(request(address, "POST", "/size", &vec![b'x'; (1 << 20) + 1]).await.0, 413);
        assert_eq!(
            request(address, "POST", "/size", &vec![b'x'; 1 << 20]).await,
            (200, "1048576".to_owned())
        );
    });
}

#[test]
fn a_handler_that_panics_or_never_answers_does_not_hold_up_others() {
    run(&[], async |master, address| {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let told = arrived.clone();
        master.register_http("/panic", move |_, _| {
            told.send(()).unwrap();
            panic!("in the test")
        });
        master.register_http("/mute", move |_, _| arrived.send(()).unwrap());
        let panicked = spawn_local(request(address, "POST", "/panic", b""));
        let mute = spawn_local(request(address, "POST", "/mute", b""));
        assert_eq!(request(address, "GET", "/nodes", b"").await.0, 200);
        arrivals.recv().await.unwrap();
        arrivals.recv().await.unwrap();
        // From here on time passes whenever nothing else happens.
        tokio::time::pause();
        assert_eq!(mute.await.unwrap().0, 504);
        assert_eq!(panicked.await.unwrap().0, 504);
    });
}

#[test]
fn a_player_is_found_while_online() {
    let link = MemoryLink::new();
    run_over(&link, &[], Access::default(), async |master, address| {
        for (id, role) in [(20, Role::Lobby), (10, Role::Proxy)] {
            let mut config = Config::new("test", NodeId(id), role, role.as_str());
            config.master = NodeId(1);
            let node = Node::new(config);
            launch(&node, &link).await;
            if role == Role::Proxy {
                while master.connected_servers().is_empty() || master.nodes().len() < 3 {
                    tokio::task::yield_now().await;
                }
                let wait = Duration::from_secs(5);
                let grant: LoginGrant = node.ask_master("login", &Login { uid: 7 }, wait).await.unwrap();
                let (epoch, server) = (grant.epoch, grant.server);
                let entered = Entered { uid: 7, epoch, server, is_transfer: false, is_reconnect: false };
                node.tell_master("entered", &entered);
                // Answered behind what was sent before it.
                node.ask_master::<_, Vec<PlayerInfo>>("where", &Where { uids: vec![] }, wait).await.unwrap();
            }
        }
        let (status, body) = request(address, "GET", "/players/7", b"").await;
        let player: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &player["serverId"], &player["proxyId"]),
            (200, &20.into(), &10.into()),
            "{body}"
        );
        let (_, body) = request(address, "GET", "/players", b"").await;
        assert!(body.contains("\"online\":1"), "{body}");
        let (_, body) = request(address, "GET", "/metrics", b"").await;
        assert!(body.contains("chappe_players{node=\"20\",type=\"lobby\"} 1"), "{body}");
        assert!(body.contains("chappe_messages_total{node=\"10\""), "{body}");
        assert_eq!(master.online_by_type().get("lobby"), Some(&1));
    });
}
