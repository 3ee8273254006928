//! The cluster's secret: what nodes and tools prove to each other that they know, and never say.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// The most secrets that hold at one time: the one in use, and those that come and go while it is changed.
pub const MOST_SECRETS: usize = 4;
/// The shortest secret, in bytes: a shorter one is guessed from one handshake.
pub const SHORTEST_SECRET: usize = 16;

/// The line that stands for "and who shows none": while a cluster gets its first secret.
const NONE: &str = "none";
/// What each side's proof begins with, so that neither can be sent back as the other's.
const DIALLING: &[u8] = b"chappe 1 dialling side\0";
const ANSWERING: &[u8] = b"chappe 1 answering side\0";

/// The secrets that hold in one place, or none: nothing is proved then.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    keys: Vec<Box<str>>,
    admits_strangers: bool,
}

/// Why a text is no list of secrets. It never says what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No line has a secret.
    #[error("there is no secret in it; `openssl rand -hex 32` makes one")]
    Empty,
    /// One of them is too short.
    #[error(
        "line {line}: a secret has at least {SHORTEST_SECRET} characters; `openssl rand -hex 32` makes one"
    )]
    TooShort {
        /// Its line, from 1 on.
        line: usize,
    },
    /// There are more than [`MOST_SECRETS`].
    #[error("more than {MOST_SECRETS} secrets; take out those that no node uses any more")]
    TooMany,
}

impl Secrets {
    /// Reads secrets, one a line; blank lines and lines that begin with `#` are left out. The line `none` lets in who shows
    /// no secret at all.
    ///
    /// # Errors
    /// [`SecretError`], which names the line.
    pub fn parse(text: &str) -> Result<Secrets, SecretError> {
        let mut secrets = Secrets::default();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            match line {
                "" => {}
                _ if line.starts_with('#') => {}
                NONE => secrets.admits_strangers = true,
                _ if line.len() < SHORTEST_SECRET => return Err(SecretError::TooShort { line: at + 1 }),
                _ => secrets.keys.push(line.into()),
            }
        }
        match secrets.keys.len() {
            0 => Err(SecretError::Empty),
            1..=MOST_SECRETS => Ok(secrets),
            _ => Err(SecretError::TooMany),
        }
    }

    /// Whether there is none, so that nothing is proved.
    pub fn is_none(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether who shows no secret is let in all the same.
    pub fn admits_strangers(&self) -> bool {
        self.keys.is_empty() || self.admits_strangers
    }

    /// Whether `shown` is one of them. Takes the same time whatever is shown, but for its length.
    pub fn contain(&self, shown: &[u8]) -> bool {
        let shown = Sha256::digest(shown);
        // All are compared: which one it is does not show either.
        self.keys
            .iter()
            .fold(false, |found, key| found | bool::from(Sha256::digest(key.as_bytes()).ct_eq(&shown)))
    }

    /// The one that is shown where it is not proved but said, as a token; whoever asks must not tell it further.
    pub fn to_show(&self) -> Option<&str> {
        self.keys.first().map(AsRef::as_ref)
    }

    /// What the dialling side of a handshake shows: a proof for each secret, the first one's first.
    pub(crate) fn prove(&self, transcript: &[u8]) -> Vec<Proof> {
        self.keys.iter().map(|key| proof(key, DIALLING, transcript)).collect()
    }

    /// What the answering side shows in return: by the secret that both have, if there is one.
    pub(crate) fn answer(&self, transcript: &[u8], shown: &[Proof]) -> Option<Proof> {
        let shown = &shown[..shown.len().min(MOST_SECRETS)];
        let is_shown = |key: &str| shown.iter().any(|shown| is_proof(key, DIALLING, transcript, shown));
        let known = self.keys.iter().find(|key| is_shown(key));
        known.map(|key| proof(key, ANSWERING, transcript))
    }

    /// Whether the answering side knows one of them.
    pub(crate) fn is_answered(&self, transcript: &[u8], shown: &Proof) -> bool {
        self.keys.iter().any(|key| is_proof(key, ANSWERING, transcript, shown))
    }
}

/// Says how many there are, and none of them.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({}{})", self.keys.len(), if self.admits_strangers { ", none" } else { "" })
    }
}

/// That a side of a handshake knows a secret: HMAC-SHA256 over all that was said before, keyed by the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(#[serde(with = "serde_bytes")] pub Vec<u8>);

/// A weak secret could be guessed from it, so it stays out of logs.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

/// A number that is drawn for one handshake, so that no other one's proofs fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(#[serde(with = "serde_bytes")] pub [u8; 32]);

fn proof(key: &str, side: &[u8], transcript: &[u8]) -> Proof {
    Proof(mac(key, side, transcript).finalize().into_bytes().to_vec())
}

fn is_proof(key: &str, side: &[u8], transcript: &[u8], shown: &Proof) -> bool {
    mac(key, side, transcript).verify_slice(&shown.0).is_ok()
}

fn mac(key: &str, side: &[u8], transcript: &[u8]) -> Hmac<Sha256> {
    // The key is the secret's digest, whatever the secret's length: padded to a block it is taken as it is.
    let mut block = [0; 64];
    block[..32].copy_from_slice(&Sha256::digest(key.as_bytes()));
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(side);
    mac.update(transcript);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "the first secret of all";
    const TWO: &str = "another secret, as long";

    #[test]
    fn a_file_that_protects_nothing_is_refused_without_saying_what_stands_there() {
        assert_eq!(Secrets::parse(" \n# nothing\n"), Err(SecretError::Empty));
        assert_eq!(Secrets::parse("none\n"), Err(SecretError::Empty));
        let short = Secrets::parse(&format!("{ONE}\nhunter2\n")).unwrap_err();
        assert_eq!(short, SecretError::TooShort { line: 2 });
        assert!(!short.to_string().contains("hunter2"));
        assert_eq!(Secrets::parse(&[ONE; 5].join("\n")), Err(SecretError::TooMany));
    }

    #[test]
    fn a_secret_would_stand_in_a_log() {
        let secrets = Secrets::parse(&format!("{ONE}\r\n{TWO}\nnone")).unwrap();
        assert_eq!(
            format!("{secrets:?} {:?}", secrets.prove(b"said")),
            "Secrets(2, none) [Proof(..), Proof(..)]"
        );
    }

    #[test]
    fn a_proof_sent_back_or_cut_off_would_pass() {
        let [one, two] = [ONE, TWO].map(|text| Secrets::parse(text).unwrap());
        let both = Secrets::parse(&format!("{TWO}\n{ONE}")).unwrap();
        let shown = one.prove(b"said");
        let answer = both.answer(b"said", &shown).expect("one of them is known");
        assert!(one.is_answered(b"said", &answer), "it answers by the one that was shown");
        assert!(!one.is_answered(b"said", &shown[0]), "its own proof is no answer");
        assert_eq!(two.answer(b"said", &shown), None);
        assert_eq!(one.answer(b"something else", &shown), None);
        for length in [0, 1, 16, 31] {
            assert_eq!(one.answer(b"said", &[Proof(shown[0].0[..length].to_vec())]), None);
        }
        assert_eq!(one.answer(b"said", &[]), None);
    }

    #[test]
    fn a_token_that_only_begins_right_would_do() {
        let secrets = Secrets::parse(&format!("{ONE}\n{TWO}")).unwrap();
        assert!(secrets.contain(ONE.as_bytes()) && secrets.contain(TWO.as_bytes()));
        for wrong in ["", "none", &ONE[..ONE.len() - 1], &format!("{ONE} ")] {
            assert!(!secrets.contain(wrong.as_bytes()), "{wrong}");
        }
        assert!(!Secrets::default().contain(b""));
    }
}
