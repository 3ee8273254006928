//! Gifts: one player gives another 500, wherever both are.

use chappe::notify::{Attributes, HandlerError, Module, NotifyError, Params, Player, Server};
use chappe::{Value, value};

const AMOUNT: i64 = 500;
/// How many gifts a player may receive.
const MOST: i64 = 6;

pub(crate) fn register(server: &Server) -> Result<(), NotifyError> {
    let here = server.clone();
    server.register(
        Module::new("user")
            // What a new player has. These are also the types: `money` can never become a text.
            .attributes(Attributes::new(1).default("money", 10_000).default("moneyReceived", 0))
            // Players can call requests, and nothing else.
            .request("money", async |player: Player, _| Ok(value!({"money": player.int("money")?})))
            .request("giveMoney", move |player, params| give(here.clone(), player, params))
            .handler("giveMoneyValidate", validate)
            .handler("giveMoney2", receive)
            .handler("giveMoney3", given)
            .handler("giveMoneyFail", give_back),
    )
}

/// 1, on the giver's server: take, then send. Both become durable together, or neither.
async fn give(server: Server, player: Player, params: Params) -> Result<(), HandlerError> {
    let receiver = params.uid("id")?;
    if !server.user_exists(receiver).await? {
        return Err(HandlerError::refuse("userNotFound"));
    }
    crate::take(&player, "money", AMOUNT)?;
    let gift = value!({
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
    });
    // Nothing is returned: the giver is answered when it is known how it went.
    Ok(server.notify(receiver, gift)?)
}

/// 2, on the receiver's server: may it be? What this changes is discarded when it says no.
async fn validate(player: Player, _: Params) -> Result<Value, HandlerError> {
    let is_full = player.int("moneyReceived")? >= MOST;
    Ok(value!({"errorCode": if is_full { "moneyReceivedMax" } else { "ok" }}))
}

/// 3, there: do it. What it returns goes to `onSuccess`.
async fn receive(player: Player, params: Params) -> Result<Value, HandlerError> {
    let amount = params.int("amount")?;
    player.add("money", amount)?;
    let received = player.add("moneyReceived", 1)?;
    let from = params.string("fromNetworkID")?;
    player.response("user.receiveMoney", value!({"amount": amount, "networkid": from}))?;
    Ok(value!({"moneyReceived": received}))
}

/// 4, on the giver's server, when it was done.
async fn given(player: Player, _: Params) -> Result<(), HandlerError> {
    Ok(player.response("user.giveMoney", value!({"errorCode": "ok"}))?)
}

/// 4, when it was not, for whatever reason: give back what 1 has taken.
async fn give_back(player: Player, params: Params) -> Result<(), HandlerError> {
    player.add("money", params.int("amount")?)?;
    Ok(player.response("user.giveMoney", value!({"errorCode": params.string("errorCode")?}))?)
}
