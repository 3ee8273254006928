//! What only a file can do: be killed, be full, be damaged, be copied.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_store::{
    Commit, CommitId, Done, Options, Record, RecordChange, Refused, SqliteStore, Store, StoreError, Verdict,
    Work, survey,
};
use chappe_wire::NodeId;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::new("ours")).unwrap()
}

fn claim(store: &mut dyn Store, uid: u64) -> Record {
    let create = Some(Vec::new());
    match store.flush(&[Work::Claim { uid, server: NodeId(7), create }]).unwrap().remove(0) {
        Done::Claimed(claimed) => claimed.record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_look_from_outside_sees_who_has_the_file_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.sqlite");
    let place = path.to_string_lossy().into_owned();
    assert_eq!(survey(&place).unwrap().owner, None);
    assert!(!path.exists());
    let store = open(&path);
    assert!(survey(&place).unwrap().is_in_use);
    drop(store);
    let found = survey(&place).unwrap();
    assert_eq!((found.owner.as_deref(), found.schema), (Some("ours"), Some(found.latest)));
    assert!(!found.is_in_use && found.hindrance.is_none(), "{found:?}");
    open(&path);
    std::fs::write(&path, "another program's").unwrap();
    assert!(survey(&place).is_err());
}

fn commit(of: &Record, id: u64, document: Vec<u8>) -> Work {
    let (uid, epoch, version) = (of.uid, of.epoch, of.version);
    let records = vec![RecordChange { uid, epoch, version, document: Some(document) }];
    Work::Commit(Commit { records, ..Commit::new(CommitId::new(1, id), "test.run") })
}

/// The process that is killed: this test again, with a path in its environment.
fn commit_for_ever(path: &Path) {
    let mut store = open(path);
    let mut records: Vec<_> = (0..3).map(|uid| claim(&mut store, uid)).collect();
    let out = std::io::stdout();
    for number in 1.. {
        let id = |record: &Record| record.version * 10 + record.uid;
        let work: Vec<_> = records.iter().map(|record| commit(record, id(record), vec![1; 300])).collect();
        let done = store.flush(&work).unwrap();
        assert!(done.iter().all(|done| matches!(done, Done::Committed(_))), "{done:?}");
        records.iter_mut().for_each(|record| record.version += 1);
        writeln!(out.lock(), "acknowledged {number}").unwrap();
    }
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    if let Some(path) = std::env::var_os("CHAPPE_STORE_TO_KILL") {
        return commit_for_ever(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut base = 1;
    for (round, wanted) in [1, 40, 200, 7].into_iter().enumerate() {
        let name = "what_was_acknowledged_is_there_after_kill_9";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("CHAPPE_STORE_TO_KILL", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut told =
            lines.filter_map(|line| line.strip_prefix("acknowledged ").map(|n| n.parse::<u64>().unwrap()));
        let reached = told.by_ref().find(|number| *number >= wanted).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let last = told.last().unwrap_or(reached);
        let mut store = open(&path);
        for uid in 0..3 {
            let record = store.load(uid).unwrap().unwrap();
            assert!(record.version >= base + last, "round {round}: {} < {base} + {last}", record.version);
            assert!(record.version <= base + last + 1, "round {round}: more than was ever handed in");
        }
        let versions: Vec<_> = (0..3).map(|uid| store.load(uid).unwrap().unwrap().version).collect();
        assert!(versions.iter().all(|version| *version == versions[0]), "half a flush: {versions:?}");
        base = versions[0];
        if round == 0 {
            assert_eq!(store.outcome_of(CommitId::new(1, 10)).unwrap(), Verdict::Committed);
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let tight = Options { max_bytes: Some(300_000), ..Options::new("ours") };
    let mut store = SqliteStore::open(&path, tight).unwrap();
    let small = claim(&mut store, 0);
    let mut acknowledged = Vec::new();
    let full = loop {
        let record = claim(&mut store, acknowledged.len() as u64 + 1);
        match store.flush(&[commit(&record, record.uid, vec![7; 20_000])]) {
            Ok(done) => assert!(matches!(done[..], [Done::Committed(_)]), "{done:?}"),
            Err(error) => break error,
        }
        acknowledged.push(record.uid);
    };
    assert!(matches!(full, StoreError::StoreUnavailable(_)), "{full}");
    assert!(acknowledged.len() > 3);
    for uid in &acknowledged {
        assert_eq!(store.load(*uid).unwrap().unwrap().document, vec![7; 20_000]);
    }
    // Room is made; the same store goes on.
    store.flush(&[Work::Delete { uid: acknowledged[0] }]).unwrap();
    let done = store.flush(&[commit(&small, 1_000, vec![9; 100])]).unwrap();
    assert!(matches!(done[..], [Done::Committed(_)]), "{done:?}");
    drop(store);
    assert_eq!(open(&path).load(0).unwrap().unwrap().document, vec![9; 100]);
}

#[test]
fn a_damaged_file_is_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let mut store = open(&path);
    for uid in 0..200 {
        let record = claim(&mut store, uid);
        store.flush(&[commit(&record, uid, vec![0xAB; 500])]).unwrap();
    }
    drop(store);
    let clean = std::fs::read(&path).unwrap();
    let mut seen = (0, 0);
    for page in 1..clean.len() / 4096 {
        std::fs::write(&path, &clean).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(page as u64 * 4096 + 2_000)).unwrap();
        file.write_all(&[0x5A; 64]).unwrap();
        drop(file);
        match SqliteStore::open(&path, Options::new("ours")) {
            Err(StoreError::Corrupt(_)) => seen.0 += 1,
            Err(other) => panic!("page {page}: {other}"),
            Ok(mut store) => {
                for uid in 0..200 {
                    match store.load(uid) {
                        Ok(record) => assert_eq!(record.unwrap().document, vec![0xAB; 500], "page {page}"),
                        Err(StoreError::Corrupt(_)) => seen.1 += 1,
                        Err(other) => panic!("page {page}: {other}"),
                    }
                }
            }
        }
    }
    assert!(seen.1 > 0, "no damaged document was met: {seen:?}");
    std::fs::write(&path, b"this was never a database, whatever its name says; it is only text").unwrap();
    assert!(matches!(SqliteStore::open(&path, Options::new("ours")), Err(StoreError::Corrupt(_))));
}

#[test]
fn another_programs_database_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let refused = SqliteStore::open(&path, Options::new("ours")).map(drop);
    assert!(matches!(refused, Err(StoreError::BadPlace { .. })), "{refused:?}");
}

#[test]
fn a_backup_can_be_opened_in_place_of_the_lost_file() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
    let mut store = open(&path);
    let record = claim(&mut store, 1);
    store.flush(&[commit(&record, 1, b"saved".to_vec())]).unwrap();
    store.back_up(&copy).unwrap();
    assert!(store.back_up(&copy).is_err(), "a backup was written over");
    store.flush(&[commit(&Record { version: 2, ..record.clone() }, 2, b"after".to_vec())]).unwrap();
    let mut restored = open(&copy);
    assert_eq!(restored.load(1).unwrap().unwrap().document, b"saved");
    let again = restored.flush(&[commit(&record, 3, Vec::new())]).unwrap();
    assert!(matches!(again[..], [Done::Refused(Refused::StaleVersion { .. })]));
}
