//! The data of a message: what a sender hands over and a handler gets, as equal as two languages allow.
//!
//! Data travels as MessagePack, because JSON has neither bytes nor integer keys nor 64-bit integers one can
//! trust (spec/apollo.md section 2, "Data"). Rust code uses its own types ([`encode`], [`decode`]) or, where the
//! shape is not known, a [`Value`]. Structs travel as maps with their field names, so that a Rust struct and a
//! Python dict meet. The rules are written down in `protocol/values.md`, with golden vectors beside them.
//!
//! ```
//! use chappe_wire::value::{self, Value};
//!
//! #[derive(serde::Serialize)]
//! struct Badge { n: u32 }
//!
//! let bytes = value::encode(&Badge { n: 3 })?;
//! let seen: Value = value::decode(&bytes)?;
//! assert_eq!(seen, chappe_wire::value!({"n": 3}));
//! # Ok::<(), value::ValueError>(())
//! ```

mod convert;
mod decode;
mod display;
mod encode;
mod equal;
mod error;
mod field;
mod format;
mod json;
mod model;
mod sanitize;
mod skip;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use decode::{decode, decode_borrowed};
pub use encode::{encode, encode_into, encode_led, encode_limited};
pub use error::{Refusal, ValueError};
pub use field::{bytes_of, field, skip_finding, text_at, text_of};
pub(crate) use format::{Shape, put_int, put_str, put_uint};
pub use json::{from_json, json_to_msgpack, msgpack_to_json, to_json};
pub use sanitize::{Sanitized, sanitize};
pub use skip::skip;

/// How many lists and maps may stand inside each other, the outermost counted. Deeper data is refused both when
/// it is encoded and when it is decoded, so that recursion is bounded on every node.
pub const MAX_DEPTH: usize = 64;

/// One piece of data of any shape (spec/apollo.md section 2, "Data").
///
/// Equality is that of the data as it would arrive: a map's order is no part of it, NaN equals NaN, 0.0 equals
/// -0.0, and kinds stay apart (`1`, `1.0` and `true` are three different values).
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing: Python's `None`, `null`.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// Any integer that fits.
    Int(i64),
    /// An integer above `i64::MAX`. Build integers with `Value::from`, which picks the variant.
    UInt(u64),
    /// A floating point number; stays one even when it is whole.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
    /// A list; a Python tuple arrives as one too.
    List(Vec<Value>),
    /// Pairs in the order they were inserted. A key is nil, a bool, a number (not NaN), text or bytes. Build it
    /// without repeating a key; of pairs that arrive with the same key, the last one counts.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// Whether this is nil.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The bool, if this is one. No number counts as a bool.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The integer, if this is one that fits an `i64`. No float counts as an integer.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::UInt(n) => i64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The integer, if this is one that is not negative.
    #[must_use]
    pub fn as_uint(&self) -> Option<u64> {
        match self {
            Self::Int(n) => u64::try_from(*n).ok(),
            Self::UInt(n) => Some(*n),
            _ => None,
        }
    }

    /// The number as a float. An integer counts too, because a Python mod writes `2` where it means 2.0; beyond
    /// 2^53 it is rounded.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(x) => Some(*x),
            Self::Int(n) => Some(*n as f64),
            Self::UInt(n) => Some(*n as f64),
            _ => None,
        }
    }

    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The bytes, if this is bytes. Text does not count.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(b) => Some(b),
            _ => None,
        }
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs in their order, if this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Value, Value)]> {
        match self {
            Self::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// What a map holds under the text key `name`; `None` when it holds nothing there or this is no map.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        // From the end, so that a map built with a repeated key reads as its receiver will see it.
        self.as_map()?.iter().rev().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
