//! The check of login tokens, against keys in a file that may change.

use crate::files::{self, FileError};
use crate::options::{Checking, Denied, Granted, LoginCheck};
use chappe_node::Node;
use chappe_token::{Expected, KeyError, KeySet, Refusal};
use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is wrong with the file of the keys.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the message names")]
pub enum LoginKeysError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no key set, or a key of it is wrong.
    #[error("{}: {error}", .path.display())]
    Keys { path: PathBuf, error: KeyError },
}

/// Lets in whoever has a token that one of the keys has signed for this player and this cluster.
pub struct TokenCheck {
    path: PathBuf,
    cluster: String,
    leeway: u64,
    keys: Rc<RefCell<KeySet>>,
    seen: u64,
}

impl TokenCheck {
    /// Reads the JWK set at `path`. Tokens must be for the cluster (`aud`); clocks may differ by `leeway`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn load(
        path: PathBuf,
        cluster: impl Into<String>,
        leeway: Duration,
    ) -> Result<TokenCheck, LoginKeysError> {
        let contents = files::read(std::slice::from_ref(&path));
        let seen = files::mark(&contents);
        let keys = parse(&path, &contents?)?;
        let keys = Rc::new(RefCell::new(keys));
        Ok(TokenCheck { path, cluster: cluster.into(), leeway: leeway.as_secs(), keys, seen })
    }

    fn look_at(&self, uid: u64, token: Option<&str>) -> Result<Granted, Refusal> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let expected = Expected { audience: &self.cluster, uid, now, leeway: self.leeway };
        let claims = self.keys.borrow().verify(token.ok_or(Refusal::Missing)?, &expected)?;
        Ok(Granted { nickname: claims.nickname })
    }
}

impl LoginCheck for TokenCheck {
    fn check(&self, uid: u64, token: Option<&str>) -> Checking {
        let looked = self.look_at(uid, token).map_err(|refusal| Denied {
            message: format!("{}: {refusal}", refusal.code()),
            counter: Some(counter(refusal)),
        });
        Box::pin(std::future::ready(looked))
    }

    fn start(&self, node: &Node, reload_every: Duration) {
        let (path, keys, on) = (self.path.clone(), self.keys.clone(), node.clone());
        let paths = vec![path.clone()];
        node.spawn(files::watch(paths, reload_every, self.seen, move |contents| {
            let parsed = contents.map_err(LoginKeysError::from).and_then(|files| parse(&path, &files));
            match parsed {
                Ok(new) => {
                    on.stats().count("login_keys_renewed");
                    tracing::info!(keys = ?new, "the login keys were read again");
                    *keys.borrow_mut() = new;
                }
                Err(error) => {
                    on.stats().count("login_key_renewals_failed");
                    tracing::warn!(%error, "the login keys have changed and are wrong: those before still count");
                }
            }
        }));
    }
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck")
            .field("path", &self.path)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

fn parse(path: &std::path::Path, files: &[Vec<u8>]) -> Result<KeySet, LoginKeysError> {
    let text = files.first().map_or(&[][..], Vec::as_slice);
    KeySet::parse(text).map_err(|error| LoginKeysError::Keys { path: path.to_owned(), error })
}

fn counter(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Missing => "login_token_missing",
        Refusal::Malformed => "login_token_malformed",
        Refusal::UnknownKey => "login_token_unknown_key",
        Refusal::WrongAlgorithm => "login_token_wrong_algorithm",
        Refusal::BadSignature => "login_token_bad_signature",
        Refusal::Expired => "login_token_expired",
        Refusal::NotYetValid => "login_token_not_yet_valid",
        Refusal::WrongAudience => "login_token_wrong_audience",
        Refusal::WrongPlayer => "login_token_wrong_player",
    }
}
