use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::*;
use crate::value;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mail {
    owner: u8,
    items: Vec<Item>,
    state: State,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    count: i128,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum State {
    New,
    Read(u8),
    Moved(i8, i8),
    Kept { shelf: i128 },
}

fn refused<T: Serialize + ?Sized>(value: &T) -> String {
    encode(value).unwrap_err().to_string()
}

fn unread<T: serde::de::DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) -> String {
    decode::<T>(bytes).unwrap_err().to_string()
}

#[test]
fn a_map_that_is_led_by_a_pair_is_not_one_to_its_reader() {
    let led = |value: &Value| {
        let mut out = vec![7];
        encode_led(&mut out, ("_type", "a.b"), value).map(|at| {
            assert_eq!(&out[at..at + 3], b"a.b");
            decode::<Value>(&out[1..]).unwrap()
        })
    };
    assert_eq!(
        led(&value!({"n": {"m": 1}, "x": [{}]})),
        Ok(value!({"_type": "a.b", "n": {"m": 1}, "x": [{}]}))
    );
    assert_eq!(led(&value!({})), Ok(value!({"_type": "a.b"})));
    let many = Value::Map((0..15).map(|n| (n.into(), n.into())).collect());
    assert_eq!(led(&many).unwrap().as_map().unwrap().len(), 16);
    for none in [value!(7), value!([{"n": 1}]), Value::Nil] {
        assert_eq!(led(&none).unwrap_err().to_string(), "data: expected a struct or a map");
    }
    assert!(led(&value!({"_id": 1})).unwrap_err().to_string().contains("\"_id\": names that begin with `_`"));
    assert!(led(&value!({"a": {"_id": 1}})).is_ok());
    let mut out = Vec::new();
    encode_led(&mut out, ("_type", "a.b"), &State::Kept { shelf: 1 }).unwrap();
    encode_led(&mut out, ("_type", "a.b"), &State::Read(1)).unwrap();
    let first = skip(&out).unwrap();
    assert_eq!(decode::<Value>(&out[..first]).unwrap(), value!({"_type": "a.b", "Kept": {"shelf": 1}}));
    assert_eq!(decode::<Value>(&out[first..]).unwrap(), value!({"_type": "a.b", "Read": 1}));
    assert!(encode_led(&mut out, ("_type", "a.b"), &HashMap::from([("n", u128::MAX)])).is_err());
}

#[test]
fn a_struct_and_a_dict_meet() {
    let mail = Mail { owner: 7, items: vec![Item { count: 2, note: None }], state: State::Moved(-1, 2) };
    let bytes = encode(&mail).unwrap();
    let seen = value!({"owner": 7, "items": [{"count": 2}], "state": {"Moved": [-1, 2]}});
    assert_eq!(decode::<Value>(&bytes).unwrap(), seen);
    assert_eq!(decode::<Mail>(&encode(&seen).unwrap()).unwrap(), mail);
}

#[test]
fn every_kind_of_variant_survives() {
    for state in [State::New, State::Read(3), State::Moved(1, 2), State::Kept { shelf: u64::MAX.into() }] {
        assert_eq!(decode::<State>(&encode(&state).unwrap()).unwrap(), state);
    }
    assert_eq!(decode::<State>(&encode("New").unwrap()).unwrap(), State::New);
}

#[test]
fn a_type_that_does_not_know_its_length_is_written_right() {
    #[derive(Serialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, usize>,
    }
    for len in [0, 14, 15, 16, 70_000] {
        let flat = Flat { a: 1, rest: (0..len).map(|n| (format!("{n:05}"), n)).collect() };
        let seen: Value = decode(&encode(&flat).unwrap()).unwrap();
        assert_eq!(seen.as_map().unwrap().len(), len + 1);
        let nested: Value = decode(&encode(&[&flat, &flat]).unwrap()).unwrap();
        assert_eq!(nested, vec![seen.clone(), seen].into());
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_place() {
    let too_wide = Mail { owner: 1, items: vec![Item { count: i128::MAX, note: None }], state: State::New };
    assert_eq!(
        encode_limited("args", &HashMap::from([("it's", too_wide)]), 100).unwrap_err().to_string(),
        r"args['it\'s'].items[0].count: the integer 170141183460469231731687303715884105727 does not fit 64 bits"
    );
    let low = i128::from(i64::MIN) - 1;
    assert_eq!(
        refused(&State::Kept { shelf: low }),
        "data['Kept'].shelf: the integer -9223372036854775809 does not fit 64 bits"
    );
    assert_eq!(refused(&value!([{(f64::NAN): 1}])), "data[0]: NaN cannot be a key");
    assert_eq!(refused(&value!({3: {(vec![Value::Nil]): 1}})), "data[3]: a list cannot be a key");
    assert_eq!(refused(&BTreeMap::from([(BTreeMap::from([(1, 1)]), 1)])), "data: a map cannot be a key");
    assert_eq!(
        refused(&value!([nested(MAX_DEPTH)])),
        format!("data{}: {}", "[0]".repeat(64), Refusal::TooDeep)
    );
}

#[test]
fn a_refused_value_leaves_no_trace_in_the_buffer() {
    let mut out = b"before".to_vec();
    assert!(encode_into(&mut out, &value!(["some text", {(f64::NAN): 1}])).is_err());
    assert_eq!(out, b"before");
    encode_into(&mut out, &value!(1)).unwrap();
    assert_eq!(out, b"before\x01");
}

#[test]
fn a_value_over_the_limit_is_refused_with_its_size() {
    assert_eq!(encode_limited("data", "12345", 6).unwrap().len(), 6);
    let error = encode_limited("eventData", "123456", 6).unwrap_err();
    assert_eq!(error.to_string(), "eventData: 7 bytes encoded; the limit is 6");
    assert_eq!(error.refusal(), &Refusal::TooBig { size: 7, limit: 6 });
}

#[test]
fn what_cannot_be_read_is_refused_with_the_place() {
    assert_eq!(unread::<Value>(b"\x92\x01\x81\xa1x\xa1\xff"), "data[1]['x']: text is not valid UTF-8");
    assert_eq!(unread::<Value>(b"\x91\xd4\x01\x02"), format!("data[0]: {}", Refusal::Extension));
    assert_eq!(unread::<Value>(b"\x81\x2a\xc1"), "data[42]: 0xc1 is not MessagePack");
    assert_eq!(unread::<Value>(b"\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01"), "data: NaN cannot be a key");
    assert_eq!(unread::<Value>(b"\x81\xca\x7f\xc0\0\0\x01"), "data: NaN cannot be a key");
    assert_eq!(unread::<Value>(b"\x81\x91\x01\x01"), "data: a list cannot be a key");
    assert_eq!(unread::<Value>(b"\x01\x02\x03"), "data: 2 bytes follow the end of the value");
    assert_eq!(unread::<Value>(b""), "data: the data ends in the middle of a value");
    let mail = value!({"owner": 1, "items": [{"count": 1}, {"count": 1.5}], "state": "New"});
    assert_eq!(
        unread::<Mail>(&encode(&mail).unwrap()),
        "data.items[1].count: invalid type: floating point `1.5`, expected i128"
    );
    assert_eq!(
        unread::<State>(&encode(&value!({"Read": 300})).unwrap()),
        "data['Read']: invalid value: integer `300`, expected u8"
    );
    assert_eq!(
        unread::<Item>(&encode(&value!([1, nil])).unwrap()),
        "data: invalid type: sequence, expected struct Item"
    );
    assert_eq!(
        unread::<(u8, u8)>(&encode(&value!([1, 2, 3])).unwrap()),
        "data: invalid length 3, expected 2 items"
    );
}

#[test]
fn nesting_is_bounded_on_the_way_in() {
    let deepest = nested(MAX_DEPTH);
    assert_eq!(decode::<Value>(&encode(&deepest).unwrap()).unwrap(), deepest);
    let bottomless = vec![0x91; 1_000_000];
    assert_eq!(decode::<Value>(&bottomless).unwrap_err().refusal(), &Refusal::TooDeep);
    assert_eq!(decode::<serde::de::IgnoredAny>(&bottomless).unwrap_err().refusal(), &Refusal::TooDeep);
    #[derive(Debug, Deserialize)]
    struct Endless {
        #[serde(rename = "x")]
        _x: Option<Box<Endless>>,
    }
    let bottomless = b"\x81\xa1x".repeat(300_000);
    assert_eq!(decode::<Endless>(&bottomless).unwrap_err().refusal(), &Refusal::TooDeep);
}

#[test]
fn a_length_is_not_believed_before_its_bytes_are_there() {
    for head in [0xc6, 0xdb, 0xdd, 0xdf] {
        let bytes = [head, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(decode::<Value>(&bytes).unwrap_err().refusal(), &Refusal::Truncated);
    }
    // Lists that each claim all the bytes behind them must not each get room for a million items.
    let head = b"\xdd\x00\x0f\x00\x00";
    let nils = vec![0xc0; 0xf_0000];
    assert_eq!(decode::<Hint>(&[&head[..], &nils].concat()).unwrap().0, Some(1024));
    let claims = [head.repeat(MAX_DEPTH), nils].concat();
    assert_eq!(decode::<Value>(&claims).unwrap_err().refusal(), &Refusal::Truncated);
}

#[test]
fn the_last_pair_of_a_repeated_key_counts_at_the_place_of_the_first() {
    let few: Value = decode(b"\x83\xa1x\x01\x02\x03\xa1x\x04").unwrap();
    assert_eq!(few.as_map().unwrap(), value!({"x": 4, 2: 3}).as_map().unwrap());
    let mut many = b"\xde\x00\xc8".to_vec();
    for n in (0..100).chain(0..100) {
        many.extend([n, n / 2]);
    }
    let many: Value = decode(&many).unwrap();
    assert_eq!(many.as_map().unwrap().len(), 100);
    let built = Value::Map(vec![("x".into(), 1.into()), ("x".into(), 2.into())]);
    assert_eq!(built.field("x"), Some(&value!(2)));
}

#[test]
fn kinds_stay_apart_and_equal_numbers_are_equal() {
    assert_ne!(value!(1), value!(1.0));
    assert_ne!(value!(1), value!(true));
    assert_ne!(value!("x"), value!(b"x"));
    assert_eq!(value!(5_u64), value!(5_i8));
    assert_eq!(Value::UInt(5), Value::Int(5));
    assert_ne!(Value::UInt(u64::MAX), Value::Int(-1));
    assert_eq!(value!(f64::NAN), value!(-f64::NAN));
    assert_eq!(value!(0.0), value!(-0.0));
    let many = |order: &mut dyn Iterator<Item = i32>| {
        Value::Map(order.map(|n| (n.into(), (n / 2).into())).collect())
    };
    assert_eq!(many(&mut (0..50)), many(&mut (0..50).rev()));
    assert_ne!(many(&mut (0..50)), many(&mut (1..51)));
}

#[test]
fn comparing_deep_maps_does_not_explode() {
    let nest = |innermost: i32| (0..60).fold(value!(innermost), |inner, _| value!({"a": inner, "b": 1}));
    assert_ne!(nest(1), nest(2));
}

#[test]
fn accessors_answer_for_their_kind_only() {
    let data = value!({"n": 3, "x": 2.5, "s": "text", "b": b"raw", "l": [1], "t": true, "big": u64::MAX});
    let field = |name| data.field(name).unwrap();
    assert_eq!(
        (field("n").as_int(), field("n").as_uint(), field("n").as_f64()),
        (Some(3), Some(3), Some(3.0))
    );
    assert_eq!((field("big").as_int(), field("big").as_uint()), (None, Some(u64::MAX)));
    assert_eq!((field("x").as_f64(), field("x").as_int()), (Some(2.5), None));
    assert_eq!((field("s").as_str(), field("s").as_bytes()), (Some("text"), None));
    assert_eq!((field("b").as_bytes(), field("b").as_str()), (Some(&b"raw"[..]), None));
    assert_eq!((field("t").as_bool(), field("t").as_int()), (Some(true), None));
    assert_eq!(field("l").as_list(), Some(&[value!(1)][..]));
    assert!(data.field("none").is_none() && value!(1).field("n").is_none() && value!(nil).is_nil());
}

#[test]
fn text_for_people_is_compact() {
    let data = value!({"n": 3, 7: nil, "raw": b"\x00ab", "l": [1.0, "雪"]});
    assert_eq!(data.to_string(), r#"{"n": 3, 7: nil, "raw": b"\x00ab", "l": [1.0, "雪"]}"#);
}

#[test]
fn a_small_payload_can_be_read_without_copying() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Say<'a> {
        to: u64,
        text: &'a str,
        #[serde(with = "serde_bytes")]
        raw: &'a [u8],
    }
    let say = Say { to: 1 << 40, text: "hello", raw: b"\x00" };
    let bytes = encode(&say).unwrap();
    assert_eq!(decode_borrowed::<Say<'_>>(&bytes).unwrap(), say);
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Nil, |inner, _| Value::List(vec![inner]))
}

/// What the decoder says about the length of a list, and nothing else.
#[derive(Debug)]
struct Hint(Option<usize>);

impl<'de> Deserialize<'de> for Hint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Hint;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut source: A) -> Result<Hint, A::Error> {
                let hint = Hint(source.size_hint());
                while source.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(hint)
            }
        }

        deserializer.deserialize_seq(Visit)
    }
}
