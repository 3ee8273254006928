//! Backups and the way back, as `docs/en/operations/backup.md` describes it: real processes, real players, each store. A backup is
//! taken while a gift is under way in either step and a dead letter waits; after it, more happens.

use crate::cluster::{self, Cluster, gift, ok};
use crate::postgres::Postgres;
use nix::sys::signal::Signal;
use serde_json::{Value as Json, json};

const PLAYERS: [u64; 4] = [30, 31, 32, 33];

#[tokio::test(flavor = "current_thread")]
async fn sqlite_brings_back_more_or_less_than_its_backup_holds() {
    let mut cluster = Cluster::new("store.sqlite");
    let backup = cluster.dir().join("monday.sqlite").display().to_string();
    let told =
        story(&mut cluster, || {}, |cluster| drop(cluster.run(&["store", "backup"], &[&backup]))).await;
    cluster.run(&["store", "restore"], &[&backup]);
    retold(&mut cluster, told).await;
}

#[tokio::test(flavor = "current_thread")]
async fn pg_dump_brings_back_more_or_less_than_it_holds() {
    let Some(server) = Postgres::start() else { return };
    let dump = server.dir().join("monday.dump").display().to_string();
    let mut cluster = Cluster::new(&server.url("postgres"));
    let pg_dump = |_: &Cluster| server.program("pg_dump", &["-Fc", "-d", "postgres", "-f", &dump]);
    let told = story(&mut cluster, || {}, pg_dump).await;
    server.program("createdb", &["restored"]);
    server.program("pg_restore", &["--exit-on-error", "--single-transaction", "-d", "restored", &dump]);
    cluster.keep_in(&server.url("restored"));
    retold(&mut cluster, told).await;
}

/// A base backup from before everything, and the log up to a named moment.
#[tokio::test(flavor = "current_thread")]
async fn a_base_backup_and_the_log_bring_back_another_moment_than_the_one_asked_for() {
    let Some(mut server) = Postgres::start() else { return };
    let mut cluster = Cluster::new(&server.url("postgres"));
    let point = |_: &Cluster| server.sql("SELECT pg_create_restore_point('monday')");
    let told = story(&mut cluster, || server.base_backup(), point).await;
    server.stop();
    server.recover_to("monday");
    retold(&mut cluster, told).await;
}

/// What there was at the backup: the records, and the number of the dead letter.
struct Told {
    records: Vec<Json>,
    letter: String,
}

/// Players give each other money; `early` happens once the cluster runs. `back_up` happens while one gift is `sent` and
/// one is `decided`; then both end, another is given, and the cluster stops.
async fn story(cluster: &mut Cluster, early: impl FnOnce(), back_up: impl FnOnce(&Cluster)) -> Told {
    cluster.up().await;
    let [ada, ben, cleo] = [cluster.login(30).await, cluster.login(31).await, cluster.login(32).await];
    early();
    let letter = dead_letter(cluster, &cleo).await;

    // What is done for Ben waits at his server, and then what Ada is to be told at hers.
    let (of_ada, of_ben) = (ada.server_id().0, ben.server_id().0);
    cluster.signal(of_ben, Signal::SIGSTOP);
    let first = gift(&ada, 31);
    tokio::pin!(first);
    cluster.under_way_while(1, 0, &mut first).await;
    cluster.signal(of_ada, Signal::SIGSTOP);
    cluster.signal(of_ben, Signal::SIGCONT);
    cluster.under_way_while(0, 1, &mut first).await;
    cluster.signal(of_ben, Signal::SIGSTOP);
    let second = gift(&cleo, 31);
    tokio::pin!(second);
    cluster.under_way_while(1, 1, &mut second).await;
    let records = cluster.documents(&PLAYERS);
    back_up(cluster);
    cluster.signal(of_ada, Signal::SIGCONT);
    cluster.signal(of_ben, Signal::SIGCONT);
    assert_eq!((first.await, second.await), (ok(), ok()));

    // This is what the backup does not hold.
    assert_eq!(gift(&ada, 32).await, ok());
    assert_eq!(money(cluster), [9_000, 11_000, 10_000]);
    cluster.stop();
    Told { records, letter }
}

/// The restored cluster: what was under way at the backup ends once, and nothing of later is there.
async fn retold(cluster: &mut Cluster, told: Told) {
    cluster.up().await;
    cluster.under_way(0, 0).await;
    // Ada's 500 are Ben's since before the backup; Cleo's were under way, and reach him now.
    assert_eq!(
        told.records.iter().map(|record| record["money"].clone()).collect::<Vec<_>>()[..3],
        [9_500, 10_500, 9_500]
    );
    assert_eq!(money(cluster), [9_500, 11_000, 9_500]);
    assert_eq!(cluster.document(31)["moneyReceived"], 2);

    let letters = cluster.ask(&["deadletters", "list"], &[]);
    assert_eq!(letters["letters"][0]["letter"], json!(told.letter));
    cluster.run(&["record", "set"], &["33", r#"{"money": 9000}"#, "--create"]);
    cluster.run(&["deadletters", "retry"], &[&told.letter]);
    cluster.under_way(0, 0).await;
    assert_eq!(cluster.document(33)["money"], 10_000, "the stake of the letter is given back");
    assert_eq!(cluster.ask(&["deadletters", "list"], &[])["letters"], json!([]));

    // Players come back, and play on from there.
    let ada = cluster.login(30).await;
    assert_eq!(gift(&ada, 31).await, ok());
    cluster.stop();
    cluster.up().await;
    cluster.under_way(0, 0).await;
    assert_eq!(money(cluster), [9_000, 11_500, 9_500], "something ran twice");
    assert_eq!(cluster.document(33)["money"], 10_000);
    cluster.stop();
}

/// A duel whose challenger is forgotten before it is declined: the stake finds nobody.
async fn dead_letter(cluster: &Cluster, cleo: &chappe::client::Client) -> String {
    let dora = cluster.login(33).await;
    let duel = chappe::value!({"id": 32, "hand": "rock", "amount": 1000});
    dora.ask("duel.challenge", &duel, cluster::WAIT).await.unwrap();
    dora.logout().await.unwrap();
    cluster.deleted(33).await;
    cleo.ask("duel.decline", &chappe::value!({}), cluster::WAIT).await.unwrap();
    cluster.letter().await
}

fn money(cluster: &Cluster) -> Vec<i64> {
    let records = cluster.documents(&PLAYERS[..3]);
    records.iter().map(|record| record["money"].as_i64().unwrap()).collect()
}
