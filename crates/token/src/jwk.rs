//! JSON Web Keys as they stand in a file (RFC 7517, RFC 7518, RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::collections::HashSet;
use std::fmt;

/// The shortest secret that is taken for HS256, in bytes (RFC 7518, section 3.2).
const SECRET_BYTES: usize = 32;

/// How a key signs. A key has one of them and never another, whatever a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever checks can sign as well.
    Hs256,
    /// Ed25519: proxies hold the public half alone.
    EdDsa,
    /// ECDSA on P-256 with SHA-256: the same.
    Es256,
}

impl Algorithm {
    /// The name as it stands in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a key set. It names keys by their ids and holds no part of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the message names")]
pub enum KeyError {
    /// The text is no JSON, or not of the form `{"keys": [...]}`. The parser's own words could quote a secret.
    #[error("no JSON Web Key set, {{\"keys\": [...]}}: line {line}, column {column}")]
    NotASet { line: usize, column: usize },
    /// There is no key in it.
    #[error("the key set is empty")]
    Empty,
    /// A key without `kid`.
    #[error("keys[{index}] has no `kid`: tokens name their key by it")]
    NoId { index: usize },
    /// Two keys with one `kid`.
    #[error("two keys have the `kid` {id:?}")]
    DuplicateId { id: String },
    /// A kind of key, or an algorithm, that there is not.
    #[error(
        "key {id:?} is of a kind that is not taken: oct (HS256), OKP Ed25519 (EdDSA) and EC P-256 (ES256) are"
    )]
    Unsupported { id: String },
    /// `alg` names another algorithm than the kind of key has.
    #[error("key {id:?} is a key for {algorithm}, and its `alg` says otherwise")]
    OtherAlgorithm { id: String, algorithm: Algorithm },
    /// `use` says that it is not for signatures.
    #[error("key {id:?} is not for signatures (`use`)")]
    OtherUse { id: String },
    /// A field is missing, is no base64url, or is not as long as it must be.
    #[error("key {id:?}: `{field}` is missing or wrong")]
    Field { id: String, field: &'static str },
    /// A secret that can be guessed.
    #[error("key {id:?}: a secret for HS256 has {SECRET_BYTES} bytes or more")]
    ShortSecret { id: String },
    /// A private key where the public one belongs.
    #[error("key {id:?} has its private half (`d`) in it: proxies need the public one only")]
    PrivateHalf { id: String },
    /// No key of that id, or none at all, to sign with.
    #[error("no key {id:?} to sign with")]
    NoSuchKey { id: String },
    /// The system has no randomness, or the library refuses the key.
    #[error("the key cannot be made or used")]
    Crypto,
}

/// One key: what its fields say, decoded.
pub(crate) struct Jwk {
    pub(crate) id: String,
    pub(crate) material: Material,
    /// The private half of an asymmetric key.
    pub(crate) private: Option<Vec<u8>>,
}

pub(crate) enum Material {
    Secret(Vec<u8>),
    Ed25519([u8; 32]),
    /// The point, uncompressed: 4, x, y.
    P256([u8; 65]),
}

impl Material {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Ed25519(_) => Algorithm::EdDsa,
            Material::P256(_) => Algorithm::Es256,
        }
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    kty: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    crv: Option<String>,
    k: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
}

/// All keys of a set, in their order.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Jwk>, KeyError> {
    let set: Set = serde_json::from_slice(text)
        .map_err(|error| KeyError::NotASet { line: error.line(), column: error.column() })?;
    if set.keys.is_empty() {
        return Err(KeyError::Empty);
    }
    let keys = set.keys.into_iter().enumerate();
    let keys = keys.map(|(index, fields)| fields.decode(index)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    match keys.iter().find(|key| !seen.insert(&key.id)) {
        Some(twice) => Err(KeyError::DuplicateId { id: twice.id.clone() }),
        None => Ok(keys),
    }
}

impl Fields {
    fn decode(self, index: usize) -> Result<Jwk, KeyError> {
        let id = self.kid.filter(|id| !id.is_empty()).ok_or(KeyError::NoId { index })?;
        if self.used_for.is_some_and(|used_for| used_for != "sig") {
            return Err(KeyError::OtherUse { id });
        }
        let field = |name, text: Option<String>| {
            let bytes = text.and_then(|text| decode(&text));
            bytes.ok_or_else(|| KeyError::Field { id: id.clone(), field: name })
        };
        let material = match (self.kty.as_deref(), self.crv.as_deref()) {
            (Some("oct"), _) => Material::Secret(field("k", self.k)?),
            (Some("OKP"), Some("Ed25519")) => {
                let x = field("x", self.x)?;
                Material::Ed25519(x.try_into().map_err(|_| KeyError::Field { id: id.clone(), field: "x" })?)
            }
            (Some("EC"), Some("P-256")) => {
                let mut point = [4; 65];
                for (at, name, text) in [(1, "x", self.x), (33, "y", self.y)] {
                    let half = field(name, text)?;
                    if half.len() != 32 {
                        return Err(KeyError::Field { id, field: name });
                    }
                    point[at..at + 32].copy_from_slice(&half);
                }
                Material::P256(point)
            }
            _ => return Err(KeyError::Unsupported { id }),
        };
        let algorithm = material.algorithm();
        if self.alg.is_some_and(|alg| alg != algorithm.as_str()) {
            return Err(KeyError::OtherAlgorithm { id, algorithm });
        }
        if matches!(&material, Material::Secret(secret) if secret.len() < SECRET_BYTES) {
            return Err(KeyError::ShortSecret { id });
        }
        let private = match self.d {
            Some(text) => Some(decode(&text).ok_or_else(|| KeyError::Field { id: id.clone(), field: "d" })?),
            None => None,
        };
        Ok(Jwk { id, material, private })
    }
}

/// Bytes of base64url without padding, as all of JOSE has them.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
