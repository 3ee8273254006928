//! A node is taken out of service while its players play on.

use chappe_client::{Client, ClientEvent};
use chappe_node::State;
use chappe_node::control_tool::{DrainNode, Drained};
use chappe_tests::world::{LINKS, World, link_if_possible, until};
use chappe_wire::{NodeId, Reason, Role};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::timeout;

const MASTER: i64 = 1;
const PROXY: i64 = 10;
const LOBBY: i64 = 20;
const OTHER: i64 = 21;

fn each_link(players: u64, lobbies: &[i64], test: impl AsyncFn(&World, Vec<Client>)) {
    for name in LINKS {
        let dir = tempfile::tempdir().expect("a directory");
        let Some(link) = link_if_possible(name, dir.path()) else { continue };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            let mut declared = vec![(MASTER, Role::Master, "master"), (PROXY, Role::Proxy, "proxy")];
            declared.extend(lobbies.iter().map(|id| (*id, Role::Lobby, "lobby")));
            let world = World::new(link, &declared, |_| true).await.expect("a cluster");
            let mut clients = Vec::new();
            for uid in 1..=players {
                clients.push(world.log_in(uid).await.expect("a login"));
            }
            test(&world, clients).await;
        });
    }
}

fn drain(id: i64, timeout_ms: u64, force: bool) -> DrainNode {
    DrainNode { id: NodeId(id), timeout_ms, restart: false, force }
}

async fn moved_to(client: &Client) -> NodeId {
    let moved = async {
        loop {
            match client.next_event().await {
                Some(ClientEvent::Moved { server, is_transfer }) => {
                    assert!(is_transfer, "it was wanted");
                    return server;
                }
                Some(ClientEvent::Closed { reason, message }) => panic!("{reason}: {message}"),
                Some(_) => {}
                None => panic!("the session has ended"),
            }
        }
    };
    timeout(Duration::from_secs(15), moved).await.expect("nobody moved the player")
}

#[test]
fn a_drained_lobby_loses_no_session() {
    each_link(6, &[LOBBY, OTHER], async |world, clients| {
        let here = world.node(LOBBY).player_count();
        assert_eq!(here, 3, "logins go to the emptiest");
        let drained = world.master().drain_node(drain(LOBBY, 10_000, false)).await.unwrap();
        assert_eq!(drained, Drained { moved: 3, left: 0, leaves: true });
        for client in clients.iter().filter(|client| client.server_id() == NodeId(LOBBY)) {
            assert_eq!(moved_to(client).await, NodeId(OTHER));
        }
        until("all are on the other lobby", || world.node(OTHER).player_count() == 6).await.unwrap();
        let gone = || world.master().node().with_view(|view| view.member(NodeId(LOBBY)).is_none());
        until("the drained lobby has left", gone).await.unwrap();
    });
}

#[test]
fn players_with_nowhere_to_go_keep_their_lobby() {
    each_link(2, &[LOBBY], async |world, _clients| {
        let drained = world.master().drain_node(drain(LOBBY, 200, false)).await.unwrap();
        assert_eq!(drained, Drained { moved: 0, left: 2, leaves: false });
        until("it takes players again", || world.node(LOBBY).state() == State::Ready).await.unwrap();
        assert!(world.log_in(3).await.is_ok());
    });
}

#[test]
fn a_node_that_is_not_there_and_the_master_are_not_drained() {
    each_link(0, &[LOBBY], async |world, _| {
        let reason = async |id| world.master().drain_node(drain(id, 100, false)).await.unwrap_err().reason;
        assert_eq!(reason(99).await, Reason::NoRoute);
        assert_eq!(reason(MASTER).await, Reason::WrongRole);
    });
}
