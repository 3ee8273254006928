//! A node that leaves, or that is gone: what was accepted is finished, what was said is heard.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use chappe_node::system::ServerSystem;
use chappe_node::{Beats, Node};
use chappe_wire::{Body, NodeId, Reason, Role, Row};
use common::raw::{Raw, hello, introduce};
use common::{SECOND, config, pair, pair_over, until};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_request_that_was_accepted_is_answered_before_the_node_leaves() {
    pair(async |lobby, mail| {
        mail.register_async(Row::RpcMethod, "service_mail", "Slow", async |n: i64| {
            sleep(Duration::from_millis(800)).await;
            Ok::<_, String>(n + 1)
        });
        let answer = lobby.request_to_service_mod::<_, i64>("service_mail", "Slow", &1, SECOND);
        sleep(Duration::from_millis(100)).await;
        mail.stop();
        assert_eq!(answer.await.unwrap(), 2);
        until(|| lobby.with_view(|view| view.member(NodeId(40)).is_none())).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_handler_awaits_is_done_before_the_node_leaves() {
    pair(async |lobby, mail| {
        let done = Rc::new(Cell::new(false));
        let (end, notify) = (done.clone(), mail.clone());
        mail.listen_async("t", "lobby", "Save", move |_| {
            let (end, mail) = (end.clone(), notify.clone());
            async move {
                sleep(Duration::from_millis(500)).await;
                mail.notify_to_server_node(NodeId(20), "Saved", &()).unwrap();
                end.set(true);
            }
        });
        let heard = Rc::new(Cell::new(false));
        let hear = heard.clone();
        lobby.listen("t", "mail", "Saved", move |_| hear.set(true));
        lobby.notify_to_service_node(NodeId(40), "Save", &()).unwrap();
        sleep(Duration::from_millis(100)).await;
        mail.stop();
        until(|| lobby.with_view(|view| view.member(NodeId(40)).is_none())).await;
        assert!(done.get() && heard.get());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_still_waits_when_its_node_leaves_is_counted() {
    pair(async |lobby, mail| {
        mail.stop();
        until(|| lobby.with_view(|view| view.member(NodeId(40)).is_none())).await;
        let answer = lobby.request_to_service_mod::<_, i64>("service_mail", "Slow", &1, SECOND * 60);
        sleep(Duration::from_millis(100)).await;
        lobby.stop();
        assert_eq!(answer.await.unwrap_err().reason, Reason::ShuttingDown);
        let (report, row) = (lobby.report(), Row::RequestToServiceMod.code());
        assert_eq!(report.sent.get(&row), Some(&1));
        assert_eq!(report.dropped.iter().find(|(of, ..)| *of == row), Some(&(row, Reason::ShuttingDown, 1)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_before_others_know_that_a_node_leaves_is_not_lost() {
    pair_over(async |link, _lobby, mail| {
        mail.register_rpc_method_for_mod("M", |call| call.respond(&1).unwrap());
        let mut fake = Raw::connect(&link, hello(41, 40)).await.unwrap();
        mail.stop();
        sleep(Duration::from_millis(30)).await;
        let target = b"service_mail\0M";
        let body = Body::Request { id: 5, timeout_ms: 1000, one_way: false, target };
        fake.say(Row::RequestToService, body, &[0xc0]);
        let answer = |body: &Body<'_>| match body {
            Body::Response { id: 5, status } => Some(*status),
            _ => None,
        };
        assert_eq!(fake.hear(|envelope| answer(&envelope.body)).await, Some(Ok(())));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_before_it_was_ready_takes_no_messages_that_nobody_hears() {
    pair_over(async |link, lobby, _mail| {
        let node = Node::new(config(41, Role::Service, "service_mail"));
        let late = node.clone();
        tokio::task::spawn_local(async move {
            let setup = async |_: &Node| std::future::pending().await;
            late.run(link, Beats::Task, setup).await.unwrap();
        });
        until(|| lobby.with_view(|view| view.member(NodeId(41)).is_some())).await;
        node.on_leave(|| Box::pin(sleep(SECOND)));
        node.stop();
        sleep(SECOND / 2).await;
        let receipt = lobby.broadcast_to_service("Any", &()).unwrap().receipt().await;
        assert_eq!(receipt.to_string(), "1 of 2; missing 41: NotReady");
    })
    .await;
}

/// A request to a fake service; the number under which it has it.
async fn ask_fake(lobby: &ServerSystem, fake: &mut Raw) -> (u64, Rc<Cell<Option<Result<i64, Reason>>>>) {
    let outcome = Rc::new(Cell::new(None));
    let into = outcome.clone();
    lobby
        .request_to_service_with("fake", "M", &(), SECOND, move |reply| {
            into.set(Some(reply.map(|data| data.parse().unwrap()).map_err(|failure| failure.reason)));
        })
        .unwrap();
    let request = |body: &Body<'_>| match body {
        Body::Request { id, .. } => Some(*id),
        _ => None,
    };
    (fake.hear(|envelope| request(&envelope.body)).await.unwrap(), outcome)
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_of_a_node_is_heard_though_a_write_to_it_fails_first() {
    pair_over(async |link, lobby, _mail| {
        introduce(&lobby, 41);
        let mut fake = Raw::connect(&link, hello(41, 20)).await.unwrap();
        let (id, outcome) = ask_fake(&lobby, &mut fake).await;
        // All in one turn of the lobby's: it writes to a connection that has just ended, and has not read yet.
        let _ = lobby.notify_to_service_node(NodeId(41), "Any", &());
        fake.say(Row::ResponseToServer, Body::Response { id, status: Ok(()) }, &[7]);
        drop(fake);
        until(|| outcome.get().is_some()).await;
        assert_eq!(outcome.get(), Some(Ok(7)));
        until(|| {
            lobby.report().pairs.iter().any(|pair| pair.peer == NodeId(41) && !pair.under_way.is_empty())
        })
        .await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_is_asked_for_late_is_not_settled_by_another_connection() {
    pair_over(async |link, lobby, _mail| {
        introduce(&lobby, 41);
        let fake = Raw::connect(&link, hello(41, 20)).await.unwrap();
        let sent = lobby.notify_to_service_node(NodeId(41), "Lost", &()).unwrap();
        let lost_again = lobby.notify_to_service_node(NodeId(41), "Lost", &()).unwrap();
        drop(fake);
        until(|| {
            lobby.notify_to_service_node(NodeId(41), "Lost", &()).is_err() || !lobby.report().pairs.is_empty()
        })
        .await;
        sleep(SECOND).await;
        let mut fake = Raw::connect(&link, hello(41, 20)).await.unwrap();
        for _ in 0..3 {
            lobby.notify_to_service_node(NodeId(41), "Next", &()).unwrap();
        }
        let late = lost_again.receipt();
        // Acknowledges everything that this connection brings.
        fake.acknowledge(3);
        sleep(SECOND).await;
        assert_eq!(sent.receipt().await.to_string(), "0 of 1; missing 41: Disconnected");
        assert_eq!(late.await.to_string(), "0 of 1; missing 41: Disconnected");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_is_asked_for_after_the_refusal_says_so() {
    pair_over(async |link, lobby, _mail| {
        introduce(&lobby, 41);
        let mut fake = Raw::connect(&link, hello(41, 20)).await.unwrap();
        let sent = lobby.notify_to_service_node(NodeId(41), "Any", &()).unwrap();
        sleep(SECOND).await;
        fake.say(Row::Internal, Body::Nack { seq: 1, reason: Reason::NotReady }, &[]);
        fake.acknowledge(1);
        sleep(SECOND).await;
        assert_eq!(sent.receipt().await.to_string(), "0 of 1; missing 41: NotReady");
    })
    .await;
}
