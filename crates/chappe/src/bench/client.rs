//! Round trips of players: client, proxy, game and back, one under way for each.

use super::cluster::{MODULE, with_proxy};
use super::measure::{Figure, Tally, Window, meter};
use super::{BenchResult, ClientArgs, LinkName, Programs};
use chappe_client::{Client, ClientEvent, Login, Tls};
use serde_bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Logins under way at once.
const LOGINS: usize = 64;
/// Attempts of one login: the lobby may not be routable yet.
const ATTEMPTS: usize = 100;

pub(super) fn run(with: &Programs, args: &ClientArgs) -> BenchResult<Figure> {
    let ClientArgs { work: args, tls } = args;
    if args.link == LinkName::Memory {
        return Err(
            "clients reach a proxy that is a process of its own: there is no `client` over memory".into()
        );
    }
    with_proxy(with, *tls, async |door, pids| {
        let clients = connect(&door, args.in_flight).await?;
        let window = args.window();
        let cpu = meter(window, pids.into_iter().chain([std::process::id()]).collect());
        let tally = Rc::new(RefCell::new(Tally::new(window)?));
        let players: Vec<_> = clients
            .into_iter()
            .map(|client| {
                tokio::task::spawn_local(play(client, vec![b'x'; args.size], window, tally.clone()))
            })
            .collect();
        for player in players {
            player.await?;
        }
        let used = cpu.join().map_err(|_| "the meter failed")?;
        let figure = tally.borrow().figure("client", args, &used);
        Ok(figure)
    })
}

/// Where players come in.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) url: String,
    /// Whom they trust, where the door is `wss://`.
    pub(super) tls: Option<Tls>,
}

/// Logs in players 1 to `count`.
pub(super) async fn connect(door: &Door, count: usize) -> BenchResult<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    let uids: Vec<u64> = (1..=count as u64).collect();
    for some in uids.chunks(LOGINS) {
        let logins: Vec<_> =
            some.iter().map(|uid| tokio::task::spawn_local(login(door.clone(), *uid))).collect();
        for login in logins {
            clients.push(login.await??);
        }
    }
    Ok(clients)
}

async fn login(door: Door, uid: u64) -> Result<Client, chappe_client::ClientError> {
    let mut attempt = 0;
    loop {
        let login = Login { tls: door.tls.clone(), ..Login::new(uid) };
        match Client::connect(door.url.clone(), login).await {
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn play(client: Client, payload: Vec<u8>, window: Window, tally: Rc<RefCell<Tally>>) {
    let mut sent_at = Instant::now();
    while !window.is_over(sent_at) {
        if client.notify_to_server(MODULE, MODULE, "event", Bytes::new(&payload)).is_err() {
            break;
        }
        loop {
            match client.next_event().await {
                Some(ClientEvent::Event(_)) => break,
                Some(_) => {}
                None => return tally.borrow_mut().lost += 1,
            }
        }
        let now = Instant::now();
        tally.borrow_mut().answered(sent_at, now);
        sent_at = now;
    }
}
