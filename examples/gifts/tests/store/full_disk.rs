//! The disk under the store fills up while players give each other money: a small disk of its own, where the machine allows it.

use crate::cluster::{Cluster, WAIT, gift, ok};
use chappe::client::Client;
use std::fs::{File, remove_file};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const NAME: &str = "full_disk::a_full_disk_loses_or_doubles_money_or_is_not_recovered_from";
/// Set in the mounts of its own.
const WITHIN: &str = "CHAPPE_TEST_WITHIN";
/// Enough for the store and some hundred gifts.
const DISK: &str = "size=4m";
const AMOUNT: i64 = 500;

#[test]
fn a_full_disk_loses_or_doubles_money_or_is_not_recovered_from() {
    if std::env::var_os(WITHIN).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(fill_up());
    }
    let is_root = nix::unistd::Uid::effective().is_root();
    let own: &[&str] = if is_root { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let dir = tempfile::tempdir().unwrap();
    let within = |program: &str| {
        let mut within = Command::new("unshare");
        within.args(own).args([
            "--",
            "sh",
            "-c",
            "mount -t tmpfs -o $1 chappe \"$2\" && shift 2 && exec \"$@\"",
        ]);
        within.args(["sh", DISK]).arg(dir.path()).arg(program).stdin(Stdio::null());
        within
    };
    if !within("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return eprintln!("SKIPPED: this machine gives no mounts of one's own");
    }
    let test = std::env::current_exe().unwrap();
    let mut run = within(&test.to_string_lossy());
    let told = run.args(["--exact", NAME, "--nocapture"]).env(WITHIN, dir.path()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success() && text.contains("1 passed"), "{text}");
}

async fn fill_up() {
    let disk = std::env::var(WITHIN).unwrap();
    let mut cluster = Cluster::new(&format!("{disk}/store.sqlite"));
    cluster.up().await;
    let (ada, ben) = (cluster.login(30).await, cluster.login(31).await);
    assert_eq!(gift(&ada, 31).await, ok());

    let filler = fill(Path::new(&disk));
    // What is left of the store's own log takes some more.
    let mut given = 1;
    let refused = loop {
        match gift_back_and_forth(&ada, &ben, &mut given).await {
            None => {}
            Some(code) => break code,
        }
    };
    assert_eq!(refused, "StoreUnavailable");
    // Who is here plays on, and may look at what they have; nothing of what was refused is there.
    let expected = balances(given);
    assert_eq!(money(&cluster), expected);

    remove_file(filler).unwrap();
    let patience = Instant::now() + WAIT;
    while gift(&ada, 31).await != ok() {
        assert!(Instant::now() < patience, "the cluster does not recover");
    }
    let [had, has] = expected;
    assert_eq!(money(&cluster), [had - AMOUNT, has + AMOUNT]);
    cluster.stop();
    cluster.up().await;
    assert_eq!(money(&cluster), [had - AMOUNT, has + AMOUNT], "it was not durable");
    cluster.stop();
}

/// Gives in turn, so that nobody runs out of money or of what may be received; why not, when it was refused.
async fn gift_back_and_forth(ada: &Client, ben: &Client, given: &mut u64) -> Option<String> {
    let (from, to) = if given.is_multiple_of(2) { (ada, 31) } else { (ben, 30) };
    let told = gift(from, to).await;
    if told == ok() {
        *given += 1;
        return None;
    }
    told
}

/// What Ada and Ben have after so many gifts, Ada's first and then in turn.
fn balances(given: u64) -> [i64; 2] {
    let ahead = i64::from(!given.is_multiple_of(2)) * AMOUNT;
    [10_000 - ahead, 10_000 + ahead]
}

fn money(cluster: &Cluster) -> [i64; 2] {
    [30, 31].map(|uid| cluster.document(uid)["money"].as_i64().unwrap())
}

/// Fills the disk to its last byte.
fn fill(disk: &Path) -> std::path::PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [64 << 10, 1] {
        let bytes = vec![0u8; size];
        loop {
            match file.write(&bytes) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    path
}
