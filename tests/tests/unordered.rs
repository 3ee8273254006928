//! Broadcasts sent `unordered` over a real NATS: what is published, and who gets it over what.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_link::nats::{NatsLink, NatsOptions};
use chappe_link::nearest::NearestLink;
use chappe_node::Sent;
use chappe_node::system::ServiceSystem;
use chappe_tests::nats::Server;
use chappe_tests::world::{Heard, World, until};
use chappe_wire::{NodeId, Reason, Role};
use futures_util::StreamExt;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a broadcast carries, to be found in whatever is published.
const MARK: &str = "a mark that nothing else on this NATS carries: ";

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

fn nats(server: &Server) -> NatsLink {
    NatsLink::new(NatsOptions::new([server.url()], "conformance"))
}

/// A process of its own for each node.
fn apart(server: &Server) -> impl Fn(i64) -> Arc<dyn Link + Send + Sync> + use<> {
    let url = server.url();
    move |_| Arc::new(NatsLink::new(NatsOptions::new([url.clone()], "conformance")))
}

fn cluster(lobbies: i64) -> Vec<(i64, Role, &'static str)> {
    let mut nodes = vec![(1, Role::Master, "master"), (40, Role::Service, "service_mail")];
    nodes.extend((20..20 + lobbies).map(|id| (id, Role::Lobby, "lobby")));
    nodes
}

fn broadcast(mail: &ServiceSystem, n: u64) -> Sent {
    mail.broadcast_to_server_by_type_unordered("lobby", "N", &format!("{MARK}{n};")).unwrap()
}

/// Broadcasts from number `from` on until one goes to so many nodes by one publication: the next number.
async fn until_published(mail: &ServiceSystem, nodes: usize, from: u64) -> u64 {
    let next = Rc::new(Cell::new(from));
    let is_published = || broadcast(mail, next.replace(next.get() + 1)).published() == nodes;
    until("broadcasts are published", is_published).await.unwrap();
    next.get()
}

/// The numbers that came, from whom they must have come.
fn numbers(heard: &Heard, from: i64) -> Vec<u64> {
    let number = |(node, data): &(NodeId, chappe_wire::Value)| {
        assert_eq!(*node, NodeId(from));
        data.as_str().unwrap().strip_prefix(MARK).and_then(|n| n.strip_suffix(';')).unwrap().parse().unwrap()
    };
    heard.borrow().iter().map(number).collect()
}

/// To which subjects each number is published, from now on.
async fn spy_on(server: &Server) -> Rc<RefCell<BTreeMap<u64, Vec<String>>>> {
    let spy = async_nats::connect(server.url()).await.unwrap();
    let mut all = spy.subscribe("chappe.>").await.unwrap();
    // What it hears of itself, it hears of all.
    spy.publish("chappe.spy", "here".into()).await.unwrap();
    while all.next().await.is_some_and(|message| message.subject.as_str() != "chappe.spy") {}
    let seen = Rc::new(RefCell::new(BTreeMap::<u64, Vec<String>>::new()));
    let into = seen.clone();
    tokio::task::spawn_local(async move {
        let _connected = spy;
        while let Some(message) = all.next().await {
            let text = String::from_utf8_lossy(&message.payload);
            for rest in text.split(MARK).skip(1) {
                let number = rest.split(';').next().and_then(|number| number.parse().ok());
                into.borrow_mut().entry(number.unwrap()).or_default().push(message.subject.to_string());
            }
        }
    });
    seen
}

#[test]
fn a_broadcast_to_ten_machines_is_one_publication_and_comes_once_to_each() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let world = World::with_links(apart(&server), &cluster(10), |_| true).await.unwrap();
        let mail = ServiceSystem::new(world.node(40), "C", "mail");
        let heard: Vec<_> = (20..30).map(|id| world.hears(id, "mail", "N")).collect();
        let seen = spy_on(&server).await;
        // As ever, each has its own.
        mail.broadcast_to_server_by_type("lobby", "N", &format!("{MARK}0;")).unwrap();
        let first = until_published(&mail, 10, 1).await;
        let all = first + 100;
        for n in first..all {
            assert_eq!(broadcast(&mail, n).published(), 10);
        }
        until("all have all", || heard.iter().all(|heard| heard.borrow().len() as u64 >= all)).await.unwrap();
        until("the spy has seen it", || seen.borrow().contains_key(&(all - 1))).await.unwrap();
        assert_eq!(seen.borrow()[&0].len(), 10);
        for n in first..all {
            assert_eq!(seen.borrow()[&n], ["chappe.conformance.type.lobby"], "number {n}");
        }
        for heard in &heard {
            assert!(numbers(heard, 40).into_iter().eq(0..all));
        }
        assert_eq!(broadcast(&mail, all).receipt().await.to_string(), "0 of 0; published to 10 more");
        let report = world.node(40).report();
        assert!(report.named["unordered_published"] > 100, "{:?}", report.named);
    });
}

#[test]
fn who_is_on_the_same_machine_gets_it_over_its_socket_and_not_from_nats_as_well() {
    let Some(server) = Server::start("") else { return };
    run(async {
        // East: the master, both kinds of service, two lobbies. West: the rest. Each machine has its sockets.
        let (east, west) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let is_east = |id: i64| matches!(id, 1 | 20 | 21 | 40 | 41);
        let dirs = [east.path().to_owned(), west.path().to_owned()];
        let url = server.url();
        let links = move |id: i64| -> Arc<dyn Link + Send + Sync> {
            let here = is_east(id);
            let near = Arc::new(LocalLink::new(&dirs[usize::from(!here)]));
            let far = Arc::new(NatsLink::new(NatsOptions::new([url.clone()], "conformance")));
            Arc::new(NearestLink::new(near, far, move |other| is_east(other.0) == here))
        };
        let mut declared = cluster(6);
        declared.extend([41, 42, 43].map(|id| (id, Role::Service, "service_guild")));
        let world = World::with_links(links, &declared, |_| true).await.unwrap();
        let mail = ServiceSystem::new(world.node(40), "C", "mail");
        let lobbies: Vec<_> = (20..26).map(|id| world.hears(id, "mail", "N")).collect();
        let count = until_published(&mail, 4, 0).await + 50;
        for n in count - 50..count {
            let sent = broadcast(&mail, n);
            assert_eq!((sent.published(), sent.targets()), (4, 6));
        }
        let receipt = broadcast(&mail, count).receipt().await;
        assert_eq!(receipt.to_string(), "2 of 2; published to 4 more");
        // To services: the sender among them, by its own queue.
        let services: Vec<_> = (40..44).map(|id| world.hears(id, "mail", "S")).collect();
        let next = Rc::new(Cell::new(0u64));
        let send = || {
            let n = next.replace(next.get() + 1);
            mail.broadcast_to_service_unordered("S", &format!("{MARK}{n};")).unwrap()
        };
        until("they are published", || send().published() == 2).await.unwrap();
        assert_eq!(send().targets(), 4);
        let all_have =
            |heard: &[Heard], count: u64| heard.iter().all(|heard| heard.borrow().len() as u64 >= count);
        until("all have all", || all_have(&lobbies, count + 1) && all_have(&services, next.get()))
            .await
            .unwrap();
        // What came twice would have come by now: on the same way as this.
        tokio::time::sleep(Duration::from_millis(50)).await;
        lobbies.iter().for_each(|heard| assert!(numbers(heard, 40).into_iter().eq(0..=count)));
        services.iter().for_each(|heard| assert!(numbers(heard, 40).into_iter().eq(0..next.get())));
    });
}

#[test]
fn a_restart_of_nats_loses_publications_and_each_is_counted() {
    let Some(mut server) = Server::start("") else { return };
    run(async {
        let links: BTreeMap<i64, NatsLink> = [1, 20, 21, 40].map(|id| (id, nats(&server))).into();
        let of = links.clone();
        let world =
            World::with_links(move |id| Arc::new(of[&id].clone()), &cluster(2), |_| true).await.unwrap();
        let mail = ServiceSystem::new(world.node(40), "C", "mail");
        let heard = [20, 21].map(|id| world.hears(id, "mail", "N"));
        let mut next = until_published(&mail, 2, 0).await;
        for restarts in 1..=2 {
            for _ in 0..500 {
                broadcast(&mail, next);
                next += 1;
                tokio::task::yield_now().await;
            }
            server.kill();
            // As frames, which wait; or published into a connection that is no more.
            for _ in 0..100 {
                broadcast(&mail, next);
                next += 1;
            }
            server.resume();
            until("all are back", || links.values().all(|link| link.stats().reconnects == restarts))
                .await
                .unwrap();
            next = until_published(&mail, 2, next).await;
        }
        let lost = |id: i64| {
            let dropped = world.node(id).report().dropped;
            dropped
                .iter()
                .filter(|(_, reason, _)| *reason == Reason::Lost)
                .map(|(.., count)| count)
                .sum::<u64>()
        };
        until("each has come or is counted", || {
            [20, 21].iter().zip(&heard).all(|(id, heard)| heard.borrow().len() as u64 + lost(*id) == next)
        })
        .await
        .unwrap();
        for heard in heard {
            let numbers = numbers(&heard, 40);
            let mut once = numbers.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), numbers.len(), "nothing comes twice");
        }
    });
}

#[test]
fn a_nats_that_forbids_it_costs_nothing_but_frames() {
    let config = |publish: &str, subscribe: &str| {
        format!(
            "authorization {{ users: [{{ user: u, password: p, permissions {{
               publish: {{ allow: [\"chappe.>\"], deny: [{publish}] }}
               subscribe: {{ allow: [\"chappe.>\", \"chappe.> one\"], deny: [{subscribe}] }} }} }}] }}"
        )
    };
    let group = "\"chappe.conformance.type.>\"";
    for (publish, subscribe, sender) in [(group, "", 40), ("", group, 20)] {
        let Some(server) = Server::start(&config(publish, subscribe)) else { return };
        run(async {
            let url = server.url().replace("nats://", "nats://u:p@");
            let links = move |_| -> Arc<dyn Link + Send + Sync> {
                Arc::new(NatsLink::new(NatsOptions::new([url.clone()], "conformance")))
            };
            let world = World::with_links(links, &cluster(2), |_| true).await.unwrap();
            let mail = ServiceSystem::new(world.node(40), "C", "mail");
            let heard = [20, 21].map(|id| world.hears(id, "mail", "N"));
            assert_eq!(broadcast(&mail, 0).published(), 0);
            let refused = || world.node(sender).stats().named("unordered_refused") > 0;
            until("it is refused", refused).await.unwrap();
            for n in 1..50 {
                assert_eq!(broadcast(&mail, n).published(), 0);
            }
            until("all have all", || heard.iter().all(|heard| heard.borrow().len() == 50)).await.unwrap();
            heard.iter().for_each(|heard| assert!(numbers(heard, 40).into_iter().eq(0..50)));
        });
    }
}
