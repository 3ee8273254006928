//! All stores do the same with the same work: seeded random work against the memory store.

use crate::place::Place;
use crate::rows::{note, transition};
use chappe_store::{
    Commit, CommitId, Committed, Delivered, Done, NewAnswer, NewDeadLetter, NewPush, NotificationId,
    RecordChange, Refused, Step, Store, When, Work,
};
use chappe_wire::NodeId;

#[test]
fn sqlite_does_as_memory_does() {
    stores_do_alike(&Place::sqlite());
}

pub(crate) fn stores_do_alike(place: &Place) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Random(seed);
    let memory = Place::memory();
    let (mut one, mut other) = (memory.open(), place.open());
    for turn in 0..400_u64 {
        let works: Vec<_> = (0..1 + random.below(12)).map(|_| work(&mut random, &mut *one)).collect();
        let (expected, found) = (one.flush(&works).unwrap(), other.flush(&works).unwrap());
        for ((work, expected), found) in works.iter().zip(expected).zip(found) {
            assert_eq!(timeless(expected), timeless(found), "seed {seed}, turn {turn}: {work:?}");
        }
        if turn % 40 == 39 {
            drop((one, other));
            (one, other) = (memory.open(), place.open());
        }
        compare(&mut *one, &mut *other, seed, turn);
    }
}

fn compare(one: &mut dyn Store, other: &mut dyn Store, seed: u64, turn: u64) {
    for uid in 0..5 {
        assert_eq!(one.load(uid), other.load(uid), "seed {seed}, turn {turn}");
        assert_eq!(one.pushes(uid), other.pushes(uid), "seed {seed}, turn {turn}");
        let versions = |store: &mut dyn Store| -> Vec<_> {
            let kept = store.history(uid).unwrap().into_iter();
            kept.map(|entry| (entry.version, entry.epoch, entry.commit, entry.document)).collect()
        };
        assert_eq!(versions(one), versions(other), "seed {seed}, turn {turn}");
    }
    let notes = |store: &mut dyn Store| -> Vec<_> {
        let notes = store.unsettled(0, 1000).unwrap().into_iter();
        notes.map(|note| (note.id, note.order, note.step, note.outcome, note.payload)).collect()
    };
    assert_eq!(notes(one), notes(other), "seed {seed}, turn {turn}");
    let letters = |store: &mut dyn Store| -> Vec<_> {
        let letters = store.dead_letters(0, 1000).unwrap().into_iter();
        letters.map(|letter| (letter.sequence, letter.notification)).collect()
    };
    assert_eq!(letters(one), letters(other), "seed {seed}, turn {turn}");
}

fn work(random: &mut Random, known: &mut dyn Store) -> Work {
    let uid = random.below(5);
    match random.below(20) {
        0..3 => Work::Claim { uid, server: NodeId(random.below(3) as i64), create: Some(vec![1]) },
        3 => Work::Release { uid, epoch: known.load(uid).unwrap().map_or(1, |record| record.epoch) },
        4 if random.below(4) == 0 => Work::Delete { uid },
        5 => Work::Resolve(CommitId(u128::from(random.below(400)))),
        6 => {
            let sequence = known.dead_letters(0, 1).unwrap().first().map_or(1, |letter| letter.sequence);
            let id = NotificationId(u128::from(random.below(60)));
            if random.below(2) == 0 {
                Work::DropLetter { sequence }
            } else {
                Work::RetryLetter { sequence, id }
            }
        }
        _ => Work::Commit(commit(random, known)),
    }
}

fn commit(random: &mut Random, known: &mut dyn Store) -> Commit {
    let mut commit = Commit::new(CommitId(u128::from(random.below(4000))), "random.run");
    for _ in 0..random.below(3) {
        let uid = random.below(5);
        let record = known.load(uid).unwrap();
        let (epoch, version) = record.map_or((1, 1), |record| (record.epoch, record.version));
        let version = version + random.below(3) / 2;
        let document = (random.below(4) > 0).then(|| vec![random.below(256) as u8; 3]);
        commit.records.push(RecordChange { uid, epoch, version, document });
    }
    let id = |random: &mut Random| u128::from(random.below(60));
    for _ in 0..random.below(2) {
        let from = if random.below(2) == 0 { Step::Sent } else { Step::Decided };
        let when = [When::Before, When::Passed, When::Any][random.below(3) as usize];
        let outcome = (from == Step::Sent && random.below(3) > 0).then_some(b"outcome".as_slice());
        commit.transitions.push(transition(id(random), from, when, outcome));
    }
    for _ in 0..random.below(3) / 2 {
        let deadline = [None, Some(0), Some(3_600_000)][random.below(3) as usize];
        commit.sent.push(note(id(random), deadline));
    }
    if random.below(5) == 0 {
        let request = random.below(20).to_string();
        commit.answers.push(NewAnswer {
            uid: random.below(5),
            request,
            response: vec![random.below(9) as u8],
        });
    }
    for _ in 0..random.below(6) / 4 {
        commit.pushes.push(NewPush { uid: random.below(5), payload: vec![random.below(9) as u8] });
    }
    if random.below(8) == 0 {
        let uid = random.below(5);
        let up_to = known.pushes(uid).unwrap().first().map_or(0, |push| push.sequence);
        commit.delivered.push(Delivered { uid, up_to });
    }
    if random.below(10) == 0 {
        let notification = note(id(random), Some(0));
        commit.dead_letters.push(NewDeadLetter { reason: "noHandler".to_owned(), notification });
    }
    commit
}

/// Without what another clock tells otherwise.
fn timeless(done: Done) -> Done {
    match done {
        Done::Committed(committed) => Done::Committed(Committed { at_ms: 0, ..committed }),
        Done::Refused(Refused::DeadlineAhead { id, in_ms }) => {
            Done::Refused(Refused::DeadlineAhead { id, in_ms: in_ms.map(|_| 0) })
        }
        done => done,
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
