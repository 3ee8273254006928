//! The game: one player gives another money. Each record keeps counters beside the balance, so that the audit can tell
//! what is missing, and where.

use chappe::master::Master;
use chappe::notify::{Attributes, HandlerError, Module, NotifyError, Params, Player, Server};
use chappe::{App, NodeId, Value, value};

/// What a new player has.
pub(crate) const START: i64 = 10_000;
/// How many gifts a player may receive before they ask for `bank.reset`.
const MOST: i64 = 16;

/// What every node of the cluster does.
pub(crate) fn app() -> App {
    App::new().modules(register).master(spread_logins)
}

fn register(server: &Server) -> Result<(), NotifyError> {
    let counters =
        ["sent", "refunded", "received", "begun", "succeeded", "crossed", "gifts", "full", "steps"];
    let attributes = Attributes::new(1)
        .default("money", START)
        .default("failed", Value::Map(Vec::new()))
        .default("fates", Value::Map(Vec::new()));
    let attributes = counters.into_iter().fold(attributes, |all, name| all.default(name, 0));
    let (givers, receivers) = (server.clone(), server.clone());
    server.register(
        Module::new("bank")
            .attributes(attributes)
            .request("give", move |player, params| give(givers.clone(), player, params))
            .request("balance", async |player: Player, _| state(&player, Vec::new()))
            .request("reset", async |player: Player, _| {
                player.set("full", 0)?;
                player.add("steps", 1)?;
                state(&player, Vec::new())
            })
            .handler("may", async |player: Player, _| {
                let is_full = player.int("full")? >= MOST;
                Ok(value!({"errorCode": if is_full { "moneyReceivedMax" } else { "ok" }}))
            })
            .handler("receive", move |player, params| receive(receivers.clone(), player, params))
            .handler("given", async |player: Player, params: Params| {
                player.add("succeeded", 1)?;
                player.add("crossed", i64::from(params.bool("crossed")?))?;
                tell(&player, &params, "ok")
            })
            .handler("back", async |player: Player, params: Params| {
                let code = params.string("errorCode")?;
                player.add("money", params.int("amount")?)?;
                player.add("refunded", params.int("amount")?)?;
                let failed = player.get("failed")?;
                let count = failed.field(code).and_then(Value::as_int).unwrap_or_default();
                player.set("failed", with(failed, code, count + 1))?;
                tell(&player, &params, code)
            }),
    )
}

/// Takes the money, and sends it. `how` says how it is to end.
async fn give(server: Server, player: Player, params: Params) -> Result<Option<Value>, HandlerError> {
    let (to, amount, gift) = (params.uid("to")?, params.int("amount")?, params.int("gift")?);
    let (how, once) = (params.string("how")?, params.bool("once")?);
    if how != "unchecked" && !server.user_exists(to).await? {
        return Err(HandlerError::refuse("userNotFound"));
    }
    if player.int("money")? < amount {
        return Err(HandlerError::refuse("notEnoughMoney"));
    }
    player.add("money", -amount)?;
    player.add("sent", amount)?;
    player.add("begun", 1)?;
    player.add("steps", 1)?;
    note_fate(&player, once, gift, "begun")?;
    let notification = value!({
        "_type": if how == "nobody" { "bank.nobody" } else { "bank.receive" },
        "_validate": {
            "func": "bank.may",
            "onSuccess": "bank.given",
            "onFail": "bank.back",
            "id": player.uid(),
        },
        "from": player.uid(),
        "server": server.node().id().0,
        "gift": gift,
        "amount": amount,
        "how": how,
        "once": once,
    });
    server.notify(to, notification)?;
    Ok(None)
}

async fn receive(server: Server, player: Player, params: Params) -> Result<Value, HandlerError> {
    let amount = params.int("amount")?;
    player.add("money", amount)?;
    player.add("received", amount)?;
    player.add("gifts", 1)?;
    player.add("full", 1)?;
    player.add("steps", 1)?;
    if params.string("how")? == "raise" {
        // All of the above is to be taken back.
        return Err(HandlerError::failed("a marked gift"));
    }
    let from = ("from".into(), params.uid("from")?.into());
    player.response("bank.received", state(&player, vec![from, ("amount".into(), amount.into())])?)?;
    Ok(value!({"crossed": params.int("server")? != server.node().id().0}))
}

/// Tells the giver how it has ended.
fn tell(player: &Player, params: &Params, code: &str) -> Result<(), HandlerError> {
    let gift = params.int("gift")?;
    player.add("steps", 1)?;
    note_fate(player, params.bool("once")?, gift, code)?;
    let fields = vec![
        ("errorCode".into(), code.into()),
        ("gift".into(), gift.into()),
        // Apart from a refusal before anything was begun.
        ("ended".into(), true.into()),
    ];
    Ok(player.response("bank.give", state(player, fields)?)?)
}

/// What becomes of a gift whose giver will not ask again is kept for the audit.
fn note_fate(player: &Player, once: bool, gift: i64, fate: &str) -> Result<(), HandlerError> {
    if once {
        player.set("fates", with(player.get("fates")?, &gift.to_string(), fate))?;
    }
    Ok(())
}

/// The record's balance and its age in steps: nobody may be told two balances for one age.
fn state(player: &Player, mut fields: Vec<(Value, Value)>) -> Result<Value, HandlerError> {
    fields.push(("money".into(), player.int("money")?.into()));
    fields.push(("steps".into(), player.int("steps")?.into()));
    Ok(Value::Map(fields))
}

fn with(map: Value, key: &str, value: impl Into<Value>) -> Value {
    let Value::Map(mut pairs) = map else { return map };
    pairs.retain(|(name, _)| name.as_str() != Some(key));
    pairs.push((key.into(), value.into()));
    Value::Map(pairs)
}

/// Players are spread over the games by uid, so that most gifts cross servers.
fn spread_logins(master: &Master) -> Result<(), String> {
    let games = master.clone();
    master.set_login_strategy(move |uid, choice| {
        let up: Vec<NodeId> = games.connected_servers();
        if let Some(server) = usize::try_from(uid).ok().and_then(|uid| up.get(uid % up.len().max(1))) {
            choice.choose(*server);
        }
    });
    Ok(())
}
