//! Finds one field of a map without building the map, for a handler that reads a few.

use super::ValueError;
use super::format::{Head, Reader, check_key};
use super::skip::{pass, pass_inline};
use std::ops::Range;

/// The bytes of what a map holds under the text key `name`; `None` when it holds nothing there, or `bytes` is no map. Of a
/// repeated key the last one counts, as in [`decode`](super::decode).
///
/// What follows the map is not looked at: [`skip`](super::skip) says whether `bytes` is one value as a whole.
#[must_use]
pub fn field<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    bytes.get(skip_finding(bytes, name).ok()?.1?)
}

/// What [`skip`](super::skip) says, and where in `bytes` is what [`field`] finds, in one pass.
///
/// # Errors
/// As [`skip`](super::skip).
pub fn skip_finding(bytes: &[u8], name: &str) -> Result<(usize, Option<Range<usize>>), ValueError> {
    let mut input = Reader { rest: bytes };
    let mut found = None;
    match input.head()? {
        Head::Map(len) => {
            for _ in 0..len {
                let is_it = pass_key(&mut input, name)?;
                let begin = bytes.len() - input.rest.len();
                pass_inline(&mut input, 1)?;
                if is_it {
                    found = Some(begin..bytes.len() - input.rest.len());
                }
            }
        }
        _ => {
            input.rest = bytes;
            pass(&mut input, 0)?;
        }
    }
    Ok((bytes.len() - input.rest.len(), found))
}

/// Passes a key: whether it is that text.
fn pass_key(input: &mut Reader<'_>, name: &str) -> Result<bool, ValueError> {
    if let [0xa0..=0xbf, ..] = input.rest {
        // What most keys are, and which needs no other look.
        let Head::Str(len) = input.head()? else { return Ok(false) };
        let is_it = input.rest.get(..len) == Some(name.as_bytes());
        return input.pass_text(len).map(|()| is_it);
    }
    check_key(input.rest)?;
    let key = *input;
    pass(input, 1)?;
    Ok(raw_text(key.rest) == Some(name.as_bytes()))
}

/// Where in `bytes` the text is that the encoded value at `value` is; `None` when it is none. Whether it is valid, what has
/// passed the value says.
#[must_use]
pub fn text_at(bytes: &[u8], value: Range<usize>) -> Option<Range<usize>> {
    let text = raw_text(bytes.get(value.clone())?)?;
    Some(value.end - text.len()..value.end)
}

fn raw_text(bytes: &[u8]) -> Option<&[u8]> {
    let mut input = Reader { rest: bytes };
    match input.head() {
        Ok(Head::Str(len)) => input.take(len).ok(),
        _ => None,
    }
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
    use crate::value::{Value, decode, encode, skip, testing};
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
            let mut and_more = bytes.clone();
            and_more.push(0);
            let (length, at) = skip_finding(&and_more, &name).unwrap();
            prop_assert_eq!((length, at.map(|at| &bytes[at])), (bytes.len(), field(&bytes, &name)));
        }

        #[test]
        fn garbage_has_no_field_and_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let passed = skip_finding(&bytes, "a").map(|(length, _)| length);
            prop_assert_eq!(passed.ok(), skip(&bytes).ok());
            if let Some(found) = field(&bytes, "a") {
                prop_assert!(decode::<Value>(found).is_ok());
            }
        }
    }
}
