//! Credential files (`.creds`) at a NATS in operator mode: an operator signs accounts, an account signs users, and a user
//! signs what the server asks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod server;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chappe_link::nats::{Credentials, NatsLink, NatsOptions};
use chappe_link::{Link, ListenError};
use chappe_wire::NodeId;
use nkeys::KeyPair;
use server::Server;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const HERE: NodeId = NodeId(7);
const HOUR: i64 = 3600;

#[test]
fn the_user_of_a_creds_file_is_let_in_and_an_expired_revoked_or_foreign_one_is_refused_by_name() {
    let realm = Realm::new();
    let [amy, bob] = [KeyPair::new_user(), KeyPair::new_user()];
    let Some(server) = Server::start(&realm.config(&[&bob])) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, user: &KeyPair, jwt: String| creds(&dir.path().join(name), user, &jwt);
    let listen = |path: PathBuf| {
        let credentials = Credentials::File(path);
        let link = NatsLink::new(NatsOptions { credentials, ..NatsOptions::new([server.url()], "test") });
        link.listen(HERE).map(|listener| (link, listener))
    };
    let (link, listener) = listen(file("amy.creds", &amy, realm.user(&amy, now() + HOUR))).unwrap();
    assert_eq!(link.stats().up, 1);
    drop((link, listener));
    let other = Realm::new();
    for (path, hint) in [
        (file("late.creds", &amy, realm.user(&amy, now() - 5)), "has expired"),
        // Still good by its dates.
        (file("bob.creds", &bob, realm.user(&bob, now() + HOUR)), ""),
        (file("foreign.creds", &amy, other.user(&amy, now() + HOUR)), ""),
        // Another user's token does not make one that user.
        (file("thief.creds", &bob, realm.user(&amy, now() + HOUR)), ""),
    ] {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = listen(path).map(drop).expect_err(&name).to_string();
        assert!(text.contains("refuses these credentials: the file") && text.contains(&name), "{text}");
        assert!(text.contains(&server.url()) && text.contains(hint), "{text}");
        let seeds = [&amy, &bob].map(|user| user.seed().unwrap());
        assert!(seeds.iter().all(|seed| !text.contains(seed)), "{text}");
    }
}

#[test]
fn a_user_whose_time_runs_out_while_connected_is_cut_off_and_told_why() {
    let realm = Realm::new();
    let amy = KeyPair::new_user();
    let Some(server) = Server::start(&realm.config(&[])) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("amy.creds");
    let options = NatsOptions {
        credentials: Credentials::File(path.clone()),
        patience: Duration::from_secs(30),
        ..NatsOptions::new([server.url()], "test")
    };
    // Long enough to connect within it, however slow the machine is.
    let connected = [2, 4, 8, 16, 32].into_iter().find_map(|lasts| {
        creds(&path, &amy, &realm.user(&amy, now() + lasts));
        let link = NatsLink::new(options.clone());
        link.listen(HERE).ok().map(|listener| (link, listener))
    });
    let (link, _listener) = connected.expect("a connection");
    let begun = SystemTime::now();
    while link.stats().up == 1 || link.stats().failed_reconnects == 0 {
        assert!(begun.elapsed().unwrap() < Duration::from_secs(60), "{:?}", link.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(link.stats().disconnects > 0);
    let text = NatsLink::new(options).listen(NodeId(8)).map(drop).unwrap_err().to_string();
    assert!(text.contains("amy.creds") && text.contains("has expired"), "{text}");
}

#[test]
fn what_a_users_token_does_not_allow_is_named() {
    let realm = Realm::new();
    let amy = KeyPair::new_user();
    let Some(server) = Server::start(&realm.config(&[])) else { return };
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = r#","pub":{"allow":["other.>"]},"sub":{"allow":["other.>"]}"#;
    let path = creds(&dir.path().join("amy.creds"), &amy, &realm.user_who(&amy, now() + HOUR, elsewhere));
    let options =
        NatsOptions { credentials: Credentials::File(path), ..NatsOptions::new([server.url()], "test") };
    let error = NatsLink::new(options).listen(HERE).map(drop).unwrap_err();
    assert!(matches!(error, ListenError::Io { .. }));
    assert!(error.to_string().contains("Permissions Violation"), "{error}");
}

/// An operator with one account.
struct Realm {
    operator: KeyPair,
    account: KeyPair,
}

impl Realm {
    fn new() -> Realm {
        Realm { operator: KeyPair::new_operator(), account: KeyPair::new_account() }
    }

    /// The server's configuration, in which the account has revoked those users.
    fn config(&self, revoked: &[&KeyPair]) -> String {
        let operator = jwt(&self.operator, &self.operator, r#""type":"operator""#, None);
        let revoked: Vec<_> =
            revoked.iter().map(|user| format!("\"{}\":{}", user.public_key(), now() + 1)).collect();
        let account = format!(
            r#""type":"account","revocations":{{{}}},"limits":{{"subs":-1,"data":-1,"payload":-1,"imports":-1,
            "exports":-1,"wildcards":true,"conn":-1,"leaf":-1}}"#,
            revoked.join(",")
        );
        let account = jwt(&self.operator, &self.account, &account, None);
        let id = self.account.public_key();
        format!("operator: {operator}\nresolver: MEMORY\nresolver_preload: {{ {id}: {account} }}\n")
    }

    fn user(&self, user: &KeyPair, until: i64) -> String {
        self.user_who(user, until, "")
    }

    fn user_who(&self, user: &KeyPair, until: i64, may: &str) -> String {
        let claims = format!(r#""type":"user","subs":-1,"data":-1,"payload":-1{may}"#);
        jwt(&self.account, user, &claims, Some(until))
    }
}

/// A token in which `issuer` says that of `subject`.
fn jwt(issuer: &KeyPair, subject: &KeyPair, nats: &str, until: Option<i64>) -> String {
    let until = until.map_or_else(String::new, |until| format!(r#""exp":{until},"#));
    let (iss, sub, iat) = (issuer.public_key(), subject.public_key(), now());
    let claims = format!(
        r#"{{{until}"jti":"{sub}","iat":{iat},"iss":"{iss}","name":"n","sub":"{sub}","nats":{{{nats},"version":2}}}}"#
    );
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature))
}

/// Writes a credential file.
fn creds(path: &Path, user: &KeyPair, jwt: &str) -> PathBuf {
    let seed = user.seed().unwrap();
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}
