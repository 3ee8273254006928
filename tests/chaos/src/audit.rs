//! Whether what players were told and what the records say agree: for each player, not in the sum alone.
//!
//! It knows the game's rules, requests, responses and records. How the servers came to them it does not know.

use crate::bank::START;
use crate::books::{Books, Gift, How};
use crate::ledger::{Account, Ledger};
use std::collections::BTreeMap;

/// How a gift has ended, as its giver was told, or else as the giver's record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Given,
    /// It was begun, and the money came back.
    Back(String),
    /// Refused before money left, or never run.
    Nothing,
}

/// The ends of all gifts.
pub(crate) struct Ends(BTreeMap<(u64, i64), End>);

/// Compares books and records.
pub(crate) fn audit(books: &Books, ledger: &Ledger, players: &[u64]) -> (Ends, Vec<String>) {
    let mut wrong = books.wrong.clone();
    let mut ends = BTreeMap::new();
    for (key, gift) in &books.gifts {
        let fate = ledger.get(&key.0).and_then(|account| account.fates.get(&key.1)).map(String::as_str);
        match end_of(gift, fate) {
            Ok(end) => drop(ends.insert(*key, end)),
            Err(why) => wrong.push(format!("gift {} of player {}: {why}", key.1, key.0)),
        }
    }
    let ends = Ends(ends);
    let expected = expected(books, &ends, players);
    for uid in players {
        let (Some(found), Some(expected)) = (ledger.get(uid), expected.get(uid)) else {
            wrong.push(format!("player {uid} has no record"));
            continue;
        };
        wrong.extend(compare(*uid, found, expected));
        wrong.extend(sums_up(*uid, found));
        let (heard, newest) = (books.heard.get(uid).copied(), books.newest.get(uid).copied());
        if heard.unwrap_or_default() > found.gifts {
            wrong.push(format!("player {uid} was told of {heard:?} gifts; {} have come", found.gifts));
        }
        if newest.unwrap_or_default() > found.steps {
            wrong.push(format!("player {uid} was told of step {newest:?}; the record has {}", found.steps));
        }
    }
    wrong.extend(
        ledger.keys().filter(|uid| !players.contains(uid)).map(|uid| format!("who is player {uid}?")),
    );
    let sum = |of: fn(&Account) -> i64| ledger.values().map(of).sum::<i64>();
    let start = START * i64::try_from(players.len()).unwrap_or_default();
    let (sent, back, received) = (sum(|of| of.sent), sum(|of| of.refunded), sum(|of| of.received));
    if sent != back + received {
        wrong.push(format!("{sent} were sent; {received} were received and {back} came back"));
    }
    if sum(|of| of.money) != start {
        wrong.push(format!("together they have {}; they began with {start}", sum(|of| of.money)));
    }
    (ends, wrong)
}

impl Ends {
    /// How many ended as `wanted` says.
    pub(crate) fn count(&self, wanted: impl Fn(&End) -> bool) -> usize {
        self.0.values().filter(|end| wanted(end)).count()
    }

    /// Of one gift.
    pub(crate) fn of(&self, key: &(u64, i64)) -> Option<&End> {
        self.0.get(key)
    }
}

/// # Errors
/// What is wrong with what was told, by the rules of the game and by the record (`fate`, of gifts that are asked for once).
fn end_of(gift: &Gift, fate: Option<&str>) -> Result<End, String> {
    let by_record = match fate {
        None => End::Nothing,
        Some("ok") => End::Given,
        Some("begun") => return Err("it has no end".to_owned()),
        Some(code) => End::Back(code.to_owned()),
    };
    let Some(told) = &gift.told else {
        return match gift.is_once {
            true if gift.is_refused && by_record != End::Nothing => {
                Err(format!("it was refused for now, and the record says {fate:?}"))
            }
            true => Ok(by_record),
            false => Err("it was asked for again and again, and never answered".to_owned()),
        };
    };
    let by_told = match (told.code.as_str(), told.ended) {
        ("ok", true) => End::Given,
        ("moneyReceivedMax" | "userNotFound" | "handlerFailed" | "noHandler" | "deadlineExceeded", true) => {
            End::Back(told.code.clone())
        }
        // A look into the store that fails is a handler that fails.
        ("notEnoughMoney" | "userNotFound" | "handlerFailed", false) => End::Nothing,
        _ => return Err(format!("it ended with {told:?}, which is not of the game")),
    };
    if gift.is_once && by_told != by_record {
        return Err(format!("its giver was told {told:?}, and the record says {fate:?}"));
    }
    if by_told == End::Given && gift.how != How::Plain {
        return Err(format!("it was to fail ({}), and has ended well", gift.how.as_str()));
    }
    Ok(by_told)
}

/// What each record must say.
fn expected(books: &Books, ends: &Ends, players: &[u64]) -> Ledger {
    let fresh = Account { money: START, ..Account::default() };
    let mut ledger: Ledger = players.iter().map(|uid| (*uid, fresh.clone())).collect();
    for (key, gift) in &books.gifts {
        let end = ends.of(key).unwrap_or(&End::Nothing);
        if *end == End::Nothing {
            continue;
        }
        if let Some(giver) = ledger.get_mut(&key.0) {
            giver.begun += 1;
            giver.sent += gift.amount;
            match end {
                End::Given => {
                    giver.money -= gift.amount;
                    giver.succeeded += 1;
                }
                End::Back(code) => {
                    giver.refunded += gift.amount;
                    *giver.failed.entry(code.clone()).or_default() += 1;
                }
                End::Nothing => {}
            }
        }
        if let (End::Given, Some(receiver)) = (end, ledger.get_mut(&gift.to)) {
            receiver.money += gift.amount;
            receiver.received += gift.amount;
            receiver.gifts += 1;
        }
    }
    ledger
}

fn compare(uid: u64, found: &Account, expected: &Account) -> Option<String> {
    // What the books cannot know.
    let unknown = Account { crossed: 0, steps: 0, fates: BTreeMap::new(), ..found.clone() };
    (unknown != *expected)
        .then(|| format!("player {uid} has {unknown:?}; by what was told it is {expected:?}"))
}

/// The record in itself.
fn sums_up(uid: u64, of: &Account) -> Option<String> {
    let money = START - of.sent + of.refunded + of.received;
    let ended = of.succeeded + of.failed.values().sum::<i64>();
    let is_right = of.money == money && of.begun == ended && of.crossed <= of.succeeded;
    (!is_right).then(|| format!("the record of player {uid} does not sum up: {of:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Told;
    use tokio::time::Instant;

    fn gift(is_once: bool, told: Option<(&str, bool)>) -> Gift {
        let told = told.map(|(code, ended)| Told { code: code.to_owned(), ended });
        let begun = Instant::now();
        Gift { to: 2, amount: 10, how: How::Plain, is_once, told, is_refused: false, begun }
    }

    fn faults(gift: Gift, giver: Account, receiver: Account) -> usize {
        let mut books = Books::default();
        books.begin(1, 1, gift);
        audit(&books, &[(1, giver), (2, receiver)].into(), &[1, 2]).1.len()
    }

    fn giver() -> Account {
        Account { money: START - 10, sent: 10, begun: 1, succeeded: 1, ..Account::default() }
    }

    fn receiver() -> Account {
        Account { money: START + 10, received: 10, gifts: 1, ..Account::default() }
    }

    fn fresh() -> Account {
        Account { money: START, ..Account::default() }
    }

    #[test]
    fn money_that_was_lost_or_doubled_is_found() {
        let told = || gift(false, Some(("ok", true)));
        assert_eq!(faults(told(), giver(), receiver()), 0);
        assert_ne!(faults(told(), giver(), fresh()), 0, "lost");
        assert_ne!(faults(told(), fresh(), fresh()), 0, "told, and vanished");
        let twice = Account { money: START + 20, received: 20, gifts: 2, ..Account::default() };
        assert_ne!(faults(told(), giver(), twice), 0, "doubled");
        let back = gift(false, Some(("deadlineExceeded", true)));
        assert_ne!(faults(back, giver(), receiver()), 0, "given, and said to have come back");
        assert_ne!(faults(gift(false, None), giver(), receiver()), 0, "never answered");
    }

    #[test]
    fn a_lost_answer_is_no_fault_but_half_a_gift_is() {
        let known = |fate: &str| Account { fates: [(1, fate.to_owned())].into(), ..giver() };
        assert_eq!(faults(gift(true, None), known("ok"), receiver()), 0);
        assert_eq!(faults(gift(true, None), fresh(), fresh()), 0, "it never ran");
        assert_ne!(faults(gift(true, None), known("begun"), receiver()), 0);
        assert_ne!(faults(gift(true, None), known("ok"), fresh()), 0);
        assert_ne!(faults(gift(true, Some(("handlerFailed", true))), known("ok"), receiver()), 0);
    }
}
