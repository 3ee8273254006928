//! The cluster's secret over real sockets: who is let in, what is said at both ends, and what a stranger can do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;
#[path = "../../link/tests/server/mod.rs"]
mod server;

use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_link::memory::MemoryLink;
use chappe_link::nats::{NatsLink, NatsOptions};
use chappe_node::{Beats, Node, NodeError, Report, State, To, control};
use chappe_wire::hello::{Auth, Greeting, Hello, PROTOCOL};
use chappe_wire::secret::{Nonce, Proof, Secrets};
use chappe_wire::{NodeId, Reason, Role, Row};
use common::raw::hello;
use common::{AnyLink, SECOND, config};
use server::Server;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

const OLD: &str = "the secret that everyone knows";
const NEW: &str = "the secret that comes after it";

/// Runs a test with sockets in a directory of its own.
fn run(test: impl AsyncFnOnce(LocalLink)) {
    let dir = tempfile::tempdir().unwrap();
    let link = LocalLink::new(dir.path().join("run"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { timeout(60 * SECOND, test(link)).await.unwrap() });
}

/// A node that knows these secrets, one a line; none if there is no text.
fn node(id: i64, role: Role, secrets: &str) -> Node {
    let mut config = config(id, role, role.as_str());
    config.incarnation = chappe_node::Config::new_incarnation();
    if !secrets.is_empty() {
        config.secrets = Arc::new(Secrets::parse(secrets).unwrap());
    }
    Node::new(config)
}

/// A stand-in for the master that takes in whoever proves the secret.
fn master(link: &LocalLink, secrets: &str) -> Node {
    common::master_of(node(1, Role::Master, secrets), &(Arc::new(link.clone()) as AnyLink))
}

/// A life of a node: how it ends.
fn live(node: &Node, link: &LocalLink) -> tokio::task::JoinHandle<Result<(), NodeError>> {
    live_over(node, Arc::new(link.clone()))
}

fn live_over(node: &Node, link: AnyLink) -> tokio::task::JoinHandle<Result<(), NodeError>> {
    let node = node.clone();
    tokio::task::spawn_local(async move { node.run(link, Beats::Task, async |_: &Node| Ok(())).await })
}

/// Waits for something on real time.
async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn knows(node: &Node, other: i64) -> bool {
    node.with_view(|view| view.member(NodeId(other)).is_some_and(|member| member.state == State::Ready))
}

/// Waits until one node answers another.
async fn talk(node: &Node, to: i64) {
    let report = || node.ask(Row::Internal, To::Node(NodeId(to)), (control::NODE, "report"), &(), SECOND);
    while report().await.map(|_: Report| ()).is_err() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A stranger at a node's socket.
struct Stranger(UnixStream);

impl Stranger {
    async fn at(link: &LocalLink, node: i64) -> Stranger {
        let path = link.socket_of(NodeId(node));
        until(|| path.exists()).await;
        Stranger(UnixStream::connect(path).await.unwrap())
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next greeting, and as which bytes it came.
    async fn hear(&mut self) -> (Greeting, Vec<u8>) {
        let mut bytes = Vec::new();
        loop {
            if let Some((greeting, _, used)) = Greeting::decode(&bytes, PROTOCOL).unwrap() {
                return (greeting, bytes[..used].to_vec());
            }
            assert!(self.0.read_buf(&mut bytes).await.unwrap() > 0, "closed before its greeting");
        }
    }

    /// The reason and the text of the refusal that comes next.
    async fn refusal(&mut self) -> (Reason, String) {
        match self.hear().await.0 {
            Greeting::Refuse(refusal) => (refusal.reason, refusal.message),
            other => panic!("it is not refused: {other:?}"),
        }
    }
}

fn claim(hello: Hello) -> Vec<u8> {
    let auth = Some(Auth { nonce: Nonce([7; 32]), optional: false });
    Greeting::Hello(Hello { auth, ..hello }).encode(PROTOCOL)
}

#[test]
fn nodes_that_know_the_secret_do_not_find_each_other() {
    run(async |link| {
        let _master = master(&link, OLD);
        let (lobby, mail) = (node(20, Role::Lobby, OLD), node(40, Role::Service, OLD));
        let lives = [live(&lobby, &link), live(&mail, &link)];
        until(|| knows(&lobby, 40) && knows(&mail, 20)).await;
        talk(&lobby, 40).await;
        assert_eq!((lobby.stats().named("wrong_secrets"), lobby.stats().named("strangers_let_in")), (0, 0));
        drop(lives);
    });
}

#[test]
fn a_node_with_another_secret_or_none_joins() {
    run(async |link| {
        let master = master(&link, OLD);
        for (secrets, why) in [(NEW, "does not know this cluster's secret"), ("", "shows no cluster secret")]
        {
            let before = master.stats().named("wrong_secrets");
            let lobby = node(20, Role::Lobby, secrets);
            let error = live(&lobby, &link).await.unwrap().unwrap_err();
            let NodeError::Refused { refusal, .. } = &error else { panic!("{error}") };
            assert_eq!(refusal.reason, Reason::WrongSecret);
            assert!(
                refusal.message.contains(why) && refusal.message.contains("CHAPPE_SECRET_FILE"),
                "{refusal}"
            );
            // Its own connection, and maybe that of its heartbeats.
            assert!(master.stats().named("wrong_secrets") > before);
            assert!(lobby.stats().named("wrong_secrets") > 0);
            assert!(!knows(&master, 20));
        }
    });
}

#[test]
fn a_master_without_the_secret_rules_nodes_that_have_one() {
    run(async |link| {
        let _master = master(&link, "");
        let error = live(&node(20, Role::Lobby, OLD), &link).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("node 20 has a cluster secret, and node 1 has none"), "{error}");
    });
}

#[test]
fn the_secret_is_not_changed_without_an_outage() {
    run(async |link| {
        let both = [NEW, OLD].join("\n");
        let (mut master, mut lobby) = (master(&link, OLD), node(20, Role::Lobby, OLD));
        let mail = node(40, Role::Service, &both);
        let mut lives = vec![live(&lobby, &link), live(&mail, &link)];
        until(|| knows(&lobby, 40)).await;
        for (secrets, is_master) in [(&both[..], false), (&both, true), (NEW, true), (NEW, false)] {
            let old = if is_master { &master } else { &lobby };
            old.stop();
            until(|| !link.socket_of(old.id()).exists()).await;
            if is_master {
                master = self::master(&link, secrets);
            } else {
                lobby = node(20, Role::Lobby, secrets);
                lives.push(live(&lobby, &link));
            }
            until(|| knows(&master, 20) && knows(&master, 40)).await;
            until(|| knows(&lobby, 40) && knows(&mail, 20)).await;
            talk(&lobby, 40).await;
        }
        assert_eq!(mail.stats().named("wrong_secrets"), 0);
    });
}

#[test]
fn a_master_with_another_secret_ends_nodes_that_work() {
    run(async |link| {
        let first = master(&link, OLD);
        let lobby = node(20, Role::Lobby, OLD);
        let life = live(&lobby, &link);
        until(|| knows(&first, 20)).await;
        first.stop();
        until(|| !link.socket_of(NodeId(1)).exists()).await;
        let wrong = master(&link, NEW);
        until(|| wrong.stats().named("wrong_secrets") > 1 && lobby.stats().named("wrong_secrets") > 1).await;
        wrong.stop();
        until(|| !link.socket_of(NodeId(1)).exists()).await;
        let right = master(&link, OLD);
        until(|| knows(&right, 20)).await;
        assert!(!life.is_finished());
    });
}

#[test]
fn a_first_secret_takes_the_cluster_down() {
    run(async |link| {
        let master = master(&link, &[OLD, "none"].join("\n"));
        let (old, new) = (node(20, Role::Lobby, ""), node(40, Role::Service, OLD));
        let _lives = [live(&old, &link), live(&new, &link)];
        until(|| knows(&master, 20) && knows(&master, 40)).await;
        assert!(
            master.stats().named("strangers_let_in") > 0,
            "it is counted, so that one knows when it is over"
        );
        until(|| new.stats().named("wrong_secrets") > 0 && old.stats().named("refused_dials") == 0).await;
    });
}

#[test]
fn an_overheard_handshake_opens_the_door_again() {
    run(async |link| {
        let master = master(&link, OLD);
        let secrets = Secrets::parse(OLD).unwrap();
        let life = Hello { role: Role::Tool, ..hello(-7, 1) };
        // What goes over the wire when one is let in.
        let mut dial = chappe_wire::greet::Dial::new(life, &secrets, Nonce([7; 32]));
        let mut known = Stranger::at(&link, 1).await;
        known.say(dial.opening()).await;
        let opening = dial.opening().to_vec();
        let (challenge, bytes) = known.hear().await;
        let Ok(chappe_wire::greet::DialStep::Say(proofs)) = dial.take(challenge, &bytes) else {
            panic!("nothing is to be proved")
        };
        known.say(&proofs).await;
        assert!(matches!(known.hear().await.0, Greeting::Welcome(_)));
        drop(known);
        let mut again = Stranger::at(&link, 1).await;
        again.say(&opening).await;
        assert!(matches!(again.hear().await.0, Greeting::Challenge(_)));
        again.say(&proofs).await;
        let (reason, text) = again.refusal().await;
        assert_eq!((reason, text.contains("does not know")), (Reason::WrongSecret, true), "{text}");
        assert_eq!(master.stats().named("wrong_secrets"), 1);
    });
}

#[test]
fn half_a_proof_or_none_is_enough() {
    run(async |link| {
        let master = master(&link, OLD);
        let shown: [Vec<Proof>; 4] =
            [vec![], vec![Proof(vec![])], vec![Proof(vec![0; 31])], vec![Proof(vec![0; 32]); 1000]];
        for proofs in shown {
            let mut stranger = Stranger::at(&link, 1).await;
            stranger.say(&claim(Hello { role: Role::Tool, ..hello(-7, 1) })).await;
            assert!(matches!(stranger.hear().await.0, Greeting::Challenge(_)));
            stranger.say(&Greeting::Prove(proofs).encode(PROTOCOL)).await;
            assert_eq!(stranger.refusal().await.0, Reason::WrongSecret);
        }
        // A frame in place of a proof.
        let mut stranger = Stranger::at(&link, 1).await;
        stranger.say(&claim(Hello { role: Role::Tool, ..hello(-7, 1) })).await;
        assert!(matches!(stranger.hear().await.0, Greeting::Challenge(_)));
        stranger.say(&[8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0]).await;
        assert_eq!(stranger.refusal().await.0, Reason::ProtocolError);
        assert_eq!(master.stats().named("wrong_secrets"), 4);
        assert_eq!(master.with_view(|view| view.members().count()), 1);
    });
}

#[test]
fn a_stranger_takes_the_id_of_a_node_while_it_proves_nothing() {
    run(async |link| {
        let master = master(&link, OLD);
        let mut stranger = Stranger::at(&link, 1).await;
        stranger.say(&claim(Hello { role: Role::Lobby, ..hello(20, 1) })).await;
        assert!(matches!(stranger.hear().await.0, Greeting::Challenge(_)));
        let lobby = node(20, Role::Lobby, OLD);
        let life = live(&lobby, &link);
        until(|| knows(&master, 20)).await;
        assert!(!life.is_finished());
    });
}

#[test]
fn nodes_of_one_process_have_to_prove_what_all_of_them_know() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let link: AnyLink = Arc::new(MemoryLink::new());
        let master = common::master_of(node(1, Role::Master, OLD), &link);
        let lobby = node(20, Role::Lobby, "");
        common::start(&lobby, &link, |_| {});
        timeout(60 * SECOND, until(|| knows(&master, 20))).await.unwrap();
    });
}

#[test]
fn over_nats_a_node_with_another_secret_or_none_joins() {
    // To NATS itself they are all the same: only the secret tells them apart.
    let Some(server) = Server::start("authorization { user: u, password: p }") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = async {
        let url = format!("nats://u:p@127.0.0.1:{}", server.port());
        let process = || -> AnyLink { Arc::new(NatsLink::new(NatsOptions::new([url.clone()], "test"))) };
        let master = common::master_of(node(1, Role::Master, OLD), &process());
        let (lobby, mail) = (node(20, Role::Lobby, OLD), node(40, Role::Service, OLD));
        let lives = [live_over(&lobby, process()), live_over(&mail, process())];
        until(|| knows(&lobby, 40) && knows(&mail, 20)).await;
        talk(&lobby, 40).await;
        for (secrets, why) in [(NEW, "does not know this cluster's secret"), ("", "shows no cluster secret")]
        {
            let before = master.stats().named("wrong_secrets");
            let stranger = node(30, Role::Game, secrets);
            let error = live_over(&stranger, process()).await.unwrap().unwrap_err();
            let NodeError::Refused { refusal, .. } = &error else { panic!("{error}") };
            assert_eq!(refusal.reason, Reason::WrongSecret);
            assert!(refusal.message.contains(why) && error.to_string().contains("30"), "{error}");
            assert!(master.stats().named("wrong_secrets") > before);
            assert!(!knows(&master, 30));
        }
        // A whole cluster's worth of strangers changes nothing for those that know it; nor does one that calls a node
        // and not the master.
        let link = process();
        let conn = link.dial(NodeId(40)).await.unwrap();
        let secrets = Secrets::parse(NEW).unwrap();
        let hello = Hello { role: Role::Tool, to: Some(NodeId(40)), ..hello(-7, 1) };
        let greeted =
            chappe_node::dial_greeting(&*conn, &mut chappe_link::Buffer::default(), hello, &secrets).await;
        let text = greeted.unwrap_err().to_string();
        assert!(text.contains("WrongSecret"), "{text}");
        talk(&lobby, 40).await;
        assert!(lives.iter().all(|life| !life.is_finished()));
        assert_eq!(lobby.stats().named("strangers_let_in"), 0);
    };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { timeout(60 * SECOND, all).await.unwrap() });
}

#[test]
fn others_of_this_machine_reach_the_sockets() {
    run(async |link| {
        let _listener = link.listen(NodeId(7)).unwrap();
        let socket = link.socket_of(NodeId(7));
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(socket.parent().unwrap()), 0o700);
        assert_eq!(mode(&socket), 0o600);
        assert_eq!(mode(&socket.with_extension("lock")), 0o600);
    });
}
