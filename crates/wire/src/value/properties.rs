//! What holds for all values and all bytes.

use std::collections::HashMap;

use proptest::prelude::*;

use super::testing::any_value;
use super::*;

/// A Rust type that meets every method of the decoder.
#[derive(Debug, serde::Deserialize)]
#[expect(dead_code, reason = "only ever decoded")]
struct Typed {
    id: u64,
    name: Option<String>,
    state: State,
    #[serde(default)]
    pairs: HashMap<i32, (f32, char)>,
    any: Value,
}

#[derive(Debug, serde::Deserialize)]
#[expect(dead_code, reason = "only ever decoded")]
enum State {
    Idle,
    Moving(f64),
    At(i8, i8),
    In { room: String },
}

proptest! {
    #[test]
    fn every_value_arrives_equal(sent in any_value()) {
        let bytes = encode(&sent).unwrap();
        prop_assert_eq!(decode::<Value>(&bytes).unwrap(), sent.clone());
        prop_assert_eq!(encode(&decode::<Value>(&bytes).unwrap()).unwrap(), bytes);
    }

    #[test]
    fn every_value_survives_its_text_form(sent in any_value()) {
        let text = to_json(&sent);
        prop_assert_eq!(from_json(&text).unwrap(), sent.clone());
        prop_assert_eq!(msgpack_to_json(&json_to_msgpack(&text).unwrap()).unwrap(), text);
    }

    #[test]
    fn a_map_equals_itself_in_any_order(value in any_value(), other in any_value()) {
        if let Value::Map(pairs) = &value {
            let reversed = Value::Map(pairs.iter().rev().cloned().collect());
            prop_assert_eq!(&reversed, &value);
        }
        prop_assert_eq!(value == other, other == value);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn no_damage_to_valid_bytes_breaks_the_decoder(
        value in any_value(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&value).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_as_everything(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        read_as_everything(&bytes);
    }

    #[test]
    fn no_text_breaks_the_json_reader(text in any::<String>(), value in any_value(), cut in any::<prop::sample::Index>()) {
        let _ = from_json(&text);
        let mut json = to_json(&value);
        let cut = cut.index(json.len());
        if json.is_char_boundary(cut) {
            json.truncate(cut);
            let _ = from_json(&json);
        }
    }
}

fn read_as_everything(bytes: &[u8]) {
    if let Ok(value) = decode::<Value>(bytes) {
        // What was read can be written again, so a node never holds data that it could not pass on.
        let again = encode(&value).unwrap();
        assert_eq!(decode::<Value>(&again).unwrap(), value);
    }
    let _ = decode::<Typed>(bytes);
    let _ = decode::<State>(bytes);
    let _ = decode::<Vec<Typed>>(bytes);
    let _ = decode::<serde::de::IgnoredAny>(bytes);
    let _ = decode_borrowed::<(&str, &[u8])>(bytes);
    let _ = sanitize(bytes, [("__uid__", Value::Int(1))]);
}
