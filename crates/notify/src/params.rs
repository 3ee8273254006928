//! A record as a handler gets it (snipe.md section 1, "Player requests").

use crate::HandlerError;
use chappe_wire::Value;

/// The fields of a request or a notification, with `_type` among them. A field that is missing or of another type is an
/// error that the client is told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Params(Value);

impl Params {
    /// Of a map.
    pub fn new(fields: Value) -> Params {
        Params(fields)
    }

    /// `_type`: the module and method that it is for.
    pub fn kind(&self) -> &str {
        self.0.field("_type").and_then(Value::as_str).unwrap_or_default()
    }

    /// `getInt`. A whole number above `i64::MAX` is refused: see [`Params::uid`].
    ///
    /// # Errors
    /// `badParams`, which names the field.
    pub fn int(&self, name: &str) -> Result<i64, HandlerError> {
        self.typed(name, "an int", Value::as_int)
    }

    /// A player's uid: an unsigned number of 64 bits.
    ///
    /// # Errors
    /// As [`Params::int`].
    pub fn uid(&self, name: &str) -> Result<u64, HandlerError> {
        self.typed(name, "a uid", Value::as_uint)
    }

    /// `getFloat`; a whole number counts.
    ///
    /// # Errors
    /// As [`Params::int`].
    pub fn float(&self, name: &str) -> Result<f64, HandlerError> {
        self.typed(name, "a float", Value::as_f64)
    }

    /// `getString`.
    ///
    /// # Errors
    /// As [`Params::int`].
    pub fn string(&self, name: &str) -> Result<&str, HandlerError> {
        match self.0.field(name) {
            None | Some(Value::Nil) => Err(missing(name, "a string")),
            Some(value) => value.as_str().ok_or_else(|| wrong(name, "a string", value)),
        }
    }

    /// `getBool`.
    ///
    /// # Errors
    /// As [`Params::int`].
    pub fn bool(&self, name: &str) -> Result<bool, HandlerError> {
        self.typed(name, "a bool", Value::as_bool)
    }

    /// `get`: any value.
    ///
    /// # Errors
    /// As [`Params::int`], when it is missing.
    pub fn get(&self, name: &str) -> Result<&Value, HandlerError> {
        self.0.field(name).ok_or_else(|| missing(name, "a value"))
    }

    /// All fields.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// All fields.
    pub fn into_value(self) -> Value {
        self.0
    }

    fn typed<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, HandlerError> {
        match self.0.field(name) {
            None | Some(Value::Nil) => Err(missing(name, wanted)),
            Some(value) => read(value).ok_or_else(|| wrong(name, wanted, value)),
        }
    }
}

fn missing(name: &str, wanted: &str) -> HandlerError {
    HandlerError::bad_params(format!("params[{name:?}] is missing; {wanted} is needed"))
}

fn wrong(name: &str, wanted: &str, found: &Value) -> HandlerError {
    if matches!(found, Value::UInt(_)) {
        return HandlerError::bad_params(format!("params[{name:?}] is too large for {wanted}"));
    }
    HandlerError::bad_params(format!("params[{name:?}] is {}, not {wanted}", type_name(found)))
}

/// A value's type, for a person.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "null",
        Value::Bool(_) => "a bool",
        Value::Int(_) | Value::UInt(_) => "an int",
        Value::Float(_) => "a float",
        Value::Str(_) => "a string",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::value;

    #[test]
    fn a_wrong_field_is_named_so_that_the_client_can_mend_it() {
        let params = Params::new(value!({"_type": "user.giveMoney", "id": "7", "big": u64::MAX, "n": 2}));
        assert_eq!(params.kind(), "user.giveMoney");
        let text = |result: Result<i64, HandlerError>| result.unwrap_err().text().to_owned();
        assert_eq!(text(params.int("id")), r#"params["id"] is a string, not an int"#);
        assert_eq!(text(params.int("amount")), r#"params["amount"] is missing; an int is needed"#);
        assert_eq!(text(params.int("big")), r#"params["big"] is too large for an int"#);
        assert_eq!((params.uid("big"), params.float("n")), (Ok(u64::MAX), Ok(2.0)));
    }
}
