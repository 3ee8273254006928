//! What is not durable.

use super::world::*;
use crate::protocol::*;
use chappe_node::To;
use chappe_wire::{Reason, Role, Row};
use std::time::Duration;

fn plain(uid: u64, record: u8) -> Vec<u8> {
    let mut out = Vec::new();
    Plain { uid, id: None, depth: 1, record: &[record] }.write(&mut out);
    out
}

#[test]
fn a_plain_notification_does_not_find_its_player() {
    run(async |world| {
        world.up().await;
        world.enter(7, GAME2).await;
        for record in 0..20 {
            world.send_plain(LOBBY, &plain(7, record));
        }
        world.send_plain(LOBBY, &plain(8, 1));
        world.settle().await;
        let got: Vec<u8> = world.server(GAME2).plain.borrow().iter().map(|plain| plain.2).collect();
        assert_eq!(got, (0..20).collect::<Vec<u8>>(), "in order");
        let offline = world.server(GAME).plain.take();
        assert_eq!((offline.len(), offline[0].0, offline[0].1), (1, 8, 1), "the first game server");
    });
}

#[test]
fn a_plain_notification_for_which_there_is_no_server_vanishes() {
    run(async |world| {
        world.start_master();
        world.start(SERVICE, Role::Service, "service_mail");
        world.is_ready(SERVICE).await;
        world.send_plain(SERVICE, &plain(8, 1));
        world.settle().await;
        assert_eq!(world.counted("dead_letters"), 1);
        let dropped = world.master().node().report().dropped;
        assert!(dropped.contains(&(Row::Notify.code(), Reason::NoRoute, 1)), "{dropped:?}");
    });
}

#[test]
fn a_response_from_another_server_does_not_find_its_player() {
    run(async |world| {
        world.up().await;
        let node = world.node(LOBBY);
        let send = async |uid| {
            let sent = SendTo { uid, record: vec![9] };
            let ask = Duration::from_secs(5);
            node.ask::<_, ()>(Row::SendTo, To::Master, (STORE, "send_to"), &sent, ask).await
        };
        assert_eq!(send(7).await.unwrap_err().reason, Reason::PlayerOffline);
        world.enter(7, GAME2).await;
        send(7).await.unwrap();
        world.settle().await;
        assert_eq!(world.server(GAME2).sent_to.borrow()[0].record, [9]);
    });
}

#[test]
fn plain_notifications_go_astray_while_a_restarted_master_does_not_know_the_players() {
    run(async |world| {
        world.up().await;
        world.enter(7, GAME2).await;
        world.freeze(PROXY, true);
        world.kill(MASTER);
        world.start_master();
        world.is_ready(GAME2).await;
        world.is_ready(LOBBY).await;
        assert!(world.master().is_recovering());
        for record in 0..5 {
            world.send_plain(LOBBY, &plain(7, record));
        }
        world.committed(LOBBY, world.sending(chappe_store::Sender::Player(5), 7, &[1])).await;
        world.settle().await;
        assert!(world.master().is_recovering());
        for id in [LOBBY, GAME, GAME2] {
            let server = world.server(id);
            assert!(server.plain.borrow().is_empty() && server.got.borrow().is_empty());
        }
        world.freeze(PROXY, false);
        world.is_ready(PROXY).await;
        world.settle().await;
        let plain = |id| world.server(id).plain.borrow().iter().map(|it| it.2).collect::<Vec<u8>>();
        let all: Vec<u8> = [LOBBY, GAME, GAME2].into_iter().flat_map(plain).collect();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        let got: usize = [LOBBY, GAME, GAME2].iter().map(|id| world.server(*id).numbers().len()).sum();
        assert_eq!(got, 1);
    });
}
