//! A proxy is replaced (`chappe roll`): its clients come back to its next life, with their sessions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use chappe_client::ClientEvent;
use chappe_node::control_tool::DrainNode;
use chappe_node::{Node, State};
use chappe_proxy::ProxyOptions;
use chappe_wire::{Reason, Role, Value, value};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use support::*;
use tokio::task::AbortHandle;

fn options(dir: &Path) -> ProxyOptions {
    ProxyOptions { client_burst: 100_000, handover: Some(dir.join("10.sessions")), ..ProxyOptions::default() }
}

/// Drains the proxy, to be started again, and ends its port as its process would.
async fn replace(cluster: &Cluster, node: &Node, port: &AbortHandle) {
    let master = cluster.master.as_ref().unwrap();
    let asked = DrainNode { id: PROXY, timeout_ms: 1000, restart: true, force: false };
    master.drain_node(asked).await.unwrap();
    until("it has left", || master.node().with_view(|view| view.member(PROXY).is_none())).await;
    assert_eq!(node.state(), State::Draining);
    port.abort();
    tokio::task::yield_now().await;
}

#[test]
fn a_proxy_that_is_replaced_ends_sessions_or_loses_or_doubles_what_they_say() {
    run(async || {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::new().await;
        let (node, port, at) = cluster.proxy_life(options(dir.path()), "127.0.0.1:0").await;
        let lobby = cluster.server(LOBBY, Role::Lobby, "lobby").await;
        knows(&node, LOBBY).await;
        let url = format!("ws://{at}");
        let clients = [login(&url, 1).await, login(&url, 2).await, login(&url, 3).await];
        let players: Vec<_> = clients.iter().map(chappe_client::Client::player_id).collect();

        // Both sides go on talking all the time.
        let (said, is_over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let talk = {
            let (clients, players, system) = (clients.clone(), players.clone(), lobby.system.clone());
            let (said, is_over) = (said.clone(), is_over.clone());
            tokio::task::spawn_local(async move {
                while !is_over.get() {
                    let n = said.get();
                    said.set(n + 1);
                    for (client, player) in clients.iter().zip(&players) {
                        client.notify_to_server("Test", "Client", "Say", &n).unwrap();
                        system.notify_to_client(*player, "Tick", &n).unwrap();
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        };
        until("they talk", || said.get() > 20).await;
        replace(&cluster, &node, &port).await;
        let while_away = said.get();
        until("they go on meanwhile", || said.get() > while_away + 20).await;
        let master = cluster.master.as_ref().unwrap();
        assert_eq!(master.online(), 3, "nobody is taken for gone");
        let (again, _port, _) = cluster.proxy_life(options(dir.path()), &at).await;
        knows(&again, LOBBY).await;
        let while_back = said.get();
        until("they go on", || said.get() > while_back + 100).await;
        is_over.set(true);
        talk.await.unwrap();

        let all: Vec<i64> = (0..said.get()).collect();
        for (client, player) in clients.iter().zip(&players) {
            until("the server has all", || numbers(&lobby.heard, *player).len() >= all.len()).await;
            assert_eq!(numbers(&lobby.heard, *player), all);
            let (mut ticks, mut back) = (Vec::new(), Vec::new());
            while ticks.len() < all.len() {
                match client.next_event().await.expect("the session stands") {
                    ClientEvent::Event(event) => {
                        ticks.extend(event.value().as_ref().ok().and_then(Value::as_int))
                    }
                    ClientEvent::Reconnected { resumed } => back.push(resumed),
                    ClientEvent::Closed { reason, message } => panic!("{reason}: {message}"),
                    _ => {}
                }
            }
            assert_eq!((ticks, back), (all.clone(), vec![true]));
        }
        let mut visits = lobby.visits.borrow().clone();
        visits.sort_unstable();
        assert_eq!(visits, ["+1", "+1r", "+2", "+2r", "+3", "+3r"]);
        assert!(!dir.path().join("10.sessions").exists(), "the secrets of sessions do not lie about");
    });
}

#[test]
fn players_of_a_proxy_that_comes_back_without_its_sessions_stand_about_for_ever() {
    run(async || {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::new().await;
        let (node, port, at) = cluster.proxy_life(options(dir.path()), "127.0.0.1:0").await;
        let lobby = cluster.server(LOBBY, Role::Lobby, "lobby").await;
        knows(&node, LOBBY).await;
        let client = login(&format!("ws://{at}"), 1).await;
        replace(&cluster, &node, &port).await;
        std::fs::write(dir.path().join("10.sessions"), b"damaged").unwrap();
        let _again = cluster.proxy_life(options(dir.path()), &at).await;
        let came_back = loop {
            if let Some(ClientEvent::Reconnected { resumed }) = client.next_event().await {
                break resumed;
            }
        };
        assert!(!came_back, "it has a new session");
        until("the old one is over", || lobby.visits.borrow().len() == 3).await;
        assert_eq!(*lobby.visits.borrow(), ["+1", "-1", "+1"]);
        assert_eq!(cluster.master.as_ref().unwrap().online(), 1);
    });
}

#[test]
fn a_player_who_logs_in_elsewhere_while_the_proxy_is_away_is_on_two_servers() {
    run(async || {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::new().await;
        let (node, port, at) = cluster.proxy_life(options(dir.path()), "127.0.0.1:0").await;
        let (other, _, url) = cluster.proxy(PROXY_B, ProxyOptions::default()).await;
        let lobby = cluster.server(LOBBY, Role::Lobby, "lobby").await;
        knows(&node, LOBBY).await;
        knows(&other, LOBBY).await;
        let first = login(&format!("ws://{at}"), 1).await;
        replace(&cluster, &node, &port).await;
        // One that came back would log in anew, and be the later of the two.
        drop(first);
        let second = login(&url, 1).await;
        assert_eq!(*lobby.visits.borrow(), ["+1", "-1", "+1"]);
        let _again = cluster.proxy_life(options(dir.path()), &at).await;
        second.notify_to_server("Test", "Client", "Echo", &value!(5)).unwrap();
        assert_eq!(received(&second).await.value().unwrap(), value!(5));
        assert_eq!(cluster.master.as_ref().unwrap().online(), 1);
    });
}

#[test]
fn a_proxy_that_is_taken_out_leaves_its_clients_waiting() {
    run(async || {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::new().await;
        let (node, _port, at) = cluster.proxy_life(options(dir.path()), "127.0.0.1:0").await;
        let lobby = cluster.server(LOBBY, Role::Lobby, "lobby").await;
        knows(&node, LOBBY).await;
        let client = login(&format!("ws://{at}"), 1).await;
        let asked = DrainNode { id: PROXY, timeout_ms: 1000, restart: false, force: false };
        cluster.master.as_ref().unwrap().drain_node(asked).await.unwrap();
        assert_eq!(closed(&client).await, Reason::ShuttingDown);
        until("the lobby knows", || lobby.visits.borrow().len() == 2).await;
        assert!(!dir.path().join("10.sessions").exists());
    });
}
