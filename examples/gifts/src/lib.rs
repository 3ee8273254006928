//! Three things that players do to each other, and that must happen exactly once whatever dies in between.
//!
//! ```text
//! gifts   money from one player to another: validate, act, report back
//! duels   a challenge with a stake: an offer that waits in a record until it is settled
//! bank    deposit, withdraw, transfer to players who may be offline
//! ```
//!
//! The rule in all of them: take before you send, give back in `onFail`, and change nothing but records in between.

mod bank;
mod duels;
mod gifts;

use chappe::App;
use chappe::notify::{HandlerError, Params, Player};

/// What the nodes of this game do.
#[must_use]
pub fn app() -> App {
    App::new().modules(gifts::register).modules(duels::register).modules(bank::register)
}

/// An amount of money that a player has named: never nothing, never less, never absurd.
fn amount(params: &Params) -> Result<i64, HandlerError> {
    let amount = params.int("amount")?;
    if (1..=1_000_000).contains(&amount) { Ok(amount) } else { Err(HandlerError::refuse("badAmount")) }
}

/// Takes money from a player, or refuses: then nothing of the handler has happened.
fn take(player: &Player, from: &str, amount: i64) -> Result<(), HandlerError> {
    if player.int(from)? < amount {
        return Err(HandlerError::refuse("notEnoughMoney"));
    }
    player.add(from, -amount).map(drop)
}
