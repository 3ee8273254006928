//! Where inputs begin: the golden vectors, and what our own encoders make.

use chappe_wire::client::{FromClient, Login, Names, ToClient};
use chappe_wire::frame::write_frame;
use chappe_wire::hello::{Auth, Greeting, Hello, PROTOCOL, Purpose, Refusal};
use chappe_wire::secret::{Nonce, Proof};
use chappe_wire::{Body, Envelope, Meta, NodeId, Origin, PushTo, Reason, Role, Row, value};
use std::path::Path;

/// Everything that stands as hex in the golden vectors, and MessagePack of our own.
pub fn messagepack() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = strings().iter().filter_map(|text| unhex(text)).collect();
    let deep =
        chappe_wire::value!({"items": [1, -1, 2.5, "雪", b"\x00\xff", nil], 7: {"a": [[[[]]]]}, "__x": true});
    all.extend(value::encode(&deep));
    all
}

/// Everything that stands as text in the golden vectors.
pub fn json() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = strings().into_iter().map(String::into_bytes).collect();
    all.push(br#"{"a": [1, 2.5, -0.0, "\u96ea\n", null, true], "b": {}}"#.to_vec());
    all
}

/// deploy.json files.
pub fn deploys() -> Vec<Vec<u8>> {
    let minimal = br#"{"cluster": "x", // a remark
        "master": {"serverid": 1, "port": 9000}, "proxy": [{"serverid": 10, "port": 9001}],
        "lobby": [{"serverid": 20, "type": "lobby", "num": 3}], "game": [], "service": [
        {"serverid": 40, "type": "service_mail", "module_names": ["mail"], "max_players": 5,}],
        "limits": {"message_bytes": 1048576}, "measure": true}"#;
    let arena = std::fs::read(root().join("examples/arena/deploy.json")).unwrap_or_default();
    vec![minimal.to_vec(), arena, b"{}".to_vec(), b"[1]".to_vec()]
}

/// One of each kind of envelope.
pub fn envelopes() -> Vec<Vec<u8>> {
    let origin = Some(Origin { uid: 7, epoch: 9, proxy: NodeId(10) });
    let bodies = [
        Body::Event { topic: b"a\0b\0c" },
        Body::Request { id: 1, timeout_ms: 2000, one_way: false, target: b"m\0f" },
        Body::Response { id: 1, status: Ok(()) },
        Body::Response { id: 1, status: Err(Reason::NodeLost) },
        Body::Push { to: PushTo::Uid(7), topic: b"a\0b\0c" },
        Body::Push { to: PushTo::Epochs(&[1; 24]), topic: b"a\0b\0c" },
        Body::Ack,
        Body::Nack { seq: 3, reason: Reason::NotReady },
        Body::Close { reason: Reason::ShuttingDown },
    ];
    let metas = [Meta::of(Row::NodeToService), Meta { row: Row::ClientToServer, stamp: 5, origin }];
    let each =
        bodies.into_iter().flat_map(|body| metas.map(|meta| Envelope { meta, body, payload: &[0xc3] }));
    let encode = |envelope: Envelope<'_>| {
        let mut out = Vec::new();
        envelope.encode_into(&mut out);
        out
    };
    each.map(encode).collect()
}

/// The envelopes, each in a frame, and two frames behind each other.
pub fn frames() -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for (seq, body) in (1..).zip(envelopes()) {
        let mut frame = Vec::new();
        write_frame(&mut frame, seq, seq / 2, |out| out.extend_from_slice(&body));
        all[0].extend_from_slice(&frame);
        all.push(frame);
    }
    all
}

/// Greetings of both kinds.
pub fn greetings() -> Vec<Vec<u8>> {
    let hello = Hello {
        cluster: "arena".into(),
        node: NodeId(6001),
        role: Role::Service,
        node_type: "service_mail".into(),
        incarnation: u64::MAX,
        to: Some(NodeId(1)),
        purpose: Purpose::Pulse,
        term: 3,
        auth: Some(Auth { nonce: Nonce([7; 32]), optional: true }),
        version: "0.1.0".into(),
    };
    let refusal = Refusal { reason: Reason::IdTaken, message: "id 1 is taken".into() };
    let greetings = [
        Greeting::Hello(hello.clone()),
        Greeting::Refuse(refusal),
        Greeting::Challenge(hello),
        Greeting::Prove(vec![Proof(vec![1; 32]), Proof(vec![2; 32])]),
        Greeting::Welcome(Proof(vec![3; 32])),
    ];
    greetings.iter().map(|greeting| greeting.encode(PROTOCOL)).collect()
}

/// What clients and proxies say.
pub fn client_frames() -> Vec<Vec<u8>> {
    let names = Names { namespace: "n", system: "s", event: "e" };
    let login = Login {
        uid: 7,
        token: Some("t".into()),
        nickname: "雪".into(),
        protocol: 1,
        resume: Some("9.ab".into()),
        received: 3,
    };
    let said = [
        FromClient::Login(login),
        FromClient::Event { names, data: &[0x81, 0xa1, b'a', 1], stamp: 0 },
        FromClient::Service { to: NodeId(40), names, data: &[0xc0], stamp: 9 },
        FromClient::Ack(3),
        FromClient::Ping(4),
        FromClient::Logout,
    ];
    let told = [
        ToClient::Event { names, data: &[0x93, 1, 2, 3], measured: (9, 13) },
        ToClient::Announce("hello"),
        ToClient::Error(Reason::RateLimited, "slow down"),
        ToClient::Close(Reason::Kicked, "bye"),
        ToClient::Pong(4),
    ];
    let mut all = messagepack();
    for frame in said {
        let mut out = Vec::new();
        all.extend(frame.encode_into(&mut out).map(|()| out));
    }
    for frame in told {
        let mut out = Vec::new();
        all.extend(frame.encode_into(&mut out).map(|()| out));
    }
    all
}

/// Every text in the golden vectors.
fn strings() -> Vec<String> {
    let mut found = Vec::new();
    for file in ["values.json", "values_refused.json", "frames.json", "client.json"] {
        let text = std::fs::read_to_string(root().join("protocol/vectors").join(file)).unwrap_or_default();
        if let Ok(json) = serde_json::from_str(&text) {
            collect(&json, &mut found);
        }
    }
    found
}

fn collect(json: &serde_json::Value, into: &mut Vec<String>) {
    match json {
        serde_json::Value::String(text) => into.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|json| collect(json, into)),
        serde_json::Value::Object(map) => map.values().for_each(|json| collect(json, into)),
        _ => {}
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The key set of [`TOKEN`].
pub const KEYS: &str = r#"{"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "YSBzZWNyZXQgb2YgdGhlIGZ1enplciB0aGF0IGlzIGxvbmcgZW5vdWdo"}]}"#;

/// A token that is right for the player 7 of the cluster `arena`, at 1,700,000,000 s.
pub const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiI3IiwiYXVkIjoiYXJlbmEiLCJleHAiOjE3MDAwMDA2MDB9.D59PfDhPiz4oAHET34aNwnT3eigAf9hxlDLVSG2tHuw";

/// Key sets of all kinds.
pub fn key_sets() -> Vec<Vec<u8>> {
    let public = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "b", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "EC", "crv": "P-256", "kid": "c", "use": "sig", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    vec![KEYS.into(), public.into()]
}

/// Login tokens.
pub fn login_tokens() -> Vec<Vec<u8>> {
    vec![TOKEN.into(), "a.b.c".into()]
}
