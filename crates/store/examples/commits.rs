//! How many commits a store makes durable in a second, and what each costs.
//!
//!     cargo run --release -p chappe-store --example commits -- /var/tmp/store.db 5
//!     cargo run --release -p chappe-store --example commits -- postgres://user@%2Frun%2Fpostgresql/bench 5

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on says so")]

use chappe_store::{
    Commit, CommitId, NewNotification, NotificationId, Options, RecordChange, Sender, Step, StoreClient,
    Transition, When, on_thread, open,
};
use chappe_wire::NodeId;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let place = args.next().unwrap_or_else(|| "bench.db".to_owned());
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    println!("fdatasync of 4 KiB: {:?} (median of 200)", fdatasync());
    let (client, thread) = on_thread(open(&place, Options::new("bench")).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    println!(
        "{place}\n{:>8} {:>10} {:>10} {:>9} {:>12} {:>9}",
        "waiting", "rounds/s", "commits/s", "flushes/s", "commits/flush", "p50"
    );
    for waiting in [1, 64, 1024] {
        local.block_on(&runtime, measure(&client, waiting, Duration::from_secs(seconds)));
    }
    drop(client);
    thread.join().unwrap();
}

/// Rounds of giveMoney as the store sees them: three commits, one after another, `waiting` rounds at once.
async fn measure(client: &StoreClient, waiting: u64, time: Duration) {
    let life = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
    let flushes = client.stats().flushes.load(Relaxed);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..waiting)
        .map(|pair| tokio::task::spawn_local(rounds(client.clone(), life, pair, begun + time)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let seconds = begun.elapsed().as_secs_f64();
    let flushes = (client.stats().flushes.load(Relaxed) - flushes) as f64;
    latencies.sort();
    let rounds = latencies.len() as f64;
    println!(
        "{waiting:>8} {:>10.0} {:>10.0} {:>9.0} {:>12.1} {:>9.2?}",
        rounds / seconds,
        3.0 * rounds / seconds,
        flushes / seconds,
        3.0 * rounds / flushes,
        latencies[latencies.len() / 2]
    );
}

async fn rounds(client: StoreClient, life: u64, pair: u64, until: Instant) -> Vec<Duration> {
    let mut giver = client.claim(pair * 2, NodeId(1), Some(vec![0; 200])).await.unwrap().unwrap().record;
    let mut taker = client.claim(pair * 2 + 1, NodeId(2), Some(vec![0; 200])).await.unwrap().unwrap().record;
    let mut latencies = Vec::new();
    let mut number = pair << 32;
    while Instant::now() < until {
        let begun = Instant::now();
        let id = NotificationId::new(life, number);
        let mut step = |record: &mut chappe_store::Record, handler: &str| {
            number += 1;
            let change = RecordChange {
                uid: record.uid,
                epoch: record.epoch,
                version: record.version,
                document: Some(vec![number as u8; 200]),
            };
            record.version += 1;
            Commit { records: vec![change], ..Commit::new(CommitId::new(life, number), handler) }
        };
        let sent = NewNotification {
            id,
            sender: Sender::Player(giver.uid),
            receiver: taker.uid,
            kind: "user.giveMoney2".to_owned(),
            payload: vec![7; 150],
            deadline_in_ms: Some(30_000),
            depth: 1,
        };
        let debit = Commit { sent: vec![sent], ..step(&mut giver, "user.giveMoney") };
        client.commit(debit).await.unwrap().unwrap();
        let acted = Transition {
            id,
            from: Step::Sent,
            when: When::Before,
            outcome: Some(vec![1; 40]),
            handled: None,
        };
        let act = Commit { transitions: vec![acted], ..step(&mut taker, "user.giveMoney2") };
        client.commit(act).await.unwrap().unwrap();
        let settled = Transition { id, from: Step::Decided, when: When::Any, outcome: None, handled: None };
        let success = Commit { transitions: vec![settled], ..step(&mut giver, "user.giveMoney3") };
        client.commit(success).await.unwrap().unwrap();
        latencies.push(begun.elapsed());
    }
    latencies
}

fn fdatasync() -> Duration {
    use std::io::Write;
    let mut file = tempfile::tempfile_in(".").unwrap();
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            file.write_all(&[1; 4096]).unwrap();
            let begun = Instant::now();
            rustix::fs::fdatasync(file.as_fd()).unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
