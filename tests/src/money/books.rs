//! The oracle: what each player must have in the end, by the rules of the game and by what clients asked and were told.
//!
//! It knows requests, responses and records. How the servers came to them it does not know.

use super::bank::AMOUNT;
use chappe_wire::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// The balance.
    pub money: i64,
    /// How many gifts have come.
    pub received: i64,
    /// How many outcomes the player has been told of.
    pub told: i64,
}

/// A gift that a client has asked for.
#[derive(Debug, Clone)]
pub struct Gift {
    /// The giver.
    pub from: u64,
    /// The receiver.
    pub to: u64,
    /// The request's id; `None`: it was asked once and never again, so it may have been lost on the way.
    pub id: Option<String>,
}

/// A run, as seen from outside.
#[derive(Debug, Default)]
pub struct Books {
    /// The records before.
    pub start: BTreeMap<u64, Account>,
    /// The records after.
    pub end: BTreeMap<u64, Account>,
    /// Every state of a record that was ever durable.
    pub durable: BTreeMap<u64, BTreeSet<Account>>,
    /// What was asked for.
    pub gifts: Vec<Gift>,
    /// What clients were told, in order.
    pub told: Vec<(u64, Value)>,
}

/// What became of a gift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Given,
    /// It was begun and came back.
    GivenBack,
    /// Nothing ever happened.
    Nothing,
}

impl Account {
    /// Of the fields of a response, or of a record.
    pub fn of(fields: &Value) -> Option<Account> {
        let int = |name| fields.field(name).and_then(Value::as_int);
        Some(Account { money: int("money")?, received: int("moneyReceived")?, told: int("told")? })
    }
}

/// Whether a code says that the request was not done now, and may be asked again.
pub fn is_passing(code: &str) -> bool {
    // The runtime's own reasons; the game's begin with a small letter.
    code.starts_with(|first: char| first.is_ascii_uppercase())
}

fn code(fields: &Value) -> Option<&str> {
    fields.field("errorCode").and_then(Value::as_str)
}

impl Books {
    /// What is wrong; empty is what is wanted.
    pub fn judge(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let fates: Vec<Vec<Fate>> = self.gifts.iter().map(|gift| self.fates(gift, &mut wrong)).collect();
        let open = fates.iter().filter(|fates| fates.len() > 1).count();
        if open > 1 {
            wrong.push(format!("{open} gifts were asked for once: the books can bear one"));
        }
        let choices = fates.iter().map(Vec::len).max().unwrap_or(1);
        let tries: Vec<Vec<String>> = (0..choices)
            .map(|choice| {
                let fates = fates.iter().filter_map(|fates| fates.get(choice).or(fates.first()));
                self.compare(self.gifts.iter().zip(fates.copied()))
            })
            .collect();
        if let Some(best) = tries.into_iter().min_by_key(Vec::len) {
            wrong.extend(best);
        }
        self.check_pushes(&mut wrong);
        self.check_balances(&mut wrong);
        wrong
    }

    /// How many gifts ended with each code.
    pub fn tally(&self) -> BTreeMap<String, u64> {
        let mut tally = BTreeMap::new();
        for gift in &self.gifts {
            let code = self.answers(gift).next().and_then(code).unwrap_or("unanswered");
            *tally.entry(code.to_owned()).or_default() += 1;
        }
        tally
    }

    /// The responses that say what became of a gift.
    fn answers<'a>(&'a self, gift: &'a Gift) -> impl Iterator<Item = &'a Value> {
        self.told_of(gift.from, "user.giveMoney").filter(|fields| {
            let is_its = match &gift.id {
                Some(id) => fields.field("_request").and_then(Value::as_str) == Some(id.as_str()),
                None => fields.field("_request").is_none(),
            };
            is_its && code(fields).is_some_and(|code| !is_passing(code))
        })
    }

    fn told_of<'a>(&'a self, uid: u64, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let is_its = move |value: &&Value| value.field("_type").and_then(Value::as_str) == Some(kind);
        self.told.iter().filter(move |(to, _)| *to == uid).map(|(_, value)| value).filter(is_its)
    }

    /// What may have become of a gift, by what its giver was told.
    fn fates(&self, gift: &Gift, wrong: &mut Vec<String>) -> Vec<Fate> {
        let answers: Vec<&Value> = self.answers(gift).collect();
        let Gift { from, to, id } = gift;
        // What rides with a response is another matter.
        let bare = |fields: &Value| match fields {
            Value::Map(pairs) => {
                pairs.iter().filter(|(key, _)| key.as_str() != Some("serverNotify")).cloned().collect()
            }
            _ => Vec::new(),
        };
        if let Some(other) = answers.iter().find(|other| bare(other) != bare(answers[0])) {
            wrong.push(format!("gift {id:?} of {from} to {to} was answered {:?} and {other:?}", answers[0]));
        }
        if id.is_none() && answers.len() > 1 {
            wrong.push(format!(
                "a gift of {from} to {to}, asked for once, was answered {} times",
                answers.len()
            ));
        }
        match (answers.first().and_then(|fields| code(fields)), id) {
            (Some("ok"), _) => vec![Fate::Given],
            (Some("moneyReceivedMax" | "deadlineExceeded"), _) => vec![Fate::GivenBack],
            (Some("notEnoughMoney" | "userNotFound" | "handlerFailed"), _) => vec![Fate::Nothing],
            (Some(other), _) => {
                wrong.push(format!(
                    "gift {id:?} of {from} to {to} ended with {other:?}, which is not of the game"
                ));
                vec![Fate::Nothing]
            }
            (None, Some(id)) => {
                wrong.push(format!(
                    "gift {id:?} of {from} to {to} was asked for again and again, and never answered"
                ));
                vec![Fate::Nothing]
            }
            (None, None) => vec![Fate::Nothing, Fate::Given, Fate::GivenBack],
        }
    }

    /// Compares each record with what follows from the gifts.
    fn compare<'a>(&self, gifts: impl Iterator<Item = (&'a Gift, Fate)>) -> Vec<String> {
        let mut expected = self.start.clone();
        for (gift, fate) in gifts {
            if fate != Fate::Nothing {
                let giver = expected.get_mut(&gift.from);
                giver.into_iter().for_each(|giver| giver.told += 1);
            }
            if fate == Fate::Given {
                let giver = expected.get_mut(&gift.from);
                giver.into_iter().for_each(|giver| giver.money -= AMOUNT);
                let receiver = expected.get_mut(&gift.to);
                receiver.into_iter().for_each(|receiver| {
                    receiver.money += AMOUNT;
                    receiver.received += 1;
                });
            }
        }
        let mut wrong = Vec::new();
        for (uid, expected) in expected {
            let found = self.end.get(&uid);
            if found != Some(&expected) {
                wrong.push(format!("player {uid} has {found:?}; by what was told it is {expected:?}"));
            }
        }
        wrong
    }

    /// Nobody hears of a gift that never came. (That everyone hears of each is not promised: pushes are not durable.)
    fn check_pushes(&self, wrong: &mut Vec<String>) {
        for (uid, start) in &self.start {
            let pushes: Vec<&Value> = self.told_of(*uid, "user.receiveMoney").collect();
            let came = self.end.get(uid).map_or(0, |end| end.received - start.received);
            if pushes.len() as i64 > came {
                wrong.push(format!("player {uid} was told of {} gifts; {came} have come", pushes.len()));
            }
            for push in pushes {
                if push.field("amount").and_then(Value::as_int) != Some(AMOUNT) {
                    wrong.push(format!("player {uid} was told {push:?}"));
                }
            }
        }
    }

    /// Nobody is told a balance that vanishes.
    fn check_balances(&self, wrong: &mut Vec<String>) {
        for (uid, durable) in &self.durable {
            for balance in self.told_of(*uid, "user.balance") {
                let passing = code(balance).is_some_and(|code| is_passing(code) || code == "handlerFailed");
                let account = Account::of(balance);
                if !passing && !account.is_some_and(|account| durable.contains(&account)) {
                    wrong.push(format!("player {uid} was told {balance:?}, which never was durable"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::value;

    fn books(end1: (i64, i64, i64), end2: (i64, i64, i64), told: &[&str], id: Option<&str>) -> Vec<String> {
        let account = |(money, received, told)| Account { money, received, told };
        let start = account((1000, 0, 0));
        let told = told.iter().map(|code| match id {
            Some(id) => (1, value!({"_type": "user.giveMoney", "_request": id, "errorCode": *code})),
            None => (1, value!({"_type": "user.giveMoney", "errorCode": *code})),
        });
        let books = Books {
            start: [(1, start), (2, start)].into(),
            end: [(1, account(end1)), (2, account(end2))].into(),
            durable: BTreeMap::new(),
            gifts: vec![Gift { from: 1, to: 2, id: id.map(str::to_owned) }],
            told: told.collect(),
        };
        books.judge()
    }

    #[test]
    fn the_books_find_money_that_was_lost_or_doubled() {
        assert!(books((500, 0, 1), (1500, 1, 0), &["ok", "ok"], Some("a")).is_empty());
        assert!(!books((500, 0, 1), (1000, 0, 0), &["ok"], Some("a")).is_empty(), "lost");
        assert!(!books((500, 0, 1), (2000, 2, 0), &["ok"], Some("a")).is_empty(), "doubled");
        assert!(!books((500, 0, 2), (1500, 1, 0), &["ok"], Some("a")).is_empty(), "told twice");
        assert!(!books((500, 0, 1), (1500, 1, 0), &[], Some("a")).is_empty(), "never answered");
        assert!(!books((500, 0, 1), (1500, 1, 0), &["ok", "moneyReceivedMax"], Some("a")).is_empty());
    }

    #[test]
    fn what_was_asked_for_once_may_be_lost_but_not_by_half() {
        assert!(books((1000, 0, 0), (1000, 0, 0), &[], None).is_empty());
        assert!(books((500, 0, 1), (1500, 1, 0), &[], None).is_empty());
        assert!(!books((500, 0, 1), (1000, 0, 0), &[], None).is_empty());
        assert!(!books((1000, 0, 0), (1000, 0, 0), &["ok"], None).is_empty());
    }
}
