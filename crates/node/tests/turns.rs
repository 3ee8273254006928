//! One node's loop: nobody may keep it from the others, and calls from inside handlers are all allowed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use chappe_node::system::ServiceSystem;
use chappe_node::{Address, Reply, To};
use chappe_wire::{NodeId, Reason, Row};
use common::{SECOND, pair, until};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_system_that_answers_itself_for_ever_does_not_starve_the_node() {
    pair(async |_, mail| {
        let (rounds, others) = (Rc::new(Cell::new(0u32)), Rc::new(Cell::new(0u32)));
        let (count, others_then) = (rounds.clone(), Rc::new(Cell::new(None)));
        let (system, seen, then) = (mail.clone(), others.clone(), others_then.clone());
        mail.listen("t", "mail", "Again", move |_| {
            count.set(count.get() + 1);
            if count.get() < 50_000 {
                system.broadcast_event("Again", &()).unwrap();
            } else {
                then.set(Some(seen.get()));
            }
        });
        let busy = others.clone();
        mail.spawn(async move {
            loop {
                busy.set(busy.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        mail.broadcast_event("Again", &()).unwrap();
        while others_then.get().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(others_then.get() > Some(20), "others ran {:?} times meanwhile", others_then.get());
    })
    .await;
}

/// Real time: handlers that are slow take it.
#[tokio::test]
async fn slow_handlers_of_one_peer_do_not_hold_up_timers() {
    pair(async |lobby, mail| {
        let (heard, ticks) = (Rc::new(Cell::new(0u32)), Rc::new(Cell::new(0u32)));
        let count = heard.clone();
        mail.listen("t", "lobby", "Slow", move |_| {
            std::thread::sleep(Duration::from_millis(1));
            count.set(count.get() + 1);
        });
        for n in 0..300 {
            lobby.notify_to_service_node(NodeId(40), "Slow", &n).unwrap();
        }
        let tick = ticks.clone();
        mail.add_repeated_timer(Duration::from_millis(10), move || tick.set(tick.get() + 1));
        until(|| heard.get() == 300).await;
        assert!(ticks.get() > 5, "the timer ran {} times in over 300 ms", ticks.get());
    })
    .await;
}

/// Un-listens all its events when it goes, as a mod's system does in `Destroy`.
struct Destroyed(ServiceSystem);

impl Drop for Destroyed {
    fn drop(&mut self) {
        self.0.unlisten_all();
        self.0.register_rpc_method_for_mod("Late", |_| {});
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_owns_may_call_the_node_when_it_is_dropped() {
    pair(async |lobby, mail| {
        let owner = Rc::new(Destroyed(mail.clone()));
        let id = mail.listen("t", "lobby", "E", move |_| drop(owner.clone()));
        assert!(mail.unlisten(id));
        let owner = Rc::new(Destroyed(mail.clone()));
        mail.register_rpc_method_for_mod("M", move |_| drop(owner.clone()));
        mail.register_rpc_method_for_mod("M", |call| call.respond(&1).unwrap());
        let answer: i64 = lobby.request_to_service_mod("service_mail", "M", &(), SECOND).await.unwrap();
        assert_eq!(answer, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_was_just_removed_hears_nothing_more() {
    pair(async |_, mail| {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (later, into) = (Rc::new(Cell::new(None)), heard.clone());
        let (system, victim) = (mail.clone(), later.clone());
        mail.listen_with_priority("t", "mail", "E", 10, move |_| {
            into.borrow_mut().push("first");
            if let Some(id) = victim.take() {
                system.unlisten(id);
            }
        });
        let into = heard.clone();
        later.set(Some(mail.listen("t", "mail", "E", move |_| into.borrow_mut().push("removed"))));
        let into = heard.clone();
        mail.listen("t", "mail", "E", move |_| into.borrow_mut().push("last"));
        mail.broadcast_event("E", &()).unwrap();
        until(|| heard.borrow().contains(&"last")).await;
        assert_eq!(*heard.borrow(), ["first", "last"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_take_for_ever_is_no_panic() {
    pair(async |lobby, mail| {
        mail.register_rpc_method_for_mod("M", |call| call.respond(&1).unwrap());
        let ask = |module| lobby.request_to_service::<_, i64>(module, "M", &(), Duration::MAX);
        assert_eq!(ask("service_mail").await.unwrap(), 1);
        assert_eq!(ask("nobody").await.unwrap_err().reason, Reason::NoProvider);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_ends_its_call_and_not_the_connection() {
    pair(async |lobby, mail| {
        let long: Rc<[u8]> = vec![b'x'; 4 << 20].into();
        let answer = long.clone();
        mail.register_rpc_method_for_mod("Raw", move |call| call.into_responder().respond_raw(&answer));
        let text = long.clone();
        mail.register_rpc_method_for_mod("Fail", move |call| {
            call.fail(Reason::HandlerFailed, std::str::from_utf8(&text).unwrap());
        });
        let kept = Rc::new(RefCell::new(Vec::new()));
        let keep = kept.clone();
        mail.register_rpc_method_for_mod("Keep", move |call| keep.borrow_mut().push(call.into_responder()));
        let ask = |method| lobby.request_to_service_mod::<_, i64>("service_mail", method, &(), SECOND);
        let other = ask("Keep");
        assert_eq!(ask("Raw").await.unwrap_err().reason, Reason::HandlerFailed);
        let failure = ask("Fail").await.unwrap_err();
        assert_eq!(failure.reason, Reason::HandlerFailed);
        assert!(failure.message.starts_with("xxx") && failure.message.len() < 10_000);
        let error = lobby.send_raw(Row::NodeToService, Address::Service(NodeId(40)), b"a\0b\0c", &long);
        assert_eq!(error.unwrap_err().reason(), Reason::TooLarge);
        let ended = Rc::new(Cell::new(None));
        let into = ended.clone();
        let callback = Box::new(move |reply: Reply<'_>| into.set(reply.err().map(|failure| failure.reason)));
        let (row, target) = (Row::RequestToService, ("service_mail", "Keep"));
        lobby.request_raw(row, To::Module, target, &long, SECOND, Some(callback));
        until(|| ended.get().is_some()).await;
        assert_eq!(ended.get(), Some(Reason::TooLarge));
        kept.borrow_mut().pop().unwrap().respond(&7).unwrap();
        assert_eq!(other.await.unwrap(), 7, "the connection stands");
    })
    .await;
}
