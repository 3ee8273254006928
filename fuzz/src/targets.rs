//! The decoders, and what must hold of each for any input.

use crate::corpus;
use chappe_deploy::Deploy;
use chappe_token::{Expected, KeySet};
use chappe_wire::client::{FromClient, ToClient};
use chappe_wire::frame::{read_frame, write_frame};
use chappe_wire::hello::{Greeting, PROTOCOL};
use chappe_wire::{Envelope, Value, value};

/// A decoder under test.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Where its inputs begin.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Reads one input; panics where a promise is broken.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", corpus: corpus::frames, run: frame },
    Target { name: "envelope", corpus: corpus::envelopes, run: envelope },
    Target { name: "greeting", corpus: corpus::greetings, run: greeting },
    Target { name: "value", corpus: corpus::messagepack, run: value_ },
    Target { name: "skip", corpus: corpus::messagepack, run: skip },
    Target { name: "sanitize", corpus: corpus::messagepack, run: sanitize },
    Target { name: "json", corpus: corpus::json, run: json },
    Target { name: "client_frame", corpus: corpus::client_frames, run: client_frame },
    Target { name: "proxy_frame", corpus: corpus::client_frames, run: proxy_frame },
    Target { name: "deploy", corpus: corpus::deploys, run: deploy },
    Target { name: "key_set", corpus: corpus::key_sets, run: key_set },
    Target { name: "login_token", corpus: corpus::login_tokens, run: login_token },
];

fn key_set(data: &[u8]) {
    if let Ok(keys) = KeySet::parse(data) {
        assert!(keys.ids().next().is_some(), "a key set without a key is taken");
    }
}

fn login_token(data: &[u8]) {
    let Ok(token) = std::str::from_utf8(data) else { return };
    let Ok(keys) = KeySet::parse(corpus::KEYS.as_bytes()) else { panic!("the corpus is wrong") };
    let expected = Expected { audience: "arena", uid: 7, now: 1_700_000_000, leeway: 0 };
    if keys.verify(token, &expected).is_ok() {
        assert_eq!(token, corpus::TOKEN, "a token is taken that nobody has signed");
    }
}

fn frame(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((frame, used))) = read_frame(rest, 1 << 16) {
        let mut again = Vec::new();
        write_frame(&mut again, frame.seq, frame.ack, |out| out.extend_from_slice(frame.body));
        assert_eq!(again, rest[..used], "a frame is not what it was read from");
        rest = &rest[used..];
    }
}

fn envelope(data: &[u8]) {
    if let Ok(envelope) = Envelope::decode(data) {
        let mut again = Vec::new();
        envelope.encode_into(&mut again);
        assert_eq!(Envelope::decode(&again), Ok(envelope));
    }
}

fn greeting(data: &[u8]) {
    if let Ok(Some((greeting, version, used))) = Greeting::decode(data, PROTOCOL) {
        assert!(used <= data.len());
        let again = greeting.encode(version);
        assert_eq!(Greeting::decode(&again, PROTOCOL), Ok(Some((greeting, version, again.len()))));
    }
}

fn value_(data: &[u8]) {
    let Ok(read) = value::decode::<Value>(data) else { return };
    assert!(heap(&read) <= 200 * data.len() + 1024, "{} bytes on the heap for {}", heap(&read), data.len());
    let again = value::encode(&read).expect("what was read can be written");
    assert_eq!(value::decode::<Value>(&again).expect("what was written can be read"), read);
    assert_eq!(value::skip(data).expect("what can be read can be skipped"), data.len());
    if let Ok(text) = value::msgpack_to_json(data) {
        assert_eq!(value::from_json(&text).expect("the text form can be read"), read);
    }
}

fn skip(data: &[u8]) {
    if let Ok(used) = value::skip(data) {
        assert!(used <= data.len() && used > 0);
        assert_eq!(value::skip(&data[..used]).ok(), Some(used));
    }
}

fn sanitize(data: &[u8]) {
    let Ok(clean) = value::sanitize(data, [("__uid__", Value::from(7u64))]) else { return };
    let clean = clean.into_value();
    if let Some(map) = clean.as_map() {
        let forged = map.iter().filter(|(key, _)| key.as_str().is_some_and(|key| key.starts_with("__")));
        assert!(
            forged
                .into_iter()
                .all(|(key, value)| { key.as_str() == Some("__uid__") && value.as_uint() == Some(7) })
        );
    }
}

fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = value::from_json(text) else { return };
    assert!(heap(&read) <= 200 * data.len() + 1024);
    let again = value::to_json(&read);
    assert_eq!(value::from_json(&again).expect("what was written can be read"), read);
    let packed = value::json_to_msgpack(text).expect("what can be read can be packed");
    assert_eq!(value::decode::<Value>(&packed).expect("what was packed can be read"), read);
}

fn client_frame(data: &[u8]) {
    if let Ok(frame) = FromClient::decode(data) {
        let mut again = Vec::new();
        frame.encode_into(&mut again).expect("what was read can be written");
        assert_eq!(FromClient::decode(&again).as_ref(), Ok(&frame));
    }
}

fn proxy_frame(data: &[u8]) {
    let Ok(frame) = ToClient::decode(data) else { return };
    let mut again = Vec::new();
    frame.encode_into(&mut again).expect("what was read can be written");
    // Without a stamp the row is not written: so the second form is the one that stays.
    let second = ToClient::decode(&again).expect("what was written can be read");
    let mut third = Vec::new();
    second.encode_into(&mut third).expect("what was read can be written");
    assert_eq!(third, again);
}

fn deploy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Deploy::parse(text, "/nowhere/deploy.json") {
        Ok((deploy, _)) => {
            let mut ids: Vec<i64> = deploy.nodes.iter().map(|node| node.id).collect();
            ids.sort_unstable();
            assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "two nodes of one id");
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// What a value holds on the heap, in bytes.
fn heap(value: &Value) -> usize {
    let own = value.as_str().map_or(0, str::len) + value.as_bytes().map_or(0, <[u8]>::len);
    let list = value.as_list().map_or(0, |list| size_of_val(list) + list.iter().map(heap).sum::<usize>());
    let map = value.as_map().map_or(0, |map| {
        size_of_val(map) + map.iter().map(|(key, value)| heap(key) + heap(value)).sum::<usize>()
    });
    own + list + map
}
