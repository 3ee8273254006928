//! Finds one field of a map without building the map, for a handler that reads a few.

use super::format::{Head, Reader, check_key};
use super::skip::pass;

/// The bytes of what a map holds under the text key `name`; `None` when it holds nothing there, or `bytes` is no map. Of a
/// repeated key the last one counts, as in [`decode`](super::decode).
///
/// What follows the map is not looked at: [`skip`](super::skip) says whether `bytes` is one value as a whole.
#[must_use]
pub fn field<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut input = Reader { rest: bytes };
    let Ok(Head::Map(len)) = input.head() else { return None };
    let mut found = None;
    for _ in 0..len {
        check_key(input.rest).ok()?;
        let is_it = match input.head().ok()? {
            Head::Str(len) => input.take(len).ok()? == name.as_bytes(),
            Head::Bytes(len) => {
                input.take(len).ok()?;
                false
            }
            // No other key has anything behind its head.
            _ => false,
        };
        let value = input.rest;
        pass(&mut input, 1).ok()?;
        if is_it {
            found = Some(&value[..value.len() - input.rest.len()]);
        }
    }
    found
}

/// The text that an encoded value is; `None` when it is none.
#[must_use]
pub fn text_of(bytes: &[u8]) -> Option<&str> {
    let mut input = Reader { rest: bytes };
    match input.head() {
        Ok(Head::Str(len)) => input.text(len).ok(),
        _ => None,
    }
}

/// The bytes that an encoded value is; `None` when it is none. Text does not count.
#[must_use]
pub fn bytes_of(bytes: &[u8]) -> Option<&[u8]> {
    let mut input = Reader { rest: bytes };
    match input.head() {
        Ok(Head::Bytes(len)) => input.take(len).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Value, decode, encode, testing};
    use proptest::prelude::*;

    proptest! {
        // Each case is a map of large values.
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_field_is_what_the_decoded_map_has(
            pairs in proptest::collection::vec(("[ab]{0,2}", testing::any_value()), 0..5),
            name in "[ab]{0,2}",
        ) {
            let map = Value::Map(pairs.into_iter().map(|(key, value)| (Value::Str(key), value)).collect());
            let bytes = encode(&map).unwrap();
            let whole: Value = decode(&bytes).unwrap();
            let found = field(&bytes, &name).map(|bytes| decode::<Value>(bytes).unwrap());
            prop_assert_eq!(found.as_ref(), whole.field(&name));
        }

        #[test]
        fn garbage_has_no_field_and_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(found) = field(&bytes, "a") {
                prop_assert!(decode::<Value>(found).is_ok());
            }
        }
    }
}
