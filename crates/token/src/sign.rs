//! Making keys and tokens: for the game's own servers, tools and tests. A proxy needs nothing of this.

use crate::jwk::{self, Algorithm, Jwk, KeyError, Material, encode};
use crate::verify::Claims;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use ring::{hmac, signature};
use serde_json::{Value, json};
use std::fmt;

/// Keys that can sign: a JWK set with the private halves.
pub struct SigningKeys(Vec<Jwk>);

impl SigningKeys {
    /// Reads a JWK set with private keys (`d`), or secrets.
    ///
    /// # Errors
    /// What is wrong with it; a key without its private half is refused too.
    pub fn parse(text: &[u8]) -> Result<SigningKeys, KeyError> {
        let keys = jwk::parse(text)?;
        let is_public = |key: &&Jwk| key.private.is_none() && !matches!(key.material, Material::Secret(_));
        match keys.iter().find(is_public) {
            Some(key) => Err(KeyError::Field { id: key.id.clone(), field: "d" }),
            None => Ok(SigningKeys(keys)),
        }
    }

    /// A token with those claims for `audience`, issued at `now` (seconds since the Unix epoch) and signed with the key
    /// `id`: without one, the last of the set.
    ///
    /// # Errors
    /// There is no such key, or it is unusable.
    pub fn sign(
        &self,
        id: Option<&str>,
        audience: &str,
        claims: &Claims,
        now: u64,
    ) -> Result<String, KeyError> {
        let mut payload = json!({
            "sub": claims.uid.to_string(), "aud": audience, "iat": now, "exp": claims.expires,
        });
        if let (Some(nickname), Some(fields)) = (&claims.nickname, payload.as_object_mut()) {
            fields.insert("nickname".to_owned(), Value::from(nickname.as_str()));
        }
        self.sign_json(id, &payload)
    }

    /// The same with claims of any kind.
    ///
    /// # Errors
    /// As [`SigningKeys::sign`].
    pub fn sign_json(&self, id: Option<&str>, payload: &Value) -> Result<String, KeyError> {
        let key = match id {
            Some(id) => self.0.iter().find(|key| key.id == id),
            None => self.0.last(),
        };
        let key = key.ok_or_else(|| KeyError::NoSuchKey { id: id.unwrap_or_default().to_owned() })?;
        let header = json!({"alg": key.material.algorithm().as_str(), "typ": "JWT", "kid": key.id});
        let part = |value: &Value| encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&header), part(payload));
        let signature = key.sign(message.as_bytes())?;
        Ok(format!("{message}.{}", encode(&signature)))
    }
}

impl Jwk {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let private = || self.private.as_deref().ok_or(KeyError::Crypto);
        match &self.material {
            Material::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                Ok(hmac::sign(&key, message).as_ref().to_vec())
            }
            Material::Ed25519(point) => {
                let key = Ed25519KeyPair::from_seed_and_public_key(private()?, point);
                Ok(key.map_err(|_| KeyError::Crypto)?.sign(message).as_ref().to_vec())
            }
            Material::P256(point) => {
                let random = SystemRandom::new();
                let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let key =
                    EcdsaKeyPair::from_private_key_and_public_key(algorithm, private()?, point, &random);
                let signed: Result<signature::Signature, _> =
                    key.map_err(|_| KeyError::Crypto)?.sign(&random, message);
                Ok(signed.map_err(|_| KeyError::Crypto)?.as_ref().to_vec())
            }
        }
    }
}

/// The ids alone.
impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

/// A key that was just made, as its two JWKs.
pub struct NewKey {
    id: String,
    public: Value,
    private: Value,
}

impl NewKey {
    /// Makes one with the id `id`: for EdDSA a key pair, for HS256 a secret. For ES256 other tools do.
    ///
    /// # Errors
    /// There is no randomness, or that kind of key is not made here.
    pub fn generate(algorithm: Algorithm, id: &str) -> Result<NewKey, KeyError> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Crypto)?;
        let name = algorithm.as_str();
        let (public, private) = match algorithm {
            Algorithm::Hs256 => {
                let secret = json!({"kty": "oct", "kid": id, "alg": name, "k": encode(&seed)});
                (secret.clone(), secret)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Crypto)?;
                let point = encode(pair.public_key().as_ref());
                let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "alg": name, "x": point});
                let mut private = public.clone();
                private["d"] = Value::from(encode(&seed));
                (public, private)
            }
            Algorithm::Es256 => return Err(KeyError::Unsupported { id: id.to_owned() }),
        };
        Ok(NewKey { id: id.to_owned(), public, private })
    }

    /// The text of the key set for proxies, with this key behind those of `set`.
    ///
    /// # Errors
    /// What is wrong with `set`; it has a key of this id.
    pub fn public_set(&self, set: Option<&[u8]>) -> Result<String, KeyError> {
        self.added(set, &self.public)
    }

    /// The text of the key set to sign with, with this key behind those of `set`.
    ///
    /// # Errors
    /// As [`NewKey::public_set`].
    pub fn private_set(&self, set: Option<&[u8]>) -> Result<String, KeyError> {
        self.added(set, &self.private)
    }

    fn added(&self, set: Option<&[u8]>, key: &Value) -> Result<String, KeyError> {
        let mut whole = match set {
            Some(text) => {
                if jwk::parse(text)?.iter().any(|other| other.id == self.id) {
                    return Err(KeyError::DuplicateId { id: self.id.clone() });
                }
                serde_json::from_slice(text).map_err(|_| KeyError::Crypto)?
            }
            None => json!({"keys": []}),
        };
        whole["keys"].as_array_mut().ok_or(KeyError::Empty)?.push(key.clone());
        Ok(format!("{}\n", serde_json::to_string_pretty(&whole).map_err(|_| KeyError::Crypto)?))
    }
}

/// The id alone.
impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({:?})", self.id)
    }
}
