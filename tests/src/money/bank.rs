//! The game: `user.giveMoney` as snipe.md section 2 has it.

use chappe_notify::{Attributes, HandlerError, Module, NotifyError, Params, Player, Server};
use chappe_wire::{Value, value};

/// What a new player has.
pub const MONEY: i64 = 10_000;
/// What one gift takes.
pub const AMOUNT: i64 = 500;
/// How often a player may receive, in snipe.md.
pub const MOST: i64 = 6;

/// Registers the game's module; `most`: how often a player may receive.
///
/// # Errors
/// As [`Server::register`].
pub fn register(server: &Server, most: i64) -> Result<(), NotifyError> {
    let give = server.clone();
    let module = Module::new("user")
        .attributes(Attributes::new(1).default("money", MONEY).default("moneyReceived", 0).default("told", 0))
        .request("giveMoney", move |player, params| give_money(give.clone(), player, params))
        .request("balance", async |player: Player, _| {
            let (money, received) = (player.int("money")?, player.int("moneyReceived")?);
            Ok(value!({"money": money, "moneyReceived": received, "told": player.int("told")?}))
        })
        .request("squander", async |player: Player, _| {
            player.set("money", 2 * AMOUNT)?;
            Ok(value!({"errorCode": "ok"}))
        })
        .request("fill", move |player: Player, _| async move {
            player.set("moneyReceived", most)?;
            Ok(value!({"errorCode": "ok"}))
        })
        .handler("giveMoneyValidate", move |player: Player, _| async move { validate(&player, most) })
        .handler("giveMoney2", async |player: Player, params: Params| act2(&player, &params))
        .handler("giveMoney3", async |player: Player, _| {
            player.add("told", 1)?;
            player.response("user.giveMoney", value!({"errorCode": "ok"}))?;
            Ok(())
        })
        .handler("giveMoneyFail", async |player: Player, params: Params| {
            player.add("money", params.int("amount")?)?;
            player.add("told", 1)?;
            let code = params.string("errorCode")?;
            player.response("user.giveMoney", value!({"errorCode": code}))?;
            Ok(())
        });
    server.register(module)
}

async fn give_money(server: Server, player: Player, params: Params) -> Result<Option<Value>, HandlerError> {
    let receiver = params.uid("id")?;
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

fn validate(player: &Player, most: i64) -> Result<Value, HandlerError> {
    let is_full = player.int("moneyReceived")? >= most;
    Ok(value!({"errorCode": if is_full { "moneyReceivedMax" } else { "ok" }}))
}

fn act2(player: &Player, params: &Params) -> Result<Value, HandlerError> {
    player.add("money", params.int("amount")?)?;
    let received = player.add("moneyReceived", 1)?;
    player.response(
        "user.receiveMoney",
        value!({"amount": params.int("amount")?, "networkid": params.string("fromNetworkID")?}),
    )?;
    Ok(value!({"moneyReceived": received}))
}
