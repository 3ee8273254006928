//! A [`Value`] as compact text for people: logs, error messages, a debugger. Nothing reads it back.

use std::fmt;

use super::Value;

/// Shows as `{"n": 3, 7: nil, "raw": b"\x00abc"}`. In full, however long: cut it where it is logged.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::UInt(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Self::List(items) => {
                let mut comma = "";
                f.write_str("[")?;
                for item in items {
                    write!(f, "{comma}{item}")?;
                    comma = ", ";
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                let mut comma = "";
                f.write_str("{")?;
                for (key, value) in pairs {
                    write!(f, "{comma}{key}: {value}")?;
                    comma = ", ";
                }
                f.write_str("}")
            }
        }
    }
}
