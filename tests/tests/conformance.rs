//! One list: the rows of the message table (apollo.md section 1) by links. Each cell sends and receives for real,
//! rows of clients through a real WebSocket. A row without a cell, and a cell that fails, are named.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_client::{Client, ClientEvent};
use chappe_master::MasterSystem;
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Failure, Reply};
use chappe_tests::world::{LINKS, World, link_if_possible, until};
use chappe_wire::{NodeId, PlayerId, Role, Row, Value, value};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

const NODES: [(i64, Role, &str); 7] = [
    (1, Role::Master, "master"),
    (10, Role::Proxy, "proxy"),
    (20, Role::Lobby, "lobby"),
    (30, Role::Game, "duel"),
    (31, Role::Game, "duel"),
    (40, Role::Service, "service_mail"),
    (41, Role::Service, "service_guild"),
];
const SECOND: Duration = Duration::from_secs(5);
const UID: u64 = 9_007_199_254_740_993;

/// The world, its systems, and a player on the lobby.
struct Cast {
    world: World,
    master: MasterSystem,
    lobby: ServerSystem,
    mail: ServiceSystem,
    client: Client,
}

type Cell = for<'a> fn(&'a Cast) -> Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

macro_rules! cells {
    ($($row:literal => $name:ident)*) => {
        const CELLS: &[(u8, Cell)] = &[$(($row, |cast| Box::pin($name(cast)))),*];
    };
}

cells! {
    1 => server_to_client
    2 => client_to_server
    3 => server_to_master
    4 => master_to_server
    5 => master_to_services
    6 => master_to_service
    7 => service_to_master
    8 => service_to_type
    9 => node_to_services
    10 => service_to_server
    11 => node_to_service
    12 => client_to_service
    13 => service_to_client
    14 => rpc_method
    15 => rpc_method_for_mod
    16 => request_to_service
    17 => request_to_service_mod
    18 => response_to_server
}

fn on_one_thread<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async { test().await });
}

fn every_row_over(name: &str) {
    on_one_thread(async || {
        let dir = tempfile::tempdir().unwrap();
        let Some(link) = link_if_possible(name, dir.path()) else { return };
        let world = World::new(link, &NODES, |_| true).await.unwrap();
        let client = world.log_in(UID).await.unwrap();
        assert_eq!((client.server_id(), client.proxy_id()), (NodeId(20), NodeId(10)));
        let cast = Cast {
            master: MasterSystem::new(world.master(), "C", "master"),
            lobby: ServerSystem::new(world.node(20), "C", "lobby"),
            mail: ServiceSystem::new(world.node(40), "C", "mail"),
            client,
            world,
        };
        let mut failed = Vec::new();
        for row in 1..=18u8 {
            let call = Row::from_code(row).map_or("?", Row::call);
            let cell = CELLS.iter().find(|(of, _)| *of == row);
            let result = match cell {
                Some((_, cell)) => cell(&cast).await,
                None => Err("there is no cell for it".to_owned()),
            };
            failed.extend(result.err().map(|why| format!("row {row} {call} over {name}: {why}")));
        }
        assert!(failed.is_empty(), "{failed:#?}");
    });
}

#[test]
fn every_row_of_the_table_works_over_memory() {
    every_row_over("memory");
}

#[test]
fn every_row_of_the_table_works_over_local() {
    every_row_over("local");
}

#[test]
fn every_row_of_the_table_works_over_nats() {
    every_row_over("nats");
}

#[test]
fn every_link_is_in_the_list() {
    assert_eq!(LINKS, ["memory", "local", "nats"], "a new link needs its tests here and in promises.rs");
}

/// Data of every kind that the specification lists (section 2): it must arrive equal.
fn data() -> Value {
    value!({
        "n": 3, 7: ["雪", nil, true, 2.5, b"\x00\xff"], "uid": 9_007_199_254_740_993u64, "deep": {"a": [[], {}]},
    })
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, is: T, wanted: T) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what} is {is:?}, not {wanted:?}")) }
}

/// What the system `("C", system)` of node `from` has `send` sent arrives at each of `to`, once, and equal.
async fn arrives(
    cast: &Cast,
    (from, system): (i64, &str),
    to: &[i64],
    send: impl FnOnce(&str, &Value) -> Result<(), String>,
) -> Result<(), String> {
    let event = format!("From{from}To{to:?}");
    let heard: Vec<_> = to.iter().map(|id| (*id, cast.world.hears(*id, system, &event))).collect();
    let data = data();
    send(&event, &data)?;
    until("all have it", || heard.iter().all(|(_, heard)| !heard.borrow().is_empty())).await?;
    for (id, heard) in heard {
        expect(&format!("what {id} heard"), heard.take(), vec![(NodeId(from), data.clone())])?;
    }
    Ok(())
}

fn sent<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

async fn client_hears(cast: &Cast, event: &str, wanted: &Value) -> Result<(), String> {
    let next = tokio::time::timeout(Duration::from_secs(10), cast.client.next_event());
    match next.await.map_err(|_| "the client hears nothing".to_owned())? {
        Some(ClientEvent::Event(heard)) => {
            expect("the event", heard.name(), event)?;
            expect("the data", heard.value().map_err(|error| error.to_string())?, wanted.clone())
        }
        other => Err(format!("the client got {other:?}")),
    }
}

async fn server_to_client(cast: &Cast) -> Result<(), String> {
    sent(cast.lobby.notify_to_client(cast.client.player_id(), "Badge", &data()))?;
    client_hears(cast, "Badge", &data()).await?;
    let nobody = cast.lobby.notify_to_client(PlayerId(1), "Badge", &data());
    expect(
        "an event for nobody",
        nobody.err().map(|error| error.to_string()),
        Some("NotifyToClient to player -1: PlayerOffline".to_owned()),
    )
}

async fn client_to_server(cast: &Cast) -> Result<(), String> {
    let heard = cast.world.hears(20, "client", "Say");
    sent(cast.client.notify_to_server("C", "client", "Say", &value!({"n": 1, "__id__": "forged"})))?;
    until("the lobby hears the client", || !heard.borrow().is_empty()).await?;
    let id = cast.client.player_id().to_string();
    expect("what the lobby heard", heard.take(), vec![(NodeId(10), value!({"n": 1, "__id__": id}))])
}

async fn server_to_master(cast: &Cast) -> Result<(), String> {
    arrives(cast, (20, "lobby"), &[1], |event, data| sent(cast.lobby.notify_to_master(event, data))).await
}

async fn master_to_server(cast: &Cast) -> Result<(), String> {
    let send = |event: &str, data: &Value| sent(cast.master.notify_to_server_node(NodeId(30), event, data));
    arrives(cast, (1, "master"), &[30], send).await
}

async fn master_to_services(cast: &Cast) -> Result<(), String> {
    let send = |event: &str, data: &Value| sent(cast.master.broadcast_to_service(event, data));
    arrives(cast, (1, "master"), &[40, 41], send).await
}

async fn master_to_service(cast: &Cast) -> Result<(), String> {
    let send = |event: &str, data: &Value| sent(cast.master.notify_to_service_node(NodeId(41), event, data));
    arrives(cast, (1, "master"), &[41], send).await
}

async fn service_to_master(cast: &Cast) -> Result<(), String> {
    arrives(cast, (40, "mail"), &[1], |event, data| sent(cast.mail.notify_to_master(event, data))).await
}

async fn service_to_type(cast: &Cast) -> Result<(), String> {
    let send = |event: &str, data: &Value| sent(cast.mail.broadcast_to_server_by_type("duel", event, data));
    arrives(cast, (40, "mail"), &[30, 31], send).await
}

async fn node_to_services(cast: &Cast) -> Result<(), String> {
    let from_lobby = |event: &str, data: &Value| sent(cast.lobby.broadcast_to_service(event, data));
    arrives(cast, (20, "lobby"), &[40, 41], from_lobby).await?;
    // From a service: the sender too (decided, section 1).
    let from_service = |event: &str, data: &Value| sent(cast.mail.broadcast_to_service(event, data));
    arrives(cast, (40, "mail"), &[40, 41], from_service).await
}

async fn service_to_server(cast: &Cast) -> Result<(), String> {
    let send = |event: &str, data: &Value| sent(cast.mail.notify_to_server_node(NodeId(31), event, data));
    arrives(cast, (40, "mail"), &[31], send).await
}

async fn node_to_service(cast: &Cast) -> Result<(), String> {
    let from_lobby =
        |event: &str, data: &Value| sent(cast.lobby.notify_to_service_node(NodeId(41), event, data));
    arrives(cast, (20, "lobby"), &[41], from_lobby).await?;
    let from_service =
        |event: &str, data: &Value| sent(cast.mail.notify_to_service_node(NodeId(41), event, data));
    arrives(cast, (40, "mail"), &[41], from_service).await
}

async fn client_to_service(cast: &Cast) -> Result<(), String> {
    let heard = cast.world.hears(40, "client", "Mail");
    let forged = value!({"n": 2, "__uid__": 1, "__neteaseProxyId__": 1});
    sent(cast.client.notify_to_service_node(NodeId(40), "C", "client", "Mail", &forged))?;
    until("the service hears the client", || !heard.borrow().is_empty()).await?;
    let wanted = value!({"n": 2, "__uid__": UID, "__neteaseProxyId__": 10});
    expect("what the service heard", heard.take(), vec![(NodeId(10), wanted)])
}

async fn service_to_client(cast: &Cast) -> Result<(), String> {
    sent(cast.mail.remote_notify_to_client(UID, NodeId(10), "Letter", &data()))?;
    client_hears(cast, "Letter", &data()).await
}

async fn ask(cast: &Cast, module: &str, method: &str) -> Result<Value, Failure> {
    cast.lobby.request_to_service(module, method, &data(), SECOND).await
}

async fn rpc_method(cast: &Cast) -> Result<(), String> {
    cast.mail.register_rpc_method("post", "Send", |call| drop(call.respond(&1)));
    // What is registered again replaces what stood there.
    cast.mail.register_rpc_method("post", "Send", |call| drop(call.respond(&2)));
    cast.master.register_rpc_method("control", "Send", |call| drop(call.respond(&3)));
    let lobby = cast.world.node(20);
    let serves = |name: &str| {
        lobby.with_view(|view| view.members().any(|member| member.modules.iter().any(|at| at == name)))
    };
    until("the modules are known", || serves("post") && serves("control")).await?;
    expect("a service's answer", ask(cast, "post", "Send").await, Ok(Value::from(2)))?;
    expect("the master's answer", ask(cast, "control", "Send").await, Ok(Value::from(3)))
}

async fn rpc_method_for_mod(cast: &Cast) -> Result<(), String> {
    cast.mail.register_rpc_method_for_mod("Own", |call| drop(call.respond(&4)));
    expect("the answer", ask(cast, "service_mail", "Own").await, Ok(Value::from(4)))
}

/// A method of the mail service that answers with its caller's id and arguments.
fn echo(cast: &Cast, method: &str) {
    cast.mail.register_rpc_method_for_mod(method, |call| {
        let args: Value = call.args().unwrap_or_default();
        let from = call.from().0;
        let _ = call.respond(&value!({"from": from, "args": args}));
    });
}

async fn request_to_service(cast: &Cast) -> Result<(), String> {
    echo(cast, "Echo16");
    let wanted = |from: i64| value!({"from": from, "args": data()});
    expect("the lobby's answer", ask(cast, "service_mail", "Echo16").await, Ok(wanted(20)))?;
    let args = data();
    let from_master = cast.master.request_to_service("service_mail", "Echo16", &args, SECOND);
    expect("the master's answer", from_master.await, Ok(wanted(1)))?;
    let from_itself = cast.mail.request_to_service("service_mail", "Echo16", &args, SECOND);
    expect("the service's own answer", from_itself.await, Ok(wanted(40)))
}

async fn request_to_service_mod(cast: &Cast) -> Result<(), String> {
    echo(cast, "Echo17");
    let wanted = |from: i64| value!({"from": from, "args": data()});
    let args = data();
    let from_lobby = cast.lobby.request_to_service_mod("service_mail", "Echo17", &args, SECOND);
    expect("the lobby's answer", from_lobby.await, Ok(wanted(20)))?;
    let from_master = cast.master.request_to_service_mod("service_mail", "Echo17", &args, SECOND);
    expect("the master's answer", from_master.await, Ok(wanted(1)))
}

/// An answer that comes later, and no second one.
async fn response_to_server(cast: &Cast) -> Result<(), String> {
    let kept = Rc::new(RefCell::new(None));
    let keep = kept.clone();
    cast.mail.register_rpc_method_for_mod("Later", move |call| {
        *keep.borrow_mut() = Some((call.from(), call.into_responder()));
    });
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    let into = outcomes.clone();
    let callback = move |reply: Reply<'_>| {
        into.borrow_mut().push(reply.map(|data| data.value().unwrap_or_default()));
    };
    let asked = cast.lobby.request_to_service_mod_with("service_mail", "Later", &data(), SECOND, callback);
    asked.map_err(|error| error.to_string())?;
    expect("outcomes before the call has returned", outcomes.borrow().len(), 0)?;
    until("the service has the request", || kept.borrow().is_some()).await?;
    let (from, responder) = kept.take().ok_or("it was let go")?;
    expect("who asks", from, NodeId(20))?;
    responder.respond(&data()).map_err(|error| error.to_string())?;
    until("the answer is there", || !outcomes.borrow().is_empty()).await?;
    expect("the outcomes", outcomes.take(), vec![Ok(data())])
}
