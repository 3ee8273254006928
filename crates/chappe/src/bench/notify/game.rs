//! The game that is measured: `user.giveMoney` as snipe.md section 2 has it, and the load inside its servers. Each pair of
//! players has one round under way: what begins it is what a player's request would run, and it ends when the giver
//! has been told.

use super::PLAIN_BYTES;
use crate::bench::cluster::MODULE;
use crate::bench::measure::{Tally, Window};
use chappe_node::{Node, To};
use chappe_notify::{Attributes, HandlerError, Module, NotifyError, Params, Player, Server};
use chappe_wire::{NodeId, Reason, Row, Value, value};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{sleep_until, timeout};

/// So much that nobody ever runs out of it.
const MONEY: i64 = 1 << 50;
/// What one gift takes.
const AMOUNT: i64 = 500;
/// A round that takes longer is lost.
const ROUND: Duration = Duration::from_secs(60);
/// A plain notification's data is about that of an event beside it.
const BATCH: usize = 512;
/// Plain notifications that are under way at most: fewer than all receivers' queues take.
const UNDER_WAY: (u64, u64) = (131_072, 512);

/// `bench load`: what a server is to do, and for how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Work {
    /// Givers, who are on the asked server, and receivers.
    pub(super) pairs: Vec<(u64, u64)>,
    /// The time before the window, in seconds.
    pub(super) warmup: f64,
    /// The window, in seconds.
    pub(super) seconds: f64,
    /// Plain notifications, counted by that server; else rounds.
    pub(super) plain_to: Option<i64>,
}

/// A plain notification's fields.
#[derive(Serialize)]
struct Plain<'a> {
    #[serde(with = "serde_bytes")]
    data: &'a [u8],
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Came {
    pub(super) per_second: f64,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    /// Rounds that ended well, or notifications that arrived; outside of the window too.
    pub(super) done: u64,
    /// Those that did not.
    pub(super) lost: u64,
}

/// A server's part.
pub(super) struct Game {
    server: Server,
    /// Givers who wait to be told; what they are told.
    waiting: RefCell<HashMap<u64, oneshot::Sender<bool>>>,
    received: Cell<u64>,
}

impl Game {
    /// Registers the game's module with a server.
    pub(super) fn register(server: &Server) -> Result<Rc<Game>, NotifyError> {
        let game =
            Rc::new(Game { server: server.clone(), waiting: RefCell::default(), received: Cell::new(0) });
        let (told, plain, then) = (game.clone(), game.clone(), server.clone());
        let user = Module::new("user")
            .attributes(Attributes::new(1).default("money", MONEY).default("moneyReceived", 0))
            .handler("giveMoneyValidate", async |player: Player, _| {
                let is_full = player.int("moneyReceived")? == i64::MAX;
                Ok(value!({"errorCode": if is_full { "moneyReceivedMax" } else { "ok" }}))
            })
            .handler("giveMoney2", async |player: Player, params: Params| act(&player, &params))
            .handler("giveMoney3", move |player: Player, _| {
                let server = then.clone();
                async move { tell(&server, &player, "ok") }
            });
        let back = server.clone();
        let user = user.handler("giveMoneyFail", move |player: Player, params: Params| {
            let server = back.clone();
            async move {
                player.add("money", params.int("amount")?)?;
                tell(&server, &player, params.string("errorCode")?)
            }
        });
        server.register(user)?;
        let bench = Module::new(MODULE)
            .handler("told", move |player: Player, params: Params| {
                let game = told.clone();
                async move {
                    let waits = game.waiting.borrow_mut().remove(&player.uid());
                    if let Some(waits) = waits {
                        // Whoever has stopped waiting has counted the round as lost.
                        let _ = waits.send(params.string("errorCode")? == "ok");
                    }
                    Ok(())
                }
            })
            // Like the listener of the events beside it, it only counts.
            .handler("plain", move |_: Player, _: Params| {
                plain.received.set(plain.received.get() + 1);
                async { Ok(()) }
            });
        server.register(bench)?;
        Ok(game)
    }

    /// Takes `load` and `received`.
    pub(super) fn serve(self: &Rc<Game>, node: &Node) {
        let game = self.clone();
        node.register(Row::Internal, MODULE, "load", move |call| {
            let work = match call.args::<Work>() {
                Ok(work) => work,
                Err(error) => return call.fail(Reason::BadData, &error.to_string()),
            };
            let (game, responder) = (game.clone(), call.into_responder());
            spawn_local(async move {
                let came = match work.plain_to {
                    Some(to) => game.send_plain(&work, NodeId(to)).await,
                    None => game.give_rounds(work).await,
                };
                match came {
                    Ok(came) => drop(responder.respond(&came)),
                    Err(why) => responder.fail(Reason::HandlerFailed, &why),
                }
            });
        });
        let game = self.clone();
        node.register(Row::Internal, MODULE, "received", move |call| {
            drop(call.respond(&game.received.get()));
        });
    }

    async fn give_rounds(self: &Rc<Game>, work: Work) -> Result<Came, String> {
        let window = window(&work);
        let tally = Rc::new(RefCell::new(Tally::new(window).map_err(|error| error.to_string())?));
        let givers: Vec<_> = work
            .pairs
            .iter()
            .map(|(giver, receiver)| {
                spawn_local(give_on(self.clone(), *giver, *receiver, window, tally.clone()))
            })
            .collect();
        let (mut done, mut lost) = (0, 0);
        for giver in givers {
            let (ended, failed) = giver.await.map_err(|error| error.to_string())?;
            (done, lost) = (done + ended, lost + failed);
        }
        let (per_second, p50_us, p99_us) = tally.borrow().rate();
        Ok(Came { per_second, p50_us, p99_us, done, lost })
    }

    async fn send_plain(&self, work: &Work, to: NodeId) -> Result<Came, String> {
        let window = window(work);
        let data = vec![b'x'; PLAIN_BYTES];
        let receivers: Vec<u64> = work.pairs.iter().map(|(_, receiver)| *receiver).collect();
        let under_way = UNDER_WAY.0.min(UNDER_WAY.1 * receivers.len() as u64);
        let (mut sent, mut next) = (0u64, receivers.iter().cycle());
        let mut arrived = self.arrived(to).await?;
        let before = arrived;
        let mut begun = None;
        while !window.is_over(Instant::now()) {
            if begun.is_none() && Instant::now() >= window.begin {
                arrived = self.arrived(to).await?;
                begun = Some((arrived, Instant::now()));
            }
            if sent + before >= arrived + under_way {
                arrived = self.arrived(to).await?;
                continue;
            }
            for uid in next.by_ref().take(BATCH) {
                let notified = self.server.notify_fields(*uid, "bench.plain", &Plain { data: &data });
                notified.map_err(|error| error.to_string())?;
                sent += 1;
            }
            yield_now().await;
            self.server.node().room(64 << 10).await;
        }
        let (first, at) = begun.ok_or("the window was missed")?;
        arrived = self.arrived(to).await?;
        let per_second = (arrived - first) as f64 / at.elapsed().as_secs_f64();
        let patience = Instant::now() + Duration::from_secs(5);
        while arrived < before + sent && Instant::now() < patience {
            sleep_until((Instant::now() + Duration::from_millis(10)).into()).await;
            arrived = self.arrived(to).await?;
        }
        let done = arrived - before;
        Ok(Came { per_second, done, lost: sent - done, ..Came::default() })
    }

    async fn arrived(&self, at: NodeId) -> Result<u64, String> {
        let node = self.server.node();
        if at == node.id() {
            yield_now().await;
            return Ok(self.received.get());
        }
        let limit = Duration::from_secs(10);
        let asked = node.ask(Row::Internal, To::Node(at), (MODULE, "received"), &(), limit);
        asked.await.map_err(|failure| failure.to_string())
    }
}

/// Gives money round after round; how many ended well, and how many did not.
async fn give_on(
    game: Rc<Game>,
    giver: u64,
    receiver: u64,
    window: Window,
    tally: Rc<RefCell<Tally>>,
) -> (u64, u64) {
    let (mut done, mut lost) = (0, 0);
    let mut begun = Instant::now();
    while !window.is_over(begun) {
        let (told, ended) = oneshot::channel();
        game.waiting.borrow_mut().insert(giver, told);
        let server = game.server.clone();
        let given = game.server.run(giver, "user.giveMoney", move |player| {
            let server = server.clone();
            async move { give(&server, &player, receiver).await }
        });
        let ended = async { given.await.is_ok() && ended.await.unwrap_or(false) };
        let is_ok = timeout(ROUND, ended).await.unwrap_or(false);
        let now = Instant::now();
        if is_ok {
            done += 1;
            tally.borrow_mut().answered(begun, now);
        } else {
            lost += 1;
        }
        begun = now;
    }
    (done, lost)
}

async fn give(server: &Server, player: &Player, receiver: u64) -> Result<Option<Value>, HandlerError> {
    if !server.user_exists(receiver).await? {
        return Err(HandlerError::refuse("userNotFound"));
    }
    if player.int("money")? < AMOUNT {
        return Err(HandlerError::refuse("notEnoughMoney"));
    }
    player.add("money", -AMOUNT)?;
    server.notify(
        receiver,
        value!({
            "_type": "user.giveMoney2",
            "_validate": {
                "func": "user.giveMoneyValidate",
                "onSuccess": "user.giveMoney3",
                "onFail": "user.giveMoneyFail",
                "id": player.uid(),
            },
            "from": player.uid(),
            "fromNetworkID": player.network_id(),
            "amount": AMOUNT,
        }),
    )?;
    Ok(None)
}

fn act(player: &Player, params: &Params) -> Result<Value, HandlerError> {
    let amount = params.int("amount")?;
    player.add("money", amount)?;
    let received = player.add("moneyReceived", 1)?;
    let network_id = params.string("fromNetworkID")?;
    player.response("user.receiveMoney", value!({"amount": amount, "networkid": network_id}))?;
    Ok(value!({"moneyReceived": received}))
}

/// Tells the giver, and in the same breath who counts: both leave when it is durable.
fn tell(server: &Server, player: &Player, code: &str) -> Result<(), HandlerError> {
    player.response("user.giveMoney", value!({"errorCode": code}))?;
    server.notify(player.uid(), value!({"_type": "bench.told", "errorCode": code}))?;
    Ok(())
}

fn window(work: &Work) -> Window {
    Window::after(Duration::from_secs_f64(work.warmup), Duration::from_secs_f64(work.seconds))
}
