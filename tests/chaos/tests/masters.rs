//! Two masters on hosts of their own, real processes: the one that leads is killed with everything on its host, while
//! gifts are under way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe::client::{Client, ClientEvent, Login, Response};
use chappe::{Reason, Value, value};
use chappe_hosts::{Ground, Hosts, Net, Plan};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;

/// Beyond 32 bits, as real ones are.
const FIRST: u64 = 5_000_000_000;
const START: i64 = 10_000;
/// How long anything but a takeover is waited for before the test says that it does not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the other master may take to lead; a third of it is what it should need with this lease.
const TAKE_OVER: Duration = Duration::from_secs(10);
const LEASE_SECONDS: f64 = 2.0;

#[test]
fn a_gift_that_is_under_way_when_the_leaders_host_is_gone_is_lost_or_doubled() {
    let Some(ground) = ground() else { return };
    let program = env!("CARGO_BIN_EXE_chappe-chaos");
    let plan =
        Plan { hosts: HOSTS.map(str::to_owned).into(), program: program.into(), deploy: deploy(program) };
    let hosts = Hosts::start(Arc::new(ground), &plan, PATIENCE).unwrap();
    let players = Players::new(&hosts);
    let [receiver, absent, giver] = players.log_in_on([FROZEN, FROZEN, OTHER]);
    for client in [&giver, &receiver, &absent] {
        assert_eq!(players.ask(client, "bank.balance", value!({})).field("money"), Some(&START.into()));
    }
    let absent_uid = absent.uid();
    players.on(async move { absent.logout().await }).unwrap();

    // Two gifts are on their way: where they are to be received, one by a player who is not there, nothing moves.
    let frozen = hosts.signal(FROZEN, Signal::SIGSTOP).unwrap();
    let gifts = [(receiver.uid(), 50, 1), (absent_uid, 30, 2)].map(|(to, amount, gift)| {
        let params = value!({"to": to, "amount": amount, "gift": gift, "how": "plain", "once": false});
        players.begin(&giver, "bank.give", params)
    });
    let under_way = |hosts: &Hosts| hosts.commands().tell(&["notifications"], &[]).ok();
    until("both are under way", PATIENCE, || under_way(&hosts).filter(|found| found["sent"] == 2));
    let sessions = |hosts: &Hosts| online(hosts, [giver.uid(), receiver.uid()]);
    let before = until("both are known", PATIENCE, || sessions(&hosts));
    let (leader, at) = hosts.leader().unwrap();

    hosts.switch_off(at).unwrap();
    kill(frozen, Signal::SIGCONT).unwrap();
    let (next, _) =
        until("the other leads", TAKE_OVER, || hosts.leader().ok().filter(|(now, _)| *now != leader));
    assert_ne!(next, leader);

    // The same sessions, over the same sockets.
    let after = until("both are known to it", PATIENCE, || sessions(&hosts));
    assert_eq!(before, after);
    let absent = players.log_in(absent_uid);
    for gift in gifts {
        assert_eq!(players.end(gift).error_code(), Some("ok"));
    }
    let told = |client: &Client| {
        let balance = players.ask(client, "bank.balance", value!({}));
        (balance.field("money").and_then(Value::as_int), received(client))
    };
    assert_eq!(told(&giver), (Some(START - 80), 0));
    assert_eq!(told(&receiver), (Some(START + 50), 1));
    // Nobody is told who comes after the gift.
    assert_eq!(told(&absent).0, Some(START + 30));
    for client in [&giver, &receiver] {
        assert!(client.end().is_none(), "{:?}", client.end());
    }

    // What the records say, and that nothing is left over.
    let of = |uid: u64| {
        let shown = hosts.commands().tell(&["record", "show"], &[&uid.to_string()]).unwrap();
        ["money", "begun", "succeeded", "refunded", "received", "gifts"]
            .map(|name| shown["document"][name].clone())
    };
    assert_eq!(of(giver.uid()), [START - 80, 2, 2, 0, 0, 0].map(Json::from));
    assert_eq!(of(receiver.uid()), [START + 50, 0, 0, 0, 50, 1].map(Json::from));
    assert_eq!(of(absent_uid), [START + 30, 0, 0, 0, 30, 1].map(Json::from));
    let left = until("nothing is under way", PATIENCE, || {
        under_way(&hosts).filter(|found| found["sent"] == 0 && found["decided"] == 0)
    });
    assert_eq!(left["sent"], 0);
    let letters = hosts.commands().tell(&["deadletters", "list"], &[]).unwrap();
    assert_eq!(letters["letters"], json!([]));

    // Its host is back: it stands by, and the other goes on.
    hosts.switch_on(at).unwrap();
    until("it stands by", PATIENCE, || {
        let found = hosts.commands().tell(&["nodes"], &[]).ok()?;
        let is = |state: &str, id: i64| {
            found["masters"].as_array()?.iter().find(|one| one["id"] == id && one["state"] == state).map(drop)
        };
        is("leads", next).and_then(|()| is("standby", leader))
    });
}

/// The game that acts for players who are not there: the first.
const FROZEN: i64 = 31;
const OTHER: i64 = 32;
const HOSTS: [&str; 3] = ["north", "east", "west"];

/// Each master alone on its host; what players are on is on the third.
fn deploy(program: &str) -> Json {
    let [north, east, west] = HOSTS;
    let node = |id: i64, host: &str| json!({"serverid": id, "host": host, "program": [program]});
    json!({
        "cluster": "takeover", "lease_seconds": LEASE_SECONDS,
        // Whoever is frozen meanwhile is neither lost nor stuck.
        "loss_seconds": 60.0, "stuck_seconds": 60.0,
        "notifications": {"deadline_seconds": 300},
        "master": [node(1, north), node(2, east)],
        "proxy": [node(11, west)],
        "lobby": [node(21, west)],
        "game": [node(FROZEN, west), node(OTHER, west)],
    })
}

/// `None`, and a line that says so, where the servers cannot be had; a failure where they must be.
fn ground() -> Option<Ground> {
    match Ground::new(Net::Loopback, HOSTS.len()) {
        Ok(ground) => Some(ground),
        Err(why) => {
            let is_required = |name| std::env::var(name).is_ok_and(|value| value == "1");
            let is_missing = why.contains("is not installed");
            let must = is_required("CHAPPE_REQUIRE_NATS") || is_required("CHAPPE_REQUIRE_POSTGRES");
            assert!(is_missing && !must, "{why}");
            eprintln!("SKIPPED: {why}");
            None
        }
    }
}

/// Where both are, as the master that leads knows it: proxy, server, session.
fn online(hosts: &Hosts, uids: [u64; 2]) -> Option<[Json; 2]> {
    let page = hosts.commands().tell(&["players"], &[]).ok()?;
    let players = page["players"].as_array()?;
    let [one, other] = uids.map(|uid| players.iter().find(|player| player["uid"] == uid).cloned());
    Some([one?, other?])
}

fn until<T>(what: &str, within: Duration, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many gifts a player was told to have received; and its session has not been a new one meanwhile.
fn received(client: &Client) -> usize {
    let heard = std::iter::from_fn(|| client.try_next_event());
    let is_gift = |event: &ClientEvent| match event {
        ClientEvent::Event(event) => {
            event.response().is_some_and(|response| response.kind() == "bank.received")
        }
        ClientEvent::Reconnected { .. } | ClientEvent::Closed { .. } => panic!("{event:?}"),
        _ => false,
    };
    heard.filter(is_gift).count()
}

/// Clients, on a thread of their own: they answer while the test waits for something else.
struct Players {
    runtime: Handle,
    url: String,
}

type Asked = JoinHandle<Result<Response, chappe::client::ClientError>>;

impl Players {
    fn new(hosts: &Hosts) -> Players {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        Players { runtime: handle, url: hosts.proxy_urls().remove(0) }
    }

    fn on<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        let task = self.runtime.spawn(task);
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await }).unwrap().unwrap()
    }

    /// Once more where nobody can let it in yet.
    fn log_in(&self, uid: u64) -> Client {
        until("let in", PATIENCE, || match self.on(Client::connect(self.url.clone(), Login::new(uid))) {
            Ok(client) => Some(client),
            Err(error) if error.reason() != Reason::Refused => None,
            Err(error) => panic!("{error}"),
        })
    }

    /// New players on those servers.
    fn log_in_on<const N: usize>(&self, servers: [i64; N]) -> [Client; N] {
        let mut uids = FIRST..FIRST + 100;
        servers.map(|server| {
            let mut clients = uids.by_ref().map(|uid| self.log_in(uid));
            clients.find(|client| client.server_id().0 == server).unwrap()
        })
    }

    fn begin(&self, client: &Client, kind: &str, params: Value) -> Asked {
        self.runtime.spawn(client.ask(kind, &params, PATIENCE))
    }

    fn end(&self, asked: Asked) -> Response {
        self.on(asked).unwrap().unwrap()
    }

    fn ask(&self, client: &Client, kind: &str, params: Value) -> Response {
        self.end(self.begin(client, kind, params))
    }
}
