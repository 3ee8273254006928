//! TLS between players and the proxy: who is let through, what is refused by which name, and how certificates are
//! renewed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

#[path = "support/pki.rs"]
mod pki;
mod support;

use chappe_client::{Client, ClientError, Login, Tls as ClientTls};
use chappe_proxy::{Proxy, ProxyOptions, Tls, TlsFiles};
use chappe_wire::Reason;
use pki::{Authority, VALID};
use std::fs;
use std::rc::Rc;
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn options(files: TlsFiles) -> ProxyOptions {
    let tls = Some(Rc::new(Tls::load(files).unwrap()));
    ProxyOptions { tls, reload_every: Duration::from_millis(10), ..ProxyOptions::default() }
}

fn secure(url: &str) -> String {
    url.replace("ws://", "wss://")
}

async fn connect(url: &str, uid: u64, tls: ClientTls) -> Result<Client, ClientError> {
    Client::connect(secure(url), Login::new(uid).tls(tls)).await
}

async fn plays(client: &Client) {
    client.notify_to_server("Test", "Client", "Echo", &1).unwrap();
    assert_eq!(received(client).await.name(), "Echo");
}

/// The text of an error that TLS itself is the cause of.
fn refusal(result: Result<Client, ClientError>) -> String {
    match result {
        Err(error @ ClientError::Tls { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn counts(proxy_node: &chappe_node::Node, name: &str) {
    until(name, || proxy_node.stats().named(name) > 0).await;
}

#[test]
fn players_play_over_tls_and_much_data_comes_through() {
    run(async || {
        let authority = Authority::new();
        authority.issue("proxy", VALID);
        let (_cluster, _, _, url, lobby) = Cluster::small(options(authority.proxy("proxy"))).await;
        let client = connect(&url, 7, authority.trusted()).await.unwrap();
        plays(&client).await;
        for round in 0..10 {
            // As much as may wait for one client, and more than TLS or the socket takes at once.
            for n in 0..20 {
                let data = (round, n, "x".repeat(40_000));
                lobby.system.notify_to_client(client.player_id(), "Large", &data).unwrap();
            }
            for n in 0..20 {
                let (in_round, number, text): (i32, i32, String) = received(&client).await.data().unwrap();
                assert_eq!((in_round, number, text.len()), (round, n, 40_000));
            }
        }
        client.drop_socket();
        plays(&client).await;
        client.logout().await.unwrap();
    });
}

#[test]
fn a_proxy_that_is_not_who_it_says_is_refused_by_the_client_with_the_cause() {
    run(async || {
        let (authority, other) = (Authority::new(), Authority::new());
        authority.issue("proxy", VALID);
        let (_cluster, node, _, url, _) = Cluster::small(options(authority.proxy("proxy"))).await;
        let foreign = refusal(connect(&url, 7, other.trusted()).await);
        assert!(foreign.contains("invalid peer certificate"), "{foreign}");
        counts(&node, "tls_refused_by_client").await;
        // Whoever reaches it under another name.
        let elsewhere = secure(&url).replace("127.0.0.1", "127.0.0.2");
        if let Err(ClientError::Tls { why, .. }) =
            Client::connect(elsewhere, Login::new(7).tls(authority.trusted())).await
        {
            assert!(why.contains("not valid for"), "{why}");
        }
        let missing = connect(&url, 7, ClientTls::new().authority("/nowhere/ca.pem")).await;
        assert!(refusal(missing).contains("/nowhere/ca.pem"));
    });
}

#[test]
fn an_expired_certificate_is_told_by_name_at_the_proxy_and_at_the_client() {
    run(async || {
        let authority = Authority::new();
        authority.issue("old", (2001, 2002));
        authority.issue("early", (2090, 2091));
        let error = Tls::load(authority.proxy("old")).unwrap_err().to_string();
        assert!(error.contains("old.pem: the certificate has expired on Tue, 01 Jan 2002"), "{error}");
        let error = Tls::load(authority.proxy("early")).unwrap_err().to_string();
        assert!(error.contains("not valid before"), "{error}");
        // A server that does not look at its own, as one that is not ours.
        let url = serve_as(&authority, "old").await;
        let error = refusal(Client::connect(url, Login::new(7).tls(authority.trusted())).await);
        assert!(error.contains("certificate expired"), "{error}");
    });
}

/// A TLS server with that certificate, whatever is wrong with it.
async fn serve_as(authority: &Authority, name: &str) -> String {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let TlsFiles { cert, key, .. } = authority.proxy(name);
    let cert = CertificateDer::from_pem_file(cert).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    tokio::task::spawn_local(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let (tcp, _) = listener.accept().await.unwrap();
        drop(acceptor.accept(tcp).await);
    });
    url
}

#[test]
fn what_is_wrong_with_the_files_is_named_before_anything_starts() {
    let (authority, other) = (Authority::new(), Authority::new());
    authority.issue("proxy", VALID);
    authority.issue("second", VALID);
    fs::write(authority.path("empty.pem"), "").unwrap();
    let files = authority.proxy("proxy");
    let error = |files: TlsFiles| Tls::load(files).unwrap_err().to_string();
    let key = authority.path("second.key");
    let text = error(TlsFiles { key, ..files.clone() });
    assert!(text.contains("second.key does not belong to the certificate"), "{text}");
    let text = error(TlsFiles { cert: other.path("gone.pem"), ..files.clone() });
    assert!(text.contains("cannot read") && text.contains("gone.pem"), "{text}");
    let text = error(TlsFiles { cert: authority.path("empty.pem"), ..files.clone() });
    assert!(text.contains("empty.pem: there is no certificate in it"), "{text}");
    let text = error(TlsFiles { key: authority.path("proxy.pem"), ..files.clone() });
    assert!(text.contains("no private key"), "{text}");
    let text = error(TlsFiles { client_ca: vec![authority.path("empty.pem")], ..files.clone() });
    assert!(text.contains("empty.pem: there is no certificate in it"), "{text}");
    assert!(error(TlsFiles { cert: authority.dir().to_owned(), ..files }).contains("cannot read"));
}

#[test]
fn a_client_without_the_certificate_that_is_asked_for_does_not_get_as_far_as_a_login() {
    run(async || {
        let (authority, foreign) = (Authority::new(), Authority::new());
        authority.issue("proxy", VALID);
        authority.issue("player", VALID);
        authority.issue("old", (2001, 2002));
        foreign.issue("player", VALID);
        let files = TlsFiles { client_ca: vec![authority.ca()], ..authority.proxy("proxy") };
        let (_cluster, node, proxy, url, _) = Cluster::small(options(files)).await;

        let none = refusal(connect(&url, 7, authority.trusted()).await);
        assert!(none.contains("CertificateRequired"), "{none}");
        counts(&node, "tls_client_certificate_missing").await;
        for (issuer, name) in [(&foreign, "player"), (&authority, "old")] {
            let before = node.stats().named("tls_client_certificate_refused");
            refusal(connect(&url, 7, authority.trusted_with(issuer, name)).await);
            until("it is counted", || node.stats().named("tls_client_certificate_refused") > before).await;
        }
        let client = connect(&url, 7, authority.trusted_with(&authority, "player")).await.unwrap();
        plays(&client).await;
        client.drop_socket();
        plays(&client).await;
        assert_eq!((proxy.session_count(), node.stats().named("logins")), (1, 1));
    });
}

#[test]
fn a_certificate_is_renewed_and_no_session_ends() {
    run(async || {
        let (first, second) = (Authority::new(), Authority::new());
        first.issue("proxy", VALID);
        second.issue("proxy", VALID);
        let files = first.proxy("proxy");
        let (cert, key) = (files.cert.clone(), files.key.clone());
        let (_cluster, node, _, url, _) = Cluster::small(options(files)).await;
        let client = connect(&url, 7, first.trusted()).await.unwrap();
        plays(&client).await;

        // Half of it is there, as when somebody copies: what was before is still used.
        fs::copy(second.path("proxy.pem"), &cert).unwrap();
        counts(&node, "tls_renewals_failed").await;
        plays(&connect(&url, 8, first.trusted()).await.unwrap()).await;
        fs::copy(second.path("proxy.key"), &key).unwrap();
        counts(&node, "tls_certificates_renewed").await;
        plays(&connect(&url, 9, second.trusted()).await.unwrap()).await;
        refusal(connect(&url, 10, first.trusted()).await);
        plays(&client).await;

        second.issue("old", (2001, 2002));
        let failed = node.stats().named("tls_renewals_failed");
        fs::copy(second.path("old.pem"), &cert).unwrap();
        until("it is refused", || node.stats().named("tls_renewals_failed") > failed).await;
        plays(&connect(&url, 11, second.trusted()).await.unwrap()).await;
        fs::remove_file(&cert).unwrap();
        let failed = node.stats().named("tls_renewals_failed");
        until("it is missed", || node.stats().named("tls_renewals_failed") > failed).await;
        plays(&client).await;
        assert!(node.stats().named("tls_certificate_expires") > 1_700_000_000);
    });
}

/// How often a handshake has failed at the proxy, by any name.
fn failures(proxy: &Proxy, node: &chappe_node::Node) -> (u64, usize) {
    let names = ["tls_not_tls", "tls_closed_early", "tls_handshake_timeouts", "tls_incompatible_client"];
    (names.iter().map(|name| node.stats().named(name)).sum(), proxy.client_count())
}

#[test]
fn garbage_and_plain_text_on_the_tls_port_end_that_connection_alone() {
    run(async || {
        let authority = Authority::new();
        authority.issue("proxy", VALID);
        let (_cluster, node, proxy, url, _) = Cluster::small(options(authority.proxy("proxy"))).await;
        let address = url.strip_prefix("ws://").unwrap();
        let http = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        let pieces: [&[u8]; 5] =
            [http, &[0; 64], &[0xff; 600], b"\x16\x03\x01\x40\x00", b"\x16\x03\x01\x00\x05hello"];
        for (index, bytes) in pieces.iter().enumerate() {
            let mut tcp = TcpStream::connect(address).await.unwrap();
            tcp.write_all(bytes).await.unwrap();
            tcp.shutdown().await.unwrap();
            let _ = tcp.read_to_end(&mut Vec::new()).await;
            let wanted = (index as u64 + 1, 0);
            until("it is counted", || failures(&proxy, &node) == wanted).await;
        }
        // A plain client at a secure proxy, and the other way round.
        assert!(Client::connect(url.clone(), Login::new(7)).await.is_err());
        plays(&connect(&url, 7, authority.trusted()).await.unwrap()).await;
    });
}

#[test]
fn a_client_that_never_finishes_its_handshake_is_dropped_and_takes_nobodys_place() {
    run(async || {
        let authority = Authority::new();
        authority.issue("proxy", VALID);
        let options = ProxyOptions {
            login_deadline: Duration::from_millis(300),
            max_handshakes: 2,
            ..options(authority.proxy("proxy"))
        };
        let (_cluster, node, proxy, url, _) = Cluster::small(options).await;
        let address = url.strip_prefix("ws://").unwrap();
        let mut idle = Vec::new();
        for _ in 0..2 {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        // One more than may be under way, while those are.
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(third.read(&mut [0; 8]).await.unwrap_or(0), 0, "closed without a word");
        counts(&node, "tls_handshakes_refused").await;
        for tcp in &mut idle {
            assert_eq!(tcp.read(&mut [0; 8]).await.unwrap_or(0), 0, "dropped at the deadline");
        }
        assert_eq!(node.stats().named("tls_handshake_timeouts"), 2);
        assert_eq!(proxy.client_count(), 0);
        plays(&connect(&url, 7, authority.trusted()).await.unwrap()).await;
    });
}

#[test]
fn what_ends_a_tls_session_reaches_the_client() {
    run(async || {
        let authority = Authority::new();
        authority.issue("proxy", VALID);
        let (_cluster, _, _, url, _) = Cluster::small(options(authority.proxy("proxy"))).await;
        let first = connect(&url, 7, authority.trusted()).await.unwrap();
        let _second = connect(&url, 7, authority.trusted()).await.unwrap();
        assert_eq!(closed(&first).await, Reason::Replaced);
    });
}
