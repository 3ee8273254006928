use super::*;
use crate::Role;
use crate::hello::Purpose;

const OLD: &str = "the secret that everyone knows";
const NEW: &str = "the secret that comes after it";

fn secrets(lines: &[&str]) -> Secrets {
    if lines.is_empty() { Secrets::default() } else { Secrets::parse(&lines.join("\n")).unwrap() }
}

fn hello(node: i64, to: Option<i64>) -> Hello {
    Hello {
        cluster: "arena".into(),
        node: NodeId(node),
        role: Role::Lobby,
        node_type: "lobby".into(),
        incarnation: 9,
        to: to.map(NodeId),
        purpose: Purpose::Messages,
        term: 0,
        auth: None,
        version: String::new(),
    }
}

/// Carries the bytes of one side to the other, as a link would.
fn carry(bytes: &[u8]) -> (Greeting, &[u8]) {
    let (greeting, _, used) = Greeting::decode(bytes, PROTOCOL).unwrap().unwrap();
    (greeting, &bytes[..used])
}

/// One whole handshake: what the dialling side ends with, or whoever refused.
fn shake(dials: &Secrets, answers: &Secrets) -> Result<(Hello, bool), Refusal> {
    let mut dial = Dial::new(hello(20, Some(1)), dials, Nonce([1; 32]));
    let (Greeting::Hello(first), bytes) = carry(dial.opening()) else { panic!("not a hello") };
    let answer = Answer::to(&first, bytes, hello(1, None), answers, Nonce([2; 32]))?;
    let Some(answer) = answer else {
        let plain = Greeting::Hello(hello(1, None)).encode(PROTOCOL);
        let (greeting, bytes) = carry(&plain);
        return dial.take(greeting, bytes).map(done);
    };
    let challenge = answer.challenge().to_vec();
    let (greeting, bytes) = carry(&challenge);
    let DialStep::Say(proofs) = dial.take(greeting, bytes)? else { panic!("nothing was proved") };
    let welcome = answer.take(carry(&proofs).0)?;
    let (greeting, bytes) = carry(&welcome);
    dial.take(greeting, bytes).map(done)
}

fn done(step: DialStep) -> (Hello, bool) {
    match step {
        DialStep::Done(hello, is_proved) => (hello, is_proved),
        DialStep::Say(_) => panic!("it is not over"),
    }
}

#[test]
fn a_cluster_could_not_get_change_or_lose_a_secret_node_by_node() {
    let steps: [&[&str]; 5] = [&[], &[OLD, "none"], &[OLD], &[NEW, OLD], &[NEW]];
    for pair in steps.windows(2) {
        let [before, after] = [secrets(pair[0]), secrets(pair[1])];
        for (dials, answers) in [(&before, &after), (&after, &before), (&after, &after)] {
            let (hello, is_proved) = shake(dials, answers).unwrap();
            assert_eq!(hello.node, NodeId(1));
            assert_eq!(is_proved, !dials.is_none() && !answers.is_none(), "{dials:?} and {answers:?}");
        }
    }
}

#[test]
fn who_does_not_know_the_secret_is_let_in() {
    let table: [(&[&str], &[&str], &str); 5] = [
        (&[OLD], &[NEW], "node 20 does not know this cluster's secret"),
        (&[OLD, "none"], &[NEW, "none"], "node 20 does not know this cluster's secret"),
        (&[], &[NEW], "node 20 shows no cluster secret, and node 1 wants one"),
        (&[NEW], &[], "node 20 has a cluster secret, and node 1 has none"),
        (&[], &[OLD, NEW], "node 20 shows no cluster secret, and node 1 wants one"),
    ];
    for (dials, answers, why) in table {
        let refusal = shake(&secrets(dials), &secrets(answers)).unwrap_err();
        assert_eq!(refusal.reason, Reason::WrongSecret);
        assert!(refusal.message.starts_with(why), "{}", refusal.message);
        assert!(refusal.message.contains("CHAPPE_SECRET_FILE"), "it says what to do");
    }
}

#[test]
fn what_was_overheard_opens_another_connection() {
    let secrets = secrets(&[OLD]);
    let mut dial = Dial::new(hello(20, Some(1)), &secrets, Nonce([1; 32]));
    let opening = dial.opening().to_vec();
    let (Greeting::Hello(first), bytes) = carry(&opening) else { panic!("not a hello") };
    let answer = |nonce| Answer::to(&first, bytes, hello(1, None), &secrets, Nonce(nonce)).unwrap().unwrap();
    let overheard = answer([2; 32]);
    let challenge = overheard.challenge().to_vec();
    let (greeting, challenge) = carry(&challenge);
    let mut same = Dial::new(hello(20, Some(1)), &secrets, Nonce([3; 32]));
    let (Ok(DialStep::Say(proofs)), Ok(DialStep::Say(_))) =
        (dial.take(greeting.clone(), challenge), same.take(greeting, challenge))
    else {
        panic!("nothing was proved")
    };
    // The same hello and proofs once more, to a node that has drawn another nonce.
    let refusal = answer([4; 32]).take(carry(&proofs).0).unwrap_err();
    assert_eq!(refusal.reason, Reason::WrongSecret);
    // The answer to one handshake as the answer to another.
    let welcome = overheard.take(carry(&proofs).0).unwrap();
    let refusal = same.take(carry(&welcome).0, &welcome).unwrap_err();
    assert_eq!(refusal.reason, Reason::WrongSecret);
}

#[test]
fn a_changed_name_or_version_goes_unseen() {
    let secrets = secrets(&[OLD]);
    let mut dial = Dial::new(hello(20, Some(1)), &secrets, Nonce([1; 32]));
    for changed in [
        Greeting::Hello(with_auth(hello(21, Some(1)), &secrets, Nonce([1; 32]))).encode(PROTOCOL),
        Greeting::Hello(with_auth(hello(20, Some(1)), &secrets, Nonce([1; 32])))
            .encode(Version { minor: PROTOCOL.minor - 1, ..PROTOCOL }),
    ] {
        let (Greeting::Hello(first), bytes) = carry(&changed) else { panic!("not a hello") };
        let answer = Answer::to(&first, bytes, hello(1, None), &secrets, Nonce([2; 32])).unwrap().unwrap();
        let challenge = answer.challenge().to_vec();
        let (greeting, bytes) = carry(&challenge);
        let Ok(DialStep::Say(proofs)) = dial.take(greeting, bytes) else { panic!("nothing was proved") };
        assert_eq!(answer.take(carry(&proofs).0).unwrap_err().reason, Reason::WrongSecret);
        dial = Dial::new(hello(20, Some(1)), &secrets, Nonce([1; 32]));
    }
}

#[test]
fn a_greeting_out_of_turn_passes_for_a_proof() {
    let secrets = secrets(&[OLD]);
    let welcome = || Greeting::Welcome(Proof(vec![0; 32]));
    let mut dial = Dial::new(hello(20, Some(1)), &secrets, Nonce([1; 32]));
    assert_eq!(dial.take(welcome(), b"").unwrap_err().reason, Reason::ProtocolError);
    let none = Secrets::default();
    let mut open = Dial::new(hello(20, Some(1)), &none, Nonce([1; 32]));
    let challenge = Greeting::Challenge(hello(1, None));
    assert_eq!(open.take(challenge, b"").unwrap_err().reason, Reason::ProtocolError);
    // Downgrade: a plain hello where a proof is due.
    let (first, mut dial) = (hello(20, Some(1)), Dial::new(hello(20, Some(1)), &secrets, Nonce([1; 32])));
    let greeting = Greeting::Hello(hello(1, None));
    assert_eq!(dial.take(greeting, b"").unwrap_err().reason, Reason::WrongSecret);
    let hello = with_auth(first, &secrets, Nonce([1; 32]));
    let answer =
        Answer::to(&hello, b"", super::tests::hello(1, None), &secrets, Nonce([2; 32])).unwrap().unwrap();
    assert_eq!(answer.take(Greeting::Hello(hello)).unwrap_err().reason, Reason::ProtocolError);
}

#[test]
fn a_node_of_the_version_before_cannot_read_why_it_is_refused() {
    let refusal = wrong_secret("no".into());
    let old = Version { major: 1, minor: 0 };
    assert_eq!(refusal.clone().for_version(old).reason, Reason::Refused);
    assert_eq!(refusal.for_version(PROTOCOL).reason, Reason::WrongSecret);
}
