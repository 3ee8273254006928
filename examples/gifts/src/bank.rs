//! A bank: an account beside the purse, and transfers to players who may be offline.

use chappe::notify::{Attributes, HandlerError, Module, NotifyError, Params, Player, Server};
use chappe::{Value, value};

/// What an account may hold.
const MOST: i64 = 1_000_000;

pub(crate) fn register(server: &Server) -> Result<(), NotifyError> {
    let here = server.clone();
    server.register(
        Module::new("bank")
            .attributes(Attributes::new(1).default("account", 0))
            .request("balance", async |player: Player, _| balance(&player))
            .request("deposit", async |player: Player, params: Params| {
                let amount = crate::amount(&params)?;
                if player.int("account")? + amount > MOST {
                    return Err(HandlerError::refuse("accountFull"));
                }
                move_money(&player, "money", "account", amount)
            })
            .request("withdraw", async |player: Player, params: Params| {
                move_money(&player, "account", "money", crate::amount(&params)?)
            })
            .request("transfer", move |player, params| transfer(here.clone(), player, params))
            .handler("mayReceive", may_receive)
            .handler("receive", receive)
            .handler("sent", sent)
            .handler("returned", returned),
    )
}

/// One player's own money: one record, one commit, no notification.
fn move_money(player: &Player, from: &str, to: &str, amount: i64) -> Result<Value, HandlerError> {
    crate::take(player, from, amount)?;
    player.add(to, amount)?;
    balance(player)
}

fn balance(player: &Player) -> Result<Value, HandlerError> {
    let (money, account) = (player.int("money")?, player.int("account")?);
    Ok(value!({"errorCode": "ok", "money": money, "account": account}))
}

/// Whether the receiver exists need not be asked: what goes to nobody fails with `userNotFound`.
async fn transfer(server: Server, player: Player, params: Params) -> Result<(), HandlerError> {
    let (to, amount) = (params.uid("to")?, crate::amount(&params)?);
    crate::take(&player, "account", amount)?;
    let transfer = value!({
        "_type": "bank.receive",
        "_validate": {
            "func": "bank.mayReceive",
            "onSuccess": "bank.sent",
            "onFail": "bank.returned",
            "id": player.uid(),
        },
        "from": player.uid(),
        "amount": amount,
    });
    Ok(server.notify(to, transfer)?)
}

async fn may_receive(player: Player, params: Params) -> Result<Value, HandlerError> {
    let fits = player.int("account")? + params.int("amount")? <= MOST;
    Ok(value!({"errorCode": if fits { "ok" } else { "accountFull" }}))
}

/// Runs on the record, whether the player is there or not; an offline one hears of it at the next login.
async fn receive(player: Player, params: Params) -> Result<(), HandlerError> {
    let (from, amount) = (params.uid("from")?, params.int("amount")?);
    player.add("account", amount)?;
    Ok(player.notify_durable(value!({"what": "transfer", "from": from, "amount": amount}))?)
}

async fn sent(player: Player, _: Params) -> Result<(), HandlerError> {
    let account = player.int("account")?;
    Ok(player.response("bank.transfer", value!({"errorCode": "ok", "account": account}))?)
}

async fn returned(player: Player, params: Params) -> Result<(), HandlerError> {
    player.add("account", params.int("amount")?)?;
    let code = params.string("errorCode")?;
    Ok(player.response("bank.transfer", value!({"errorCode": code}))?)
}
