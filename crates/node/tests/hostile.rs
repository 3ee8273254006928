//! Peers that say what no node would: it harms nobody but themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use chappe_node::{ViewChange, control};
use chappe_wire::hello::{Hello, Purpose};
use chappe_wire::{Body, Meta, NodeId, Origin, PushTo, Reason, Role, Row, value};
use common::raw::{Raw, hello, introduce};
use common::{SECOND, pair_over};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

#[tokio::test(start_paused = true)]
async fn a_heartbeat_connection_carries_nothing_but_heartbeats() {
    pair_over(async |link, _lobby, _mail| {
        let pulse = |to| Hello { purpose: Purpose::Pulse, ..hello(41, to) };
        let refused = Raw::connect(&link, pulse(40)).await.err();
        assert!(refused.is_some_and(|why| why.starts_with("WrongRole")), "only the master takes heartbeats");
        let mut raw = Raw::connect(&link, pulse(1)).await.unwrap();
        raw.say(Row::ServiceToMaster, Body::Event { topic: b"t\0fake\0E" }, &[0xc0]);
        let closed = |body: &Body<'_>| match body {
            Body::Close { reason } => Some(*reason),
            _ => None,
        };
        let reason = timeout(SECOND, raw.hear(|envelope| closed(&envelope.body))).await;
        assert_eq!(reason.unwrap(), Some(Reason::ProtocolError));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_can_call_a_node_and_say_that_it_is_the_master() {
    pair_over(async |link, lobby, _mail| {
        let master = Hello { role: Role::Master, incarnation: u64::MAX, ..hello(1, 20) };
        match Raw::connect(&link, master).await {
            Err(why) => assert!(why.starts_with("WrongNode"), "{why}"),
            Ok(mut raw) => {
                let nobody = value::encode(&ViewChange { full: true, ..ViewChange::default() }).unwrap();
                let target = format!("{}\0view", control::NODE);
                let body = Body::Request { id: 0, timeout_ms: 0, one_way: true, target: target.as_bytes() };
                raw.say(Row::Internal, body, &nobody);
                sleep(Duration::from_millis(100)).await;
                panic!("the lobby knows {} members now", lobby.with_view(|view| view.members().count()));
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn only_a_proxy_speaks_for_its_players() {
    pair_over(async |link, lobby, mail| {
        introduce(&lobby, 41);
        let heard = Rc::new(Cell::new(false));
        let hear = heard.clone();
        mail.listen("t", "client", "E", move |_| hear.set(true));
        let mut fake = Raw::connect(&link, hello(41, 40)).await.unwrap();
        let origin = Some(Origin { uid: 7, epoch: 7, proxy: NodeId(10) });
        let meta = Meta { origin, ..Meta::of(Row::ClientToService) };
        fake.say_as(meta, Body::Event { topic: b"t\0client\0E" }, &[0xc0]);
        let nack = |body: &Body<'_>| match body {
            Body::Nack { reason, .. } => Some(*reason),
            _ => None,
        };
        let refusal = timeout(SECOND, fake.hear(|envelope| nack(&envelope.body))).await;
        assert_eq!(refusal.unwrap(), Some(Reason::StaleSession));
        assert!(!heard.get());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_again_and_again_and_does_not_read_it_fills_no_memory() {
    pair_over(async |link, _lobby, mail| {
        let mut fake = Raw::connect(&link, hello(41, 40)).await.unwrap();
        let before = mail.stats().named("refusals_unread");
        // A service takes no pushes: each is refused.
        for _ in 0..2_000 {
            for _ in 0..1_000 {
                fake.say(Row::ServiceToClient, Body::Push { to: PushTo::Uid(1), topic: b"\0\0" }, &[]);
            }
            sleep(Duration::from_millis(1)).await;
            if mail.stats().named("refusals_unread") > before {
                break;
            }
        }
        let waits = mail.queued_bytes();
        assert!(waits < 20 << 20, "{waits} bytes wait for one that does not read");
        assert_eq!(mail.stats().named("refusals_unread"), 1, "and in the end it is closed");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_push_for_no_session_at_all_costs_no_connection() {
    pair_over(async |link, lobby, _mail| {
        introduce(&lobby, 41);
        let mut proxy = Raw::connect(&link, Hello { role: Role::Proxy, ..hello(41, 20) }).await.unwrap();
        let mut member = lobby.with_view(|view| view.member(NodeId(41)).cloned()).unwrap();
        member.role = Role::Proxy;
        lobby.apply_view(ViewChange { members: vec![member], ..ViewChange::default() });
        for to in [PushTo::Epochs(&[]), PushTo::Uid(7)] {
            lobby.push(Row::ServerToClients, NodeId(41), to, b"t\0lobby\0E", &()).unwrap();
        }
        let push = |body: &Body<'_>| match body {
            Body::Push { to, .. } => Some(*to == PushTo::Uid(7)),
            _ => None,
        };
        let first = timeout(SECOND, proxy.hear(|envelope| push(&envelope.body))).await;
        assert_eq!(first.unwrap(), Some(true));
    })
    .await;
}
