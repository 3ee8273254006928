//! The keys that a proxy checks tokens with.

use crate::jwk::{self, Algorithm, Jwk, KeyError, Material};
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use std::fmt;

/// Keys that are valid side by side, so that a new one can come before the old one goes.
pub struct KeySet(Vec<Key>);

/// One key, and with it the one algorithm that it is used for.
pub(crate) struct Key {
    id: String,
    verifier: Verifier,
}

enum Verifier {
    Hmac(hmac::Key),
    Ed25519([u8; 32]),
    P256([u8; 65]),
}

impl KeySet {
    /// Reads a JWK set: secrets (HS256) and public keys (EdDSA, ES256).
    ///
    /// # Errors
    /// What is wrong with it, naming the key; a private key is refused too.
    pub fn parse(text: &[u8]) -> Result<KeySet, KeyError> {
        let keys = jwk::parse(text)?;
        if let Some(key) = keys.iter().find(|key| key.private.is_some()) {
            return Err(KeyError::PrivateHalf { id: key.id.clone() });
        }
        Ok(KeySet(keys.into_iter().map(Key::new).collect()))
    }

    /// The keys' ids, in the order of the file.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    pub(crate) fn key(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl Key {
    fn new(key: Jwk) -> Key {
        let verifier = match key.material {
            Material::Secret(secret) => Verifier::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &secret)),
            Material::Ed25519(point) => Verifier::Ed25519(point),
            Material::P256(point) => Verifier::P256(point),
        };
        Key { id: key.id, verifier }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.verifier {
            Verifier::Hmac(_) => Algorithm::Hs256,
            Verifier::Ed25519(_) => Algorithm::EdDsa,
            Verifier::P256(_) => Algorithm::Es256,
        }
    }

    /// Whether `signature` is this key's of `message`. Takes the same time wherever a secret's differs.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Verifier::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature).is_ok()
            }
            Verifier::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
        }
    }
}

/// The ids alone.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> KeyError {
        KeySet::parse(text.as_bytes()).expect_err(text)
    }

    fn of(fields: &str) -> String {
        format!(r#"{{"keys": [{{"kid": "a", {fields}}}]}}"#)
    }

    #[test]
    fn an_algorithm_that_is_not_the_keys_own_cannot_be_claimed_for_it() {
        let point = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let text = of(&format!(r#""kty": "OKP", "crv": "Ed25519", "x": "{point}", "alg": "HS256""#));
        assert_eq!(refused(&text), KeyError::OtherAlgorithm { id: "a".into(), algorithm: Algorithm::EdDsa });
        let text = of(&format!(r#""kty": "OKP", "crv": "Ed25519", "x": "{point}""#));
        assert_eq!(KeySet::parse(text.as_bytes()).unwrap().key("a").unwrap().algorithm(), Algorithm::EdDsa);
    }

    #[test]
    fn what_is_wrong_with_a_set_is_named_and_no_secret_is() {
        let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA";
        for (text, said) in [
            (r#"{"keys": []}"#.to_owned(), "empty"),
            (format!(r#"{{"keys": "{secret}"}}"#), "line 1, column"),
            (format!(r#"{{"keys": [{{"kty": "oct", "k": "{secret}"}}]}}"#), "keys[0] has no `kid`"),
            (of(r#""kty": "oct", "k": "c2hvcnQ""#), "32 bytes or more"),
            (of(r#""kty": "oct", "k": "***""#), "`k` is missing or wrong"),
            (of(r#""kty": "RSA", "n": "AQ", "e": "AQ""#), "of a kind that is not taken"),
            (of(&format!(r#""kty": "oct", "k": "{secret}", "use": "enc""#)), "not for signatures"),
            (of(r#""kty": "OKP", "crv": "Ed25519", "x": "AQ""#), "`x` is missing or wrong"),
            (of(r#""kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ""#), "`x` is missing or wrong"),
        ] {
            let error = refused(&text).to_string();
            assert!(error.contains(said) && !error.contains(secret), "{text}: {error}");
        }
        let twice = format!(r#"{{"kid": "a", "kty": "oct", "k": "{secret}"}}"#);
        assert_eq!(
            refused(&format!(r#"{{"keys": [{twice}, {twice}]}}"#)),
            KeyError::DuplicateId { id: "a".into() }
        );
    }

    /// RFC 7515, appendices A.1 and A.3; RFC 8037, appendix A.4.
    #[test]
    fn signatures_that_others_have_made_are_understood() {
        let claims =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        for (fields, message, signature) in [
            (
                r#""kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow""#,
                format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}"),
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            ),
            (
                r#""kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#,
                format!("eyJhbGciOiJFUzI1NiJ9.{claims}"),
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            ),
            (
                r#""kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#,
                "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
                "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            ),
        ] {
            let keys = KeySet::parse(of(fields).as_bytes()).unwrap();
            let signature = jwk::decode(signature).unwrap();
            let key = keys.key("a").unwrap();
            assert!(key.has_signed(message.as_bytes(), &signature), "{}", key.algorithm());
            assert!(!key.has_signed(b"another", &signature), "{}", key.algorithm());
        }
    }
}
