//! A record as a handler gets it (snipe.md section 1, "Player requests").

use crate::HandlerError;
use crate::message::KIND;
use chappe_wire::Value;
use chappe_wire::value::{self, Refusal, ValueError};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// Records of up to so many bytes take no allocation of their own.
const INLINE: usize = 128;

/// The fields of a request or a notification, with `_type` among them. A field that is missing or of another type is an
/// error that the client is told of. Cheap to clone; what came over the wire is decoded when it is asked for, and by the
/// typed calls only the field that is asked for.
#[derive(Clone)]
pub struct Params(Rc<Fields>);

struct Fields {
    /// As it came; empty when it did not come over the wire.
    bytes: SmallVec<[u8; INLINE]>,
    /// Where the text of `_type` is in it.
    kind: Range<usize>,
    value: OnceCell<Value>,
}

impl Params {
    /// Of a map.
    pub fn new(fields: Value) -> Params {
        Params(Rc::new(Fields { bytes: SmallVec::new(), kind: 0..0, value: OnceCell::from(fields) }))
    }

    /// Of an encoded map.
    ///
    /// # Errors
    /// When it is no data at all.
    pub(crate) fn read(bytes: &[u8]) -> Result<Params, ValueError> {
        let (kind, bytes) = (kind_in(bytes)?, SmallVec::from_slice(bytes));
        Ok(Params(Rc::new(Fields { bytes, kind, value: OnceCell::new() })))
    }

    /// Becomes what [`Params::read`] makes, in the same place if nobody else holds it.
    ///
    /// # Errors
    /// As [`Params::read`]; it is then as it was before.
    pub(crate) fn read_again(&mut self, bytes: &[u8]) -> Result<(), ValueError> {
        let Some(fields) = Rc::get_mut(&mut self.0) else {
            *self = Params::read(bytes)?;
            return Ok(());
        };
        fields.kind = kind_in(bytes)?;
        fields.bytes.clear();
        fields.bytes.extend_from_slice(bytes);
        fields.value.take();
        Ok(())
    }

    /// Of a map that was encoded here, with the text of its `_type` there.
    pub(crate) fn encoded_here(bytes: &[u8], kind: Range<usize>) -> Params {
        Params(Rc::new(Fields { bytes: SmallVec::from_slice(bytes), kind, value: OnceCell::new() }))
    }

    /// As [`Params::kind`], for a look-up.
    pub(crate) fn kind_bytes(&self) -> &[u8] {
        match self.0.bytes.get(self.0.kind.clone()) {
            Some(text) if !text.is_empty() => text,
            _ => self.text(KIND).unwrap_or_default().as_bytes(),
        }
    }

    /// `_type`: the module and method that it is for.
    pub fn kind(&self) -> &str {
        std::str::from_utf8(self.kind_bytes()).unwrap_or_default()
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
        self.text(name).ok_or_else(|| self.other(name, "a string"))
    }

    /// Bytes that are no text.
    ///
    /// # Errors
    /// As [`Params::int`].
    pub fn bytes(&self, name: &str) -> Result<&[u8], HandlerError> {
        let found = match self.0.value.get() {
            Some(value) => value.field(name).and_then(Value::as_bytes),
            None => self.raw(name).and_then(value::bytes_of),
        };
        found.ok_or_else(|| self.other(name, "bytes"))
    }

    /// `getBool`.
    ///
    /// # Errors
    /// As [`Params::int`].
    pub fn bool(&self, name: &str) -> Result<bool, HandlerError> {
        self.typed(name, "a bool", Value::as_bool)
    }

    /// `get`: any value. Decodes all of them.
    ///
    /// # Errors
    /// As [`Params::int`], when it is missing.
    pub fn get(&self, name: &str) -> Result<&Value, HandlerError> {
        self.value().field(name).ok_or_else(|| missing(name, "a value"))
    }

    /// All fields.
    pub fn value(&self) -> &Value {
        // It was looked through when it came.
        self.0.value.get_or_init(|| value::decode(&self.0.bytes).unwrap_or_default())
    }

    /// All fields.
    pub fn into_value(self) -> Value {
        self.value();
        match Rc::try_unwrap(self.0) {
            Ok(fields) => fields.value.into_inner().unwrap_or_default(),
            Err(shared) => shared.value.get().cloned().unwrap_or_default(),
        }
    }

    /// Appends it as it travels.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self.0.bytes.as_slice() {
            [] => value::encode_into(out, self.value()),
            bytes => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// As it travels.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn encoded(&self) -> Result<Cow<'_, [u8]>, ValueError> {
        match self.0.bytes.as_slice() {
            [] => value::encode(self.value()).map(Cow::Owned),
            bytes => Ok(Cow::Borrowed(bytes)),
        }
    }

    /// Whether what it holds is little enough to be kept when nobody needs it any more.
    pub(crate) fn is_small(&self) -> bool {
        !self.0.bytes.spilled() && self.0.value.get().is_none()
    }

    fn raw(&self, name: &str) -> Option<&[u8]> {
        value::field(&self.0.bytes, name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.0.value.get() {
            Some(value) => value.field(name)?.as_str(),
            None => value::text_of(self.raw(name)?),
        }
    }

    fn typed<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, HandlerError> {
        let found = match self.0.value.get() {
            Some(value) => value.field(name).and_then(read),
            None => {
                let field = self.raw(name).and_then(|field| value::decode::<Value>(field).ok());
                field.as_ref().and_then(read)
            }
        };
        found.ok_or_else(|| self.other(name, wanted))
    }

    /// What is wrong with a field that is not what was wanted.
    #[cold]
    fn other(&self, name: &str, wanted: &str) -> HandlerError {
        match self.value().field(name) {
            None | Some(Value::Nil) => missing(name, wanted),
            Some(value) => wrong(name, wanted, value),
        }
    }
}

/// No fields at all.
impl Default for Params {
    fn default() -> Params {
        Params::new(Value::Nil)
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Params").field(self.value()).finish()
    }
}

impl PartialEq for Params {
    fn eq(&self, other: &Params) -> bool {
        self.value() == other.value()
    }
}

/// Where the text of `_type` is in an encoded map.
fn kind_in(bytes: &[u8]) -> Result<Range<usize>, ValueError> {
    let (length, kind) = value::skip_finding(bytes, KIND)?;
    if length != bytes.len() {
        return Err(Refusal::Trailing(bytes.len() - length).into());
    }
    Ok(kind.and_then(|at| value::text_at(bytes, at)).unwrap_or_default())
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

    #[test]
    fn what_came_over_the_wire_reads_as_what_was_sent() {
        let record = value!({
            "_type": "a.b", "n": -7, "big": u64::MAX, "x": 2.5, "yes": true, "text": "hi", "data": (vec![1u8, 2]), "nil": nil,
        });
        let (sent, came) =
            (Params::new(record.clone()), Params::read(&value::encode(&record).unwrap()).unwrap());
        for name in ["n", "big", "x", "yes", "text", "data", "nil", "none"] {
            // One at a time, as a handler asks: an error decodes all.
            let came = || Params::read(&value::encode(&record).unwrap()).unwrap();
            assert_eq!(came().int(name), sent.int(name));
            assert_eq!(came().uid(name), sent.uid(name));
            assert_eq!(came().float(name), sent.float(name));
            assert_eq!(came().bool(name), sent.bool(name));
            assert_eq!(came().string(name), sent.string(name));
            assert_eq!(came().bytes(name), sent.bytes(name));
            assert_eq!(came().get(name), sent.get(name));
        }
        assert_eq!((came.kind(), &came), ("a.b", &sent));
        assert_eq!((came.clone().into_value(), came.into_value()), (record.clone(), record));
        assert!(Params::read(&[0xc1]).is_err() && Params::read(&[0x80, 0x80]).is_err());
    }
}
