//! Two nodes and a stand-in for the master: what the simplest messages promise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use chappe_node::Failure;
use chappe_wire::{NodeId, Reason};
use common::{SECOND, pair, until};
use std::cell::RefCell;
use std::rc::Rc;

#[tokio::test(start_paused = true)]
async fn an_event_and_an_answer_arrive() {
    pair(async |lobby, mail| {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let into = heard.clone();
        mail.listen("t", "lobby", "Hello", move |event| into.borrow_mut().push(event.data::<u64>().unwrap()));
        for n in 0..100u64 {
            lobby.notify_to_service_node(NodeId(40), "Hello", &n).unwrap();
        }
        until(|| heard.borrow().len() == 100).await;
        assert_eq!(*heard.borrow(), (0..100).collect::<Vec<u64>>());
        mail.register_rpc_method_for_mod("Count", |call| {
            let n: i64 = call.args().unwrap();
            call.respond(&(n + 1)).unwrap();
        });
        let answer: i64 = lobby.request_to_service_mod("service_mail", "Count", &41, SECOND).await.unwrap();
        assert_eq!(answer, 42);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_names_who_has_it_and_who_has_not() {
    pair(async |lobby, mail| {
        let receipt = lobby.broadcast_to_service("Any", &1).unwrap().receipt().await;
        assert_eq!(receipt.to_string(), "1 of 1");
        mail.stop();
        until(|| lobby.with_view(|view| view.member(NodeId(40)).is_none())).await;
        let receipt = lobby.broadcast_to_service("Any", &1).unwrap().receipt().await;
        assert_eq!(receipt.to_string(), "0 of 1; missing 40: Disconnected");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_request_ends_once_with_its_reason() {
    pair(async |lobby, mail| {
        let ask = |module: &'static str, method: &'static str| {
            let answer = lobby.request_to_service::<_, i64>(module, method, &(), SECOND);
            async move { answer.await.map_err(|failure: Failure| failure.reason) }
        };
        assert_eq!(ask("nobody", "M").await, Err(Reason::NoProvider));
        assert_eq!(ask("service_mail", "M").await, Err(Reason::NoProvider));
        let kept = Rc::new(RefCell::new(Vec::new()));
        let keep = kept.clone();
        mail.register_rpc_method("service_mail", "Keep", move |call| {
            keep.borrow_mut().push(call.into_responder())
        });
        mail.register_rpc_method("service_mail", "Drop", |_| {});
        mail.register_rpc_method("service_mail", "Panic", |_| panic!("as the test wants"));
        assert_eq!(ask("service_mail", "None").await, Err(Reason::NoMethod));
        assert_eq!(ask("service_mail", "Drop").await, Err(Reason::HandlerFailed));
        assert_eq!(ask("service_mail", "Panic").await, Err(Reason::HandlerFailed));
        assert_eq!(ask("service_mail", "Keep").await, Err(Reason::DeadlineExceeded));
        let late = kept.borrow_mut().pop().unwrap();
        late.respond(&1).unwrap();
        until(|| lobby.stats().named("late_answers") == 1).await;
        // Long enough for the node that leaves to give up on its handler.
        let lost = lobby.request_to_service::<_, i64>("service_mail", "Keep", &(), SECOND * 10);
        until(|| !kept.borrow().is_empty()).await;
        mail.stop();
        assert_eq!(lost.await.unwrap_err().reason, Reason::NodeLost);
        // Declared and away: waited for within the deadline.
        assert_eq!(ask("service_mail", "Keep").await, Err(Reason::DeadlineExceeded));
    })
    .await;
}
