//! Everything at once: nodes and masters are killed, the store fails and loses answers, players move.

use super::world::*;
use chappe_store::{Fault, Sender};
use chappe_wire::Role;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const SERVERS: [chappe_wire::NodeId; 3] = [LOBBY, GAME, GAME2];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn restart(world: &mut World, id: chappe_wire::NodeId) {
    world.kill(id);
    sleep(Duration::from_millis(300)).await;
    match id {
        MASTER => world.start_master(),
        LOBBY => world.start(LOBBY, Role::Lobby, "lobby"),
        other => world.start(other, Role::Game, "game"),
    }
    if id != MASTER {
        world.server(id).acts.set(true);
    }
    for id in [PROXY, LOBBY, GAME, GAME2] {
        world.is_ready(id).await;
    }
}

#[test]
fn some_notification_never_ends() {
    for seed in 1..=3 {
        run(async |world| {
            let mut dice = Dice(seed);
            world.up().await;
            SERVERS.iter().for_each(|id| world.server(*id).acts.set(true));
            let mut sent = 0;
            for _ in 0..120 {
                match dice.roll(24) {
                    0 => restart(world, MASTER).await,
                    1 => restart(world, SERVERS[dice.roll(3) as usize]).await,
                    2 => world.faults.at(dice.roll(3), Fault::LoseAnswer),
                    3 => world.faults.at(dice.roll(3), Fault::LoseWork),
                    4 => world.faults.at(dice.roll(3), Fault::Fail),
                    5 => {
                        world.faults.lost(true);
                        sleep(Duration::from_millis(dice.roll(2000))).await;
                        world.faults.lost(false);
                    }
                    6 | 7 => {
                        let login = world.enter(dice.roll(4), SERVERS[dice.roll(3) as usize]);
                        let _ = timeout(Duration::from_secs(20), login).await;
                    }
                    _ => {
                        sent += 1;
                        let from = SERVERS[dice.roll(3) as usize];
                        let commit = world.sending(Sender::Player(dice.roll(4)), dice.roll(4), &[sent]);
                        // Unknown is as good as done: the same commit again tells.
                        while world.commit(from, commit.clone()).await.is_err() {
                            sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
                sleep(Duration::from_millis(dice.roll(20))).await;
            }
            sleep(Duration::from_secs(60)).await;
            assert_eq!(world.store().unsettled(0, 100).await.unwrap(), [], "seed {seed}");
            let left = (world.counted("notifications_sent"), world.counted("notifications_decided"));
            assert_eq!(left, (0, 0), "seed {seed}");
            assert!(sent > 50);
        });
    }
}
