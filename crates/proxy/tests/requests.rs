//! Players ask, and servers answer: through real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use chappe_client::{Client, ClientError};
use chappe_node::Node;
use chappe_proxy::ProxyOptions;
use chappe_wire::client::{REQUEST, REQUEST_NAMESPACE, REQUEST_SYSTEM};
use chappe_wire::{PlayerId, Reason, Role, Row, Value, value};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;
use support::*;

const SOON: Duration = Duration::from_secs(10);

type Asked = Rc<RefCell<Vec<(PlayerId, Value)>>>;

/// What players ask of a server; nothing is answered yet.
fn asked(server: &Server) -> Asked {
    let asked = Asked::default();
    let list = asked.clone();
    server.system.node().listen(REQUEST_NAMESPACE, REQUEST_SYSTEM, REQUEST, 0, move |event| {
        assert_eq!(event.row(), Row::PlayerRequest);
        list.borrow_mut().push((event.player_id().unwrap(), event.value().unwrap()));
    });
    asked
}

fn id_of(request: &Value) -> &str {
    request.field("_request").and_then(Value::as_str).unwrap()
}

/// Answers a request with a number.
fn answer(node: &Node, (player, request): &(PlayerId, Value), number: i64) {
    let kind = request.field("_type").and_then(Value::as_str).unwrap();
    let response = value!({"_type": kind, "_request": id_of(request), "errorCode": "ok", "n": number});
    node.respond_to_player(*player, &response).unwrap();
}

fn ask(client: &Client, kind: &'static str) -> tokio::task::JoinHandle<Result<i64, ClientError>> {
    let asked = client.ask(kind, &value!({"id": 8}), SOON);
    tokio::task::spawn_local(async move {
        let response = asked.await?;
        assert_eq!((response.kind(), response.error_code()), (kind, Some("ok")));
        Ok(response.field("n").and_then(Value::as_int).unwrap())
    })
}

#[test]
fn a_request_names_its_type_and_nothing_that_is_the_runtimes() {
    run(async || {
        let (_cluster, _, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let asked = asked(&lobby);
        let client = login(&url, 7).await;
        let (tell, told) = mpsc::channel();
        client.on_response("user.money", move |response| {
            tell.send((response.field("n").cloned(), response.server_notify().to_vec())).unwrap();
        });
        client.request("user.money", &value!({"id": 8, "_type": "forged", "_id": 9}), None).unwrap();
        client.request("user.time", &(), Some("mine")).unwrap();
        assert!(matches!(client.request("user.time", &7, None), Err(ClientError::Data(_))));
        until("both have arrived", || asked.borrow().len() == 2).await;
        let player = client.player_id();
        let id = player.to_string();
        let requests = [
            value!({"id": 8, "_type": "user.money", "__id__": id.as_str()}),
            value!({"_type": "user.time", "_request": "mine", "__id__": id.as_str()}),
        ];
        assert_eq!(*asked.borrow(), requests.map(|request| (player, request)));
        let node = lobby.system.node();
        let response = value!({"_type": "user.money", "n": 3, "serverNotify": [{"_type": "a.b"}]});
        node.respond_to_player(player, &response).unwrap();
        node.respond_to_player(player, &value!({"_type": "server.notify"})).unwrap();
        let event = received(&client).await;
        assert_eq!(event.response().unwrap().kind(), "server.notify");
        assert_eq!(event.row(), Some(Row::PlayerResponse));
        assert_eq!(told.try_recv().unwrap(), (Some(value!(3)), vec![value!({"_type": "a.b"})]));
        let counts = client.counts();
        assert_eq!(counts.sent[Row::PlayerRequest.index()], 2);
        assert_eq!(counts.received[Row::PlayerResponse.index()], 2);
    });
}

#[test]
fn an_answer_that_was_lost_with_the_socket_is_asked_for_again_under_the_same_id() {
    run(async || {
        let (_cluster, _, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let asked = asked(&lobby);
        let client = login(&url, 7).await;
        let first = ask(&client, "user.give");
        until("it has arrived", || asked.borrow().len() == 1).await;
        client.drop_socket();
        until("it is asked again", || asked.borrow().len() == 2).await;
        let requests = asked.take();
        assert_eq!(requests[0], requests[1]);
        let node = lobby.system.node();
        requests.iter().for_each(|request| answer(node, request, 1));
        assert_eq!(first.await.unwrap().unwrap(), 1);
        // The repeated answer is nobody's news: the next event is another.
        lobby.system.notify_to_client(client.player_id(), "Push", &1).unwrap();
        assert_eq!(received(&client).await.name(), "Push");
    });
}

#[test]
fn a_request_outlives_the_server_that_had_it() {
    run(async || {
        let (cluster, node, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let game = cluster.server(GAME, Role::Game, "duel").await;
        knows(&node, GAME).await;
        let (at_lobby, at_game) = (asked(&lobby), asked(&game));
        let client = login(&url, 7).await;
        client.notify_to_server("Test", "Client", "Go", &GAME.0).unwrap();
        until("the player is there", || client.server_id() == GAME).await;
        let waits = ask(&client, "user.give");
        until("it has arrived", || at_game.borrow().len() == 1).await;
        game.system.node().stop();
        until("it is asked again", || at_lobby.borrow().len() == 1).await;
        let request = at_lobby.take().remove(0);
        assert_eq!(id_of(&request.1), id_of(&at_game.borrow()[0].1));
        answer(lobby.system.node(), &request, 2);
        assert_eq!(waits.await.unwrap().unwrap(), 2);
    });
}

#[test]
fn nobody_waits_for_ever_and_a_late_answer_is_an_event() {
    run(async || {
        let (_cluster, node, _, url, lobby) =
            Cluster::small(ProxyOptions { client_rate: 1, client_burst: 2, ..ProxyOptions::default() }).await;
        let asked = asked(&lobby);
        let client = login(&url, 7).await;
        let late = client.ask("user.give", &(), Duration::from_millis(20)).await;
        assert_eq!(late.unwrap_err().reason(), Reason::DeadlineExceeded);
        until("it has arrived", || asked.borrow().len() == 1).await;
        answer(lobby.system.node(), &asked.take()[0], 1);
        assert_eq!(received(&client).await.response().unwrap().kind(), "user.give");
        for _ in 0..4 {
            client.request("user.give", &(), None).unwrap();
        }
        until("the limits hold", || dropped(&node, Row::PlayerRequest, Reason::RateLimited) > 0).await;
        let waits = ask(&client, "user.give");
        client.logout().await.unwrap();
        assert!(matches!(waits.await.unwrap(), Err(ClientError::Closed { reason: Reason::Logout, .. })));
    });
}
