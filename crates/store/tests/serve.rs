//! The thread that takes everything that waits as one flush, and the faults between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_store::{
    Claimed, Commit, CommitId, Fault, Faults, FaultyStore, MemoryDisk, Options, Pace, RecordChange,
    SqliteStore, StoreClient, StoreError, Verdict, on_task, on_thread,
};
use chappe_wire::NodeId;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::Duration;
use tokio::task::LocalSet;

async fn claim(client: &StoreClient, uid: u64) -> Claimed {
    client.claim(uid, NodeId(7), Some(Vec::new())).await.unwrap().unwrap()
}

fn commit(id: u128, of: &Claimed, version: u64) -> Commit {
    let (uid, epoch) = (of.record.uid, of.record.epoch);
    let records = vec![RecordChange { uid, epoch, version, document: Some(id.to_le_bytes().to_vec()) }];
    Commit { records, ..Commit::new(CommitId(id), "test.run") }
}

#[tokio::test]
async fn commits_that_wait_never_cost_a_transaction_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("store.db"), Options::new("ours")).unwrap();
    let (client, thread) = on_thread(Box::new(store)).unwrap();
    let mut owned = Vec::new();
    for uid in 0..64 {
        owned.push(claim(&client, uid).await);
    }
    // While the thread is held, everything piles up behind it.
    let (hold, held) = mpsc::channel::<()>();
    let holding = client.read(move |_| {
        held.recv().unwrap();
        Ok(())
    });
    let before = client.stats().flushes.load(Relaxed);
    let mut waiting = Vec::new();
    for turn in 0..16_u64 {
        for one in &owned {
            let id = u128::from(turn * 64 + one.record.uid + 1);
            waiting.push(client.commit(commit(id, one, one.record.version + turn)));
        }
    }
    hold.send(()).unwrap();
    holding.await.unwrap();
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    let flushes = client.stats().flushes.load(Relaxed) - before;
    assert!(flushes <= 2, "1,024 commits in {flushes} transactions");
    assert_eq!(client.load(5).await.unwrap().unwrap().version, 17);
    drop(client);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_queue_that_is_full_says_so_and_loses_nothing() {
    let (client, thread) =
        on_thread(Box::new(MemoryDisk::new().open(Options::new("ours")).unwrap())).unwrap();
    let one = claim(&client, 1).await;
    let (hold, held) = mpsc::channel::<()>();
    let (ready, begun) = mpsc::channel::<()>();
    let holding = client.read(move |_| {
        ready.send(()).unwrap();
        held.recv().unwrap();
        Ok(())
    });
    begun.recv().unwrap();
    let mut taken = Vec::new();
    for number in 0..65_536 {
        taken.push(client.commit(commit(number + 1, &one, one.record.version + number as u64)));
    }
    let late = client.commit(commit(99_999, &one, 1)).await;
    assert!(matches!(late, Err(StoreError::Overloaded { waiting: 65_536 })), "{late:?}");
    hold.send(()).unwrap();
    holding.await.unwrap();
    for answer in taken {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(client.stats().overloaded.load(Relaxed), 1);
    drop(client);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_known_and_never_repeated() {
    let faults = Faults::new();
    let store = MemoryDisk::new().open(Options::new("ours")).unwrap();
    let store = FaultyStore::new(Box::new(store), faults.clone());
    let (client, _thread) = on_thread(Box::new(store)).unwrap();
    let one = claim(&client, 1).await;
    faults.at(0, Fault::LoseAnswer);
    let lost = client.commit(commit(1, &one, 1)).await;
    assert!(matches!(lost, Err(StoreError::AnswerLost(_))), "{lost:?}");
    assert!(client.stats().failing.load(Relaxed));
    assert_eq!(client.resolve(CommitId(1)).await.unwrap().unwrap(), Verdict::Committed);
    assert!(!client.stats().failing.load(Relaxed));
    faults.at(0, Fault::LoseWork);
    let lost = client.commit(commit(2, &one, 2)).await;
    assert!(matches!(lost, Err(StoreError::AnswerLost(_))), "{lost:?}");
    assert_eq!(client.resolve(CommitId(2)).await.unwrap().unwrap(), Verdict::GivenUp);
    assert!(client.commit(commit(2, &one, 2)).await.unwrap().is_err());
    faults.at(0, Fault::Fail);
    let failed = client.commit(commit(3, &one, 2)).await;
    assert!(matches!(failed, Err(StoreError::StoreUnavailable(_))), "{failed:?}");
    client.commit(commit(3, &one, 2)).await.unwrap().unwrap();
    faults.lost(true);
    assert!(matches!(client.load(1).await, Err(StoreError::StoreUnavailable(_))));
    faults.lost(false);
    assert_eq!(client.load(1).await.unwrap().unwrap().version, 3);
}

#[tokio::test(start_paused = true)]
async fn on_virtual_time_a_crash_keeps_what_was_acknowledged() {
    let local = LocalSet::new();
    local.run_until(crash_and_restart(false)).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_skips_its_sync_is_caught() {
    let local = LocalSet::new();
    local.run_until(crash_and_restart(true)).await;
}

async fn crash_and_restart(skip_sync: bool) {
    let disk = MemoryDisk::new();
    let pace = || Pace {
        before: Box::new(|| Duration::from_millis(3)),
        after: Box::new(|| Duration::from_millis(2)),
        answered: Box::new(|| ()),
    };
    let (client, task) = on_task(Box::new(disk.open(Options::new("ours")).unwrap()), pace());
    let one = claim(&client, 1).await;
    disk.skip_sync(skip_sync);
    client.commit(commit(1, &one, 1)).await.unwrap().unwrap();
    let answer = tokio::task::spawn_local(client.commit(commit(2, &one, 2)));
    // Durable, and not answered yet.
    tokio::time::sleep(Duration::from_millis(4)).await;
    task.abort();
    disk.crash();
    assert!(matches!(answer.await.unwrap(), Err(StoreError::AnswerLost(_))));
    let (client, _task) = on_task(Box::new(disk.open(Options::new("ours")).unwrap()), pace());
    let version = client.load(1).await.unwrap().unwrap().version;
    assert_eq!(version, if skip_sync { 1 } else { 3 });
    let verdict = client.resolve(CommitId(2)).await.unwrap().unwrap();
    assert_eq!(verdict, if skip_sync { Verdict::GivenUp } else { Verdict::Committed });
}
