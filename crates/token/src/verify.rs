//! A token, against the keys: who it is for, or why it is refused.

use crate::jwk::decode;
use crate::keys::KeySet;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES: usize = 4096;

/// What a token must say to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whom it must be meant for (`aud`): the cluster's name.
    pub audience: &'a str,
    /// The player who logs in with it (`sub`).
    pub uid: u64,
    /// The time, in seconds since the Unix epoch.
    pub now: u64,
    /// By how many seconds clocks may differ.
    pub leeway: u64,
}

/// What a token that was taken says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The player (`sub`).
    pub uid: u64,
    /// When it ends (`exp`), in seconds since the Unix epoch.
    pub expires: u64,
    /// The player's name, where the issuer has one (`nickname`).
    pub nickname: Option<String>,
}

/// Why a token is refused. The text may be told to anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none.
    #[error("this proxy lets nobody in without a login token")]
    Missing,
    /// It is no JWT of the form that is read, or a claim that must be there is missing or of another type.
    #[error("the login token is malformed")]
    Malformed,
    /// It names no key, or one that there is not (any more).
    #[error("the login token is signed with a key that is not known here")]
    UnknownKey,
    /// It names another algorithm than its key has.
    #[error("the login token names another algorithm than its key has")]
    WrongAlgorithm,
    /// The signature is not the key's.
    #[error("the login token's signature is wrong")]
    BadSignature,
    /// Its time is over.
    #[error("the login token has expired")]
    Expired,
    /// Its time has not begun: `nbf` or `iat` lies ahead.
    #[error("the login token is not valid yet; do the clocks agree?")]
    NotYetValid,
    /// It is for another cluster.
    #[error("the login token is for another cluster")]
    WrongAudience,
    /// It is another player's.
    #[error("the login token is another player's")]
    WrongPlayer,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 9] = [
        Refusal::Missing,
        Refusal::Malformed,
        Refusal::UnknownKey,
        Refusal::WrongAlgorithm,
        Refusal::BadSignature,
        Refusal::Expired,
        Refusal::NotYetValid,
        Refusal::WrongAudience,
        Refusal::WrongPlayer,
    ];

    /// One word for programs, which does not change when the text does.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Missing => "TokenMissing",
            Refusal::Malformed => "TokenMalformed",
            Refusal::UnknownKey => "TokenUnknownKey",
            Refusal::WrongAlgorithm => "TokenWrongAlgorithm",
            Refusal::BadSignature => "TokenBadSignature",
            Refusal::Expired => "TokenExpired",
            Refusal::NotYetValid => "TokenNotYetValid",
            Refusal::WrongAudience => "TokenWrongAudience",
            Refusal::WrongPlayer => "TokenWrongPlayer",
        }
    }
}

/// What the first part of a token says.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Whatever must be understood and is not (RFC 7515, section 4.1.11).
    crit: Option<IgnoredAny>,
}

/// A claim of another type than it must have is an error, never as if it were not there.
#[derive(Deserialize)]
struct Payload {
    sub: Subject,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    nickname: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Subject {
    Number(u64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl KeySet {
    /// Whether `token` lets the player in who is expected. Nothing that it says counts before its signature was checked.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, token: &str, expected: &Expected<'_>) -> Result<Claims, Refusal> {
        if token.len() > TOKEN_BYTES {
            return Err(Refusal::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
        if payload.contains('.') {
            return Err(Refusal::Malformed);
        }
        let header: Header = json(header)?;
        let signature = decode(signature).ok_or(Refusal::Malformed)?;
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        let key = header.kid.and_then(|id| self.key(&id)).ok_or(Refusal::UnknownKey)?;
        // The key says which algorithm is used. What the token says is compared, and chooses nothing.
        if header.alg != key.algorithm().as_str() {
            return Err(Refusal::WrongAlgorithm);
        }
        if !key.has_signed(message.as_bytes(), &signature) {
            return Err(Refusal::BadSignature);
        }
        json::<Payload>(payload)?.check(expected)
    }
}

impl Payload {
    fn check(self, expected: &Expected<'_>) -> Result<Claims, Refusal> {
        let (now, leeway) = (expected.now as f64, expected.leeway as f64);
        if !self.aud.names(expected.audience) {
            return Err(Refusal::WrongAudience);
        }
        if now >= self.exp + leeway {
            return Err(Refusal::Expired);
        }
        let begins = [self.nbf, self.iat].into_iter().flatten();
        if begins.into_iter().any(|begin| begin > now + leeway) {
            return Err(Refusal::NotYetValid);
        }
        let uid = self.sub.uid().ok_or(Refusal::Malformed)?;
        if uid != expected.uid {
            return Err(Refusal::WrongPlayer);
        }
        Ok(Claims { uid, expires: self.exp as u64, nickname: self.nickname })
    }
}

impl Subject {
    fn uid(&self) -> Option<u64> {
        match self {
            Subject::Number(uid) => Some(*uid),
            Subject::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Subject::Text(_) => None,
        }
    }
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Audience::One(one) => one == audience,
            Audience::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Refusal> {
    let bytes = decode(part).ok_or(Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}
