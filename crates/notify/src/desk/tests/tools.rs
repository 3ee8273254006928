//! The command line's requests.

use super::world::*;
use crate::protocol::*;
use crate::tools::*;
use chappe_node::Failure;
use chappe_store::{NewDeadLetter, Sender, Step};
use chappe_wire::{Reason, Role, Row, Value, value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

async fn up(world: &mut World) {
    world.up().await;
    world.start(TOOL, Role::Tool, "tool");
    world.settle().await;
}

async fn tool<T: Serialize, R: DeserializeOwned + 'static>(
    world: &World,
    method: &str,
    args: &T,
) -> Result<R, Failure> {
    world.ask(TOOL, method, args).await
}

async fn record(world: &World, uid: u64) -> Result<RecordShown, Failure> {
    tool(world, "record_show", &RecordQuery { uid }).await
}

async fn set(world: &World, uid: u64, document: Value, create: bool) -> Result<RecordChanged, Failure> {
    tool(world, "record_set", &RecordSet { uid, document, version: None, create }).await
}

#[test]
fn an_operators_change_is_lost_to_the_server_that_owns_the_record() {
    run(async |world| {
        up(world).await;
        assert_eq!(record(world, 5).await.unwrap_err().reason, Reason::UserNotFound);
        assert_eq!(
            set(world, 5, value!({"money": 1}), false).await.unwrap_err().reason,
            Reason::UserNotFound
        );
        assert_eq!(set(world, 5, value!(3), true).await.unwrap_err().reason, Reason::BadData);
        assert_eq!(set(world, 5, value!({"money": 1}), true).await.unwrap().version, 2);

        world.enter(5, GAME2).await;
        let owned = world.own(GAME2, 5).await;
        assert_eq!(value::decode::<Value>(&owned.document).unwrap(), value!({"money": 1}));
        let shown = record(world, 5).await.unwrap();
        assert_eq!((shown.owner, shown.is_owner_up, shown.online), (Some(GAME2), true, true));
        let changed = set(world, 5, value!({"money": 2}), false).await.unwrap();
        assert_eq!(changed.version, 3);
        assert_eq!(world.server(GAME2).released.borrow()[0].epoch, owned.epoch);
        let stale = world.commit(GAME2, world.writing(5, &owned, b"old")).await.unwrap();
        assert!(matches!(stale, CommitReply::Stale { uid: 5 }), "{stale:?}");
        let shown = record(world, 5).await.unwrap();
        assert_eq!((shown.owner, shown.version, shown.document), (None, 3, value!({"money": 2})));
        assert_eq!(world.own(GAME2, 5).await.version, 3);

        let other = RecordSet { uid: 5, document: value!({}), version: Some(9), create: false };
        let refused = tool::<_, RecordChanged>(world, "record_set", &other).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Refused);
        world.server(GAME2).is_mute.set(true);
        world.own(GAME2, 5).await;
        let refused = set(world, 5, value!({}), false).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Refused, "a live owner is not overruled: {refused}");

        let history = RecordHistory { uid: 5, version: None };
        let lines: Vec<VersionLine> = tool(world, "record_history", &history).await.unwrap();
        let lines: Vec<_> = lines.iter().map(|line| (line.version, line.handler.as_str())).collect();
        assert_eq!(lines, [(3, "operator"), (2, "operator"), (1, "created")]);
        let history = RecordHistory { uid: 5, version: Some(2) };
        let lines: Vec<VersionLine> = tool(world, "record_history", &history).await.unwrap();
        assert_eq!((lines.len(), lines[0].document.clone()), (1, Some(value!({"money": 1}))));
    });
}

#[test]
fn a_player_who_is_online_is_deleted() {
    run(async |world| {
        up(world).await;
        let epoch = world.enter(5, GAME2).await;
        world.own(GAME2, 5).await;
        let delete = async || tool::<_, ()>(world, "record_delete", &RecordQuery { uid: 5 }).await;
        assert_eq!(delete().await.unwrap_err().reason, Reason::Refused);
        world.leave(5, epoch).await;
        delete().await.unwrap();
        assert_eq!(delete().await.unwrap_err().reason, Reason::UserNotFound);
        assert_eq!(world.server(GAME2).released.borrow().len(), 1);
        world.own(GAME, 5).await;
        world.tell(GAME, "release", &Release { uid: 5, epoch: record(world, 5).await.unwrap().epoch });
        world.settle().await;
        world.disk.damage(5);
        delete().await.unwrap();
    });
}

#[test]
fn an_export_leaves_records_out() {
    run(async |world| {
        up(world).await;
        for uid in 0..25 {
            set(world, uid, value!({"uid": uid}), true).await.unwrap();
        }
        world.disk.damage(7);
        let (mut after, mut uids, mut corrupt) = (None, Vec::new(), Vec::new());
        loop {
            let asked = RecordExport { after, limit: Some(8) };
            let page: RecordPage = tool(world, "record_export", &asked).await.unwrap();
            uids.extend(page.records.iter().map(|record| record.uid));
            corrupt.extend(page.corrupt.iter().map(|(uid, _)| *uid));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(corrupt, [7]);
        assert_eq!(uids, (0..25).filter(|uid| *uid != 7).collect::<Vec<u64>>());
    });
}

#[test]
fn nobody_sees_what_is_under_way() {
    run(async |world| {
        up(world).await;
        let mut commit = world.sending(Sender::Player(5), 7, &[1, 2, 3]);
        commit.sent[1].deadline_in_ms = Some(30_000);
        commit.sent[2].receiver = 8;
        world.committed(LOBBY, commit).await;
        world.gets(GAME, 3).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let asked = NotificationsQuery { limit: Some(1), uid: Some(7), ..NotificationsQuery::default() };
        let page: NotificationsPage = tool(world, "notifications", &asked).await.unwrap();
        assert_eq!((page.sent, page.decided, page.more), (3, 0, true));
        let line = &page.notifications[0];
        assert_eq!((line.id.as_str(), line.receiver, line.step), ("0-1", 7, Step::Sent));
        assert_eq!((line.place, line.deadline_in_ms), (Whereabouts::Accepted(GAME), None));
        assert!((900..1200).contains(&line.age_ms), "{line:?}");
        let asked = NotificationsQuery { after: Some(line.order), limit: None, ..asked };
        let page: NotificationsPage = tool(world, "notifications", &asked).await.unwrap();
        assert_eq!((page.notifications.len(), page.more), (1, false));
        let left = page.notifications[0].deadline_in_ms.unwrap();
        assert!((28_800..29_100).contains(&left), "{left}");
    });
}

#[test]
fn dead_letters_cannot_be_sent_again() {
    run(async |world| {
        up(world).await;
        let mut commit = world.empty();
        let notification = note(1, Sender::Player(5), 7);
        for reason in ["noHandler", "handlerFailed"] {
            let notification = notification.clone();
            commit.dead_letters.push(NewDeadLetter { reason: reason.to_owned(), notification });
        }
        world.committed(LOBBY, commit).await;
        let record = value::encode(&value!({"_type": "user.hello", "n": 4})).unwrap();
        for uid in [Some(8), None] {
            let dead = Dead { reason: "noHandler".into(), uid, id: None, record: record.clone(), depth: 2 };
            world.tell(LOBBY, "dead", &dead);
        }
        world.settle().await;

        let list = async |after, limit| {
            let asked = LettersQuery { after, limit: Some(limit) };
            tool::<_, LettersPage>(world, "dead_letters", &asked).await.unwrap()
        };
        let all = list(None, 10).await.letters;
        assert_eq!(all.len(), 4);
        let (mut after, mut paged) = (None, Vec::new());
        loop {
            let page = list(after, 1).await;
            after = page.letters.last().map(|line| line.id);
            paged.extend(page.letters.into_iter().map(|line| line.id));
            if !page.more {
                break;
            }
        }
        assert_eq!(paged, all.iter().map(|line| line.id).collect::<Vec<_>>());
        assert_eq!(
            (all[2].id, all[2].kind.as_str(), all[2].receiver),
            (LetterId::Plain(1), "user.hello", Some(8))
        );

        let one = |id| LetterQuery { id };
        let shown: LetterShown = tool(world, "dead_letter", &one(all[2].id)).await.unwrap();
        assert_eq!((shown.depth, shown.record.field("n").cloned()), (2, Some(Value::Int(4))));
        let shown: LetterShown = tool(world, "dead_letter", &one(all[0].id)).await.unwrap();
        assert_eq!(shown.line.reason, "noHandler");

        let retried: Option<String> = tool(world, "dead_letter_retry", &one(all[0].id)).await.unwrap();
        assert!(retried.is_some());
        world.gets(GAME, 1).await;
        let retried: Option<String> = tool(world, "dead_letter_retry", &one(all[2].id)).await.unwrap();
        assert_eq!(retried, None);
        world.settle().await;
        assert_eq!(world.server(GAME).plain.borrow()[0].0, 8);
        let refused = tool::<_, Option<String>>(world, "dead_letter_retry", &one(all[3].id)).await;
        assert_eq!(refused.unwrap_err().reason, Reason::Refused);
        for line in [&all[1], &all[3]] {
            tool::<_, ()>(world, "dead_letter_drop", &one(line.id)).await.unwrap();
            let gone = tool::<_, ()>(world, "dead_letter_drop", &one(line.id)).await.unwrap_err();
            assert_eq!(gone.reason, Reason::NoRoute);
        }
        assert_eq!(list(None, 10).await.letters.len(), 0);
    });
}

#[test]
fn a_server_speaks_for_an_operator() {
    run(async |world| {
        up(world).await;
        for method in ["record_show", "record_delete"] {
            let refused = world.ask::<_, Value>(GAME, method, &RecordQuery { uid: 5 }).await;
            assert_eq!(refused.unwrap_err().reason, Reason::Refused);
        }
        let node = world.node(TOOL);
        let asked = RecordQuery { uid: 5 };
        let ask = Duration::from_secs(5);
        let target = (MODULE, "record_show");
        let to = chappe_node::To::Master;
        let refused = node.ask::<_, Value>(Row::CacheRequest, to, target, &asked, ask).await;
        assert_eq!(refused.unwrap_err().reason, Reason::Refused);
    });
}
