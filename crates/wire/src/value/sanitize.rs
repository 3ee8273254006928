//! What a proxy makes of a client's data before a handler sees it.

use super::{Value, ValueError, decode};

/// A client's data that can no longer pretend to come from someone else.
#[derive(Clone, Debug, PartialEq)]
pub enum Sanitized {
    /// A map: reserved names of the client's are gone and the sender's identity stands at its end.
    Stamped(Value),
    /// No map, so there is nowhere to put an identity: the data as it came. Worth one warning per event name.
    Bare(Value),
}

impl Sanitized {
    /// The data for the handler.
    #[must_use]
    pub fn into_value(self) -> Value {
        match self {
            Self::Stamped(value) | Self::Bare(value) => value,
        }
    }
}

/// Reads a client's data, given as MessagePack; if it is a map, removes at its top level every key that begins
/// with `__` and appends the `identity` pairs (`__uid__`, `__id__`, `__neteaseProxyId__`): spec/apollo.md
/// section 2 and rows 2 and 12 of section 1. Keys given as bytes are removed too, because a Python 2 mod would
/// take them for text.
///
/// # Errors
/// As [`decode`](super::decode).
pub fn sanitize<'a>(
    bytes: &[u8],
    identity: impl IntoIterator<Item = (&'a str, Value)>,
) -> Result<Sanitized, ValueError> {
    Ok(match decode(bytes)? {
        Value::Map(mut pairs) => {
            pairs.retain(|(key, _)| !is_reserved(key));
            pairs.extend(identity.into_iter().map(|(name, value)| (name.into(), value)));
            Sanitized::Stamped(Value::Map(pairs))
        }
        other => Sanitized::Bare(other),
    })
}

fn is_reserved(key: &Value) -> bool {
    match key {
        Value::Str(name) => name.starts_with("__"),
        Value::Bytes(name) => name.starts_with(b"__"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;
    use crate::value::encode;

    fn sanitized(data: &Value) -> Sanitized {
        sanitize(&encode(data).unwrap(), [("__uid__", value!(7)), ("__id__", value!("p1"))]).unwrap()
    }

    #[test]
    fn a_client_cannot_forge_an_identity() {
        let forged = value!({
            "__uid__": 1, "__other__": 2, b"__uid__": 3, "_x": 4, "x__": 5, 6: 6,
            "inner": {"__uid__": 8}
        });
        let Sanitized::Stamped(Value::Map(pairs)) = sanitized(&forged) else { panic!("a map stays one") };
        let expected =
            value!({"_x": 4, "x__": 5, 6: 6, "inner": {"__uid__": 8}, "__uid__": 7, "__id__": "p1"});
        // Compared as pairs, because the order is kept too.
        assert_eq!(pairs, expected.as_map().unwrap());
    }

    #[test]
    fn data_that_is_no_map_arrives_as_it_is() {
        for data in [value!("__uid__"), value!(nil), value!([{"__uid__": 1}]), value!(3)] {
            assert_eq!(sanitized(&data), Sanitized::Bare(data));
        }
    }

    #[test]
    fn data_that_cannot_be_read_is_refused() {
        assert!(sanitize(b"\x81\xa1x", []).is_err());
    }
}
