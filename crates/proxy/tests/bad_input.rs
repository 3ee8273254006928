//! What a client may send by mistake or by malice: that connection ends with a reason, and the node goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod support;

use chappe_client::ClientEvent;
use chappe_proxy::{Checking, Granted, LoginCheck, ProxyOptions};
use chappe_wire::{Reason, Row, value};
use futures_util::{SinkExt as _, StreamExt as _};
use std::rc::Rc;
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Raw = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn raw(url: &str) -> Raw {
    connect_async(url).await.unwrap().0
}

async fn say(socket: &mut Raw, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// The next text frame; the end of the connection is an empty one.
async fn hear(socket: &mut Raw) -> String {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.starts_with(r#"["ack""#) => {}
            Some(Ok(Message::Text(text))) => return text.to_string(),
            Some(Ok(Message::Binary(frame))) => return value::msgpack_to_json(&frame).unwrap(),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return String::new(),
            Some(Ok(_)) => {}
        }
    }
}

async fn log_in(url: &str, uid: u64) -> Raw {
    let mut socket = raw(url).await;
    say(&mut socket, &format!(r#"["login",{{"uid":{uid},"protocol":1}}]"#)).await;
    let welcome = hear(&mut socket).await;
    assert!(welcome.starts_with(r#"["welcome",{"uid":"#), "{welcome}");
    socket
}

/// A client that is in good order, while others are not.
async fn still_works(url: &str) {
    let client = login(url, 999).await;
    client.notify_to_server("Test", "Client", "Echo", &1).unwrap();
    assert_eq!(received(&client).await.name(), "Echo");
    client.logout().await.unwrap();
}

#[test]
fn json_by_hand_plays_with_any_websocket_tool() {
    run(async || {
        let (_cluster, _, _, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let mut socket = log_in(&url, 7).await;
        say(&mut socket, r#"["ping",5]"#).await;
        assert_eq!(hear(&mut socket).await, r#"["pong",5]"#);
        say(&mut socket, r#"["event","Test","Client","Echo",{"$map":[[7,{"$bytes":"aGk="}]]}]"#).await;
        let echo = hear(&mut socket).await;
        assert!(
            echo.starts_with(r#"["event","Test","Server","Echo",{"$map":[[7,{"$bytes":"aGk="}]]},"#),
            "{echo}"
        );
        say(&mut socket, r#"["event","Test","Client","Say",{"__id__":"forged","n":1}]"#).await;
        until("it is heard", || lobby.heard.borrow().len() == 1).await;
        let (player, data) = lobby.heard.borrow()[0].clone();
        assert_eq!(data.field("__id__").unwrap().as_str(), Some(player.to_string().as_str()));
        say(&mut socket, r#"["logout"]"#).await;
        assert_eq!(hear(&mut socket).await, r#"["close","Logout","logged out"]"#);
        assert_eq!(hear(&mut socket).await, "");
    });
}

#[test]
fn a_session_begun_in_text_goes_on_in_binary_and_nothing_is_lost() {
    run(async || {
        let (_cluster, _, proxy, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let mut socket = raw(&url).await;
        say(&mut socket, r#"["login",{"uid":7,"protocol":1}]"#).await;
        let welcome = value::from_json(&hear(&mut socket).await).unwrap();
        let field = |name| welcome.as_list().unwrap()[1].field(name).unwrap().clone();
        let player = field("playerId").as_str().unwrap().parse().unwrap();
        lobby.system.notify_to_client(player, "A", &1).unwrap();
        assert!(hear(&mut socket).await.contains(r#""A",1"#));
        drop(socket);
        until("it is gone", || proxy.client_count() == 0).await;
        lobby.system.notify_to_client(player, "B", &2).unwrap();
        let mut socket = raw(&url).await;
        let token = field("token");
        let again = value!([
            "login",
            { "uid": 7, "protocol": 1, "resume": token.as_str().unwrap(), "received": 1 }
        ]);
        socket.send(Message::binary(value::encode(&again).unwrap())).await.unwrap();
        let welcome = hear(&mut socket).await;
        assert!(welcome.contains(r#""resumed":true"#), "{welcome}");
        assert!(hear(&mut socket).await.contains(r#""B",2"#));
    });
}

#[test]
fn garbage_ends_that_connection_with_a_reason_and_no_other() {
    run(async || {
        let (_cluster, node, proxy, url, lobby) = Cluster::small(ProxyOptions::default()).await;
        let nested = format!("[\"event\",\"a\",\"b\",\"c\",{}{}]", "[".repeat(200), "]".repeat(200));
        let texts = [
            "",
            "{",
            "[]",
            "[1]",
            r#"["what"]"#,
            r#"["event","a","b","c"]"#,
            r#"["event","a","b\u0000","c",1]"#,
            r#"["event",1,"b","c",1]"#,
            r#"["service","x","a","b","c",1]"#,
            r#"["login",{"uid":7,"protocol":1}]"#,
            nested.as_str(),
        ];
        for text in texts {
            let mut socket = log_in(&url, 7).await;
            say(&mut socket, text).await;
            let told = hear(&mut socket).await;
            assert!(told.starts_with(r#"["close","ProtocolError","#), "{text}: {told}");
        }
        let frames: [&[u8]; 5] = [
            b"",
            b"\xc1",
            &[0x95, 0xa5, b'e', b'v', b'e', b'n', b't'],
            // Two values where one is meant, and text that is none.
            b"\x95\xa5event\xa1a\xa1b\xa1c\x01\x02",
            b"\x95\xa5event\xa1a\xa1b\xa1c\xa1\xff",
        ];
        for frame in frames {
            let mut socket = log_in(&url, 7).await;
            socket.send(Message::binary(frame.to_vec())).await.unwrap();
            let told = hear(&mut socket).await;
            assert!(told.starts_with(r#"["close","ProtocolError","#), "{frame:?}: {told}");
        }
        let mut early = raw(&url).await;
        say(&mut early, r#"["event","a","b","c",1]"#).await;
        assert!(hear(&mut early).await.contains("the first frame is a login"));
        let mut foreign = raw(&url).await;
        say(&mut foreign, r#"["login",{"uid":7,"protocol":9}]"#).await;
        assert!(hear(&mut foreign).await.starts_with(r#"["close","ForeignVersion","#));
        assert_eq!(node.stats().named("client_protocol_errors"), (texts.len() + frames.len() + 1) as u64);
        until("all are gone", || proxy.session_count() == 0 && lobby.visits.borrow().len() >= 2).await;
        still_works(&url).await;
    });
}

#[test]
fn half_frames_and_other_protocols_disturb_nobody() {
    run(async || {
        let options = ProxyOptions { login_deadline: Duration::from_millis(300), ..ProxyOptions::default() };
        let (_cluster, node, proxy, url, _) = Cluster::small(options).await;
        let address = url.strip_prefix("ws://").unwrap();
        let mut http = TcpStream::connect(address).await.unwrap();
        http.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = http.read_to_end(&mut answer).await;
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET / HT").await.unwrap();
        assert_eq!(half.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed at the deadline");
        let mut silent = raw(&url).await;
        assert!(hear(&mut silent).await.starts_with(r#"["close","HandshakeTimeout","#));
        // A frame that says it is larger than it is, and then nothing.
        let mut socket = log_in(&url, 7).await;
        let MaybeTlsStream::Plain(tcp) = socket.get_mut() else { panic!("no TLS here") };
        tcp.write_all(&[0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4, 9]).await.unwrap();
        still_works(&url).await;
        drop(socket);
        until("its socket is gone", || proxy.client_count() == 0).await;
        assert_eq!(node.stats().named("client_handshakes_failed"), 2);
    });
}

#[test]
fn oversized_frames_are_refused_by_their_head() {
    run(async || {
        let options = ProxyOptions { message_bytes: 1000, ..ProxyOptions::default() };
        let (_cluster, node, _, url, lobby) = Cluster::small(options).await;
        let mut socket = log_in(&url, 7).await;
        say(&mut socket, &format!(r#"["event","Test","Client","Say","{}"]"#, "x".repeat(2000))).await;
        assert!(hear(&mut socket).await.starts_with(r#"["error","TooLarge","#));
        assert_eq!(dropped(&node, Row::ClientToServer, Reason::TooLarge), 1);
        let MaybeTlsStream::Plain(tcp) = socket.get_mut() else { panic!("no TLS here") };
        tcp.write_all(&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]).await.unwrap();
        assert!(hear(&mut socket).await.starts_with(r#"["close","TooLarge","#));
        assert!(lobby.heard.borrow().is_empty());
        still_works(&url).await;
    });
}

#[test]
fn a_flood_is_dropped_counted_and_in_the_end_closed() {
    run(async || {
        let options = ProxyOptions { client_rate: 1, client_burst: 5, ..ProxyOptions::default() };
        let (_cluster, node, _, url, lobby) = Cluster::small(options).await;
        let client = login(&url, 7).await;
        for n in 0..8 {
            client.notify_to_server("Test", "Client", "Say", &n).unwrap();
        }
        let told = client.next_event().await;
        assert!(matches!(told, Some(ClientEvent::Dropped { reason: Reason::RateLimited, .. })), "{told:?}");
        until("all are counted", || {
            let heard = lobby.heard.borrow().len() as u64;
            heard + dropped(&node, Row::ClientToServer, Reason::RateLimited) == 8
        })
        .await;
        for n in 0..200 {
            let _ = client.notify_to_server("Test", "Client", "Say", &n);
        }
        assert_eq!(closed(&client).await, Reason::RateLimited);
        assert_eq!(node.stats().named("floods"), 1);
        let counts = client.counts();
        let arrived = node.stats().named("from_clients");
        let row = Row::ClientToServer.index();
        assert_eq!(counts.sent[row], arrived + counts.lost[row], "the client knows what came too late");
        assert_eq!(
            arrived,
            lobby.heard.borrow().len() as u64 + dropped(&node, Row::ClientToServer, Reason::RateLimited)
        );
    });
}

#[test]
fn a_client_that_does_not_read_is_closed_and_others_do_not_notice() {
    run(async || {
        let options = ProxyOptions { queue_bytes: 64 << 10, ..ProxyOptions::default() };
        let (_cluster, node, proxy, url, lobby) = Cluster::small(options).await;
        let slow = log_in(&url, 7).await;
        let player = lobby.system.node().player_by_uid(7).unwrap().id;
        let data = "x".repeat(16 << 10);
        let mut sent = 0;
        while proxy.session_count() > 0 {
            let pushed = lobby.system.notify_to_client(player, "Push", &data);
            sent += u64::from(pushed.is_ok());
            assert!(sent < 10_000, "it is never closed");
            tokio::task::yield_now().await;
        }
        assert_eq!(node.stats().named("slow_clients"), 1);
        let of = |reason| dropped(&node, Row::ServerToClient, reason);
        until("each is counted once", || {
            of(Reason::SlowClient) + of(Reason::PlayerOffline) + node.stats().named("to_clients") == sent
        })
        .await;
        still_works(&url).await;
        drop(slow);
    });
}

#[test]
fn one_that_asks_without_reading_the_answers_is_closed_too() {
    run(async || {
        let options = ProxyOptions { queue_bytes: 16 << 10, ..ProxyOptions::default() };
        let (_cluster, node, proxy, url, _) = Cluster::small(options).await;
        let mut socket = log_in(&url, 7).await;
        while proxy.session_count() > 0 {
            let ping = Message::binary(value::encode(&("ping", u64::MAX)).unwrap());
            if socket.send(ping).await.is_err() {
                break;
            }
        }
        until("it is gone", || proxy.session_count() == 0).await;
        assert_eq!(node.stats().named("slow_clients"), 1);
    });
}

#[test]
fn a_socket_whose_other_end_is_gone_without_a_word_is_found_out() {
    run(async || {
        let options = ProxyOptions { ping_every: Duration::from_millis(50), ..ProxyOptions::default() };
        let (_cluster, _, proxy, url, _) = Cluster::small(options).await;
        let quiet = log_in(&url, 7).await;
        let client = login(&url, 8).await;
        // The one answers pings, the other does not even read.
        until("the dead one is dropped", || proxy.client_count() == 1).await;
        assert_eq!(proxy.session_count(), 2, "its session waits");
        client.notify_to_server("Test", "Client", "Echo", &1).unwrap();
        received(&client).await;
        drop(quiet);
    });
}

struct OnlyEven;

impl LoginCheck for OnlyEven {
    fn check(&self, uid: u64, token: Option<&str>) -> Checking {
        let is_fine = uid.is_multiple_of(2) && token.is_none();
        Box::pin(async move { if is_fine { Ok(Granted::default()) } else { Err("odd".into()) } })
    }
}

#[test]
fn a_login_check_decides_and_a_stolen_token_needs_its_owner() {
    run(async || {
        let options = ProxyOptions { check: Rc::new(OnlyEven), ..ProxyOptions::default() };
        let (_cluster, _, _, url, _) = Cluster::small(options).await;
        let mut odd = raw(&url).await;
        say(&mut odd, r#"["login",{"uid":7,"protocol":1}]"#).await;
        assert_eq!(hear(&mut odd).await, r#"["close","Refused","odd"]"#);
        let mut even = raw(&url).await;
        say(&mut even, r#"["login",{"uid":8,"protocol":1}]"#).await;
        let welcome = value::from_json(&hear(&mut even).await).unwrap();
        let token = welcome.as_list().unwrap()[1].field("token").unwrap().as_str().unwrap().to_owned();
        let guessed =
            format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' });
        for (uid, token) in [(10, token.as_str()), (8, guessed.as_str()), (12, "x"), (14, "9.")] {
            let mut socket = raw(&url).await;
            say(&mut socket, &format!(r#"["login",{{"uid":{uid},"protocol":1,"resume":"{token}"}}]"#)).await;
            assert!(hear(&mut socket).await.contains(r#""resumed":false"#));
        }
    });
}
