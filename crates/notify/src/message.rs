//! A notification as its author writes it: `{_type, _validate, _id, _durable, ...}` (snipe.md sections 1 and 2).

use crate::params::type_name;
use crate::protocol::Validate;
use crate::{NotifyError, Params};
use chappe_wire::Value;
use chappe_wire::value::{self, ValueError};
use serde::Serialize;
use std::ops::Range;

/// Names the handler.
pub(crate) const KIND: &str = "_type";

/// A record, read: what belongs to the runtime apart from what is the author's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// `_validate`.
    pub(crate) validate: Option<(Validate, Option<u64>)>,
    /// `_id`: the player whose instance is passed in.
    pub(crate) id: Option<u64>,
    /// `_durable`.
    pub(crate) durable: bool,
    /// `_type` and the author's fields.
    pub(crate) record: Value,
}

impl Message {
    /// Reads the record that `call` was given.
    pub(crate) fn read(call: &'static str, record: Value) -> Result<Message, NotifyError> {
        let bad = |what: String| NotifyError::BadMessage { call, what };
        let Value::Map(mut pairs) = record else {
            return Err(bad(format!("a notification is a map with `_type`, not {}", type_name(&record))));
        };
        let mut message = Message { validate: None, id: None, durable: false, record: Value::Nil };
        let (mut has_kind, mut read) = (false, Ok(()));
        // What is the author's stays where it is.
        pairs.retain_mut(|(key, value)| match key.as_str() {
            Some(name) if name.starts_with('_') && read.is_ok() => {
                read = message.take(name, value).map_err(bad);
                has_kind |= name == KIND;
                name == KIND
            }
            _ => true,
        });
        read?;
        if !has_kind {
            return Err(bad("a notification needs `_type`: \"module.method\"".to_owned()));
        }
        message.record = Value::Map(pairs);
        Ok(message)
    }

    /// Reads a field whose name begins with `_`.
    fn take(&mut self, name: &str, value: &mut Value) -> Result<(), String> {
        match name {
            KIND => match value.as_str() {
                Some(kind) if split(kind).is_some() => {}
                Some(kind) => return Err(no_kind(kind)),
                None => return Err(format!("`_type` is {}, not a string", type_name(value))),
            },
            "_validate" => self.validate = read_validate(std::mem::take(value))?,
            "_id" => self.id = read_uid("`_id`", value)?,
            "_durable" => {
                let is_bool = value.as_bool();
                self.durable =
                    is_bool.ok_or_else(|| format!("`_durable` is {}, not a bool", type_name(value)))?;
            }
            _ => return Err(not_ours(name)),
        }
        Ok(())
    }

    /// `_type`.
    pub(crate) fn kind(&self) -> &str {
        self.record.field(KIND).and_then(Value::as_str).unwrap_or_default()
    }

    /// Refuses what only [`Server::notify`](crate::Server::notify) takes.
    pub(crate) fn plain(self, call: &'static str) -> Result<Message, NotifyError> {
        let what = match (&self.validate, self.durable) {
            (Some(_), _) => "`_validate` is for `server.notify` alone",
            (None, true) => "`_durable` is for `server.notify` alone",
            (None, false) => return Ok(self),
        };
        Err(NotifyError::BadMessage { call, what: what.to_owned() })
    }
}

/// A plain notification whose fields are a type of the game's own.
pub(crate) struct Typed<'a, T: ?Sized> {
    kind: &'a str,
    fields: &'a T,
}

impl<'a, T: Serialize + ?Sized> Typed<'a, T> {
    /// Refuses a name that is none.
    pub(crate) fn new(kind: &'a str, fields: &'a T) -> Result<Typed<'a, T>, String> {
        split(kind).ok_or_else(|| no_kind(kind))?;
        Ok(Typed { kind, fields })
    }

    /// Appends the record as it travels; returns where its `_type` is.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> Result<Range<usize>, ValueError> {
        let at = value::encode_led(out, (KIND, self.kind), self.fields)?;
        Ok(at..at + self.kind.len())
    }

    /// The record for a handler here.
    pub(crate) fn params(&self) -> Result<Params, ValueError> {
        let mut record = Vec::with_capacity(128);
        let kind = self.encode_into(&mut record)?;
        Ok(Params::encoded_here(&record, kind))
    }
}

fn no_kind(kind: &str) -> String {
    format!("`_type` {kind:?} is not \"module.method\"")
}

fn not_ours(name: &str) -> String {
    format!("{name:?}: names that begin with `_` belong to the runtime")
}

/// The longest name of a handler, in bytes: the store's bound on names.
const NAME: usize = 200;

/// `module.method`, split at the last dot: module names may hold slashes, and dots.
pub(crate) fn split(kind: &str) -> Option<(&str, &str)> {
    let named = |(module, method): &(&str, &str)| !module.is_empty() && !method.is_empty();
    kind.rsplit_once('.').filter(named).filter(|_| kind.len() <= NAME)
}

fn read_validate(value: Value) -> Result<Option<(Validate, Option<u64>)>, String> {
    let pairs = match value {
        Value::Nil => return Ok(None),
        Value::Map(pairs) => pairs,
        other => return Err(format!("`_validate` is {}, not a map", type_name(&other))),
    };
    let mut validate = Validate { func: None, on_success: None, on_fail: None };
    let mut id = None;
    for (key, value) in pairs {
        let name = key.as_str().unwrap_or_default();
        let slot = match name {
            "func" => &mut validate.func,
            "onSuccess" => &mut validate.on_success,
            "onFail" => &mut validate.on_fail,
            "id" => {
                id = read_uid("`_validate.id`", &value)?;
                continue;
            }
            other => {
                return Err(format!("`_validate` has no {other:?}: it has func, onSuccess, onFail and id"));
            }
        };
        *slot = match value {
            Value::Nil => None,
            Value::Str(kind) if split(&kind).is_some() => Some(kind),
            Value::Str(kind) => return Err(format!("`_validate.{name}` {kind:?} is not \"module.method\"")),
            other => return Err(format!("`_validate.{name}` is {}, not a string", type_name(&other))),
        };
    }
    Ok(Some((validate, id)))
}

fn read_uid(what: &str, value: &Value) -> Result<Option<u64>, String> {
    match value {
        Value::Nil => Ok(None),
        value => {
            value.as_uint().map(Some).ok_or_else(|| format!("{what} is {}, not a uid", type_name(value)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::value;

    #[test]
    fn the_acceptance_case_is_read() {
        let message = Message::read(
            "server.notify",
            value!({
                "_type": "user.giveMoney2",
                "_validate": {"func": "user.giveMoneyValidate", "onSuccess": "user.giveMoney3",
                              "onFail": nil, "id": u64::MAX},
                "amount": 500,
            }),
        );
        let message = message.unwrap();
        let (validate, id) = message.validate.unwrap();
        assert_eq!((validate.handler(true), validate.handler(false)), (Some("user.giveMoney3"), None));
        assert_eq!((id, message.durable), (Some(u64::MAX), false));
        assert_eq!(message.record, value!({"_type": "user.giveMoney2", "amount": 500}));
    }

    #[test]
    fn what_is_misspelt_is_refused_by_name_before_anyones_money_is_gone() {
        let text = |record| Message::read("server.notify", record).unwrap_err().to_string();
        assert_eq!(
            text(value!({"amount": 1})),
            "server.notify: a notification needs `_type`: \"module.method\""
        );
        assert!(text(value!({"_type": "user"})).contains("\"user\" is not \"module.method\""));
        let misspelt = value!({"_type": "a.b", "_validate": {"onSucess": "a.c"}});
        assert!(text(misspelt).contains("no \"onSucess\""));
        assert!(text(value!({"_type": "a.b", "_valdate": {"func": "a.c"}})).contains("\"_valdate\""));
        let misplaced = Message::read("cacheNotify", value!({"_type": "a.b", "_validate": {"func": "a.c"}}));
        let refused = misplaced.unwrap().plain("cacheNotify").unwrap_err();
        assert_eq!(refused.to_string(), "cacheNotify: `_validate` is for `server.notify` alone");
    }

    #[test]
    fn a_struct_of_the_games_own_is_another_record_than_the_map_that_it_stands_for() {
        #[derive(Serialize)]
        struct Gift {
            amount: i64,
            _validate: Option<u8>,
        }
        let (gift, no_fields) = (value!({"amount": 500}), value!({}));
        let params = Typed::new("user.gift", &gift).unwrap().params().unwrap();
        assert_eq!((params.kind(), params.int("amount")), ("user.gift", Ok(500)));
        assert_eq!(params, Params::new(value!({"_type": "user.gift", "amount": 500})));
        assert_eq!(Typed::new("user.gift", &no_fields).unwrap().params().unwrap().kind(), "user.gift");
        let error = Typed::new("a.b", &Gift { amount: 1, _validate: None }).unwrap().params().unwrap_err();
        assert!(error.to_string().contains("\"_validate\": names that begin with `_`"), "{error}");
        assert!(Typed::new("a.b", &7).unwrap().params().is_err(), "no fields");
        assert!(Typed::new("gift", &gift).is_err());
    }

    #[test]
    fn a_modules_name_may_hold_slashes_and_dots() {
        assert_eq!(split("game/user.v2.give"), Some(("game/user.v2", "give")));
        assert_eq!(split("user."), None);
    }
}
