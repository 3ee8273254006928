//! What is no peer, on a node's real socket: it is turned away with a reason, counted, and the node goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_master::Master;
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Beats, Config, Declared, Node, NodeError, State, Stats};
use chappe_wire::frame::{read_frame, write_frame};
use chappe_wire::hello::{Greeting, Hello, PROTOCOL, Purpose, Version};
use chappe_wire::{Body, Envelope, NodeId, Reason, Role};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const SERVICE: NodeId = NodeId(40);

fn config(id: i64, role: Role, node_type: &str) -> Config {
    let mut config = Config::new("test", NodeId(id), role, node_type);
    config.master = NodeId(1);
    config.incarnation = Config::new_incarnation();
    config.declared = Declared {
        nodes: vec![
            (NodeId(1), Role::Master, "master".into()),
            (NodeId(20), Role::Lobby, "lobby".into()),
            (NodeId(40), Role::Service, "service_mail".into()),
        ],
        modules: vec![],
    };
    config
}

/// A master, a lobby and a service on real sockets, and what a stranger may do to them.
struct Cluster {
    link: LocalLink,
    lobby: ServerSystem,
    service: ServiceSystem,
    heard: Rc<Cell<u64>>,
    _dir: tempfile::TempDir,
}

impl Cluster {
    async fn stranger(&self, to: NodeId) -> UnixStream {
        UnixStream::connect(self.link.socket_of(to)).await.unwrap()
    }

    fn stats(&self) -> &Stats {
        self.service.stats()
    }

    /// The service still hears its lobby.
    async fn goes_on(&self) {
        let before = self.heard.get();
        let receipt = self.lobby.notify_to_service_node(SERVICE, "Hello", &1).unwrap().receipt().await;
        assert_eq!(receipt.to_string(), "1 of 1");
        assert_eq!(self.heard.get(), before + 1);
    }
}

fn start(link: &LocalLink, node: &Node) {
    let (link, node) = (Arc::new(link.clone()) as Arc<dyn Link + Send + Sync>, node.clone());
    tokio::task::spawn_local(async move {
        let _master = (node.config().role == Role::Master).then(|| Master::attach(&node));
        node.run(link, Beats::Task, async |_: &Node| Ok(())).await.unwrap();
    });
}

async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it never came to be");
}

async fn cluster(test: impl AsyncFnOnce(Cluster)) {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let dir = tempfile::tempdir().unwrap();
        let link = LocalLink::new(dir.path());
        let master = Node::new(config(1, Role::Master, "master"));
        let lobby = Node::new(config(20, Role::Lobby, "lobby"));
        let service = Node::new(config(40, Role::Service, "service_mail"));
        [&master, &lobby, &service].into_iter().for_each(|node| start(&link, node));
        let ready = |node: &Node, id: NodeId| {
            node.with_view(|view| view.member(id).is_some_and(|member| member.state == State::Ready))
        };
        until(|| ready(&lobby, SERVICE) && ready(&service, NodeId(20))).await;
        let heard = Rc::new(Cell::new(0));
        let service = ServiceSystem::new(&service, "t", "mail");
        let count = heard.clone();
        service.listen("t", "lobby", "Hello", move |_| count.set(count.get() + 1));
        let lobby = ServerSystem::new(&lobby, "t", "lobby");
        test(Cluster { link, lobby, service, heard, _dir: dir }).await;
    });
    run.await;
}

fn hello(node: i64, role: Role, to: NodeId) -> Hello {
    Hello {
        cluster: "test".into(),
        node: NodeId(node),
        role,
        node_type: "stranger".into(),
        incarnation: 7,
        to: Some(to),
        purpose: Purpose::Messages,
        term: 0,
        auth: None,
        version: String::new(),
    }
}

async fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes));
    // A reset is an end, too.
    let _ = read.await.expect("the connection was not closed");
    bytes
}

/// What a stranger that says `bytes` is told.
async fn refused(cluster: &Cluster, to: NodeId, bytes: &[u8]) -> (Reason, String) {
    let mut stream = cluster.stranger(to).await;
    stream.write_all(bytes).await.unwrap();
    let answer = rest(&mut stream).await;
    match Greeting::decode(&answer, PROTOCOL).unwrap() {
        Some((Greeting::Refuse(refusal), ..)) => (refusal.reason, refusal.message),
        other => panic!("{other:?} is no refusal"),
    }
}

/// A stranger that was let in, and what it is told when it then says `bytes`.
async fn closed(cluster: &Cluster, bytes: &[u8]) -> (Reason, String) {
    let mut stream = cluster.stranger(SERVICE).await;
    stream.write_all(&Greeting::Hello(hello(50, Role::Game, SERVICE)).encode(PROTOCOL)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let answer = rest(&mut stream).await;
    let (greeting, _, used) = Greeting::decode(&answer, PROTOCOL).unwrap().unwrap();
    assert!(matches!(greeting, Greeting::Hello(_)), "{greeting:?}");
    let mut frames = &answer[used..];
    loop {
        let (frame, used) = read_frame(frames, 1 << 20).unwrap().expect("there is no close among the frames");
        if let Envelope { body: Body::Close { reason }, payload, .. } = Envelope::decode(frame.body).unwrap()
        {
            return (reason, String::from_utf8_lossy(payload).into_owned());
        }
        frames = &frames[used..];
    }
}

#[tokio::test]
async fn garbage_on_a_node_socket_is_turned_away_and_counted() {
    cluster(async |cluster| {
        let told = refused(&cluster, SERVICE, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(told.0, Reason::ProtocolError, "{told:?}");
        until(|| cluster.stats().named("refused_connections") == 1).await;
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn a_foreign_version_is_refused_by_name() {
    cluster(async |cluster| {
        let foreign = Version { major: 9, minor: 3 };
        let bytes = Greeting::Hello(hello(50, Role::Game, SERVICE)).encode(foreign);
        let (reason, text) = refused(&cluster, SERVICE, &bytes).await;
        assert_eq!(reason, Reason::ForeignVersion);
        assert!(text.contains("9.3") && text.contains(&PROTOCOL.to_string()), "{text}");
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn a_node_of_another_cluster_is_refused_by_name() {
    cluster(async |cluster| {
        let mut foreign = hello(50, Role::Game, SERVICE);
        foreign.cluster = "elsewhere".into();
        let (reason, text) = refused(&cluster, SERVICE, &Greeting::Hello(foreign).encode(PROTOCOL)).await;
        assert_eq!(reason, Reason::WrongCluster);
        assert!(text.contains("elsewhere") && text.contains("test"), "{text}");
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_by_the_master_by_name() {
    cluster(async |cluster| {
        let mut twin = hello(40, Role::Service, NodeId(1));
        twin.incarnation = u64::MAX;
        let bytes = Greeting::Hello(twin).encode(PROTOCOL);
        let (reason, text) = refused(&cluster, NodeId(1), &bytes).await;
        assert_eq!(reason, Reason::IdTaken);
        assert!(text.contains("40"), "{text}");
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_process_on_one_id_is_told_so() {
    cluster(async |cluster| {
        let twin = Node::new(config(40, Role::Service, "service_mail"));
        let link: Arc<dyn Link + Send + Sync> = Arc::new(cluster.link.clone());
        let end = twin.run(link, Beats::Task, async |_: &Node| Ok(())).await;
        assert!(matches!(end, Err(NodeError::Listen(_))), "{end:?}");
        assert!(end.unwrap_err().to_string().contains("id 40 is taken"));
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn half_a_greeting_and_half_a_frame_cost_nobody_else_anything() {
    cluster(async |cluster| {
        let greeting = Greeting::Hello(hello(50, Role::Game, SERVICE)).encode(PROTOCOL);
        let mut stream = cluster.stranger(SERVICE).await;
        stream.write_all(&greeting[..greeting.len() / 2]).await.unwrap();
        drop(stream);
        let mut stream = cluster.stranger(SERVICE).await;
        stream.write_all(&greeting).await.unwrap();
        let mut frame = Vec::new();
        write_frame(&mut frame, 1, 0, |out| out.extend_from_slice(&[1; 40]));
        stream.write_all(&frame[..20]).await.unwrap();
        stream.shutdown().await.unwrap();
        rest(&mut stream).await;
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn a_frame_of_absurd_length_closes_its_connection_with_a_reason() {
    cluster(async |cluster| {
        let (reason, text) = closed(&cluster, &u32::MAX.to_le_bytes()).await;
        assert_eq!(reason, Reason::TooLarge, "{text}");
        assert!(text.contains(&u32::MAX.to_string()), "{text}");
        until(|| cluster.stats().named("protocol_errors") == 1).await;
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn a_frame_that_holds_no_envelope_closes_its_connection_with_a_reason() {
    cluster(async |cluster| {
        let mut frame = Vec::new();
        write_frame(&mut frame, 1, 0, |out| out.extend_from_slice(&[0xee; 40]));
        let (reason, text) = closed(&cluster, &frame).await;
        assert_eq!(reason, Reason::ProtocolError, "{text}");
        until(|| cluster.stats().named("protocol_errors") == 1).await;
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn a_frame_shorter_than_its_own_header_closes_its_connection() {
    cluster(async |cluster| {
        let (reason, text) = closed(&cluster, &3u32.to_le_bytes()).await;
        assert_eq!(reason, Reason::ProtocolError, "{text}");
        cluster.goes_on().await;
    })
    .await;
}

#[tokio::test]
async fn a_node_that_was_declared_lost_is_not_heard_again_by_those_who_were_told() {
    cluster(async |cluster| {
        cluster.lobby.stop();
        until(|| cluster.service.with_view(|view| view.member(NodeId(20)).is_none())).await;
        let mut zombie = hello(20, Role::Lobby, SERVICE);
        zombie.incarnation = cluster.lobby.config().incarnation;
        let (reason, text) = refused(&cluster, SERVICE, &Greeting::Hello(zombie).encode(PROTOCOL)).await;
        assert_eq!((reason, text.as_str()), (Reason::Evicted, "that life of node 20 has ended"));
    })
    .await;
}
