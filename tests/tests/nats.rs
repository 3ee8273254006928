//! What nodes promise while NATS goes away under them and comes back: numbered messages come in order, none is missing
//! and none comes twice, and each request has its one outcome.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_link::nats::{NatsLink, NatsOptions};
use chappe_link::{Buffer, Conn, Link};
use chappe_node::Failure;
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_tests::nats::Server;
use chappe_tests::world::{World, until};
use chappe_wire::hello::{Greeting, Hello, PROTOCOL, Purpose, Version};
use chappe_wire::{NodeId, Reason, Role};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const NODES: [(i64, Role, &str); 3] =
    [(1, Role::Master, "master"), (20, Role::Lobby, "lobby"), (40, Role::Service, "service_mail")];
const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn a_restart_of_nats_in_the_middle_of_a_stream_loses_repeats_and_reorders_nothing() {
    let Some(mut server) = Server::start("") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let link = NatsLink::new(NatsOptions::new([server.url()], "conformance"));
        let world = World::new(Arc::new(link.clone()), &NODES, |_| true).await.unwrap();
        let lobby = ServerSystem::new(world.node(20), "C", "lobby");
        let mail = ServiceSystem::new(world.node(40), "C", "mail");
        let heard = world.hears(40, "lobby", "N");
        mail.register_rpc_method_for_mod("Echo", |call| {
            let n: u64 = call.args().unwrap();
            let _ = call.respond(&n);
        });
        let (answered, failed) = (Rc::new(Cell::new(0u64)), Rc::new(RefCell::new(Vec::new())));
        let (mut accepted, mut refused, mut asked) = (Vec::new(), 0u64, 0u64);
        for n in 0..60_000u64 {
            match lobby.notify_to_service_node(NodeId(40), "N", &n) {
                Ok(_) => accepted.push(n),
                Err(error) => {
                    // Its queue is full while NATS is away: said at the call.
                    assert_eq!(error.reason(), Reason::Overloaded, "{error}");
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            if n % 16 == 0 {
                let (answered, failed) = (answered.clone(), failed.clone());
                let sent =
                    lobby.request_to_service_mod_with("service_mail", "Echo", &n, DEADLINE, move |reply| {
                        match reply.and_then(|data| data.parse::<u64>().map_err(Failure::from)) {
                            Ok(echo) => {
                                assert_eq!(echo, n);
                                answered.set(answered.get() + 1);
                            }
                            Err(failure) => failed.borrow_mut().push(failure.reason),
                        }
                    });
                asked += u64::from(sent.is_ok());
            }
            if n % 64 == 0 {
                tokio::task::yield_now().await;
            }
            if n % 20_000 == 10_000 {
                until("NATS is back", || link.stats().reconnects == n / 20_000).await.unwrap();
                server.kill();
                server.resume();
            }
        }
        let outcomes = || answered.get() + failed.borrow().len() as u64;
        until("each request has its outcome", || outcomes() == asked).await.unwrap();
        until("what was accepted is there", || heard.borrow().len() >= accepted.len()).await.unwrap();
        // And not one more, nor another order.
        let numbers: Vec<_> = heard.take().iter().map(|(_, data)| data.as_uint().unwrap()).collect();
        assert!(numbers == accepted, "{} came of {} accepted", numbers.len(), accepted.len());
        // None was lost under way: what failed was never taken, because the queue was full.
        assert!(failed.borrow().iter().all(|reason| *reason == Reason::Overloaded), "{:?}", failed.borrow());
        assert_eq!(accepted.len() as u64 + refused, 60_000);
        let stats = link.stats();
        assert_eq!((stats.disconnects, stats.reconnects, stats.broken), (3, 3, 0), "{stats:?}");
        // Nobody was taken for lost.
        assert_eq!(world.node(1).with_view(|view| view.members().count()), NODES.len());
    });
}

/// Says hello to a node as one of that version does; what it answers.
async fn greeted(link: &NatsLink, to: NodeId, version: Version) -> Greeting {
    let hello = Hello {
        cluster: "conformance".into(),
        node: NodeId(99),
        role: Role::Service,
        node_type: "service_late".into(),
        incarnation: 1,
        to: Some(to),
        purpose: Purpose::Messages,
        term: 0,
        auth: None,
        version: String::new(),
    };
    let conn: Box<dyn Conn> = link.dial(to).await.unwrap();
    let mut out = Buffer::default();
    let bytes = Greeting::Hello(hello).encode(version);
    out.tail(bytes.len()).extend_from_slice(&bytes);
    conn.try_write(&mut out).unwrap();
    let mut incoming = Buffer::default();
    loop {
        if let Some((greeting, _, _)) = Greeting::decode(incoming.filled(), PROTOCOL).unwrap() {
            return greeting;
        }
        assert!(poll_fn(|cx| conn.poll_read(cx, &mut incoming)).await.unwrap() > 0, "closed without a word");
    }
}

#[test]
fn a_node_of_the_version_before_is_let_in_and_one_of_another_major_is_told_why_not() {
    let Some(server) = Server::start("") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let link = NatsLink::new(NatsOptions::new([server.url()], "conformance"));
        let world = World::new(Arc::new(link), &NODES, |_| true).await.unwrap();
        let other = NatsLink::new(NatsOptions::new([server.url()], "conformance"));
        for to in [NodeId(1), NodeId(40)] {
            let before = Version { minor: PROTOCOL.minor.saturating_sub(1), ..PROTOCOL };
            let answer = greeted(&other, to, before).await;
            assert!(matches!(&answer, Greeting::Hello(hello) if hello.node == to), "{answer:?}");
            for foreign in [
                Version { major: PROTOCOL.major + 1, minor: 0 },
                Version { minor: PROTOCOL.minor + 2, ..PROTOCOL },
            ] {
                let Greeting::Refuse(refusal) = greeted(&other, to, foreign).await else {
                    panic!("{foreign} is let in")
                };
                assert!(refusal.message.contains(&foreign.to_string()), "{refusal}");
                assert!(refusal.message.contains(&PROTOCOL.to_string()), "{refusal}");
            }
        }
        let report = world.node(40).report();
        assert!(report.named.get("nats_up") == Some(&1) && report.named["nats_sent_bytes"] > 0, "{report:?}");
    });
}
