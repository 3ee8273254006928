//! The example in the README, as a cluster of real processes with a real client.
#![allow(clippy::unwrap_used)]

use chappe::client::{Client, ClientEvent, Login};
use std::process::{Child, Command};
use std::time::Duration;

const SOURCE: &str = include_str!("../src/main.rs");
const DEPLOY: &str = include_str!("../deploy.json");

struct Cluster(Child);

impl Drop for Cluster {
    fn drop(&mut self) {
        // Its nodes end with it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_game_server_stays_under_forty_lines() {
    assert!(SOURCE.lines().count() < 40);
}

#[tokio::test]
async fn a_player_is_greeted_with_what_the_mail_service_has_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (file, port) = (dir.path().join("deploy.json"), free_port());
    let text = DEPLOY
        .replace("../../target/release/hello", env!("CARGO_BIN_EXE_hello"))
        .replace("18391", &port.to_string())
        .replace("18390", &free_port().to_string());
    std::fs::write(&file, text).unwrap();
    let up = Command::new(env!("CARGO_BIN_EXE_hello")).arg("up").arg(&file).spawn().unwrap();
    let _cluster = Cluster(up);
    let url = format!("ws://127.0.0.1:{port}");
    let letters = tokio::time::timeout(Duration::from_secs(30), async {
        let client = loop {
            // The cluster is coming up.
            match Client::connect(url.clone(), Login::new(40)).await {
                Ok(client) => break client,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        loop {
            if let Some(ClientEvent::Event(event)) = client.next_event().await
                && event.name() == "Welcome"
            {
                return event.value().unwrap().field("letters").and_then(chappe::Value::as_uint);
            }
        }
    });
    assert_eq!(letters.await.unwrap(), Some(40 % 7));
}
