//! Who may ask: the bearer token of the control port.

use super::Answer;
use axum::http::{HeaderMap, StatusCode, header};
use chappe_node::Stats;
use chappe_wire::secret::Secrets;

/// Who may use the control port.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// What a request must show (`Authorization: Bearer ...`), one of these; with none, every request is answered.
    pub token: Secrets,
    /// `/metrics` is shown also to who has no token.
    pub open_metrics: bool,
}

impl Access {
    /// Lets a request in, or says why not. `/healthz` is for everyone: load balancers have no token.
    pub(super) fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Refused> {
        let is_open = path == "/healthz" || (path == "/metrics" && self.open_metrics);
        if self.token.is_none() || is_open {
            return Ok(());
        }
        match headers.get(header::AUTHORIZATION).map(|value| bearer(value.as_bytes())) {
            Some(Some(shown)) if self.token.contain(shown) => Ok(()),
            Some(_) => Err(Refused::WrongToken),
            None => Err(Refused::NoToken),
        }
    }
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    NoToken,
    WrongToken,
}

impl Refused {
    pub(super) fn count(self, stats: &Stats) {
        match self {
            Refused::NoToken => stats.count("http_without_token"),
            Refused::WrongToken => stats.count("http_wrong_token"),
        }
    }

    pub(super) fn answer(self) -> Answer {
        let (status, text) = match self {
            Refused::NoToken => (StatusCode::UNAUTHORIZED, "this port wants `Authorization: Bearer TOKEN`"),
            Refused::WrongToken => {
                (StatusCode::FORBIDDEN, "this is not the token of this cluster's control port")
            }
        };
        Answer::error(status, text)
    }
}

/// The token in `Bearer TOKEN`.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}
