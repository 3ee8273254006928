//! The golden vectors of the client protocol (`protocol/vectors/client.json`), which every client library reads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_wire::client::{FromClient, Login, Moved, Names, ToClient, Welcome};
use chappe_wire::value::{self, json_to_msgpack, msgpack_to_json};
use chappe_wire::{NodeId, PlayerId, Reason, Row};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Vector {
    name: String,
    /// Who says it: `client` or `proxy`.
    from: String,
    /// The binary frame, in hex.
    msgpack: String,
    /// The text frame.
    json: String,
}

const NAMES: Names<'_> = Names { namespace: "Arena", system: "Client", event: "加入" };

fn login(full: bool) -> Login {
    Login {
        uid: if full { u64::MAX } else { 7 },
        token: full.then(|| "secret".to_owned()),
        nickname: if full { "小明" } else { "" }.to_owned(),
        protocol: 1,
        resume: full.then(|| "12.00ff".to_owned()),
        received: if full { 300 } else { 0 },
    }
}

fn from_client(data: &[u8]) -> Vec<(&'static str, FromClient<'_>)> {
    let stamp = 1_700_000_000_000_000_000;
    vec![
        ("a first login", FromClient::Login(login(false))),
        ("a login that resumes", FromClient::Login(login(true))),
        ("an event", FromClient::Event { names: NAMES, data, stamp: 0 }),
        ("an event with its time", FromClient::Event { names: NAMES, data, stamp }),
        ("an event to a service", FromClient::Service { to: NodeId(40), names: NAMES, data, stamp: 0 }),
        ("the same with its time", FromClient::Service { to: NodeId(-1), names: NAMES, data, stamp }),
        ("an acknowledgement", FromClient::Ack(70_000)),
        ("a ping", FromClient::Ping(1)),
        ("a logout", FromClient::Logout),
    ]
}

fn to_client(data: &[u8]) -> Vec<(&'static str, ToClient<'_>)> {
    let measured = (1_700_000_000_000_000_000, Row::ServerToClient.code());
    let welcome = Welcome {
        uid: 7,
        player_id: PlayerId(12),
        epoch: 12,
        server_id: NodeId(20),
        proxy_id: NodeId(10),
        token: "12.00ff".to_owned(),
        resumed: true,
        received: 41,
        measure: false,
        resume_ms: 30_000,
    };
    vec![
        ("a welcome", ToClient::Welcome(welcome)),
        ("an event", ToClient::Event { names: NAMES, data, measured: (0, 0) }),
        ("an event with its time and row", ToClient::Event { names: NAMES, data, measured }),
        ("a move", ToClient::Server(Moved { server_id: NodeId(30), is_transfer: true })),
        ("an announcement", ToClient::Announce("维护")),
        ("a message that was not passed on", ToClient::Error(Reason::RateLimited, "too fast")),
        ("an acknowledgement", ToClient::Ack(3)),
        ("a pong", ToClient::Pong(1)),
        ("the last frame", ToClient::Close(Reason::Kicked, "bye")),
    ]
}

/// Every message that there is, encoded.
fn encoded() -> Vec<Vector> {
    let data =
        value::encode(&chappe_wire::value!({"n": 3, 7: [nil, b"\x00\xff", 1.5, 9_007_199_254_740_993_i64]}))
            .unwrap();
    let vector = |name: &str, from: &str, frame: Vec<u8>| Vector {
        name: name.to_owned(),
        from: from.to_owned(),
        msgpack: frame.iter().map(|byte| format!("{byte:02x}")).collect(),
        json: msgpack_to_json(&frame).unwrap(),
    };
    let mut vectors = Vec::new();
    for (name, message) in from_client(&data) {
        let mut frame = Vec::new();
        message.encode_into(&mut frame).unwrap();
        assert_eq!(FromClient::decode(&frame).unwrap(), message, "{name}");
        vectors.push(vector(name, "client", frame));
    }
    for (name, message) in to_client(&data) {
        let mut frame = Vec::new();
        message.encode_into(&mut frame).unwrap();
        assert_eq!(ToClient::decode(&frame).unwrap(), message, "{name}");
        vectors.push(vector(name, "proxy", frame));
    }
    vectors
}

#[test]
fn the_client_protocol_is_what_its_vectors_say() {
    let text = include_str!("../../../protocol/vectors/client.json");
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    assert_eq!(encoded(), vectors);
}

#[test]
fn a_text_frame_says_the_same_as_its_binary_form() {
    for vector in encoded() {
        let frame = json_to_msgpack(&vector.json).unwrap();
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, vector.msgpack, "{}", vector.name);
    }
}

#[test]
fn every_frame_cut_short_is_refused_and_none_panics() {
    for vector in encoded() {
        let frame: Vec<u8> = (0..vector.msgpack.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&vector.msgpack[at..at + 2], 16).unwrap())
            .collect();
        for cut in 0..frame.len() {
            assert!(FromClient::decode(&frame[..cut]).is_err() && ToClient::decode(&frame[..cut]).is_err());
        }
        // One bit wrong: anything but a panic.
        for at in 0..frame.len() * 8 {
            let mut frame = frame.clone();
            frame[at / 8] ^= 1 << (at % 8);
            let _ = (FromClient::decode(&frame), ToClient::decode(&frame));
        }
    }
}

#[test]
fn a_later_minor_version_may_add_fields_and_they_must_be_whole() {
    let mut frame = value::encode(&("event", "a", "b", "c", 1, 0, "new", [1, 2])).unwrap();
    let decoded = FromClient::decode(&frame).unwrap();
    assert!(matches!(decoded, FromClient::Event { data: [1], stamp: 0, .. }), "{decoded:?}");
    frame.push(0);
    assert!(FromClient::decode(&frame).is_err());
}

/// Writes the vectors anew, after a change of the protocol that is meant:
/// `cargo test -p chappe-wire --test client_vectors -- --ignored`.
#[test]
#[ignore = "changes the vectors"]
fn write_the_vectors() {
    let lines: Vec<String> =
        encoded().iter().map(|vector| format!("  {}", serde_json::to_string(vector).unwrap())).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../protocol/vectors/client.json");
    std::fs::write(path, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
}
