//! A database that is cut off: nothing comes, and nobody says so. In a network of its own, where the machine allows it.

use crate::place::Place;
use crate::rows::claim;
use crate::server::Server;
use chappe_store::{Candidate, StoreError};
use chappe_wire::NodeId;
use std::process::{Command, Stdio};
use std::time::Duration;

const NAME: &str = "half_open::a_database_that_was_cut_off_would_be_waited_for_longer_than_a_lease_lasts";
/// Set in the network of its own.
const WITHIN: &str = "CHAPPE_TEST_WITHIN";

#[test]
fn a_database_that_was_cut_off_would_be_waited_for_longer_than_a_lease_lasts() {
    if std::env::var_os(WITHIN).is_some() {
        return cut_off();
    }
    let is_root = nix::unistd::Uid::effective().is_root();
    let own: &[&str] =
        if is_root { &["--net"] } else { &["--user", "--map-current-user", "--keep-caps", "--net"] };
    let mut within = Command::new("unshare");
    within.args(own).arg("--").stdin(Stdio::null());
    let mut attempt = Command::new("unshare");
    attempt.args(own).args(["--", "ip", "link", "set", "lo", "up"]);
    attempt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !attempt.status().is_ok_and(|status| status.success()) {
        return eprintln!("SKIPPED: this machine gives no network of one's own");
    }
    within.arg(std::env::current_exe().unwrap()).args(["--exact", NAME, "--nocapture"]).env(WITHIN, "1");
    let told = within.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success() && text.contains("1 passed"), "{text}");
}

fn cut_off() {
    link("up");
    let Some(mut server) = Server::start() else { return };
    let port = server.listen();
    let place = Place::postgres(format!("host=127.0.0.1 port={port} user=chappe dbname=postgres"));
    let mut store = place.open_shared().unwrap();
    store.lead(&Candidate { node: NodeId(1), incarnation: 1, lasts: Duration::from_secs(3600) }).unwrap();
    claim(&mut *store, 1, 7);
    link("down");
    // The system says so, long before the store's own patience ends, which says that nobody answers.
    let lost = store.load(1).unwrap_err();
    let StoreError::StoreUnavailable(why) = &lost else { panic!("{lost}") };
    assert!(!why.contains("does not answer"), "{why}");
    link("up");
    assert!(store.load(1).unwrap().is_some());
}

fn link(state: &str) {
    assert!(Command::new("ip").args(["link", "set", "lo", state]).status().unwrap().success());
}
