//! The golden vectors of frames, envelopes and greetings: what one version writes, every other must read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_wire::frame::{read_frame, write_frame};
use chappe_wire::greet::{Answer, Dial, DialStep};
use chappe_wire::hello::{Greeting, Hello, PROTOCOL, Purpose, Refusal};
use chappe_wire::secret::{Nonce, Secrets};
use chappe_wire::{Body, Envelope, Meta, NodeId, Origin, PushTo, Reason, Role, Row, value};
use serde_json::{Value, json};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../protocol/vectors/frames.json")).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn in_frame(seq: u32, ack: u32, envelope: &Envelope<'_>) -> String {
    let mut out = Vec::new();
    write_frame(&mut out, seq, ack, |out| envelope.encode_into(out));
    hex(&out)
}

/// Every kind, written by this version.
fn written() -> Vec<Value> {
    let data = value::encode(&value!({"n": 3, "名": "信"})).unwrap();
    let origin = Origin { uid: u64::MAX, epoch: 7, proxy: NodeId(-2) };
    let event = Meta::of(Row::NodeToService);
    let from_client =
        Meta { row: Row::ClientToService, stamp: 1_700_000_000_000_000_000, origin: Some(origin) };
    let request = |one_way| Body::Request { id: 1 << 32, timeout_ms: 2000, one_way, target: b"mail\0Count" };
    let epochs = [1u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
    let topic = b"arena\0lobby\0Hello";
    let frames = [
        ("event", 1, 0, event, Body::Event { topic }, &data[..]),
        ("event of a client, stamped", u32::MAX, 9, from_client, Body::Event { topic }, &data),
        ("request", 2, 1, Meta::of(Row::RequestToService), request(false), &data),
        ("request, one way", 3, 1, Meta::of(Row::Internal), request(true), &data),
        (
            "response",
            1,
            2,
            Meta::of(Row::ResponseToServer),
            Body::Response { id: 1 << 32, status: Ok(()) },
            &data,
        ),
        (
            "response, failed",
            2,
            2,
            Meta::of(Row::ResponseToServer),
            Body::Response { id: 5, status: Err(Reason::HandlerFailed) },
            "it broke".as_bytes(),
        ),
        (
            "push by uid",
            4,
            0,
            Meta::of(Row::ServiceToClient),
            Body::Push { to: PushTo::Uid(1001), topic },
            &data,
        ),
        (
            "push by sessions",
            5,
            0,
            Meta::of(Row::ServerToAllClients),
            Body::Push { to: PushTo::Epochs(&epochs), topic },
            &data,
        ),
        ("acknowledgement", 0, 77, Meta::of(Row::Internal), Body::Ack, &[]),
        ("nack", 0, 78, Meta::of(Row::Internal), Body::Nack { seq: 78, reason: Reason::StaleSession }, &[]),
        (
            "close",
            0,
            78,
            Meta::of(Row::Internal),
            Body::Close { reason: Reason::ShuttingDown },
            b"the node leaves",
        ),
    ];
    let frames = frames.iter().map(|(name, seq, ack, meta, body, payload)| {
        let envelope = Envelope { meta: *meta, body: *body, payload };
        let shown = format!("{envelope:?}");
        json!({"name": name, "is": "frame", "seq": seq, "ack": ack, "row": meta.row.code(),
               "payload": hex(payload), "shown": shown, "bytes": in_frame(*seq, *ack, &envelope)})
    });
    let hello = Hello {
        cluster: "arena".into(),
        node: NodeId(6001),
        role: Role::Service,
        node_type: "service_mail".into(),
        incarnation: 1_700_000_000_000_000_000,
        to: Some(NodeId(1)),
        purpose: Purpose::Messages,
        term: 0,
        auth: None,
        version: String::new(),
    };
    let refusal = Refusal { reason: Reason::WrongCluster, message: "not here".into() };
    let greetings = [("hello", Greeting::Hello(hello)), ("refusal", Greeting::Refuse(refusal))];
    let greetings = greetings.iter().map(
        |(name, greeting)| json!({"name": name, "is": "greeting", "bytes": hex(&greeting.encode(PROTOCOL))}),
    );
    frames.chain(greetings).collect()
}

#[test]
fn what_is_written_today_is_what_was_written_before() {
    if std::env::var_os("BLESS").is_some() {
        let lines: Vec<String> = written().iter().map(|vector| format!("  {vector}")).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../protocol/vectors/frames.json");
        std::fs::write(path, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
        return;
    }
    for (now, before) in written().iter().zip(vectors()) {
        assert_eq!(*now, before, "{}", before["name"]);
    }
    assert_eq!(written().len(), vectors().len());
}

/// A whole handshake of two nodes of which both know the second secret: what each says, by these nonces.
fn handshake() -> Value {
    let hello = |node, role: Role, to| Hello {
        cluster: "arena".into(),
        node: NodeId(node),
        role,
        node_type: role.to_string(),
        incarnation: 1_700_000_000_000_000_000,
        to,
        purpose: Purpose::Messages,
        term: 0,
        auth: None,
        version: String::new(),
    };
    let texts = ["not for production: one", "not for production: two"];
    let [both, second] = [texts.join("\n"), texts[1].to_owned()].map(|text| Secrets::parse(&text).unwrap());
    let mut dial = Dial::new(hello(20, Role::Lobby, Some(NodeId(1))), &both, Nonce([0x20; 32]));
    let opening = dial.opening().to_vec();
    let greeting = |bytes: &[u8]| Greeting::decode(bytes, PROTOCOL).unwrap().unwrap().0;
    let Greeting::Hello(first) = greeting(&opening) else { panic!("not a hello") };
    let answer = Answer::to(&first, &opening, hello(1, Role::Master, None), &second, Nonce([0x01; 32]));
    let answer = answer.unwrap().unwrap();
    let challenge = answer.challenge().to_vec();
    let DialStep::Say(prove) = dial.take(greeting(&challenge), &challenge).unwrap() else {
        panic!("no proof")
    };
    let welcome = answer.take(greeting(&prove)).unwrap();
    assert!(matches!(dial.take(greeting(&welcome), &welcome), Ok(DialStep::Done(_, true))));
    json!({"dialling_secrets": texts, "answering_secrets": texts[1..], "hello": hex(&opening),
           "challenge": hex(&challenge), "prove": hex(&prove), "welcome": hex(&welcome)})
}

#[test]
fn another_language_would_prove_the_secret_otherwise() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../protocol/vectors/handshake.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&handshake()).unwrap() + "\n").unwrap();
        return;
    }
    let before: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(handshake(), before);
}

#[test]
fn what_was_written_before_is_read_today() {
    for vector in vectors() {
        let bytes = unhex(vector["bytes"].as_str().unwrap());
        if vector["is"] == "greeting" {
            let (_, version, used) = Greeting::decode(&bytes, PROTOCOL).unwrap().unwrap();
            assert_eq!((version, used), (PROTOCOL, bytes.len()));
            continue;
        }
        let (frame, used) = read_frame(&bytes, 1024).unwrap().unwrap();
        assert_eq!(
            (used, json!(frame.seq), json!(frame.ack)),
            (bytes.len(), vector["seq"].clone(), vector["ack"].clone())
        );
        assert_eq!(format!("{:?}", Envelope::decode(frame.body).unwrap()), vector["shown"]);
    }
}
