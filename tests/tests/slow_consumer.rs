//! A node that takes in too slowly what NATS has for it: the server cuts it off, and its senders learn what became of
//! each event and each request.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

#[path = "../../crates/link/tests/relay/mod.rs"]
mod relay;

use chappe_link::Link;
use chappe_link::nats::{NatsLink, NatsOptions};
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Failure, Receipt};
use chappe_tests::nats::Server;
use chappe_tests::world::{World, until};
use chappe_wire::{NodeId, Reason, Role};
use relay::Relay;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const NODES: [(i64, Role, &str); 4] = [
    (1, Role::Master, "master"),
    (20, Role::Lobby, "lobby"),
    (40, Role::Service, "service_mail"),
    (41, Role::Service, "service_guild"),
];
const MAIL: NodeId = NodeId(40);

/// So little may wait for one client, and so shortly.
const TIGHT: &str = "max_payload: 32KB\nmax_pending: 256KB\nwrite_deadline: \"250ms\"\n";

/// How many are sent between two looks.
const BURST: usize = 32;

/// What one event or one request ended as.
type Outcomes<T> = Rc<RefCell<Vec<T>>>;

/// Sends an event with a receipt to the slow node; false when it is refused at the call.
fn send(lobby: &ServerSystem, n: u64, receipts: &Outcomes<(u64, Receipt)>) -> bool {
    match lobby.notify_to_service_node(MAIL, "N", &(n, vec![7u8; 4096])) {
        Ok(sent) => {
            let receipts = receipts.clone();
            lobby.spawn(async move {
                let receipt = sent.receipt().await;
                receipts.borrow_mut().push((n, receipt));
            });
            true
        }
        Err(error) => {
            assert_eq!(error.reason(), Reason::Overloaded, "{error}");
            false
        }
    }
}

fn ask(lobby: &ServerSystem, n: u64, deadline: Duration, outcomes: &Outcomes<Result<u64, Reason>>) {
    let outcomes = outcomes.clone();
    let args = (n, vec![7u8; 4096]);
    let done = move |reply: chappe_node::Reply<'_>| {
        let answer = reply.and_then(|data| data.parse::<u64>().map_err(Failure::from));
        assert!(answer.as_ref().is_ok_and(|echo| *echo == n) || answer.is_err());
        outcomes.borrow_mut().push(answer.map_err(|failure| failure.reason));
    };
    lobby.request_to_service_mod_with("service_mail", "Echo", &args, deadline, done).unwrap();
}

#[test]
fn what_a_slow_consumer_is_sent_waits_is_refused_or_is_told_as_lost() {
    let Some(server) = Server::start(TIGHT) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let relay = Relay::start(server.port());
        // More than the system takes in for who does not read; and whoever is cut off may take as long to come back as a
        // busy machine makes it.
        let (window, absence) = (4 << 20, Duration::from_secs(20));
        let wide = |url: String| NatsOptions { window, absence, ..NatsOptions::new([url], "conformance") };
        let link = |url: String| NatsLink::new(wide(url));
        let links: BTreeMap<i64, NatsLink> =
            NODES.map(|(id, ..)| (id, link(if id == 40 { relay.url() } else { server.url() }))).into();
        let of = links.clone();
        let any = move |id: i64| -> Arc<dyn Link + Send + Sync> { Arc::new(of[&id].clone()) };
        let world = World::with_links(any, &NODES, |_| true).await.unwrap();
        let lobby = ServerSystem::new(world.node(20), "C", "lobby");
        let mail = ServiceSystem::new(world.node(40), "C", "mail");
        mail.register_rpc_method_for_mod("Echo", |call| {
            let (n, _): (u64, Vec<u8>) = call.args().unwrap();
            let _ = call.respond(&n);
        });
        let heard = world.hears(40, "lobby", "N");
        let others = world.hears(41, "lobby", "N");
        let (receipts, outcomes) = (Outcomes::default(), Outcomes::default());

        // It stands still, and so does its process: the server has ever more for it.
        world.freeze(40, true);
        relay.hold(true);
        let (accepted, asked) = (RefCell::new(Vec::new()), Cell::new(0));
        let send_one = || {
            let n = asked.replace(asked.get() + 1);
            let was_taken = send(&lobby, n, &receipts);
            accepted.borrow_mut().extend(was_taken.then_some(n));
            ask(&lobby, n, Duration::from_secs(60), &outcomes);
            was_taken
        };
        // Many at a time: the master does not wait for ever for a node that stands still.
        let is_any_refused = || (0..BURST).fold(false, |any, _| !send_one() || any);
        let is_cut_off = || {
            is_any_refused();
            server.log().contains("Slow Consumer")
        };
        until("the server cuts it off", is_cut_off).await.unwrap_or_else(|error| {
            panic!("{error}; {} accepted: {}", accepted.borrow().len(), server.log());
        });
        // Its process comes back, and the node does not read: what waits for it is bounded.
        relay.hold(false);
        let is_full = || is_any_refused() && links[&40].stats().reconnects > 0;
        until("its process is back, and calls are refused", is_full).await.unwrap();
        let (accepted, asked) = (accepted.take(), asked.get() as usize);
        let n = asked as u64;
        // Nobody else notices.
        let sent = lobby.notify_to_service_node(NodeId(41), "N", &1).unwrap();
        assert_eq!(sent.receipt().await.to_string(), "1 of 1");
        assert_eq!(others.borrow().len(), 1);
        assert!(heard.borrow().len() < accepted.len());

        // It goes on: what was accepted comes, in order and once, and everyone is told so.
        world.freeze(40, false);
        let have_ended = || (receipts.borrow().len(), outcomes.borrow().len());
        let ended =
            until("each event and each request has its outcome", || have_ended() == (accepted.len(), asked));
        ended
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?} of {:?}", have_ended(), (accepted.len(), asked)));
        let came = |heard: &chappe_tests::world::Heard| -> Vec<u64> {
            let number = |data: &chappe_wire::Value| data.as_list().unwrap()[0].as_uint().unwrap();
            heard.borrow().iter().map(|(_, data)| number(data)).collect()
        };
        assert!(came(&heard) == accepted, "{} came of {}", heard.borrow().len(), accepted.len());
        assert!(receipts.borrow().iter().all(|(_, receipt)| receipt.reached == [MAIL]), "{receipts:?}");
        let refused = outcomes.borrow().iter().filter(|outcome| outcome.is_err()).count();
        assert!(refused > 0 && refused < asked);
        assert!(outcomes.borrow().iter().all(|o| o.is_ok() || *o == Err(Reason::Overloaded)), "{outcomes:?}");
        let stats = links[&20].stats();
        assert!(stats.resent > 0 && links[&40].stats().reconnects > 0, "{stats:?}");

        // It stands still for good: what it was sent is lost, and each sender knows it, before its own deadline.
        relay.hold(true);
        let (receipts, outcomes) = (Outcomes::default(), Outcomes::default());
        let accepted: Vec<u64> = (n..n + 20).filter(|n| send(&lobby, *n, &receipts)).collect();
        assert_eq!(accepted.len(), 20);
        (0..20).for_each(|n| ask(&lobby, n, Duration::from_secs(60), &outcomes));
        let all_told = || receipts.borrow().len() == 20 && outcomes.borrow().len() == 20;
        // The master waits for a silent node nearly as long as a test waits for anything.
        let _ = until("it is lost", all_told).await;
        until("all are told", all_told).await.unwrap();
        let lost = format!("0 of 1; missing {MAIL}: {}", Reason::Disconnected);
        assert!(receipts.borrow().iter().all(|(_, receipt)| receipt.to_string() == lost), "{receipts:?}");
        assert!(outcomes.borrow().iter().all(|outcome| *outcome == Err(Reason::NodeLost)), "{outcomes:?}");
        let report = world.node(20).report();
        let pair = report.pairs.iter().find(|pair| pair.peer == MAIL).unwrap();
        let under_way: u64 = pair.under_way.values().sum();
        assert!(under_way >= 40, "what was under way is in the account: {pair:?}");
        assert_eq!(lobby.notify_to_service_node(MAIL, "N", &1).unwrap_err().reason(), Reason::Disconnected);
    });
}
