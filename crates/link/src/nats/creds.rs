//! What a credential file (`.creds`) says of itself: a server that refuses one does not say why.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// For how long the token in that file has been out of date, by this machine's clock.
pub(super) fn expired_for(path: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(path).ok()?;
    let until = Duration::from_secs(expires_at(&text)?);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    now.checked_sub(until)
}

/// When the first token in `text` ends, in seconds since the Unix epoch.
fn expires_at(text: &str) -> Option<u64> {
    let token = text.lines().map(str::trim).find(|line| line.split('.').count() == 3)?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims = String::from_utf8(claims).ok()?;
    let (_, rest) = claims.split_once("\"exp\":")?;
    let digits = rest.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_has_no_end() {
        let file =
            |claims: &str| format!("-----BEGIN-----\n e30.{}.x \n---\n", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expires_at(&file(r#"{"exp": 17,"iat":1}"#)), Some(17));
        for text in ["", "a.b", "a.b.c", &file("{}"), &file(r#"{"exp":"x"}"#), &file(r#"{"exp":"#)] {
            assert_eq!(expires_at(text), None, "{text}");
        }
    }
}
