use super::*;

const NOW: Duration = Duration::from_secs(1);
const PROXY: NodeId = NodeId(10);
const OTHER_PROXY: NodeId = NodeId(11);
const LOBBY: NodeId = NodeId(20);
const OTHER_LOBBY: NodeId = NodeId(21);
const GAME: NodeId = NodeId(30);

fn entered(uid: u64, epoch: u64, server: NodeId) -> Entered {
    Entered { uid, epoch, server, is_transfer: false, is_reconnect: false }
}

fn moved(uid: u64, epoch: u64, server: NodeId) -> Entered {
    Entered { is_transfer: true, ..entered(uid, epoch, server) }
}

fn left(uid: u64, epoch: u64) -> Left {
    Left { uid, epoch, reason: Reason::Logout }
}

fn login(uid: u64, server: NodeId) -> Effect {
    Effect::Login { server, uid, is_transfer: false, is_reconnect: false }
}

fn logout(uid: u64, server: NodeId) -> Effect {
    Effect::Logout { server, uid, is_transfer: false }
}

/// A directory in which the player 5 has the session 100 on the lobby.
fn with_player() -> Directory {
    let mut directory = Directory::default();
    assert_eq!(directory.grant(NOW, (5, 100), PROXY, LOBBY), Ok(vec![]));
    assert_eq!(directory.info(5).server_id, None, "not there before the lobby has accepted");
    assert_eq!(directory.entered(NOW, PROXY, &entered(5, 100, LOBBY)), [login(5, LOBBY)]);
    assert_eq!(directory.info(5).server_id, Some(LOBBY));
    directory
}

#[test]
fn an_epoch_that_a_clock_set_back_would_repeat() {
    let mut directory = Directory::default();
    let first = directory.next_epoch(1_700_000_000_000);
    assert!(directory.next_epoch(1_600_000_000_000) > first);
    let reported = Session { uid: 1, epoch: first + 50, proxy: PROXY, server: None };
    directory.rebuild(NOW, PROXY, &[reported]);
    assert!(directory.next_epoch(1_700_000_000_000) > first + 50);
}

#[test]
fn a_second_login_ends_the_first_and_its_late_words_touch_nothing() {
    let mut directory = with_player();
    let effects = directory.grant(NOW, (5, 101), OTHER_PROXY, OTHER_LOBBY).unwrap();
    assert_eq!(effects, [Effect::Close { proxy: PROXY, epoch: 100 }, logout(5, LOBBY)]);
    assert_eq!(directory.left(&left(5, 100)), []);
    let late = directory.entered(NOW, PROXY, &moved(5, 100, GAME));
    assert_eq!(late, [Effect::Close { proxy: PROXY, epoch: 100 }]);
    assert_eq!(directory.by_uid(5).map(|entry| entry.session.epoch), Some(101));
    assert_eq!(directory.by_epoch(100), None);
}

#[test]
fn of_two_logins_the_later_one_wins_however_long_the_earlier_took() {
    let mut directory = Directory::default();
    directory.grant(NOW, (5, 101), PROXY, LOBBY).unwrap();
    assert_eq!(directory.grant(NOW, (5, 100), OTHER_PROXY, LOBBY), Err(Reason::Replaced));
}

#[test]
fn a_burst_of_logins_would_pile_up_on_one_lobby() {
    let mut directory = Directory::default();
    for uid in 0..10 {
        let lobby = directory.emptiest([LOBBY, OTHER_LOBBY].into_iter()).unwrap();
        directory.grant(NOW, (uid, 100 + uid), PROXY, lobby).unwrap();
    }
    assert_eq!((directory.load(LOBBY), directory.load(OTHER_LOBBY)), (5, 5));
}

#[test]
fn a_transfer_counts_at_both_ends_until_it_is_over() {
    let mut directory = with_player();
    assert!(directory.send_to(NOW, 100, GAME));
    assert_eq!((directory.load(LOBBY), directory.load(GAME)), (1, 1));
    assert_eq!(directory.info(5).server_id, Some(LOBBY));
    let effects = directory.entered(NOW, PROXY, &moved(5, 100, GAME));
    let there = Effect::Login { server: GAME, uid: 5, is_transfer: true, is_reconnect: false };
    assert_eq!(effects, [Effect::Logout { server: LOBBY, uid: 5, is_transfer: true }, there]);
    assert_eq!((directory.load(LOBBY), directory.load(GAME)), (0, 1));
    assert!(!directory.send_to(NOW, 99, GAME), "no such session");
}

#[test]
fn a_session_of_a_lost_proxy_would_stay_online_for_ever() {
    let mut directory = with_player();
    directory.grant(NOW, (6, 101), OTHER_PROXY, LOBBY).unwrap();
    assert_eq!(directory.lose_proxy(PROXY), [logout(5, LOBBY)]);
    assert_eq!((directory.len(), directory.load(LOBBY)), (1, 1));
}

#[test]
fn players_of_a_lost_server_keep_their_sessions() {
    let mut directory = with_player();
    let effects = directory.lose_server(NOW, LOBBY);
    assert_eq!(effects, [Effect::Logout { server: LOBBY, uid: 5, is_transfer: true }]);
    assert!(directory.send_to(NOW, 100, OTHER_LOBBY));
    let effects = directory.entered(NOW, PROXY, &moved(5, 100, OTHER_LOBBY));
    assert!(matches!(effects[..], [Effect::Login { server: OTHER_LOBBY, is_transfer: true, .. }]));
}

#[test]
fn a_restarted_master_believes_the_larger_epoch_whatever_the_order() {
    let session = |epoch, server| Session { uid: 5, epoch, proxy: PROXY, server };
    let old = session(100, Some(LOBBY));
    let new = session(101, Some(GAME));
    let mut directory = Directory::default();
    directory.rebuild(NOW, PROXY, &[old]);
    let effects = directory.rebuild(NOW, OTHER_PROXY, &[new]);
    assert_eq!(effects[0], Effect::Close { proxy: PROXY, epoch: 100 });
    assert_eq!(directory.info(5).proxy_id, Some(OTHER_PROXY));

    let mut directory = Directory::default();
    directory.rebuild(NOW, OTHER_PROXY, &[new]);
    assert_eq!(directory.rebuild(NOW, PROXY, &[old]), [Effect::Close { proxy: PROXY, epoch: 100 }]);
    assert_eq!(directory.info(5).server_id, Some(GAME));
}

#[test]
fn a_login_whose_proxy_gave_up_is_forgotten() {
    let mut directory = with_player();
    directory.grant(NOW, (6, 101), PROXY, LOBBY).unwrap();
    directory.send_to(NOW, 100, GAME);
    directory.expire(NOW + ON_THE_WAY - Duration::from_millis(1));
    assert_eq!((directory.len(), directory.load(GAME)), (2, 1));
    directory.expire(NOW + ON_THE_WAY);
    assert_eq!((directory.len(), directory.load(GAME), directory.load(LOBBY)), (1, 0, 1));
}

#[test]
fn each_tick_would_look_at_everyone_who_is_online() {
    let mut directory = Directory::default();
    for uid in 0..10_000 {
        directory.grant(NOW, (uid, 100 + uid), PROXY, LOBBY).unwrap();
        if uid != 5_000 {
            directory.entered(NOW, PROXY, &entered(uid, 100 + uid, LOBBY));
        }
    }
    directory.expire(NOW);
    assert_eq!(directory.on_the_way.front(), Some(&(NOW, 5_000)), "those before have arrived");
    directory.expire(NOW + ON_THE_WAY);
    assert_eq!((directory.len(), directory.on_the_way.len()), (9_999, 0), "nobody is left to look at");
}

#[test]
fn loads_add_up_after_any_course_of_things() {
    // A small linear congruential generator: the same course each time.
    let mut seed = 7u64;
    let mut next = move |bound: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % bound
    };
    let mut directory = Directory::default();
    let servers = [LOBBY, OTHER_LOBBY, GAME];
    let proxies = [PROXY, OTHER_PROXY];
    for step in 0..20_000u64 {
        let (uid, server) = (next(20), servers[next(3) as usize]);
        let epoch = directory.by_uid(uid).map_or(0, |entry| entry.session.epoch);
        let proxy = proxies[next(2) as usize];
        match next(8) {
            0 | 1 => drop(directory.grant(NOW, (uid, step + 1), proxy, server)),
            2 | 3 => drop(directory.entered(
                NOW,
                proxy,
                &moved(uid, if epoch == 0 { step + 1 } else { epoch }, server),
            )),
            4 => drop(directory.left(&left(uid, epoch))),
            5 => drop(directory.send_to(NOW, epoch, server)),
            6 if next(50) == 0 => drop(directory.lose_server(NOW, server)),
            7 if next(50) == 0 => drop(directory.lose_proxy(proxy)),
            _ => {}
        }
        let placed = directory.after(None).map(|entry| entry.occupies().count()).sum::<usize>();
        let loads: usize = servers.iter().map(|server| directory.load(*server)).sum();
        assert_eq!(placed, loads, "at step {step}");
        assert_eq!(directory.uid_of.len(), directory.by_uid.len(), "at step {step}");
        let mut standing = BTreeMap::new();
        for node in directory.after(None).flat_map(Entry::stands) {
            *standing.entry(node).or_default() += 1;
        }
        assert_eq!(directory.players_by_node(), standing, "at step {step}");
        let would_stay = |entry: &&Entry| {
            entry.is_on_the_way() && !directory.on_the_way.contains(&(entry.since, entry.session.uid))
        };
        assert_eq!(directory.after(None).find(would_stay), None, "at step {step}");
    }
}
