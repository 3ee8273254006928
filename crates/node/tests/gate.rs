//! The gate: nobody hears of what may yet be undone, and nobody else waits for it (snipe.md section 4).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Address, Failure, Reply, Responder, To};
use chappe_wire::{NodeId, PushTo, Reason, Row};
use common::{SECOND, pair, until};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

type Heard = Rc<RefCell<Vec<u32>>>;

const MAIL: NodeId = NodeId(40);

/// What the service hears of the lobby's `E`.
fn heard(mail: &ServiceSystem) -> Heard {
    let heard = Heard::default();
    let list = heard.clone();
    mail.listen("t", "lobby", "E", move |event| list.borrow_mut().push(event.data().unwrap()));
    heard
}

fn say(lobby: &ServerSystem, number: u32) {
    lobby.notify_to_service_node(MAIL, "E", &number).unwrap();
}

/// What is sent before it has arrived when this has.
async fn round_trip(lobby: &ServerSystem) {
    let to = To::Node(MAIL);
    let target = (chappe_node::control::NODE, "report");
    let _: chappe_node::Report = lobby.ask(Row::Internal, to, target, &(), SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_does_not_overtake_a_held_one_to_the_same_receiver() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        say(&lobby, 0);
        let run = lobby.new_run();
        lobby.in_run(run, || say(&lobby, 1));
        say(&lobby, 2);
        lobby.request(Row::RequestToService, To::Node(MAIL), ("m", "none"), &(), SECOND, |_| {}).unwrap();
        round_trip(&lobby).await;
        assert_eq!((heard.borrow().clone(), lobby.held_messages()), (vec![0], 3));
        lobby.open_run(run);
        // Before the sweep it still queues.
        say(&lobby, 3);
        until(|| heard.borrow().len() == 4).await;
        assert_eq!((heard.borrow().clone(), lobby.held_messages()), (vec![0, 1, 2, 3], 0));
        say(&lobby, 4);
        assert_eq!(lobby.held_messages(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_held_message_holds_up_nobody_else() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let run = lobby.new_run();
        let to_player = |epoch: u64| {
            lobby.push_raw(
                Row::ServerToClient,
                NodeId(30),
                PushTo::Epochs(&epoch.to_le_bytes()),
                b"a\0b\0c",
                b"",
            )
        };
        // Nobody is proxy 30: what is not held fails at once.
        let held = lobby.in_run(run, || {
            let request = lobby.notify_to_master("E", &0u32);
            request.map(|sent| sent.targets())
        });
        assert_eq!(held.unwrap(), 1);
        assert_eq!(to_player(7).unwrap_err().reason(), Reason::NoRoute);
        say(&lobby, 1);
        round_trip(&lobby).await;
        assert_eq!(heard.borrow().clone(), [1]);
        lobby.discard_run(run);
        assert_eq!(lobby.held_messages(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_discarded_run_said_is_never_heard_and_what_queued_behind_it_is() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let run = lobby.new_run();
        let called = Rc::new(Cell::new(false));
        let call = called.clone();
        let sent = lobby.in_run(run, || {
            let reply = move |_: Reply<'_>| call.set(true);
            lobby.request(Row::RequestToService, To::Node(MAIL), ("m", "f"), &(), SECOND, reply).unwrap();
            lobby.notify_to_service_node(MAIL, "E", &1u32).unwrap()
        });
        assert_eq!((sent.targets(), sent.missing().len()), (1, 0));
        say(&lobby, 2);
        assert!(lobby.discard_run(run).is_empty());
        // The handler's last words come too late.
        lobby.in_run(run, || say(&lobby, 3));
        assert_eq!(sent.receipt().await.missing, [(MAIL, Reason::HandlerFailed)]);
        until(|| !heard.borrow().is_empty()).await;
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!((heard.borrow().clone(), called.get(), lobby.held_messages()), (vec![2], false, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_of_a_held_message_tells_where_it_arrived_once_it_has_left() {
    pair(async |lobby, mail| {
        let _heard = heard(&mail);
        let run = lobby.new_run();
        let sent = lobby.in_run(run, || lobby.notify_to_service_node(MAIL, "E", &1u32).unwrap());
        let receipt = sent.receipt();
        lobby.open_run(run);
        assert_eq!(receipt.await.reached, [MAIL]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn runs_opened_in_another_order_leave_in_the_order_in_which_they_spoke() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let runs: Vec<_> = (0..4).map(|_| lobby.new_run()).collect();
        for (at, run) in runs.iter().enumerate() {
            lobby.in_run(*run, || say(&lobby, at as u32));
        }
        lobby.open_run(runs[3]);
        lobby.open_run(runs[1]);
        round_trip(&lobby).await;
        assert!(heard.borrow().is_empty());
        lobby.open_run(runs[0]);
        until(|| heard.borrow().len() == 2).await;
        round_trip(&lobby).await;
        assert_eq!(heard.borrow().clone(), [0, 1]);
        lobby.open_run(runs[2]);
        until(|| heard.borrow().len() == 4).await;
        assert_eq!(heard.borrow().clone(), [0, 1, 2, 3]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_waits_for_all_its_receivers_and_later_messages_for_the_broadcast() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let (first, second) = (lobby.new_run(), lobby.new_run());
        lobby.in_run(first, || say(&lobby, 1));
        let all = lobby.broadcast_to_service("E", &2u32).unwrap();
        assert_eq!(all.targets(), 1);
        lobby.in_run(second, || lobby.broadcast_to_service("E", &3u32).unwrap());
        say(&lobby, 4);
        lobby.open_run(first);
        until(|| heard.borrow().len() == 2).await;
        round_trip(&lobby).await;
        assert_eq!(heard.borrow().clone(), [1, 2], "4 is behind 3, which may not leave yet");
        lobby.open_run(second);
        until(|| heard.borrow().len() == 4).await;
        assert_eq!(heard.borrow().clone(), [1, 2, 3, 4]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_push_to_several_waits_for_each_of_them() {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let link: common::AnyLink = std::sync::Arc::new(chappe_link::memory::MemoryLink::new());
        let _master = common::stand_in_master(&link);
        let lobby = chappe_node::Node::new(common::config(20, chappe_wire::Role::Lobby, "lobby"));
        let proxy = chappe_node::Node::new(common::config(30, chappe_wire::Role::Proxy, "proxy"));
        let pushed: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
        let list = pushed.clone();
        proxy.on_push(move |_, _, _, _, data| list.borrow_mut().push(data.to_vec()));
        common::start(&lobby, &link, |_| {});
        common::start(&proxy, &link, |_| {});
        let proxy_id = NodeId(30);
        let is_ready = || lobby.with_view(|view| view.reachable(proxy_id, |_| true).is_ok());
        until(is_ready).await;
        let push = |to: PushTo<'_>, data: &[u8]| {
            drop(lobby.push_raw(Row::ServerToClient, proxy_id, to, b"a\0b\0c", data).unwrap());
        };
        let (one, two) = (1u64.to_le_bytes(), 2u64.to_le_bytes());
        let both = [one, two].concat();
        let (a, b) = (lobby.new_run(), lobby.new_run());
        lobby.in_run(a, || push(PushTo::Epochs(&one), b"1"));
        lobby.in_run(b, || push(PushTo::Uid(7), b"u"));
        push(PushTo::Epochs(&both), b"2");
        push(PushTo::Epochs(&two), b"3");
        push(PushTo::Uid(7), b"v");
        push(PushTo::Uid(8), b"4");
        until(|| pushed.borrow().len() == 1).await;
        lobby.open_run(a);
        until(|| pushed.borrow().len() == 4).await;
        assert_eq!(pushed.borrow().clone(), [b"4", b"1", b"2", b"3"]);
        lobby.open_run(b);
        until(|| pushed.borrow().len() == 6).await;
        assert_eq!(pushed.borrow()[4..], [b"u", b"v"]);
    });
    run.await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_discarded_run_is_given_by_the_run_that_takes_its_place() {
    pair(async |lobby, mail| {
        let asked: Rc<RefCell<Vec<Responder>>> = Rc::default();
        let queue = asked.clone();
        mail.register(Row::RpcMethod, "m", "f", move |call| queue.borrow_mut().push(call.into_responder()));
        let ask = || lobby.ask::<_, u32>(Row::RequestToService, To::Node(MAIL), ("m", "f"), &(), SECOND);
        let (first, second) = (tokio::task::spawn_local(ask()), tokio::task::spawn_local(ask()));
        until(|| asked.borrow().len() == 2).await;
        let run = mail.new_run();
        mail.in_run(run, || {
            asked.take().into_iter().for_each(|responder| responder.respond(&1u32).unwrap());
        });
        let mut again = mail.discard_run(run);
        assert_eq!(again.len(), 2);
        drop(again.pop());
        let run = mail.new_run();
        mail.in_run(run, || again.pop().unwrap().respond(&2u32).unwrap());
        assert!(!first.is_finished());
        mail.open_run(run);
        assert_eq!(first.await.unwrap(), Ok(2));
        let failure: Failure = second.await.unwrap().unwrap_err();
        assert_eq!(failure.reason, Reason::NodeLost);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_awaits_what_its_own_run_holds_is_told_at_the_deadline() {
    pair(async |lobby, mail| {
        mail.register(Row::RpcMethod, "m", "f", |call| call.respond(&1u32).unwrap());
        let run = lobby.new_run();
        let start = tokio::time::Instant::now();
        let asked = lobby.in_run(run, || {
            lobby.ask::<_, u32>(Row::RequestToService, To::Node(MAIL), ("m", "f"), &(), SECOND)
        });
        assert_eq!(asked.await.unwrap_err().reason, Reason::DeadlineExceeded);
        assert!(start.elapsed() < 2 * SECOND && lobby.held_messages() == 0);
        // What the runtime asks for is not held.
        lobby.in_run(run, || drop(tokio::task::spawn_local(async {})));
        let target = (chappe_node::control::NODE, "report");
        let report = lobby.in_run(run, || {
            lobby.ask::<_, chappe_node::Report>(Row::Internal, To::Node(MAIL), target, &(), SECOND)
        });
        assert_eq!(report.await.unwrap().node, MAIL);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_to_a_module_stays_behind_what_is_held_for_its_provider() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let list = heard.clone();
        mail.register(Row::RpcMethod, "m", "f", move |call| {
            list.borrow_mut().push(9);
            call.respond(&()).unwrap();
        });
        until(|| lobby.with_view(|view| view.members().any(|at| at.modules.iter().any(|name| name == "m"))))
            .await;
        let run = lobby.new_run();
        lobby.in_run(run, || say(&lobby, 1));
        let asked = lobby.ask::<_, ()>(Row::RequestToService, To::Module, ("m", "f"), &(), 5 * SECOND);
        tokio::time::sleep(SECOND).await;
        assert!(heard.borrow().is_empty());
        lobby.open_run(run);
        asked.await.unwrap();
        assert_eq!(heard.borrow().clone(), [1, 9]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_fill_the_memory() {
    pair(async |lobby, _| {
        let big = vec![0u8; 1 << 19];
        for (data, most) in [(big.as_slice(), 127), (b"", 100_000)] {
            let run = lobby.new_run();
            let send = || lobby.send_raw(Row::NodeToService, Address::Service(MAIL), b"t\0lobby\0E", data);
            let refused =
                lobby.in_run(run, || (0..).find_map(|at| send().err().map(|error| (at, error.reason()))));
            assert_eq!(refused, Some((most, Reason::Overloaded)));
            lobby.discard_run(run);
            assert_eq!(lobby.held_messages(), 0);
        }
        let overloaded = (Row::NodeToService.code(), Reason::Overloaded, 2);
        assert!(lobby.report().dropped.contains(&overloaded));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_leaves_no_run_behind() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let (outer, inner) = (lobby.new_run(), lobby.new_run());
        lobby.in_run(outer, || {
            let run_it = std::panic::AssertUnwindSafe(|| lobby.in_run(inner, || panic!("a handler's")));
            assert!(std::panic::catch_unwind(run_it).is_err());
            assert_eq!(lobby.current_run(), Some(outer));
        });
        assert_eq!(lobby.current_run(), None);
        say(&lobby, 1);
        until(|| heard.borrow().clone() == [1]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_awaits_is_in_its_run_whenever_it_goes_on_and_nobody_else_is() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let run = lobby.new_run();
        let system = lobby.clone();
        let handler = tokio::task::spawn_local(lobby.in_run_async(run, async move {
            tokio::time::sleep(SECOND).await;
            say(&system, 2);
        }));
        tokio::time::sleep(SECOND / 2).await;
        say(&lobby, 1);
        handler.await.unwrap();
        round_trip(&lobby).await;
        assert_eq!((heard.borrow().clone(), lobby.current_run()), (vec![1], None));
        lobby.open_run(run);
        until(|| heard.borrow().clone() == [1, 2]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn timers_and_tasks_of_a_run_speak_for_themselves() {
    pair(async |lobby, mail| {
        let heard = heard(&mail);
        let run = lobby.new_run();
        let (timer, task) = (lobby.clone(), lobby.clone());
        lobby.in_run(run, || {
            lobby.add_timer(Duration::from_millis(5), move || say(&timer, 1));
            lobby.spawn(async move { say(&task, 2) });
        });
        until(|| heard.borrow().len() == 2).await;
        assert_eq!(heard.borrow().clone(), [2, 1]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_when_its_message_leaves_is_counted() {
    pair(async |lobby, mail| {
        let run = lobby.new_run();
        let sent = lobby.in_run(run, || lobby.notify_to_service_node(MAIL, "E", &1u32).unwrap());
        mail.stop();
        until(|| lobby.with_view(|view| view.member(MAIL).is_none())).await;
        lobby.open_run(run);
        assert_eq!(sent.receipt().await.missing, [(MAIL, Reason::Disconnected)]);
        let dropped = (Row::NodeToService.code(), Reason::Disconnected, 1);
        assert!(lobby.report().dropped.contains(&dropped));
    })
    .await;
}
