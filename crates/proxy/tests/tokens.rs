//! Login tokens at the proxy: who is let in, why others are not, and that no token comes into a log.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use chappe_client::{Client, ClientError, Login};
use chappe_node::Node;
use chappe_proxy::{ProxyOptions, TokenCheck};
use chappe_token::{Algorithm, NewKey, SigningKeys};
use chappe_wire::Reason;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::*;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// A key set in a file, and what signs for it.
struct Keys {
    dir: tempfile::TempDir,
    signing: SigningKeys,
}

impl Keys {
    fn new(ids: &[&str]) -> Keys {
        Keys { dir: tempfile::tempdir().unwrap(), signing: signing(ids).1 }.rotated(ids)
    }

    /// Others in the same file.
    fn rotated(mut self, ids: &[&str]) -> Keys {
        let (public, signing) = signing(ids);
        fs::write(self.path(), public).unwrap();
        self.signing = signing;
        self
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("keys.json")
    }

    fn token(&self, payload: &Value) -> String {
        self.signing.sign_json(None, payload).unwrap()
    }
}

fn signing(ids: &[&str]) -> (String, SigningKeys) {
    let (mut public, mut private) = (None, None);
    for id in ids {
        let key = NewKey::generate(Algorithm::EdDsa, id).unwrap();
        public = Some(key.public_set(public.as_deref().map(str::as_bytes)).unwrap());
        private = Some(key.private_set(private.as_deref().map(str::as_bytes)).unwrap());
    }
    (public.unwrap(), SigningKeys::parse(private.unwrap().as_bytes()).unwrap())
}

fn options(path: &Path) -> ProxyOptions {
    let check = TokenCheck::load(path.to_owned(), "test", Duration::from_secs(30)).unwrap();
    ProxyOptions { check: Rc::new(check), reload_every: Duration::from_millis(10), ..ProxyOptions::default() }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims(uid: u64) -> Value {
    json!({"sub": uid.to_string(), "aud": "test", "exp": now() + 600})
}

fn with(field: &str, value: Value) -> Value {
    let mut claims = claims(7);
    claims[field] = value;
    claims
}

async fn connect(url: &str, uid: u64, token: &str) -> Result<Client, ClientError> {
    Client::connect(url, Login::new(uid).token(token)).await
}

/// What a client that is refused is told.
fn refusal(result: Result<Client, ClientError>) -> String {
    match result {
        Err(ClientError::Closed { reason: Reason::Refused, message }) => message,
        other => panic!("{other:?}"),
    }
}

async fn refused_as(node: &Node, url: &str, login: Login, code: &str, counter: &str) {
    let before = node.stats().named(counter);
    let told = refusal(Client::connect(url, login).await);
    assert!(told.starts_with(&format!("{code}: ")), "{told}");
    assert_eq!(node.stats().named(counter), before + 1, "{counter}");
}

#[test]
fn every_token_that_is_not_right_is_refused_by_its_own_name_and_counted() {
    run(async || {
        let (keys, others) = (Keys::new(&["a"]), Keys::new(&["a"]));
        let unknown = Keys::new(&["b"]);
        let (_cluster, node, proxy, url, _) = Cluster::small(options(&keys.path())).await;
        let good = keys.token(&claims(7));
        let bearer = |token: &str| Login::new(7).token(token);
        let cases = [
            (Login::new(7), "TokenMissing", "login_token_missing"),
            (bearer("not.a.token"), "TokenMalformed", "login_token_malformed"),
            (bearer(&"x".repeat(100_000)), "TokenMalformed", "login_token_malformed"),
            (bearer(&unknown.token(&claims(7))), "TokenUnknownKey", "login_token_unknown_key"),
            (bearer(&others.token(&claims(7))), "TokenBadSignature", "login_token_bad_signature"),
            (bearer(&keys.token(&with("exp", json!(now() - 31)))), "TokenExpired", "login_token_expired"),
            (
                bearer(&keys.token(&with("nbf", json!(now() + 60)))),
                "TokenNotYetValid",
                "login_token_not_yet_valid",
            ),
            (
                bearer(&keys.token(&with("aud", json!("other")))),
                "TokenWrongAudience",
                "login_token_wrong_audience",
            ),
            (Login::new(8).token(&*good), "TokenWrongPlayer", "login_token_wrong_player"),
        ];
        for (login, code, counter) in cases {
            refused_as(&node, &url, login, code, counter).await;
        }
        assert_eq!((node.stats().named("logins_refused"), proxy.session_count()), (9, 0));
        let client = connect(&url, 7, &good).await.unwrap();
        client.logout().await.unwrap();
    });
}

#[test]
fn a_name_that_the_issuer_knows_goes_before_the_clients_own() {
    run(async || {
        let keys = Keys::new(&["a"]);
        let (cluster, ..) = Cluster::small(ProxyOptions::default()).await;
        let (_, _, url) = cluster.proxy(PROXY_B, options(&keys.path())).await;
        let token = keys.token(&with("nickname", json!("amy".repeat(100))));
        let login = Login::new(7).nickname("mallory").token(token);
        let client = loop {
            // The second proxy may not know the lobby yet.
            match Client::connect(&*url, login.clone()).await {
                Ok(client) => break client,
                Err(error) => assert!(error.reason().is_transient(), "{error}"),
            }
        };
        client.logout().await.unwrap();
    });
}

#[test]
fn keys_are_renewed_while_players_play() {
    run(async || {
        let keys = Keys::new(&["old"]);
        let (_cluster, node, _, url, _) = Cluster::small(options(&keys.path())).await;
        let old = keys.token(&claims(7));
        let client = connect(&url, 7, &old).await.unwrap();
        fs::write(keys.path(), "{").unwrap();
        until("it is told", || node.stats().named("login_key_renewals_failed") == 1).await;
        let second = connect(&url, 8, &keys.token(&claims(8))).await.unwrap();
        let keys = keys.rotated(&["new"]);
        until("it is renewed", || node.stats().named("login_keys_renewed") == 1).await;
        refused_as(&node, &url, Login::new(9).token(&*old), "TokenUnknownKey", "login_token_unknown_key")
            .await;
        let third = connect(&url, 9, &keys.token(&claims(9))).await.unwrap();
        for client in [client, second, third] {
            client.notify_to_server("Test", "Client", "Echo", &1).unwrap();
            assert_eq!(received(&client).await.name(), "Echo");
        }
    });
}

#[test]
fn a_session_that_stands_needs_its_own_secret_and_no_login_token() {
    run(async || {
        let keys = Keys::new(&["a"]);
        let (_cluster, node, proxy, url, _) = Cluster::small(options(&keys.path())).await;
        let at = url.as_str();
        let login = |fields: Value| async move {
            let (mut socket, _) = tokio_tungstenite::connect_async(at).await.unwrap();
            socket.send(Message::text(json!(["login", fields]).to_string())).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
            serde_json::from_str::<Value>(&answer).unwrap()
        };
        let token = keys.token(&claims(7));
        let welcome = login(json!({"uid": 7, "protocol": 1, "token": token})).await;
        assert_eq!(welcome[0], "welcome");
        until("the socket is gone", || proxy.client_count() == 0).await;
        // The key is withdrawn, and with it the token.
        let _keys = keys.rotated(&["b"]);
        until("it is renewed", || node.stats().named("login_keys_renewed") == 1).await;
        let secret = &welcome[1]["token"];
        let again = login(json!({"uid": 7, "protocol": 1, "resume": secret})).await;
        assert_eq!((&again[0], &again[1]["resumed"]), (&json!("welcome"), &json!(true)));
        let forged = format!("{}x", secret.as_str().unwrap());
        let refused = login(json!({"uid": 7, "protocol": 1, "resume": forged, "token": token})).await;
        assert_eq!((&refused[0], &refused[1]), (&json!("close"), &json!("Refused")));
    });
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_token_and_no_secret_ever_stands_in_a_log_an_error_or_a_figure() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: what another test's thread was the first to log would else stay switched off.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    run(async || {
        let (keys, others) = (Keys::new(&["a"]), Keys::new(&["a"]));
        let (_cluster, node, _, url, _) = Cluster::small(options(&keys.path())).await;
        let tokens = [
            keys.token(&claims(7)),
            others.token(&claims(7)),
            keys.token(&with("exp", json!(1))),
            keys.token(&with("aud", json!("other"))),
            "wholly.broken-token-text.here".to_owned(),
        ];
        let mut errors = String::new();
        for token in &tokens {
            let login = Login::new(7).token(&**token);
            errors += &format!("{login:?}");
            match Client::connect(&*url, login).await {
                Ok(client) => {
                    client.drop_socket();
                    client.notify_to_server("Test", "Client", "Echo", &1).unwrap();
                    received(&client).await;
                    client.logout().await.unwrap();
                }
                Err(error) => errors += &format!("{error} {error:?}"),
            }
        }
        errors += &format!("{:?}", node.report());
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("a login is refused"), "the log was caught");
        for part in tokens.iter().flat_map(|token| token.split('.')).filter(|part| part.len() > 12) {
            assert!(!text.contains(part), "a token is in the log");
            assert!(!errors.contains(part), "a token is in an error: {errors}");
        }
    });
}

#[test]
fn pages_of_other_sites_cannot_connect() {
    run(async || {
        let origins = vec!["https://play.example.com".to_owned()];
        let (_cluster, node, _, url, _) =
            Cluster::small(ProxyOptions { origins, ..ProxyOptions::default() }).await;
        let connect = |origin: Option<&'static str>| {
            let mut request = url.as_str().into_client_request().unwrap();
            if let Some(origin) = origin {
                request.headers_mut().insert("Origin", origin.parse().unwrap());
            }
            tokio_tungstenite::connect_async(request)
        };
        for origin in
            ["https://evil.example", "http://play.example.com", "null", "https://play.example.com.evil"]
        {
            let error = connect(Some(origin)).await.unwrap_err().to_string();
            assert!(error.contains("403"), "{origin}: {error}");
        }
        assert_eq!(node.stats().named("origins_refused"), 4);
        connect(Some("https://PLAY.example.com")).await.unwrap();
        // No browser.
        connect(None).await.unwrap();
    });
}
