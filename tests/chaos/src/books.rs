//! What players have asked for and what they were told.

use crate::player::is_passing;
use chappe::Value;
use chappe::client::Response;
use chappe_hosts::Logins;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// How a gift is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As the rules have it.
    Plain,
    /// Its handler raises.
    Raise,
    /// Nobody handles it.
    Nobody,
    /// Sent without a look whether the receiver exists.
    Unchecked,
}

impl How {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            How::Plain => "plain",
            How::Raise => "raise",
            How::Nobody => "nobody",
            How::Unchecked => "unchecked",
        }
    }
}

/// A gift that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Gift {
    pub(crate) to: u64,
    pub(crate) amount: i64,
    pub(crate) how: How,
    /// It is asked for once: its answer may be lost. The others are asked for until there is an answer.
    pub(crate) is_once: bool,
    pub(crate) told: Option<Told>,
    /// It was asked for once, and was refused for now: then nothing of it was done.
    pub(crate) is_refused: bool,
    pub(crate) begun: Instant,
}

/// What the giver was told of a gift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) code: String,
    /// Money had left the giver, and it came to an end; else it was refused before.
    pub(crate) ended: bool,
}

/// How much has gone well, and what not.
#[derive(Debug, Default, Clone)]
pub(crate) struct Meter {
    pub(crate) given: Arc<AtomicU64>,
    pub(crate) lost: Arc<AtomicU64>,
    pub(crate) logins: Logins,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// By giver and number.
    pub(crate) gifts: BTreeMap<(u64, i64), Gift>,
    /// Balances that players were told, by their age.
    states: BTreeMap<(u64, i64), i64>,
    /// The highest age that a player was told.
    pub(crate) newest: BTreeMap<u64, i64>,
    /// How many gifts receivers were told of.
    pub(crate) heard: BTreeMap<u64, i64>,
    /// How often a request was refused for now, by code.
    pub(crate) passing: BTreeMap<String, u64>,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) logins: u64,
    pub(crate) logouts: u64,
    pub(crate) repeats: u64,
    /// Sessions that ended though nobody wanted it, by reason.
    pub(crate) lost: BTreeMap<String, u64>,
    /// What other threads may see of it.
    pub(crate) meter: Meter,
    /// What a player must never be told.
    pub(crate) wrong: Vec<String>,
}

impl Books {
    /// A gift is asked for.
    pub(crate) fn begin(&mut self, giver: u64, number: i64, gift: Gift) {
        self.gifts.insert((giver, number), gift);
    }

    /// A session ended though nobody wanted it.
    pub(crate) fn lose(&mut self, why: String) {
        *self.lost.entry(why).or_default() += 1;
        self.meter.lost.fetch_add(1, Relaxed);
    }

    /// A player is in.
    pub(crate) fn let_in(&mut self) {
        self.logins += 1;
        self.meter.logins.let_in();
    }

    /// A request was refused for now.
    pub(crate) fn passed(&mut self, uid: u64, id: &str, code: &str) {
        *self.passing.entry(code.to_owned()).or_default() += 1;
        let number = id.strip_prefix('g').and_then(|number| number.parse().ok());
        if let Some(gift) = number.and_then(|number| self.gifts.get_mut(&(uid, number))) {
            gift.is_refused |= gift.is_once;
        }
    }

    /// A player was told something.
    pub(crate) fn hear(&mut self, uid: u64, response: &Response) {
        self.hear_state(uid, response);
        match response.kind() {
            "bank.received" => *self.heard.entry(uid).or_default() += 1,
            "bank.give" => self.hear_end(uid, response),
            "bank.balance" | "bank.reset" => {
                // What reads or changes only the own record has no reason to fail for good.
                if let Some(code) = response.error_code().filter(|code| !is_passing(code)) {
                    self.wrong.push(format!("player {uid} was told {code} by {}", response.kind()));
                }
            }
            other => self.wrong.push(format!("player {uid} was told {other:?}, which is not of the game")),
        }
    }

    /// Two balances of one age: one of them has vanished.
    fn hear_state(&mut self, uid: u64, response: &Response) {
        let int = |name| response.field(name).and_then(Value::as_int);
        let Some((steps, money)) = int("steps").zip(int("money")) else { return };
        let known = *self.states.entry((uid, steps)).or_insert(money);
        if known != money {
            self.wrong.push(format!(
                "player {uid} was told a balance of {known} and one of {money} after the same {steps} steps"
            ));
        }
        let newest = self.newest.entry(uid).or_default();
        *newest = steps.max(*newest);
    }

    fn hear_end(&mut self, uid: u64, response: &Response) {
        let Some(code) = response.error_code().filter(|code| !is_passing(code)) else { return };
        let number = response.request_id().and_then(|id| id.strip_prefix('g')?.parse().ok());
        let said = response.field("gift").and_then(Value::as_int);
        let Some(gift) = number.and_then(|number| self.gifts.get_mut(&(uid, number))) else {
            return self.wrong.push(format!("player {uid} was told of no gift of theirs: {response:?}"));
        };
        if said.is_some() && said != number {
            self.wrong.push(format!("player {uid} was told of gift {said:?} in the answer to {number:?}"));
        }
        let ended = response.field("ended").is_some();
        let told = Told { code: code.to_owned(), ended };
        match &gift.told {
            None => {
                self.meter.given.fetch_add(u64::from(code == "ok"), Relaxed);
                if !gift.is_once && code == "ok" {
                    self.latencies.push(gift.begun.elapsed());
                }
                gift.told = Some(told);
            }
            Some(before) if *before != told => {
                self.wrong
                    .push(format!("player {uid} was told of gift {number:?}: {before:?}, then {told:?}"));
            }
            Some(_) => {}
        }
    }
}
