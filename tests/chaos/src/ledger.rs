//! What the records say in the end.

use chappe_hosts::Commands;
use serde_json::Value;
use std::collections::BTreeMap;

/// A player's record.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) money: i64,
    /// Amounts: what left for others, what came back, what came from others.
    pub(crate) sent: i64,
    pub(crate) refunded: i64,
    pub(crate) received: i64,
    /// Counts of gifts: begun, ended well, of these from another server, by reason, received.
    pub(crate) begun: i64,
    pub(crate) succeeded: i64,
    pub(crate) crossed: i64,
    pub(crate) failed: BTreeMap<String, i64>,
    pub(crate) gifts: i64,
    /// The record's age.
    pub(crate) steps: i64,
    /// What became of the gifts that were asked for once.
    pub(crate) fates: BTreeMap<i64, String>,
}

/// All records, by uid.
pub(crate) type Ledger = BTreeMap<u64, Account>;

/// Reads all records of the cluster.
///
/// # Errors
/// What the command says; a record that is none.
pub(crate) fn read(commands: &Commands) -> Result<Ledger, String> {
    let lines = commands.lines(&["record", "export"], &[])?;
    let account = |line: &Value| {
        let account = Account::of(&line["document"]);
        line["uid"].as_u64().zip(account).ok_or_else(|| format!("a record that cannot be read: {line}"))
    };
    lines.iter().map(account).collect()
}

impl Account {
    fn of(document: &Value) -> Option<Account> {
        let int = |name: &str| document[name].as_i64();
        let failed = document["failed"].as_object()?.iter();
        let fates = document["fates"].as_object()?.iter();
        Some(Account {
            money: int("money")?,
            sent: int("sent")?,
            refunded: int("refunded")?,
            received: int("received")?,
            begun: int("begun")?,
            succeeded: int("succeeded")?,
            crossed: int("crossed")?,
            failed: failed
                .map(|(code, count)| Some((code.clone(), count.as_i64()?)))
                .collect::<Option<_>>()?,
            gifts: int("gifts")?,
            steps: int("steps")?,
            fates: fates
                .map(|(gift, fate)| Some((gift.parse().ok()?, fate.as_str()?.to_owned())))
                .collect::<Option<_>>()?,
        })
    }
}
