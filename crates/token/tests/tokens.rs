//! What lets a player in, and that nothing else does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_token::{Algorithm, Claims, Expected, KeySet, NewKey, Refusal, SigningKeys};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const EXPECTED: Expected<'static> = Expected { audience: "arena", uid: 7, now: NOW, leeway: 30 };

/// Keys that belong together.
fn keys(algorithm: Algorithm, id: &str) -> (KeySet, SigningKeys) {
    let key = NewKey::generate(algorithm, id).unwrap();
    let keys = KeySet::parse(key.public_set(None).unwrap().as_bytes()).unwrap();
    (keys, SigningKeys::parse(key.private_set(None).unwrap().as_bytes()).unwrap())
}

fn claims() -> Value {
    json!({"sub": "7", "aud": "arena", "exp": NOW + 60})
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[field] = value;
    claims
}

#[test]
fn a_player_whose_token_is_right_is_let_in() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let (keys, signing) = keys(algorithm, "a");
        let wanted = Claims { uid: 7, expires: NOW + 60, nickname: Some("amy".into()) };
        let token = signing.sign(None, "arena", &wanted, NOW).unwrap();
        assert_eq!(keys.verify(&token, &EXPECTED), Ok(wanted));
        for good in [
            with("sub", json!(7)),
            with("aud", json!(["forum", "arena"])),
            with("exp", json!(NOW as f64 + 0.5)),
            with("nbf", json!(NOW + 30)),
            with("iat", json!(NOW)),
            with("role", json!({"more": [1]})),
        ] {
            assert!(keys.verify(&signing.sign_json(None, &good).unwrap(), &EXPECTED).is_ok(), "{good}");
        }
        let large = with("sub", json!(u64::MAX));
        let expected = Expected { uid: u64::MAX, ..EXPECTED };
        assert!(keys.verify(&signing.sign_json(None, &large).unwrap(), &expected).is_ok());
    }
}

#[test]
fn each_claim_that_is_wrong_is_refused_by_its_own_name() {
    let (keys, signing) = keys(Algorithm::EdDsa, "a");
    let without = |field: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(field);
        claims
    };
    for (claims, refusal) in [
        (with("exp", json!(NOW - 30)), Refusal::Expired),
        (with("exp", json!((NOW + 60).to_string())), Refusal::Malformed),
        (with("exp", Value::Null), Refusal::Malformed),
        (without("exp"), Refusal::Malformed),
        (with("nbf", json!(NOW + 31)), Refusal::NotYetValid),
        // What is of another type must not count as absent.
        (with("nbf", json!("never")), Refusal::Malformed),
        (with("iat", json!(NOW + 3600)), Refusal::NotYetValid),
        (with("aud", json!("other")), Refusal::WrongAudience),
        (with("aud", json!(["other"])), Refusal::WrongAudience),
        (with("aud", json!([])), Refusal::WrongAudience),
        (with("aud", json!(5)), Refusal::Malformed),
        (without("aud"), Refusal::Malformed),
        (with("sub", json!("8")), Refusal::WrongPlayer),
        (with("sub", json!(8)), Refusal::WrongPlayer),
        (with("sub", json!("+7")), Refusal::Malformed),
        (with("sub", json!(-7)), Refusal::Malformed),
        (with("sub", json!(7.0)), Refusal::Malformed),
        (without("sub"), Refusal::Malformed),
    ] {
        let token = signing.sign_json(None, &claims).unwrap();
        assert_eq!(keys.verify(&token, &EXPECTED), Err(refusal), "{claims}");
    }
}

#[test]
fn keys_rotate_without_anyone_being_turned_away() {
    let old = NewKey::generate(Algorithm::EdDsa, "old").unwrap();
    let new = NewKey::generate(Algorithm::EdDsa, "new").unwrap();
    let only_old = (old.public_set(None).unwrap(), old.private_set(None).unwrap());
    let both = (
        new.public_set(Some(only_old.0.as_bytes())).unwrap(),
        new.private_set(Some(only_old.1.as_bytes())).unwrap(),
    );
    let signing = SigningKeys::parse(both.1.as_bytes()).unwrap();
    let [by_old, by_new] = [Some("old"), None].map(|id| signing.sign_json(id, &claims()).unwrap());
    let before = KeySet::parse(only_old.0.as_bytes()).unwrap();
    assert!(before.verify(&by_old, &EXPECTED).is_ok());
    assert_eq!(before.verify(&by_new, &EXPECTED), Err(Refusal::UnknownKey));
    let meanwhile = KeySet::parse(both.0.as_bytes()).unwrap();
    assert_eq!(meanwhile.ids().collect::<Vec<_>>(), ["old", "new"]);
    assert!(meanwhile.verify(&by_old, &EXPECTED).is_ok() && meanwhile.verify(&by_new, &EXPECTED).is_ok());
    let after = KeySet::parse(new.public_set(None).unwrap().as_bytes()).unwrap();
    assert_eq!(after.verify(&by_old, &EXPECTED), Err(Refusal::UnknownKey));
    assert!(new.public_set(Some(both.0.as_bytes())).is_err(), "an id is not given twice");
}

#[test]
fn another_algorithm_than_the_keys_own_is_never_used() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let key = NewKey::generate(Algorithm::EdDsa, "a").unwrap();
    let public: Value = serde_json::from_str(&key.public_set(None).unwrap()).unwrap();
    let keys = KeySet::parse(public.to_string().as_bytes()).unwrap();
    // The classical attack: the public key as an HMAC secret.
    let forged = json!({"keys": [{"kty": "oct", "kid": "a", "k": public["keys"][0]["x"]}]});
    let forger = SigningKeys::parse(forged.to_string().as_bytes()).unwrap();
    let token = forger.sign_json(None, &claims()).unwrap();
    assert_eq!(keys.verify(&token, &EXPECTED), Err(Refusal::WrongAlgorithm));
    let part = |value: Value| BASE64.encode(value.to_string());
    for alg in ["none", "None", "", "eddsa", "HS256", "RS256"] {
        let header = part(json!({"alg": alg, "kid": "a"}));
        let token = format!("{header}.{}.", part(claims()));
        assert_eq!(keys.verify(&token, &EXPECTED), Err(Refusal::WrongAlgorithm), "{alg}");
    }
    // The right name on a signature of the other kind.
    let header = part(json!({"alg": "EdDSA", "kid": "a"}));
    let signature = token.rsplit_once('.').unwrap().1;
    let token = format!("{header}.{}.{signature}", part(claims()));
    assert_eq!(keys.verify(&token, &EXPECTED), Err(Refusal::BadSignature));
    // What must be understood and is not.
    let header = part(json!({"alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false}));
    assert_eq!(keys.verify(&format!("{header}.{}.AA", part(claims())), &EXPECTED), Err(Refusal::Malformed));
}

#[test]
fn a_token_that_was_changed_anywhere_is_refused() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa] {
        let (keys, signing) = keys(algorithm, "a");
        let token = signing.sign_json(None, &claims()).unwrap();
        assert!(keys.verify(&token, &EXPECTED).is_ok());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(keys.verify(&changed, &EXPECTED).is_err(), "byte {at}");
            assert!(keys.verify(&token[..at], &EXPECTED).is_err(), "cut at {at}");
        }
        for junk in ["", ".", "..", "...", "a.b.c", &"a".repeat(10_000), &format!("{token}."), "é.é.é"] {
            assert_eq!(keys.verify(junk, &EXPECTED), Err(Refusal::Malformed), "{junk}");
        }
    }
    let (keys, _) = keys(Algorithm::EdDsa, "a");
    let (_, stranger) = self::keys(Algorithm::EdDsa, "a");
    let token = stranger.sign_json(None, &claims()).unwrap();
    assert_eq!(keys.verify(&token, &EXPECTED), Err(Refusal::BadSignature));
}
