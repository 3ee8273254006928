//! Transfers, dropped sockets and lost servers all at once: what arrives is still in order, and exactly once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use chappe_client::ClientEvent;
use chappe_node::Failure;
use chappe_proxy::ProxyOptions;
use chappe_wire::{Reason, Role, Row};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use support::*;
use tokio::sync::Notify;

/// Numbers that look random and are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn generous() -> ProxyOptions {
    ProxyOptions { client_burst: 1_000_000, client_rate: 1_000_000, ..ProxyOptions::default() }
}

#[test]
fn moves_and_dropped_sockets_together_lose_and_double_nothing() {
    for seed in 1..6 {
        run(async || chaos(seed).await);
    }
}

async fn chaos(seed: u64) {
    let (cluster, node, proxy, url, lobby) = Cluster::small(generous()).await;
    let game = cluster.server(GAME, Role::Game, "duel").await;
    let (mail, _) = cluster.service(MAIL).await;
    knows(&node, GAME).await;
    knows(mail.node(), PROXY).await;

    let mut seeded = Seeded(seed);
    let client = login(&url, 7).await;
    let player = client.player_id();
    let (mut said, mut pushed) = (0_i64, 0_i64);
    for _ in 0..2000 {
        match seeded.below(100) {
            0 => client.drop_socket(),
            1 | 2 => {
                let to = if seeded.below(2) == 0 { GAME } else { LOBBY };
                client.notify_to_server("Test", "Client", "Go", &to.0).unwrap();
            }
            3..50 => {
                client.notify_to_server("Test", "Client", "Say", &said).unwrap();
                said += 1;
            }
            50..97 => {
                mail.remote_notify_to_client(7, PROXY, "Push", &pushed).unwrap();
                pushed += 1;
            }
            _ => tokio::time::sleep(Duration::from_millis(seeded.below(5))).await,
        }
    }
    let mut got = Vec::new();
    while got.len() < pushed as usize {
        let wait = tokio::time::timeout(Duration::from_secs(20), client.next_event());
        match wait
            .await
            .unwrap_or_else(|_| panic!("seed {seed}: {} of {pushed}: {:?}", got.len(), node.report()))
        {
            Some(ClientEvent::Event(event)) => got.push(event.data::<i64>().unwrap()),
            Some(ClientEvent::Reconnected { resumed }) => assert!(resumed, "seed {seed}"),
            Some(ClientEvent::Closed { reason, message }) => panic!("seed {seed}: {reason} {message}"),
            _ => {}
        }
    }
    assert_eq!(got, (0..pushed).collect::<Vec<_>>(), "seed {seed}");
    let heard = || [numbers(&lobby.heard, player), numbers(&game.heard, player)];
    until("everything is heard", || heard().concat().len() >= said as usize).await;
    for of_one in heard() {
        assert!(of_one.is_sorted(), "seed {seed}");
    }
    let mut together = heard().concat();
    together.sort_unstable();
    assert_eq!(together, (0..said).collect::<Vec<_>>(), "seed {seed}");
    client.logout().await.unwrap();
    assert_eq!(proxy.session_count(), 0);
    until("nobody is left", || lobby.system.node().player_count() + game.system.node().player_count() == 0)
        .await;
    assert_eq!(cluster.master.unwrap().online(), 0);
    assert!(node.stats().named("resumes") > 0 && !game.visits.borrow().is_empty(), "something has happened");
    let report = node.report();
    assert!(report.dropped.is_empty(), "seed {seed}: {:?}", report.dropped);
}

/// Makes a server slow to let players go: each leave is answered when the returned switch is thrown.
fn slow_to_leave(server: &Server) -> Rc<Notify> {
    let (gate, node) = (Rc::new(Notify::new()), server.system.node().clone());
    let opened = gate.clone();
    node.clone().register(Row::Internal, chappe_node::control::SERVER, "leave", move |call| {
        let (responder, opened) = (call.into_responder(), opened.clone());
        node.spawn(async move {
            opened.notified().await;
            responder.respond(&()).unwrap();
        });
    });
    gate
}

#[test]
fn a_player_on_the_way_loses_the_session_because_the_master_restarts() {
    run(async || {
        let (cluster, _node, _proxy, url, lobby) = Cluster::small(generous()).await;
        let game = cluster.server(GAME, Role::Game, "duel").await;
        // What a server answers while nobody can give it the player's record: more often than servers are tried.
        for server in [&lobby, &game] {
            let refused = Cell::new(0);
            server.system.node().on_enter(move |entering| {
                refused.set(refused.get() + usize::from(entering.is_transfer));
                let is_refused = entering.is_transfer && refused.get() <= 4;
                Box::pin(async move {
                    match is_refused {
                        true => Err(Failure::new(Reason::NodeLost, "node 1 went away with the request")),
                        false => Ok(()),
                    }
                })
            });
        }
        let client = login(&url, 7).await;
        client.notify_to_server("Test", "Client", "Go", &GAME.0).unwrap();
        match tokio::time::timeout(Duration::from_secs(20), client.next_event()).await {
            Ok(Some(ClientEvent::Moved { .. })) => {}
            other => panic!("the player is on no server: {other:?}"),
        }
    });
}

#[test]
fn what_comes_while_a_player_is_between_servers_follows_them_in_order_through_a_dropped_socket() {
    run(async || {
        let (cluster, node, proxy, url, lobby) =
            Cluster::small(ProxyOptions { hold_messages: 60, ..generous() }).await;
        let game = cluster.server(GAME, Role::Game, "duel").await;
        let (mail, _) = cluster.service(MAIL).await;
        knows(&node, GAME).await;
        knows(mail.node(), PROXY).await;
        let client = login(&url, 7).await;
        let player = client.player_id();
        let gate = slow_to_leave(&lobby);
        client.notify_to_server("Test", "Client", "Go", &GAME.0).unwrap();
        // A message that is not heard by the lobby any more says that the move has begun.
        let say = |range: std::ops::Range<i64>| {
            range.for_each(|n| client.notify_to_server("Test", "Client", "Say", &n).unwrap());
        };
        until("the move has begun", || lobby.heard.borrow().is_empty() && proxy.is_moving(player.0)).await;
        say(0..70);
        (0..30).for_each(|n| drop(mail.remote_notify_to_client(7, PROXY, "Push", &n).unwrap()));
        until("they are held", || node.stats().named("from_clients") == 71).await;
        client.drop_socket();
        until("the client is back, and waits for its player's place", || node.stats().named("resumes") == 1)
            .await;
        (30..40).for_each(|n| drop(mail.remote_notify_to_client(7, PROXY, "Push", &n).unwrap()));
        gate.notify_one();
        for n in 0..40 {
            assert_eq!(received(&client).await.data::<i64>().unwrap(), n);
        }
        assert_eq!(client.server_id(), GAME);
        until("what was held is heard", || game.heard.borrow().len() >= 60).await;
        assert_eq!(numbers(&game.heard, player), (0..60).collect::<Vec<_>>());
        assert_eq!(dropped(&node, Row::ClientToServer, Reason::Overloaded), 10, "beyond the bound");
        say(70..71);
        until("it goes on", || game.heard.borrow().len() == 61).await;
        assert!(lobby.heard.borrow().is_empty());
    });
}

#[test]
fn large_messages_of_one_that_is_between_servers_do_not_fill_the_memory() {
    run(async || {
        let (cluster, node, proxy, url, lobby) =
            Cluster::small(ProxyOptions { hold_bytes: 1_000_000, ..generous() }).await;
        let game = cluster.server(GAME, Role::Game, "duel").await;
        knows(&node, GAME).await;
        let client = login(&url, 7).await;
        let gate = slow_to_leave(&lobby);
        client.notify_to_server("Test", "Client", "Go", &GAME.0).unwrap();
        until("the move has begun", || proxy.is_moving(client.player_id().0)).await;
        for _ in 0..5 {
            client.notify_to_server("Test", "Client", "Large", &"x".repeat(300_000)).unwrap();
        }
        until("all have come", || node.stats().named("from_clients") == 6).await;
        assert_eq!(dropped(&node, Row::ClientToServer, Reason::Overloaded), 2, "three fit");
        gate.notify_one();
        until("the others went on", || game.system.node().report().delivered.get(&2) == Some(&3)).await;
    });
}

#[test]
fn a_logout_between_two_servers_leaves_nobody_behind() {
    run(async || {
        let (cluster, node, proxy, url, lobby) = Cluster::small(generous()).await;
        let game = cluster.server(GAME, Role::Game, "duel").await;
        knows(&node, GAME).await;
        let leaving = async |uid: u64, waits: u32| {
            let client = login(&url, uid).await;
            client.notify_to_server("Test", "Client", "Go", &GAME.0).unwrap();
            for _ in 0..waits {
                tokio::task::yield_now().await;
            }
            client.notify_to_server("Test", "Client", "Say", &1).unwrap();
            if uid.is_multiple_of(2) {
                client.logout().await.unwrap();
            } else {
                cluster.master.as_ref().unwrap().kick(uid, "out").unwrap();
                assert_eq!(closed(&client).await, Reason::Kicked);
            }
        };
        for uid in 1..60 {
            leaving(uid, uid as u32).await;
        }
        assert_eq!(proxy.session_count(), 0);
        until("nobody is left", || {
            lobby.system.node().player_count() + game.system.node().player_count() == 0
        })
        .await;
        let master = cluster.master.clone().unwrap();
        until("the master knows", || master.online() == 0).await;
    });
}

#[test]
fn a_player_who_logs_in_through_another_proxy_is_on_one_server_at_a_time() {
    run(async || {
        let (cluster, _, _, url, lobby) = Cluster::small(generous()).await;
        let (node_b, _, url_b) = cluster.proxy(PROXY_B, generous()).await;
        let first = login(&url, 7).await;
        let other = cluster.server(LOBBY_B, Role::Lobby, "lobby").await;
        knows(&node_b, LOBBY_B).await;
        let let_go = slow_to_leave(&lobby);
        let second = tokio::task::spawn_local(async move { login(&url_b, 7).await });
        assert_eq!(closed(&first).await, Reason::Replaced);
        // The old server has been asked, and has not let go: the new one does not have the player.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!second.is_finished() && other.visits.borrow().is_empty(), "on two servers");
        let_go.notify_one();
        assert_eq!(second.await.unwrap().server_id(), LOBBY_B);
        assert_eq!(*other.visits.borrow(), ["+7"]);
    });
}

#[test]
fn many_logins_of_one_player_at_once_leave_exactly_one_session() {
    run(async || {
        let (cluster, _, proxy, url, lobby) = Cluster::small(generous()).await;
        let (_, proxy_b, url_b) = cluster.proxy(PROXY_B, generous()).await;
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let url = if n % 2 == 0 { url.clone() } else { url_b.clone() };
                tokio::task::spawn_local(async move {
                    chappe_client::Client::connect(&url, chappe_client::Login::new(7)).await
                })
            })
            .collect();
        let mut clients = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(client) => clients.push(client),
                Err(error) => assert_eq!(error.reason(), Reason::Replaced, "{error}"),
            }
        }
        until("one is left", || proxy.session_count() + proxy_b.session_count() == 1).await;
        until("the others are told", || clients.iter().filter(|client| client.end().is_none()).count() == 1)
            .await;
        let last = clients.iter().find(|client| client.end().is_none()).unwrap();
        assert!(clients.iter().all(|client| client.player_id() <= last.player_id()));
        last.notify_to_server("Test", "Client", "Echo", &1).unwrap();
        received(last).await;
        assert_eq!(lobby.system.node().player_count(), 1);
        assert_eq!(cluster.master.unwrap().online(), 1);
    });
}
