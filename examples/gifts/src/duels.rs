//! Duels: rock, paper, scissors for a stake. The challenge waits in the challenged player's record until they answer, days
//! later if need be; each stake is in exactly one place all the time.

use chappe::notify::{Attributes, HandlerError, Module, NotifyError, Params, Player, Server};
use chappe::{Value, value};

const HANDS: [&str; 3] = ["rock", "paper", "scissors"];

pub(crate) fn register(server: &Server) -> Result<(), NotifyError> {
    let (challenges, accepts, declines) = (server.clone(), server.clone(), server.clone());
    server.register(
        Module::new("duel")
            // Nil takes any type: no challenge, or a map.
            .attributes(Attributes::new(1).default("challenge", Value::Nil).default("duelsWon", 0))
            .request("challenge", move |player, params| challenge(challenges.clone(), player, params))
            .request("accept", move |player, params| accept(accepts.clone(), player, params))
            .request("decline", move |player, _| decline(declines.clone(), player))
            .handler("mayChallenge", may_challenge)
            .handler("challenged", challenged)
            .handler("waiting", waiting)
            .handler("notChallenged", not_challenged)
            .handler("settled", settled),
    )
}

/// The stake leaves the challenger now: they cannot spend it twice.
async fn challenge(server: Server, player: Player, params: Params) -> Result<(), HandlerError> {
    let (opponent, hand, stake) = (params.uid("id")?, hand(&params)?, crate::amount(&params)?);
    if opponent == player.uid() {
        return Err(HandlerError::refuse("notYourself"));
    }
    crate::take(&player, "money", stake)?;
    let challenge = value!({
        "_type": "duel.challenged",
        "_validate": {
            "func": "duel.mayChallenge",
            "onSuccess": "duel.waiting",
            "onFail": "duel.notChallenged",
            "id": player.uid(),
        },
        "from": player.uid(),
        "stake": stake,
        "hand": hand,
    });
    Ok(server.notify(opponent, challenge)?)
}

/// One challenge at a time. The opponent need not be online, and need not exist: then this is not even asked.
async fn may_challenge(player: Player, _: Params) -> Result<Value, HandlerError> {
    let is_free = player.get("challenge")? == Value::Nil;
    Ok(value!({"errorCode": if is_free { "ok" } else { "hasChallenge" }}))
}

async fn challenged(player: Player, params: Params) -> Result<(), HandlerError> {
    let (from, stake, hand) = (params.uid("from")?, params.int("stake")?, params.int("hand")?);
    player.set("challenge", value!({"from": from, "stake": stake, "hand": hand}))?;
    // Waits for the next login where the player is offline.
    Ok(player.notify_durable(value!({"what": "challenge", "from": from, "stake": stake}))?)
}

async fn waiting(player: Player, _: Params) -> Result<(), HandlerError> {
    Ok(player.response("duel.challenge", value!({"errorCode": "ok"}))?)
}

async fn not_challenged(player: Player, params: Params) -> Result<(), HandlerError> {
    player.add("money", params.int("stake")?)?;
    Ok(player.response("duel.challenge", value!({"errorCode": params.string("errorCode")?}))?)
}

/// The duel is decided here, in one commit: the challenge is gone, the own stake taken, the prize given or sent.
async fn accept(server: Server, player: Player, params: Params) -> Result<Value, HandlerError> {
    let (from, stake, theirs) = open_challenge(&player)?;
    let ours = hand(&params)?;
    crate::take(&player, "money", stake)?;
    let (result, our_share) = match (3 + ours - theirs) % 3 {
        0 => ("draw", stake),
        1 => ("won", 2 * stake),
        _ => ("lost", 0),
    };
    if result == "won" {
        player.add("duelsWon", 1)?;
    }
    player.add("money", our_share)?;
    player.set("challenge", Value::Nil)?;
    settle(&server, from, &player, 2 * stake - our_share)?;
    Ok(value!({"errorCode": "ok", "result": result}))
}

async fn decline(server: Server, player: Player) -> Result<Value, HandlerError> {
    let (from, stake, _) = open_challenge(&player)?;
    player.set("challenge", Value::Nil)?;
    settle(&server, from, &player, stake)?;
    Ok(value!({"errorCode": "ok"}))
}

/// Nothing is to be validated: the money is theirs. `_durable` sees to it that it comes, once.
fn settle(server: &Server, challenger: u64, by: &Player, prize: i64) -> Result<(), NotifyError> {
    let settled = value!({"_type": "duel.settled", "_durable": true, "by": by.uid(), "prize": prize});
    server.notify(challenger, settled)
}

async fn settled(player: Player, params: Params) -> Result<(), HandlerError> {
    let prize = params.int("prize")?;
    player.add("money", prize)?;
    Ok(player.notify_durable(value!({"what": "duel", "with": params.uid("by")?, "prize": prize}))?)
}

fn hand(params: &Params) -> Result<i64, HandlerError> {
    let named = params.string("hand")?;
    let hand = HANDS.iter().position(|hand| *hand == named);
    hand.and_then(|hand| i64::try_from(hand).ok()).ok_or_else(|| HandlerError::refuse("badHand"))
}

fn open_challenge(player: &Player) -> Result<(u64, i64, i64), HandlerError> {
    let open = player.get("challenge")?;
    let int = |name| open.field(name).and_then(Value::as_int);
    let from = open.field("from").and_then(Value::as_uint);
    let found = (|| Some((from?, int("stake")?, int("hand")?)))();
    found.ok_or_else(|| HandlerError::refuse("noChallenge"))
}
