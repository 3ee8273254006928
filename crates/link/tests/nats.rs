//! The nats link over a real server: what arrives, who is refused and by which name, and what a server that goes
//! away, a peer that is gone and one that stands still do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod relay;
mod server;

use chappe_link::nats::{Credentials, Identity, NatsLink, NatsOptions, Tls};
use chappe_link::{Buffer, Conn, Link, ListenError, Listener};
use chappe_wire::NodeId;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use relay::Relay;
use server::Server;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::time::Duration;

const HERE: NodeId = NodeId(7);
const PATIENCE: Duration = Duration::from_secs(30);

fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("it takes too long") });
}

fn link(url: impl Into<String>) -> NatsLink {
    NatsLink::new(options(url))
}

fn options(url: impl Into<String>) -> NatsOptions {
    NatsOptions::new([url.into()], "test")
}

async fn connect(
    from: &NatsLink,
    listener: &mut Box<dyn Listener>,
    to: NodeId,
) -> (Box<dyn Conn>, Box<dyn Conn>) {
    let (dialled, accepted) = tokio::join!(from.dial(to), poll_fn(|cx| listener.poll_accept(cx)));
    (dialled.unwrap(), accepted.unwrap())
}

async fn write(conn: &dyn Conn, bytes: &[u8]) -> io::Result<()> {
    let mut buffer = Buffer::default();
    buffer.tail(bytes.len()).extend_from_slice(bytes);
    while !buffer.is_empty() {
        conn.try_write(&mut buffer)?;
        if !buffer.is_empty() {
            poll_fn(|cx| conn.poll_writable(cx)).await?;
        }
    }
    Ok(())
}

/// As many bytes, or fewer when the stream ends before.
async fn read(conn: &dyn Conn, count: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Buffer::default();
    while buffer.len() < count && poll_fn(|cx| conn.poll_read(cx, &mut buffer)).await? > 0 {}
    Ok(buffer.filled().to_vec())
}

/// Bytes of which no two places look alike.
fn numbers(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_le_bytes).collect()
}

fn refusal(result: Result<Box<dyn Listener>, ListenError>) -> String {
    result.map(drop).expect_err("it listens").to_string()
}

#[test]
fn streams_of_any_length_arrive_whole_in_both_directions_and_end() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let (a, b) = (link(server.url()), link(server.url()));
        let mut listener = b.listen(HERE).unwrap();
        let (near, far) = connect(&a, &mut listener, HERE).await;
        let long = numbers(2_000_000);
        let there = async {
            write(&*near, &long).await.unwrap();
            near.close();
            assert_eq!(read(&*near, usize::MAX).await.unwrap(), b"got it");
        };
        let back = async {
            assert!(read(&*far, usize::MAX).await.unwrap() == long);
            write(&*far, b"got it").await.unwrap();
            far.close();
        };
        tokio::join!(there, back);
        assert_eq!(b.stats().gaps + a.stats().gaps, 0);
    });
}

#[test]
fn a_peer_that_dropped_the_connection_is_noticed_by_who_writes() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let link = link(server.url());
        let mut listener = link.listen(HERE).unwrap();
        let (near, far) = connect(&link, &mut listener, HERE).await;
        write(&*far, b"last").await.unwrap();
        drop(far);
        assert_eq!(read(&*near, usize::MAX).await.unwrap(), b"last");
        while write(&*near, b"?").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_dial_to_nobody_is_refused_at_once() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let link = link(server.url());
        let nobody = link.dial(NodeId(99)).await.err().unwrap();
        assert_eq!(nobody.kind(), io::ErrorKind::NotFound, "{nobody}");
        drop(link.listen(HERE).unwrap());
        let left = link.dial(HERE).await.err().unwrap();
        assert_eq!(left.kind(), io::ErrorKind::NotFound, "{left}");
    });
}

#[test]
fn an_id_is_held_once_and_free_again_when_its_holder_leaves() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let (a, b) = (link(server.url()), link(server.url()));
        let held = a.listen(HERE).unwrap();
        for other in [&a, &b] {
            assert!(matches!(other.listen(HERE), Err(ListenError::IdTaken(HERE))));
        }
        drop(held);
        b.listen(HERE).unwrap();
    });
}

#[test]
fn of_two_that_claim_an_id_at_once_one_is_refused() {
    let Some(server) = Server::start("") else { return };
    for _ in 0..20 {
        let links = [link(server.url()), link(server.url())];
        let listeners = std::thread::scope(|scope| {
            let claims = links.each_ref().map(|link| scope.spawn(|| link.listen(HERE).map(|_| ())));
            claims.map(|claim| claim.join().unwrap())
        });
        assert!(listeners.iter().any(Result::is_ok), "{listeners:?}");
    }
}

#[test]
fn two_clusters_of_one_name_do_not_share_a_nats() {
    let Some(server) = Server::start("") else { return };
    let named = |store: &str, place: &str| NatsOptions {
        identity: Identity::new([("store", store)]),
        place: place.into(),
        ..options(server.url())
    };
    let [ours, ours_too, other] =
        [("one", "node 1 on east"), ("one", "node 2 on east"), ("two", "node 3 on west")]
            .map(|(store, place)| NatsLink::new(named(store, place)));
    let _held = ours.listen(NodeId(1)).unwrap();
    ours_too.listen(NodeId(2)).unwrap();
    let text = refusal(other.listen(NodeId(3)));
    for part in ["\"test\"", "store \"one\"", "store \"two\"", "on east has it", "cluster_id", &server.url()]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // Both ends know, and one that does not ask first is turned away at the door.
    assert_eq!(ours.stats().strangers + ours_too.stats().strangers, 1);
    run(async {
        let error = other.dial(NodeId(1)).await.err().unwrap().to_string();
        assert!(
            error.contains("another cluster of the name \"test\"") && error.contains("node 1 on east"),
            "{error}"
        );
        ours_too.dial(NodeId(1)).await.unwrap();
        assert_eq!(ours.stats().strangers, ours.stats().strangers.max(1));
    });
}

#[test]
fn a_server_that_is_not_there_is_named() {
    run(async {
        let link = link("nats://amy:secret@127.0.0.1:1");
        for text in [refusal(link.listen(HERE)), link.dial(HERE).await.err().unwrap().to_string()] {
            assert!(text.contains("nats://127.0.0.1:1") && text.contains("refused"), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    });
}

#[test]
fn wrong_credentials_are_refused_by_name_and_right_ones_work() {
    let Some(server) = Server::start("authorization { user: amy, password: secret }") else { return };
    let with = |credentials| NatsLink::new(NatsOptions { credentials, ..options(server.url()) });
    let password = |password: &str| Credentials::Password { user: "amy".into(), password: password.into() };
    for wrong in [Credentials::None, password("guess"), Credentials::Token("secret".into())] {
        let text = refusal(with(wrong).listen(HERE));
        assert!(text.contains(&server.url()) && text.contains("refuses these credentials"), "{text}");
        assert!(!text.contains("guess"), "{text}");
    }
    with(password("secret")).listen(HERE).unwrap();
    link(format!("nats://amy:secret@127.0.0.1:{}", server.port())).listen(NodeId(8)).unwrap();
    let missing = with(Credentials::File("/nonexistent.creds".into()));
    assert!(refusal(missing.listen(HERE)).contains("/nonexistent.creds"));
}

#[test]
fn missing_permissions_are_named_and_not_mistaken_for_silence() {
    let nobody = r#"permissions: { publish: "other.>", subscribe: "other.>" }"#;
    let no_master =
        r#"permissions: { publish: { deny: "chappe.test.node.1.dial" }, subscribe: "chappe.test.>" }"#;
    let users = format!(
        "authorization {{ users: [ {{ user: a, password: a, {nobody} }}, {{ user: b, password: b, {no_master} }} ] }}"
    );
    let Some(server) = Server::start(&users) else { return };
    let with = |user: &str| link(format!("nats://{user}:{user}@127.0.0.1:{}", server.port()));
    run(async {
        let text = refusal(with("a").listen(HERE));
        assert!(text.contains("Permissions Violation") && text.contains("chappe.test."), "{text}");
        let b = with("b");
        let _listener = b.listen(HERE).unwrap();
        let error = b.dial(NodeId(1)).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("chappe.test.node.1.dial"), "{error}");
        assert_eq!(b.stats().server_errors, 1);
    });
}

#[test]
fn what_a_node_would_be_refused_is_found_before_it_starts() {
    let all = r#"publish: "chappe.test.>", subscribe: "chappe.test.>""#;
    let user = |name: &str, what: &str| format!("{{ user: {name}, password: x, permissions: {{ {what} }} }}");
    let users = [
        user("whole", all),
        user("deaf", r#"publish: "chappe.test.>", subscribe: "chappe.test.inbox.>""#),
        user("mute", r#"publish: "chappe.test.inbox.>", subscribe: "chappe.test.>""#),
        user(
            "other",
            r#"publish: "chappe.test.>", subscribe: ["chappe.test.at.>", "chappe.test.inbox.>", "chappe.test.who", "chappe.test.node.8.*"]"#,
        ),
        user("alone", r#"publish: ["chappe.test.at.>", "chappe.test.who"], subscribe: "chappe.test.>""#),
    ];
    let Some(server) = Server::start(&format!("authorization {{ users: [{}] }}", users.join(", "))) else {
        return;
    };
    let at = |user: &str| link(format!("nats://{user}:x@127.0.0.1:{}", server.port()));
    let whole = at("whole").probe(Some(HERE), &[NodeId(1)]).unwrap();
    assert!(
        whole.max_payload > 4096 && !whole.version.is_empty() && !whole.round_trip.is_zero(),
        "{whole:?}"
    );
    for (user, subject) in [
        ("deaf", "Subscription to \"chappe.test.at.any."),
        ("mute", "Publish to \"chappe.test.at.any."),
        ("other", "Subscription to \"chappe.test.node.7.*\""),
        ("alone", "Publish to \"chappe.test.node.1.dial\""),
    ] {
        let text = at(user).probe(Some(HERE), &[NodeId(1)]).unwrap_err().to_string();
        assert!(text.contains(subject) && text.contains("nats-config"), "{user}: {text}");
        // The same is named when the node starts all the same.
        let started = at(user).listen(HERE).map(drop);
        assert!(user == "alone" || started.unwrap_err().to_string().contains(subject), "{user}");
    }
    // A node that runs does not notice.
    let running = at("whole");
    let mut listener = running.listen(HERE).unwrap();
    at("whole").probe(Some(HERE), &[HERE]).unwrap();
    run(async {
        connect(&at("whole"), &mut listener, HERE).await;
    });
}

#[test]
fn a_server_that_takes_only_small_messages_is_refused_by_name() {
    let Some(server) = Server::start("max_payload: 1024") else { return };
    let text = refusal(link(server.url()).listen(HERE));
    assert!(text.contains(&server.url()) && text.contains("max_payload") && text.contains("1024"), "{text}");
}

#[test]
fn tokens_nkeys_and_credential_files_that_are_wrong_are_refused_by_name() {
    let right = nkeys::KeyPair::new_user();
    let users = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", right.public_key());
    let Some(server) = Server::start(&users) else { return };
    let with =
        |server: &Server, credentials| NatsLink::new(NatsOptions { credentials, ..options(server.url()) });
    with(&server, Credentials::NKey(right.seed().unwrap())).listen(HERE).unwrap();
    let wrong = nkeys::KeyPair::new_user().seed().unwrap();
    let text = refusal(with(&server, Credentials::NKey(wrong.clone())).listen(HERE));
    assert!(text.contains("refuses these credentials: this nkey") && !text.contains(&wrong), "{text}");
    let text = refusal(with(&server, Credentials::NKey("no seed".into())).listen(HERE));
    assert!(text.contains("nkey") && !text.contains("no seed"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.creds");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{wrong}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(&file, text).unwrap();
    let text = refusal(with(&server, Credentials::File(file)).listen(HERE));
    assert!(text.contains("refuses these credentials: the file") && text.contains("node.creds"), "{text}");
    let token = Server::start("authorization { token: right }").unwrap();
    with(&token, Credentials::Token("right".into())).listen(HERE).unwrap();
    let text = refusal(with(&token, Credentials::Token("guess".into())).listen(HERE));
    assert!(text.contains("refuses these credentials: this token") && !text.contains("guess"), "{text}");
    let text = refusal(link(token.url()).listen(HERE));
    assert!(text.contains("wants some, and there are none"), "{text}");
}

/// Writes an authority and a certificate of the server's by it; returns the configuration that names them.
fn certificates(dir: &Path, is_expired: bool, verify: bool) -> String {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    if is_expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let own = params.signed_by(&key, &authority).unwrap();
    let put = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    put("ca.pem", authority.pem());
    put("cert.pem", own.pem());
    put("key.pem", key.serialize_pem());
    let dir = dir.display();
    format!(
        "tls {{ cert_file: \"{dir}/cert.pem\", key_file: \"{dir}/key.pem\", ca_file: \"{dir}/ca.pem\", verify: {verify} }}"
    )
}

fn tls(server: &Server, dir: &Path) -> NatsLink {
    let tls = Some(Tls { authorities: vec![dir.join("ca.pem")], own: None });
    let url = format!("tls://127.0.0.1:{}", server.port());
    NatsLink::new(NatsOptions { tls, ..options(url) })
}

#[test]
fn certificates_are_checked_before_anything_is_said() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [good, expired, other] = dirs.each_ref().map(|dir| dir.path());
    certificates(other, false, false);
    let Some(server) = Server::start(&certificates(good, false, false)) else { return };
    tls(&server, good).listen(HERE).unwrap();
    let text = refusal(tls(&server, other).listen(HERE));
    assert!(text.contains("tls://127.0.0.1") && text.contains("invalid peer certificate"), "{text}");
    let server = Server::start(&certificates(expired, true, false)).unwrap();
    let text = refusal(tls(&server, expired).listen(HERE));
    assert!(text.contains("invalid peer certificate") && text.contains("expired"), "{text}");
}

#[test]
fn a_server_that_asks_for_certificates_gets_ours_and_refuses_who_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(&certificates(dir.path(), false, true)) else { return };
    let own = Some((dir.path().join("cert.pem"), dir.path().join("key.pem")));
    let authorities = vec![dir.path().join("ca.pem")];
    let url = |host| format!("tls://{host}:{}", server.port());
    let with = |own| {
        let tls = Some(Tls { authorities: authorities.clone(), own });
        NatsLink::new(NatsOptions { tls, ..options(url("127.0.0.1")) })
    };
    with(own).listen(HERE).unwrap();
    let text = refusal(with(None).listen(HERE));
    assert!(text.contains(&url("127.0.0.1")), "{text}");
    // A certificate counts for the name that it is for.
    let elsewhere = NatsOptions { tls: Some(Tls { authorities, own: None }), ..options(url("localhost")) };
    let text = refusal(NatsLink::new(elsewhere).listen(HERE));
    assert!(text.contains("not valid for name"), "{text}");
}

#[test]
fn certificates_are_not_given_up_because_a_server_has_none() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path(), false, false);
    let Some(server) = Server::start("") else { return };
    let text = refusal(tls(&server, dir.path()).listen(HERE));
    assert!(text.contains("tls://127.0.0.1"), "{text}");
}

#[test]
fn a_stream_goes_on_where_it_was_when_the_server_is_restarted() {
    let Some(mut server) = Server::start("") else { return };
    run(async {
        let (a, b) = (link(server.url()), link(server.url()));
        let mut listener = b.listen(HERE).unwrap();
        let (near, far) = connect(&a, &mut listener, HERE).await;
        let long = numbers(5_000_000);
        let sending = write(&*near, &long);
        let receiving = async {
            let mut got = Vec::new();
            for part in 1..=4 {
                while got.len() < long.len() / 4 * part {
                    got.extend(read(&*far, 1).await.unwrap());
                }
                if part < 4 {
                    server.kill();
                    server.resume();
                }
            }
            assert!(got == long, "{} of {} bytes, or in another order", got.len(), long.len());
        };
        let (sent, ()) = tokio::join!(sending, receiving);
        sent.unwrap();
        assert_eq!((a.stats().disconnects, a.stats().reconnects, a.stats().broken), (3, 3, 0));
        // And new connections stand again.
        connect(&a, &mut listener, HERE).await;
    });
}

#[test]
fn a_reader_that_stands_still_stops_its_writer_and_nobody_else() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let (a, b) = (link(server.url()), link(server.url()));
        let mut listener = b.listen(HERE).unwrap();
        let (blocked, unread) = connect(&a, &mut listener, HERE).await;
        let (near, far) = connect(&a, &mut listener, HERE).await;
        let long = numbers(4_000_000);
        let mut waiting = Buffer::default();
        waiting.tail(long.len()).extend_from_slice(&long);
        blocked.try_write(&mut waiting).unwrap();
        let window = options("").window;
        assert!(waiting.len() > long.len() - 2 * window, "it took {}", long.len() - waiting.len());
        let (sent, got) = tokio::join!(write(&*near, &long), read(&*far, long.len()));
        sent.unwrap();
        assert!(got.unwrap() == long);
        // When it goes on, so does its writer.
        let rest = async {
            while !waiting.is_empty() {
                poll_fn(|cx| blocked.poll_writable(cx)).await.unwrap();
                blocked.try_write(&mut waiting).unwrap();
            }
        };
        let (got, ()) = tokio::join!(read(&*unread, long.len()), rest);
        assert!(got.unwrap() == long);
    });
}

#[test]
fn a_process_that_stood_still_until_it_was_cut_off_misses_nothing() {
    // The server gives a client up that has 1 MiB unread for a moment.
    let Some(server) = Server::start("max_pending: 1048576\nmax_payload: 32768") else {
        return;
    };
    run(async {
        let relay = Relay::start(server.port());
        // More than the system takes in for who does not read.
        let wide = |url| NatsLink::new(NatsOptions { window: 32 << 20, ..options(url) });
        let (a, b) = (wide(server.url()), wide(relay.url()));
        let mut listener = b.listen(HERE).unwrap();
        let (near, far) = connect(&a, &mut listener, HERE).await;
        let long = numbers(4_000_000);
        relay.hold(true);
        let receiving = async {
            while b.stats().disconnects == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            relay.hold(false);
            read(&*far, long.len()).await
        };
        let (sent, got) = tokio::join!(write(&*near, &long), receiving);
        sent.unwrap();
        assert!(got.unwrap() == long);
        assert!(b.stats().disconnects > 0 && a.stats().resent > 0, "{:?} {:?}", a.stats(), b.stats());
    });
}

#[test]
fn a_peer_whose_process_is_gone_is_noticed_long_before_the_loss_time() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let relay = Relay::start(server.port());
        let (a, b) = (link(server.url()), link(relay.url()));
        let mut listener = b.listen(HERE).unwrap();
        let (near, _far) = connect(&a, &mut listener, HERE).await;
        // As its end would: the system closes what it had open.
        relay.kill();
        let error = read(&*near, 1).await.unwrap_err();
        // Told by the servers, and not found out by silence.
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        assert!(error.to_string().contains("no connection to NATS"), "{error}");
        assert_eq!(a.stats().broken, 1);
    });
}

#[test]
fn a_new_process_of_a_node_ends_what_stood_with_the_old_one_at_once() {
    let Some(server) = Server::start("") else { return };
    run(async {
        let master = link(server.url());
        let mut listener = master.listen(NodeId(1)).unwrap();
        let relay = Relay::start(server.port());
        let old = link(relay.url());
        let _held = old.listen(HERE).unwrap();
        let (_near, far) = connect(&old, &mut listener, NodeId(1)).await;
        relay.kill();
        let new = link(server.url());
        while let Err(error) = new.listen(HERE).map(std::mem::forget) {
            // The server has yet to see that the old one is gone.
            assert!(matches!(error, ListenError::IdTaken(_)), "{error}");
        }
        let (near, still) = connect(&new, &mut listener, NodeId(1)).await;
        let error = read(&*far, 1).await.unwrap_err();
        assert!(error.to_string().contains("a new process of node 7"), "{error}");
        // Another connection of the same process ends nothing.
        connect(&new, &mut listener, NodeId(1)).await;
        write(&*near, b"hello").await.unwrap();
        assert_eq!(read(&*still, 5).await.unwrap(), b"hello");
    });
}

#[test]
fn nats_that_stays_away_ends_connections_by_name() {
    let Some(mut server) = Server::start("") else { return };
    run(async {
        let patience = Duration::from_millis(500);
        let link = NatsLink::new(NatsOptions { patience, ..options(server.url()) });
        let mut listener = link.listen(HERE).unwrap();
        let (near, _far) = connect(&link, &mut listener, HERE).await;
        server.kill();
        let error = read(&*near, 1).await.unwrap_err();
        assert!(error.to_string().contains("nothing was heard"), "{error}");
        let error = link.dial(HERE).await.err().unwrap();
        assert!(error.to_string().contains(&server.url()), "{error}");
        server.resume();
        while link.stats().reconnects == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        connect(&link, &mut listener, HERE).await;
    });
}
