//! Players come, play, are moved, lose their sockets and come back: through real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use chappe_client::{Client, ClientEvent, Login};
use chappe_node::{Member, State, ViewChange};
use chappe_proxy::ProxyOptions;
use chappe_wire::{NodeId, Reason, Role, Row, Value, value};
use std::time::Duration;
use support::*;

#[test]
fn an_event_goes_each_way_and_carries_who_sent_it() {
    run(async || {
        let (cluster, node, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let (_, mail) = cluster.service(MAIL).await;
        knows(&node, MAIL).await;
        let client = login(&url, 7).await;
        assert_eq!((client.server_id(), client.proxy_id()), (LOBBY, PROXY));
        client
            .notify_to_server("Test", "Client", "Say", &value!({"n": 1, "__id__": "forged", "__x": 1}))
            .unwrap();
        client.notify_to_server("Test", "Client", "Echo", &value!({7: ["雪", b"\x00"]})).unwrap();
        let echo = received(&client).await;
        assert_eq!((echo.namespace(), echo.system(), echo.name()), ("Test", "Server", "Echo"));
        assert_eq!(echo.value().unwrap(), value!({7: ["雪", b"\x00"]}));
        assert_eq!(echo.row(), Some(Row::ServerToClient));
        let player = client.player_id();
        assert_eq!(
            *lobby.heard.borrow(),
            [(player, value!({"n": 1, "__id__": player.to_string()}))],
            "forged names are stripped"
        );
        let forged = value!({"__uid__": 8, "__neteaseProxyId__": 99, "n": 2});
        client.notify_to_service_node(MAIL, "Test", "Client", "Mail", &forged).unwrap();
        let badge = received(&client).await;
        assert_eq!(badge.name(), "Badge");
        assert_eq!(mail.borrow()[0].1, value!({"n": 2, "__uid__": 7, "__neteaseProxyId__": PROXY.0}));
        let counts = client.counts();
        assert_eq!(counts.sent[Row::ClientToServer.index()], 2);
        assert_eq!(counts.received[Row::ServiceToClient.index()], 1);
        client.logout().await.unwrap();
        until("the lobby knows", || lobby.visits.borrow().len() == 2).await;
        assert_eq!(*lobby.visits.borrow(), ["+7", "-7"]);
        assert_eq!(cluster.master.unwrap().online(), 0);
    });
}

#[test]
fn a_transfer_under_way_neither_reorders_nor_loses_nor_doubles() {
    run(async || {
        let (cluster, node, _, url, lobby) =
            Cluster::small(ProxyOptions { client_burst: 100_000, ..ProxyOptions::default() }).await;
        let game = cluster.server(GAME, Role::Game, "duel").await;
        knows(&node, GAME).await;
        let client = login(&url, 7).await;
        let count = 3000;
        for n in 0..count {
            client.notify_to_server("Test", "Client", "Say", &n).unwrap();
            if n % 500 == 250 {
                let to = if client.server_id() == LOBBY { GAME } else { LOBBY };
                client.notify_to_server("Test", "Client", "Go", &to.0).unwrap();
            }
            if n % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let player = client.player_id();
        let all = || numbers(&lobby.heard, player).len() + numbers(&game.heard, player).len();
        until("everything has arrived", || {
            let lost: u64 = node.report().dropped.iter().map(|at| at.2).sum();
            all() as u64 + lost >= count as u64
        })
        .await;
        let dropped = node.report().dropped;
        assert_eq!(all(), count as usize, "{dropped:?}");
        let (first, second) = (numbers(&lobby.heard, player), numbers(&game.heard, player));
        assert!(first.is_sorted() && second.is_sorted(), "in order on each server");
        let mut together = [first, second].concat();
        together.sort_unstable();
        assert_eq!(together, (0..count).collect::<Vec<_>>(), "each exactly once");
        assert!(game.visits.borrow().contains(&"+7t".to_owned()));
    });
}

#[test]
fn a_dropped_socket_loses_and_doubles_nothing_in_either_direction() {
    run(async || {
        let (_cluster, _, proxy, url, lobby) =
            Cluster::small(ProxyOptions { client_burst: 100_000, ..ProxyOptions::default() }).await;
        let client = login(&url, 7).await;
        let player = client.player_id();
        let mut pushed = 0..1000;
        for n in 0..1000 {
            client.notify_to_server("Test", "Client", "Say", &n).unwrap();
            if let Some(n) = pushed.next() {
                lobby.system.notify_to_client(player, "Push", &n).unwrap();
            }
            if n % 10 == 0 {
                tokio::task::yield_now().await;
            }
            if n % 250 == 125 {
                client.drop_socket();
            }
        }
        let (mut got, mut returns) = (Vec::new(), 0);
        while got.len() < 1000 {
            match client.next_event().await.unwrap() {
                ClientEvent::Event(event) => got.push(event.data::<i64>().unwrap()),
                ClientEvent::Reconnected { resumed } => {
                    assert!(resumed);
                    returns += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(got, (0..1000).collect::<Vec<_>>());
        until("the lobby has everything", || lobby.heard.borrow().len() >= 1000).await;
        client.logout().await.unwrap();
        assert_eq!(numbers(&lobby.heard, player), (0..1000).collect::<Vec<_>>());
        assert!(returns > 0);
        assert!(lobby.visits.borrow().contains(&"+7r".to_owned()), "{:?}", lobby.visits);
        assert_eq!(proxy.session_count(), 0);
    });
}

#[test]
fn a_client_that_stays_away_is_given_up_and_its_events_are_counted() {
    run(async || {
        let options = ProxyOptions { resume: Duration::from_millis(200), ..ProxyOptions::default() };
        let (cluster, node, proxy, url, lobby) = Cluster::small(options).await;
        let client = login(&url, 7).await;
        let player = client.player_id();
        drop(client);
        until("the socket is gone", || proxy.client_count() == 0).await;
        lobby.system.notify_to_client(player, "Push", &1).unwrap();
        until("the session is over", || proxy.session_count() == 0).await;
        assert_eq!(dropped(&node, Row::ServerToClient, Reason::ResumeExpired), 1);
        until("the lobby knows", || lobby.visits.borrow().len() == 2).await;
        let master = cluster.master.unwrap();
        until("the master knows", || master.online() == 0).await;
    });
}

#[test]
fn a_second_login_ends_the_first_and_a_late_close_does_not_touch_it() {
    run(async || {
        let (cluster, node, proxy, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let (_, _, url_b) = cluster.proxy(PROXY_B, ProxyOptions::default()).await;
        let first = login(&url, 7).await;
        let second = login(&url, 7).await;
        assert_eq!(closed(&first).await, Reason::Replaced);
        let third = login(&url_b, 7).await;
        assert_eq!(closed(&second).await, Reason::Replaced);
        assert!(first.player_id() < second.player_id() && second.player_id() < third.player_id());
        assert_eq!(proxy.session_count(), 0);
        // A push for an old session, and a close of one, find nobody.
        let topic = lobby.system.topic("Push");
        let epochs = first.player_id().0.to_le_bytes();
        let to = chappe_wire::PushTo::Epochs(&epochs);
        lobby.system.node().push(Row::ServerToClient, PROXY, to, &topic, &1).unwrap();
        until("it is counted", || dropped(&node, Row::ServerToClient, Reason::PlayerOffline) == 1).await;
        cluster.master.as_ref().unwrap().node().tell(
            PROXY_B,
            chappe_node::control::PROXY,
            "close",
            &chappe_node::control::Close {
                epoch: first.player_id().0,
                reason: Reason::Kicked,
                message: String::new(),
            },
        );
        third.notify_to_server("Test", "Client", "Echo", &1).unwrap();
        assert_eq!(received(&third).await.data::<i64>().unwrap(), 1);
        cluster.master.unwrap().kick(7, "out").unwrap();
        assert_eq!(closed(&third).await, Reason::Kicked);
    });
}

#[test]
fn a_full_server_sends_the_player_to_another_lobby_or_says_so() {
    run(async || {
        let mut cluster = Cluster::new().await;
        let (node, _, url) = cluster.proxy(PROXY, ProxyOptions::default()).await;
        cluster.players = 1;
        let _lobby = cluster.server(LOBBY, Role::Lobby, "lobby").await;
        knows(&node, LOBBY).await;
        let _first = login(&url, 1).await;
        let refused = Client::connect(&url, Login::new(2)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::ServerFull, "{refused}");
        let _other = cluster.server(LOBBY_B, Role::Lobby, "lobby").await;
        knows(&node, LOBBY_B).await;
        let second = login(&url, 2).await;
        assert_eq!(second.server_id(), LOBBY_B);
        let third = Client::connect(&url, Login::new(3)).await.unwrap_err();
        assert_eq!(third.reason(), Reason::ServerFull);
    });
}

#[test]
fn players_of_a_lost_server_stand_in_a_lobby_a_moment_later() {
    run(async || {
        let (cluster, node, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let game = cluster.server(GAME, Role::Game, "duel").await;
        knows(&node, GAME).await;
        let client = login(&url, 7).await;
        client.notify_to_server("Test", "Client", "Go", &GAME.0).unwrap();
        let moved = |event| match event {
            Some(ClientEvent::Moved { server, is_transfer }) => (server, is_transfer),
            other => panic!("{other:?}"),
        };
        assert_eq!(moved(client.next_event().await), (GAME, true));
        game.system.node().stop();
        assert_eq!(moved(client.next_event().await), (LOBBY, false));
        client.notify_to_server("Test", "Client", "Echo", &Value::Nil).unwrap();
        received(&client).await;
        assert_eq!(*lobby.visits.borrow(), ["+7", "-7t", "+7t"]);
    });
}

#[test]
fn players_of_the_only_lobby_wait_for_it_to_come_back() {
    run(async || {
        let (cluster, _, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let client = login(&url, 7).await;
        lobby.system.node().stop();
        until("it is gone", || cluster.master.as_ref().unwrap().connected_servers().is_empty()).await;
        client.notify_to_server("Test", "Client", "Say", &1).unwrap();
        let again = cluster.server(LOBBY, Role::Lobby, "lobby").await;
        let moved = client.next_event().await;
        let here =
            |event: &ClientEvent| matches!(event, ClientEvent::Moved { server: LOBBY, is_transfer: false });
        assert!(moved.as_ref().is_some_and(here), "{moved:?}");
        until("what was held arrives", || numbers(&again.heard, client.player_id()) == [1]).await;
    });
}

#[test]
fn players_of_a_stuck_server_are_told_and_what_they_send_is_counted() {
    run(async || {
        let (cluster, node, _, url, _) = Cluster::small(ProxyOptions::default()).await;
        let client = login(&url, 7).await;
        let mut member = node.with_view(|view| view.member(LOBBY).cloned()).unwrap();
        let master = cluster.master.as_ref().unwrap().node().clone();
        let tell = |member: &Member| {
            let change = ViewChange { members: vec![member.clone()], ..ViewChange::default() };
            master.tell(PROXY, chappe_node::control::NODE, "view", &change);
        };
        member.state = State::Stuck;
        tell(&member);
        let told = client.next_event().await;
        let names = |text: &str| text.contains("20 does not answer");
        assert!(matches!(&told, Some(ClientEvent::Announce(text)) if names(text)), "{told:?}");
        client.notify_to_server("Test", "Client", "Say", &1).unwrap();
        let told = client.next_event().await;
        assert!(matches!(&told, Some(ClientEvent::Dropped { reason: Reason::Stuck, .. })), "{told:?}");
        assert_eq!(dropped(&node, Row::ClientToServer, Reason::Stuck), 1);
        member.state = State::Ready;
        tell(&member);
        let told = client.next_event().await;
        assert!(
            matches!(&told, Some(ClientEvent::Announce(text)) if text.contains("answers again")),
            "{told:?}"
        );
        client.notify_to_server("Test", "Client", "Echo", &1).unwrap();
        received(&client).await;
    });
}

#[test]
fn without_a_lobby_the_client_is_told_why() {
    run(async || {
        let cluster = Cluster::new().await;
        let (_, _, url) = cluster.proxy(PROXY, ProxyOptions::default()).await;
        let refused = Client::connect(&url, Login::new(1)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::NoRoute);
    });
}

#[test]
fn a_proxy_that_leaves_says_goodbye() {
    run(async || {
        let (cluster, node, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let client = login(&url, 7).await;
        cluster.master.as_ref().unwrap().announce("soon");
        assert!(matches!(client.next_event().await, Some(ClientEvent::Announce(text)) if text == "soon"));
        node.stop();
        assert_eq!(closed(&client).await, Reason::ShuttingDown);
        until("the lobby knows", || lobby.visits.borrow().len() == 2).await;
    });
}

#[test]
fn what_cannot_be_passed_on_is_counted_and_the_client_is_told() {
    run(async || {
        let (_cluster, node, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let client = login(&url, 7).await;
        client.notify_to_service_node(NodeId(99), "Test", "Client", "Mail", &1).unwrap();
        let told = client.next_event().await;
        assert!(matches!(&told, Some(ClientEvent::Dropped { reason: Reason::NoRoute, .. })), "{told:?}");
        client.notify_to_service_node(LOBBY, "Test", "Client", "Mail", &1).unwrap();
        until("it is counted", || dropped(&node, Row::ClientToService, Reason::WrongRole) == 1).await;
        assert_eq!(dropped(&node, Row::ClientToService, Reason::NoRoute), 1);
        // An event of the engine is raised by the node itself; a client that says one forges it.
        let (namespace, system) = (chappe_node::ENGINE_NAMESPACE, chappe_node::ENGINE_SYSTEM);
        let forged = chappe_wire::value!({"id": "-1", "uid": 1});
        client.notify_to_server(namespace, system, "DelServerPlayerEvent", &forged).unwrap();
        until("it is refused", || dropped(&node, Row::ClientToServer, Reason::Refused) == 1).await;
        assert_eq!(*lobby.visits.borrow(), ["+7"]);
        let big = "x".repeat(2 << 20);
        let refused = client.notify_to_server("Test", "Client", "Say", &big).unwrap_err();
        assert_eq!(refused.reason(), Reason::TooLarge);
    });
}
