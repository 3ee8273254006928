//! How players come in, as an operator sets it up: what is refused by name, and that it works in the end.

use crate::support::{self, Cluster};
use chappe_client::{Client, ClientError, Login, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;

/// Exit code, and everything that it says.
fn said(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
}

/// A cluster whose proxy has those keys in its entry.
fn cluster(proxy: &str) -> Cluster {
    Cluster::new(&format!(
        r#"{{"cluster": "guarded", "master": {{"serverid": 1}}, "lobby": [{{"serverid": 10}}],
"proxy": [{{"serverid": 5, "port": PORT, {proxy}}}]}}"#
    ))
}

/// An authority, and a certificate of it for this machine.
fn certificates(dir: &Path, is_expired: bool) {
    let mut params = CertificateParams::new(Vec::new()).expect("an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("issued");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    if is_expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let own = params.signed_by(&key, &authority).expect("issued");
    let put = |name: &str, text: String| fs::write(dir.join(name), text).expect("written");
    put("ca.pem", authority.pem());
    put("cert.pem", own.pem());
    put("key.pem", key.serialize_pem());
}

#[test]
fn a_proxy_that_lets_anyone_in_is_not_shown_to_the_world() {
    let open = cluster(r#""ip": "0.0.0.0""#);
    for (command, args) in [("check", &[][..]), ("up", &[]), ("node", &["5"])] {
        let (code, text) = said(&open.run(command, args));
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("proxy[0].ip: a proxy on 0.0.0.0 lets anyone in as any player"), "{text}");
    }
    let (code, text) = said(&cluster(r#""ip": "0.0.0.0", "login": "any""#).run("check", &[]));
    assert!(code == 0 && text.contains("warning") && text.contains("NO LOGIN CHECK on 0.0.0.0"), "{text}");
    // What the game is to check and does not.
    let (code, text) = said(&cluster(r#""login": "program""#).run("node", &["5"]));
    assert!(code == 2 && text.contains("this program checks no logins"), "{code}: {text}");
}

#[test]
fn certificates_and_keys_that_cannot_be_used_are_named_with_their_place() {
    let cluster = cluster(r#""login": {"keys": "keys.json"}, "tls": {"cert": "cert.pem", "key": "key.pem"}"#);
    for (command, args) in [("check", &[][..]), ("up", &[]), ("node", &["5"])] {
        let (code, text) = said(&cluster.run(command, args));
        assert_eq!(code, 2, "{text}");
        assert!(
            text.contains("deploy.json:2:") && text.contains("TLS cannot be used: cannot read"),
            "{text}"
        );
        assert!(text.contains("proxy[0].login: the login keys cannot be used: cannot read"), "{text}");
    }
    certificates(cluster.dir(), true);
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";
    fs::write(cluster.dir().join("keys.json"), format!(r#"{{"keys": ["{secret}"]}}"#)).expect("written");
    let (_, text) = said(&cluster.run("check", &["--json"]));
    assert!(text.contains("the certificate has expired on Tue, 01 Jan 2002"), "{text}");
    assert!(text.contains("bad_tls") && text.contains("bad_login_keys"), "{text}");
    assert!(text.contains("no JSON Web Key set") && !text.contains(secret), "{text}");
}

#[test]
fn who_has_a_token_of_the_commands_plays_and_nobody_else() {
    let cluster = cluster(
        r#""login": {"keys": "keys.json"}, "tls": {"cert": "cert.pem", "key": "key.pem", "client_ca": "ca.pem"}"#,
    );
    certificates(cluster.dir(), false);
    let path = |name: &str| cluster.dir().join(name);
    let new_key = |id: &str| {
        let output = support::chappe()
            .args(["token", "new-key"])
            .arg(path("keys.json"))
            .args(["--key-id", id])
            .output();
        said(&output.expect("it runs"))
    };
    let (code, text) = new_key("one");
    assert!(code == 0 && text.contains("key one (EdDSA)"), "{text}");
    assert_eq!(new_key("two").0, 0);
    assert!(new_key("two").1.contains("two keys have the `kid` \"two\""));
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path("keys.sign.json")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "others cannot sign");
    }
    let mint = |args: &[&str]| {
        let (code, token) = said(&cluster.run("token", args));
        assert_eq!(code, 0, "{token}");
        token.trim().to_owned()
    };
    let (by_two, by_one) = (mint(&["--uid", "7"]), mint(&["--uid", "8", "--key-id", "one", "--ttl", "5m"]));
    let signing = fs::read_to_string(path("keys.sign.json")).expect("it is there");
    fs::rename(path("keys.sign.json"), path("away.json")).expect("moved");
    let (code, text) = said(&cluster.run("token", &["--uid", "7"]));
    assert!(code == 2 && text.contains("keys.sign.json"), "{text}");
    let by_variable = cluster.command("token", &["--uid", "9"]).env("CHAPPE_SIGNING_KEYS", signing).output();
    let by_variable = said(&by_variable.expect("it runs")).1.trim().to_owned();

    let mut up = cluster.up(&["--log", "trace"]);
    up.event("ready");
    let deploy: serde_json::Value =
        serde_json::from_slice(&fs::read(cluster.deploy()).expect("it is there")).expect("JSON");
    let url = format!("wss://127.0.0.1:{}", deploy["proxy"][0]["port"]);
    let tls = Tls::new().authority(path("ca.pem")).certificate(path("cert.pem"), path("key.pem"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connect = |uid: u64, token: &str| {
        runtime.block_on(Client::connect(&*url, Login::new(uid).token(token).tls(tls.clone())))
    };
    for (uid, token) in [(7, &by_two), (8, &by_one), (9, &by_variable)] {
        let client = connect(uid, token).expect("let in");
        runtime.block_on(client.logout()).expect("out again");
    }
    match connect(8, &by_two) {
        Err(ClientError::Closed { message, .. }) => {
            assert!(message.starts_with("TokenWrongPlayer: "), "{message}")
        }
        other => panic!("{other:?}"),
    }
    up.signal(Signal::SIGTERM);
    let (_, events) = up.end();
    let log = serde_json::to_string(&events).expect("JSON");
    assert!(log.contains("a login is refused"), "the log is read");
    for part in [&by_two, &by_one, &by_variable].iter().flat_map(|token| token.split('.').skip(1)) {
        let hex: String = part.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!log.contains(part) && !log.contains(&hex), "a token is in the log");
    }
}
