//! A master and its nodes in one process, on virtual time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use chappe_node::control::{self, Close, Entered, Kick, Left, Login, LoginGrant, PlayerInfo, Session, Where};
use chappe_node::control::{Destination, Move, Relocate, Transfer};
use chappe_node::control_tool::{
    CallRequest, NodeInfo, PlayersPage, PlayersQuery, Reports, SendOutcome, SendRequest, SendTo, StopNode,
};
use chappe_node::{ENGINE_NAMESPACE, ENGINE_SYSTEM, Failure, NodeError, State, To};
use chappe_wire::{NodeId, Reason, Role, Row, Value, value};
use common::{Cluster, MASTER, run};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOBBY: NodeId = NodeId(20);
const OTHER_LOBBY: NodeId = NodeId(21);
const PROXY: NodeId = NodeId(10);
const SERVICE: NodeId = NodeId(40);
const TOOL: NodeId = NodeId(-9);
const ASK: Duration = Duration::from_secs(60);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A master, two lobbies and a service, all ready.
async fn small(cluster: &mut Cluster) {
    cluster.start_master();
    cluster.start(LOBBY, Role::Lobby, "lobby");
    cluster.start(OTHER_LOBBY, Role::Lobby, "lobby");
    cluster.start(SERVICE, Role::Service, "service_mail");
    for at in [MASTER, LOBBY, OTHER_LOBBY, SERVICE] {
        for of in [MASTER, LOBBY, OTHER_LOBBY, SERVICE] {
            cluster.sees(at, of, Some(State::Ready)).await;
        }
    }
}

async fn with_proxy(cluster: &mut Cluster) {
    small(cluster).await;
    cluster.start(PROXY, Role::Proxy, "proxy");
    cluster.sees(MASTER, PROXY, Some(State::Ready)).await;
    cluster.sees(PROXY, OTHER_LOBBY, Some(State::Ready)).await;
}

async fn login(cluster: &Cluster, proxy: NodeId, uid: u64) -> Result<LoginGrant, Failure> {
    cluster.node(proxy).ask_master("login", &Login { uid }, ASK).await
}

async fn enter(cluster: &Cluster, proxy: NodeId, uid: u64) -> LoginGrant {
    let grant = login(cluster, proxy, uid).await.unwrap();
    entered(cluster, proxy, uid, grant.epoch, grant.server, false);
    grant
}

fn entered(cluster: &Cluster, proxy: NodeId, uid: u64, epoch: u64, server: NodeId, is_transfer: bool) {
    let entered = Entered { uid, epoch, server, is_transfer, is_reconnect: false };
    cluster.node(proxy).tell_master("entered", &entered);
}

async fn locate(cluster: &Cluster, from: NodeId, uid: u64) -> PlayerInfo {
    let found: Vec<PlayerInfo> =
        cluster.node(from).ask_master("where", &Where { uids: vec![uid] }, ASK).await.unwrap();
    found.into_iter().next().unwrap()
}

/// Records the engine events of some names on a node.
fn record(
    cluster: &Cluster,
    at: NodeId,
    events: &'static [&'static str],
) -> Rc<RefCell<Vec<(String, Value)>>> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    for event in events {
        let into = heard.clone();
        cluster.node(at).listen(ENGINE_NAMESPACE, ENGINE_SYSTEM, event, 0, move |event| {
            into.borrow_mut().push((event.name().to_owned(), event.value().unwrap()));
        });
    }
    heard
}

fn names(heard: &RefCell<Vec<(String, Value)>>) -> Vec<(String, i64)> {
    let id = |data: &Value| data.field("serverId").and_then(Value::as_int).unwrap_or_default();
    heard.borrow().iter().map(|(name, data)| (name.clone(), id(data))).collect()
}

/// What the master tells a proxy by `$proxy` and a method.
fn orders<T: serde::de::DeserializeOwned + 'static>(
    cluster: &Cluster,
    method: &'static str,
) -> tokio::sync::mpsc::UnboundedReceiver<T> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    cluster.node(PROXY).register(Row::Internal, control::PROXY, method, move |call| {
        let _ = sender.send(call.args().unwrap());
    });
    receiver
}

#[test]
fn every_node_sees_every_other_and_mods_are_told_once() {
    run(async |cluster| {
        cluster.start_master();
        let heard = record(cluster, MASTER, &["ServerConnectedEvent", "ServiceConnectEvent"]);
        cluster.start(LOBBY, Role::Lobby, "lobby");
        cluster.start(SERVICE, Role::Service, "service_mail");
        cluster.sees(LOBBY, SERVICE, Some(State::Ready)).await;
        cluster.sees(SERVICE, LOBBY, Some(State::Ready)).await;
        cluster.sees(MASTER, LOBBY, Some(State::Ready)).await;
        let mut heard = names(&heard);
        heard.sort();
        assert_eq!(heard, [("ServerConnectedEvent".into(), 20), ("ServiceConnectEvent".into(), 40)]);
        assert_eq!(cluster.master().connected_servers(), [LOBBY]);
    });
}

#[test]
fn a_silent_node_is_lost_after_ten_seconds_and_does_not_come_back() {
    run(async |cluster| {
        small(cluster).await;
        let heard = record(cluster, SERVICE, &["ServerDisconnectEvent"]);
        let frozen_at = Instant::now();
        cluster.freeze(LOBBY);
        cluster.sees(SERVICE, LOBBY, None).await;
        let silence = frozen_at.elapsed();
        assert!((secs(7)..=secs(11)).contains(&silence), "its last beat was up to 3 s ago: {silence:?}");
        cluster.sees(OTHER_LOBBY, LOBBY, None).await;
        cluster.settle().await;
        assert_eq!(names(&heard), [("ServerDisconnectEvent".into(), 20)]);

        cluster.thaw(LOBBY);
        let end = cluster.ended(LOBBY).await;
        assert!(matches!(end, Err(NodeError::Evicted { node: LOBBY })), "{end:?}");
        cluster.start(LOBBY, Role::Lobby, "lobby");
        cluster.sees(SERVICE, LOBBY, Some(State::Ready)).await;
    });
}

#[test]
fn a_frozen_master_calls_nobody_lost_when_it_goes_on() {
    run(async |cluster| {
        small(cluster).await;
        let heard = record(cluster, SERVICE, &["ServerDisconnectEvent"]);
        cluster.freeze(MASTER);
        sleep(secs(60)).await;
        cluster.thaw(MASTER);
        sleep(secs(30)).await;
        assert_eq!(names(&heard), []);
        assert_eq!(cluster.master().connected_servers(), [LOBBY, OTHER_LOBBY]);
    });
}

#[test]
fn a_node_that_slept_through_changes_with_a_full_queue_is_told_everything() {
    run(async |cluster| {
        small(cluster).await;
        cluster.freeze(LOBBY);
        let mega = Value::Bytes(vec![7; 1_000_000]);
        // Once for what the link takes, once for the queue; then the last room, smaller than any news.
        for data in [&mega, &mega, &Value::Nil] {
            while cluster.node(MASTER).tell(LOBBY, control::NODE, "nothing", data) {}
            sleep(Duration::from_millis(1)).await;
        }
        cluster.start(PROXY, Role::Proxy, "proxy");
        cluster.sees(MASTER, PROXY, Some(State::Ready)).await;
        cluster.thaw(LOBBY);
        cluster.sees(LOBBY, PROXY, Some(State::Ready)).await;
    });
}

#[test]
fn a_node_that_leaves_is_gone_at_once() {
    run(async |cluster| {
        small(cluster).await;
        let asked = Instant::now();
        cluster.node(LOBBY).stop();
        cluster.sees(SERVICE, LOBBY, None).await;
        assert!(asked.elapsed() < secs(1), "no silence was waited for: {:?}", asked.elapsed());
        cluster.sees(OTHER_LOBBY, LOBBY, None).await;
    });
}

#[test]
fn two_processes_that_claim_one_id() {
    run(async |cluster| {
        small(cluster).await;
        // Another machine's link: the id is not taken there, only at the master.
        let end = cluster.start_twin(LOBBY, Role::Lobby, "lobby").await;
        assert!(
            matches!(&end, Err(NodeError::Refused { refusal, .. }) if refusal.reason == Reason::IdTaken),
            "{end:?}"
        );
        cluster.sees(SERVICE, LOBBY, Some(State::Ready)).await;
    });
}

#[test]
fn a_node_of_another_role_than_declared_is_refused_by_name() {
    run(async |cluster| {
        cluster.declare(LOBBY, Role::Lobby, "lobby");
        cluster.start_master();
        cluster.start(LOBBY, Role::Game, "duel");
        let end = cluster.ended(LOBBY).await;
        assert_eq!(
            end.unwrap_err().to_string(),
            "node 20 was turned away by the master: Refused: deploy.json has node 20 as a lobby, not as a game"
        );
    });
}

#[test]
fn a_restarted_master_keeps_the_cluster_and_its_sessions() {
    run(async |cluster| {
        with_proxy(cluster).await;
        let grant = enter(cluster, PROXY, 5).await;
        let session = Session { uid: 5, epoch: grant.epoch, proxy: PROXY, server: Some(grant.server) };
        cluster.node(PROXY).on_join(move || vec![session]);
        let heard = record(cluster, SERVICE, &["ServerDisconnectEvent"]);
        cluster.stop(MASTER).await;
        cluster.sees(PROXY, MASTER, None).await;
        // One lobby does not live to see the new master.
        cluster.freeze(OTHER_LOBBY);
        cluster.start_master();
        cluster.sees(MASTER, SERVICE, Some(State::Ready)).await;
        let info = locate(cluster, LOBBY, 5).await;
        assert_eq!((info.server_id, info.proxy_id), (Some(grant.server), Some(PROXY)));
        let again = enter(cluster, PROXY, 6).await;
        assert!(again.epoch > grant.epoch);
        cluster.sees(LOBBY, OTHER_LOBBY, None).await;
        cluster.sees(SERVICE, OTHER_LOBBY, None).await;
        assert_eq!(names(&heard), [("ServerDisconnectEvent".into(), 21)], "nobody else was called gone");
    });
}

#[test]
fn logins_wait_for_a_proxy_that_may_hold_the_player() {
    run(async |cluster| {
        with_proxy(cluster).await;
        let other = NodeId(11);
        cluster.start(other, Role::Proxy, "proxy");
        cluster.sees(PROXY, other, Some(State::Ready)).await;
        cluster.sees(LOBBY, other, Some(State::Ready)).await;
        cluster.freeze(other);
        cluster.stop(MASTER).await;
        cluster.start_master();
        cluster.sees(MASTER, PROXY, Some(State::Ready)).await;
        assert!(cluster.master().is_recovering());
        let asked = Instant::now();
        login(cluster, PROXY, 5).await.unwrap();
        assert!(asked.elapsed() > secs(8), "the other proxy had its grace: {:?}", asked.elapsed());
        assert!(!cluster.master().is_recovering());
    });
}

#[test]
fn a_second_login_ends_the_first() {
    run(async |cluster| {
        with_proxy(cluster).await;
        let heard = record(cluster, MASTER, &["PlayerLoginServerEvent", "PlayerLogoutServerEvent"]);
        let mut closed = orders::<Close>(cluster, "close");
        let first = enter(cluster, PROXY, 5).await;
        let second = enter(cluster, PROXY, 5).await;
        let close = closed.recv().await.unwrap();
        assert_eq!((close.epoch, close.reason), (first.epoch, Reason::Replaced));
        let left = Left { uid: 5, epoch: first.epoch, reason: Reason::Replaced };
        cluster.node(PROXY).tell_master("left", &left);
        assert_eq!(locate(cluster, LOBBY, 5).await.server_id, Some(second.server));
        let events: Vec<_> = names(&heard).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            events,
            ["PlayerLoginServerEvent", "PlayerLogoutServerEvent", "PlayerLoginServerEvent"],
            "the late end of the old session is not the end of the new one"
        );
    });
}

#[test]
fn a_transfer_is_told_to_the_proxy_and_errors_say_why() {
    run(async |cluster| {
        with_proxy(cluster).await;
        let heard = record(cluster, MASTER, &["PlayerTransferServerEvent"]);
        let mut moves = orders::<Move>(cluster, "move");
        let grant = enter(cluster, PROXY, 5).await;
        let other = if grant.server == LOBBY { OTHER_LOBBY } else { LOBBY };
        let transfer = async |epoch, to| {
            let transfer = Transfer { epoch, to, param: "door".into() };
            cluster.node(grant.server).ask_master::<_, NodeId>("transfer", &transfer, ASK).await
        };
        locate(cluster, PROXY, 5).await;
        assert_eq!(transfer(grant.epoch, Destination::Type("lobby".into())).await.unwrap(), other);
        let order = moves.recv().await.unwrap();
        assert_eq!((order.epoch, order.server, order.param.as_str()), (grant.epoch, other, "door"));
        let event = value!({
            "serverId": grant.server.0, "uid": 5u64, "targetServerId": other.0, "targetServerType": "lobby",
            "transferParam": "door",
        });
        assert_eq!(heard.borrow()[0].1, event);

        let reason = |result: Result<NodeId, Failure>| result.unwrap_err().reason;
        let at = |id| Destination::Server(NodeId(id));
        assert_eq!(reason(transfer(grant.epoch, at(99)).await), Reason::NoRoute);
        assert_eq!(reason(transfer(grant.epoch, at(SERVICE.0)).await), Reason::WrongRole);
        assert_eq!(reason(transfer(7, at(LOBBY.0)).await), Reason::PlayerOffline);
        assert_eq!(reason(transfer(grant.epoch, Destination::Type("duel".into())).await), Reason::NoRoute);
        let relocate = Relocate { epoch: grant.epoch, not: grant.server };
        let elsewhere: NodeId = cluster.node(PROXY).ask_master("relocate", &relocate, ASK).await.unwrap();
        assert_eq!(elsewhere, other);
    });
}

#[test]
fn a_login_strategy_decides_and_a_wrong_or_missing_decision_refuses() {
    run(async |cluster| {
        with_proxy(cluster).await;
        let kept = Rc::new(RefCell::new(Vec::new()));
        let keep = kept.clone();
        cluster.master().set_login_strategy(move |uid, choice| match uid {
            1 => choice.choose(OTHER_LOBBY),
            2 => choice.choose(SERVICE),
            3 => keep.borrow_mut().push(choice),
            _ => drop(choice),
        });
        assert_eq!(login(cluster, PROXY, 1).await.unwrap().server, OTHER_LOBBY);
        let reason = |result: Result<LoginGrant, Failure>| result.unwrap_err().reason;
        assert_eq!(reason(login(cluster, PROXY, 2).await), Reason::WrongRole);
        let asked = Instant::now();
        assert_eq!(reason(login(cluster, PROXY, 3).await), Reason::Refused);
        assert!((secs(5)..secs(6)).contains(&asked.elapsed()));
        assert_eq!(reason(login(cluster, PROXY, 4).await), Reason::Refused);
    });
}

#[test]
fn without_a_lobby_the_player_is_told_so() {
    run(async |cluster| {
        cluster.start_master();
        cluster.start(PROXY, Role::Proxy, "proxy");
        cluster.sees(MASTER, PROXY, Some(State::Ready)).await;
        let failure = login(cluster, PROXY, 5).await.unwrap_err();
        assert_eq!(failure.to_string(), "NoRoute: no server of type \"lobby\" is ready");
    });
}

#[test]
fn players_of_a_lost_proxy_go_offline() {
    run(async |cluster| {
        with_proxy(cluster).await;
        enter(cluster, PROXY, 5).await;
        assert!(locate(cluster, PROXY, 5).await.server_id.is_some());
        let heard = record(cluster, MASTER, &["PlayerLogoutServerEvent"]);
        cluster.node(PROXY).stop();
        cluster.sees(LOBBY, PROXY, None).await;
        assert_eq!(locate(cluster, LOBBY, 5).await.server_id, None);
        assert_eq!(heard.borrow().len(), 1);
    });
}

#[test]
fn a_tool_asks_and_is_seen_by_nobody() {
    run(async |cluster| {
        with_proxy(cluster).await;
        let grant = enter(cluster, PROXY, 5).await;
        cluster.node(SERVICE).register(Row::RpcMethod, "service_mail", "Count", |call| {
            let uid = call.args::<Value>().unwrap().field("uid").and_then(Value::as_int);
            call.respond(&value!({"n": 3, "uid": uid.unwrap_or_default()})).unwrap();
        });
        cluster.start(TOOL, Role::Tool, "tool");
        cluster.sees(TOOL, MASTER, Some(State::Ready)).await;
        cluster.settle().await;
        cluster.sees(LOBBY, TOOL, None).await;
        let tool = cluster.node(TOOL);

        let nodes: Vec<NodeInfo> = tool.ask_master("nodes", &(), ASK).await.unwrap();
        let ids: Vec<_> = nodes.iter().map(|node| (node.id, node.players)).collect();
        let on = |id| usize::from(grant.server == id);
        assert_eq!(
            ids,
            [(MASTER, 0), (PROXY, 1), (LOBBY, on(LOBBY)), (OTHER_LOBBY, on(OTHER_LOBBY)), (SERVICE, 0)]
        );
        let page: PlayersPage = tool.ask_master("players", &PlayersQuery::default(), ASK).await.unwrap();
        assert_eq!((page.online, page.players[0].server, page.more), (1, Some(grant.server), false));

        let request = |module: &str| CallRequest {
            module: module.into(),
            method: "Count".into(),
            args: value!({"uid": 5}),
            timeout_ms: 2000,
        };
        let answer: Value = tool.ask_master("call", &request("service_mail"), ASK).await.unwrap();
        assert_eq!(answer, value!({"n": 3, "uid": 5}));
        let failure = tool.ask_master::<_, Value>("call", &request("nobody"), ASK).await.unwrap_err();
        assert_eq!(failure.reason, Reason::NoProvider);

        let send = |to| SendRequest {
            to,
            namespace: "N".into(),
            system: "S".into(),
            event: "E".into(),
            data: value!({"x": 1}),
        };
        let sent: SendOutcome =
            tool.ask_master("send", &send(SendTo::Type("lobby".into())), ASK).await.unwrap();
        assert_eq!((sent.reached.len(), sent.missing), (2, vec![]));
        let wrong = tool.ask_master::<_, SendOutcome>("send", &send(SendTo::Server(SERVICE)), ASK).await;
        assert_eq!(wrong.unwrap_err().reason, Reason::WrongRole);

        let reports: Reports = tool.ask_master("reports", &(), ASK).await.unwrap();
        assert_eq!((reports.reports.len(), reports.missing), (5, vec![]));

        let mut closed = orders::<Close>(cluster, "close");
        let kick = Kick { uid: 5, message: "out".into() };
        tool.ask_master::<_, ()>("kick", &kick, ASK).await.unwrap();
        assert_eq!(closed.recv().await.unwrap().message, "out");
        tool.ask_master::<_, ()>("stop_node", &StopNode { id: LOBBY }, ASK).await.unwrap();
        cluster.sees(MASTER, LOBBY, None).await;
    });
}

#[test]
fn a_frozen_node_is_named_in_the_reports() {
    run(async |cluster| {
        small(cluster).await;
        cluster.freeze(LOBBY);
        let reports = cluster.master().reports().await;
        assert_eq!(reports.missing, [(LOBBY, Reason::DeadlineExceeded)]);
        assert_eq!(reports.reports.len(), 3);
    });
}

#[test]
fn a_hundred_and_one_players_are_too_many_for_one_question() {
    run(async |cluster| {
        small(cluster).await;
        let ask = Where { uids: (0..101).collect() };
        let to = (control::MASTER, "where");
        let asked = cluster.node(LOBBY).ask::<_, Value>(Row::Internal, To::Master, to, &ask, ASK).await;
        assert_eq!(asked.unwrap_err().reason, Reason::BadData);
    });
}
