//! Finds where a value ends without building it, for a proxy that passes data on as it came.

use super::MAX_DEPTH;
use super::error::{Refusal, ValueError};
use super::format::{Head, Reader, check_key};

/// The length in bytes of the one value that `bytes` begins with. Whatever passes here can be decoded: the rules of
/// spec/apollo.md section 2 ("Data") are checked, nothing is built, and nesting is bounded.
///
/// # Errors
/// As [`decode`](super::decode), without the path to the place.
pub fn skip(bytes: &[u8]) -> Result<usize, ValueError> {
    let mut input = Reader { rest: bytes };
    pass(&mut input, 0)?;
    Ok(bytes.len() - input.rest.len())
}

pub(super) fn pass(input: &mut Reader<'_>, depth: usize) -> Result<(), ValueError> {
    pass_inline(input, depth)
}

/// As [`pass`], without a call for what holds nothing else: most of what is passed.
#[inline(always)]
pub(super) fn pass_inline(input: &mut Reader<'_>, depth: usize) -> Result<(), ValueError> {
    match input.head()? {
        Head::Nil | Head::Bool(_) | Head::Unsigned(_) | Head::Negative(_) | Head::Float(_) => Ok(()),
        Head::Bytes(len) => input.take(len).map(drop),
        Head::Str(len) => input.pass_text(len),
        Head::List(len) => pass_list(input, len, depth),
        Head::Map(len) => pass_map(input, len, depth),
    }
}

fn pass_list(input: &mut Reader<'_>, len: usize, depth: usize) -> Result<(), ValueError> {
    let depth = inside(depth)?;
    (0..len).try_for_each(|_| pass(input, depth))
}

fn pass_map(input: &mut Reader<'_>, len: usize, depth: usize) -> Result<(), ValueError> {
    let depth = inside(depth)?;
    (0..len).try_for_each(|_| {
        check_key(input.rest)?;
        pass(input, depth)?;
        pass(input, depth)
    })
}

fn inside(depth: usize) -> Result<usize, ValueError> {
    if depth == MAX_DEPTH { Err(Refusal::TooDeep.into()) } else { Ok(depth + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Value, decode, encode, testing};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_is_skipped_to_its_very_end(value in testing::any_value(), tail in proptest::collection::vec(any::<u8>(), 0..8)) {
            let mut bytes = encode(&value).unwrap();
            let length = bytes.len();
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(skip(&bytes).unwrap(), length);
            // Ends and a few places between: all of them would take the square of the length.
            for cut in (0..length).step_by(length / 8 + 1).chain([length - 1]) {
                prop_assert!(skip(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn garbage_that_passes_can_be_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(length) = skip(&bytes) {
                prop_assert!(decode::<Value>(&bytes[..length]).is_ok());
            } else {
                prop_assert!(decode::<Value>(&bytes).is_err());
            }
        }
    }

    #[test]
    fn bottomless_nesting_does_not_exhaust_the_stack() {
        assert!(skip(&[0x91; 100_000]).is_err());
    }
}
