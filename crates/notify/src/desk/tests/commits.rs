//! Each answer that a commit can have.

use super::world::*;
use crate::protocol::*;
use chappe_store::{Commit, Delivered, Fault, NewAnswer, NewPush, Sender, Step, Transition, When};
use chappe_wire::Reason;
use serde_bytes::ByteBuf;

#[test]
fn a_refused_commit_is_told_as_another_refusal() {
    run(async |world| {
        world.up().await;
        let owned = world.own(GAME, 5).await;
        let reply = async |commit: Commit| world.commit(GAME, commit).await.unwrap();

        world.committed(GAME, world.writing(5, &owned, b"one")).await;
        let again = reply(world.writing(5, &owned, b"two")).await;
        assert!(matches!(again, CommitReply::Again), "{again:?}");
        let stale = reply(world.writing(6, &owned, b"nobody")).await;
        assert!(matches!(stale, CommitReply::Stale { uid: 6 }), "{stale:?}");
        let moved = reply(world.moving(99, Step::Sent, None)).await;
        assert!(matches!(moved, CommitReply::Moved), "{moved:?}");
        let mut large = world.writing(5, &owned, &[0; 5000]);
        large.records[0].version = 2;
        let failed = reply(large).await;
        assert!(matches!(&failed, CommitReply::Failed(text) if text.contains("5000")), "{failed:?}");

        let mut answering = world.empty();
        let answer = NewAnswer { uid: 5, request: "r1".into(), response: b"first".to_vec() };
        answering.answers.push(answer);
        world.committed(GAME, Commit { ..answering.clone() }).await;
        let mut second = world.empty();
        second.answers.push(NewAnswer { response: b"second".to_vec(), ..answering.answers[0].clone() });
        let answered = reply(second).await;
        assert!(matches!(&answered, CommitReply::Answered { response } if response == b"first"));
        let asked = AnswerOf { uid: 5, request: "r1".into() };
        let stored: Option<ByteBuf> = world.ask(GAME, "answer", &asked).await.unwrap();
        assert_eq!(stored.unwrap().into_vec(), b"first");
        let asked = AnswerOf { uid: 5, request: "r2".into() };
        assert!(world.ask::<_, Option<ByteBuf>>(GAME, "answer", &asked).await.unwrap().is_none());

        let mut sending = world.sending(Sender::Player(5), 7, &[1]);
        sending.sent[0].deadline_in_ms = Some(10);
        world.commit_keeping(GAME, sending, vec![id(1)]).await.unwrap();
        // Before the master has ended it.
        let mut late = world.empty();
        late.transitions.push(Transition {
            id: id(1),
            from: Step::Sent,
            when: When::Before,
            outcome: None,
            handled: None,
        });
        tokio::time::sleep(std::time::Duration::from_millis(9)).await;
        let late = reply(late).await;
        assert!(matches!(late, CommitReply::DeadlinePassed | CommitReply::Moved), "{late:?}");
    });
}

#[test]
fn a_commit_whose_answer_was_lost_is_repeated() {
    run(async |world| {
        world.up().await;
        let owned = world.own(GAME, 5).await;
        world.faults.at(0, Fault::LoseAnswer);
        let mut commit = world.writing(5, &owned, b"one");
        commit.sent.push(note(1, Sender::Player(5), 7));
        world.committed(GAME, commit.clone()).await;
        assert_eq!(world.counted("commits_resolved"), 1);
        assert_eq!(world.gets(GAME, 1).await, [(1, Step::Sent)], "what it has sent goes its way");
        world.faults.at(0, Fault::LoseWork);
        let mut second = world.empty();
        second.sent.push(note(2, Sender::Player(5), 7));
        let again = world.commit(GAME, second.clone()).await.unwrap();
        assert!(matches!(again, CommitReply::Again), "{again:?}");
        let resolved: CommitReply = world.ask(GAME, "resolve", &Resolve { id: commit.id }).await.unwrap();
        assert!(matches!(resolved, CommitReply::Committed { .. }));
        let resolved: CommitReply = world.ask(GAME, "resolve", &Resolve { id: second.id }).await.unwrap();
        assert!(matches!(resolved, CommitReply::Again));
        world.settle().await;
        assert_eq!(world.server(GAME).numbers().len(), 1);
    });
}

#[test]
fn a_commit_while_the_store_is_lost_is_half_done() {
    run(async |world| {
        world.up().await;
        let owned = world.own(GAME, 5).await;
        world.faults.lost(true);
        let mut commit = world.writing(5, &owned, b"one");
        commit.sent.push(note(1, Sender::Player(5), 7));
        let failure = world.commit(GAME, commit.clone()).await.unwrap_err();
        assert_eq!(failure.reason, Reason::StoreUnavailable);
        world.faults.lost(false);
        world.settle().await;
        assert!(world.server(GAME).got.borrow().is_empty());
        world.committed(GAME, commit).await;
        assert_eq!(world.gets(GAME, 1).await, [(1, Step::Sent)]);
    });
}

#[test]
fn an_answer_lost_behind_a_lost_store_keeps_others_waiting() {
    run(async |world| {
        world.up().await;
        let owned = world.own(GAME, 5).await;
        world.faults.at(0, Fault::LoseAnswer);
        let first = world.commit(GAME, world.writing(5, &owned, b"one"));
        let lost = async {
            tokio::time::sleep(std::time::Duration::from_millis(4)).await;
            world.faults.lost(true);
            let failure = world.commit(GAME, world.empty()).await.unwrap_err();
            assert_eq!(failure.reason, Reason::StoreUnavailable);
            world.faults.lost(false);
        };
        let (first, ()) = tokio::join!(first, lost);
        assert!(matches!(first.unwrap(), CommitReply::Committed { .. }));
    });
}

#[test]
fn a_push_that_was_delivered_comes_at_every_login() {
    run(async |world| {
        world.up().await;
        let first = world.own(GAME, 5).await;
        let mut commit = world.empty();
        for payload in [b"a", b"b"] {
            commit.pushes.push(NewPush { uid: 5, payload: payload.to_vec() });
        }
        world.committed(GAME, commit).await;
        world.tell(GAME, "release", &Release { uid: 5, epoch: first.epoch });
        let owned = world.own(GAME, 5).await;
        let pushes: Vec<_> = owned.pushes.iter().map(|(_, push)| push.to_vec()).collect();
        assert_eq!(pushes, [b"a".to_vec(), b"b".to_vec()]);
        let delivered: PushesDelivered = Delivered { uid: 5, up_to: owned.pushes[0].0 };
        world.tell(GAME, "delivered", &delivered);
        world.settle().await;
        assert_eq!(world.own(GAME, 5).await.pushes.len(), 1);
    });
}
