use super::*;

const PERIOD: Duration = Duration::from_millis(500);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn member(id: i64, role: Role, state: State, incarnation: u64) -> Member {
    let node_type = role.as_str().to_owned();
    let modules = vec![node_type.clone()];
    Member { id: NodeId(id), role, node_type, modules, state, incarnation }
}

fn lobby(id: i64, incarnation: u64) -> Member {
    member(id, Role::Lobby, State::Ready, incarnation)
}

fn membership() -> Membership {
    Membership::new(Timing::default())
}

/// Ticks on time from one second to another. Returns all that changed.
fn ticks(membership: &mut Membership, from: u64, to: u64) -> Vec<(NodeId, u64)> {
    let mut gone = Vec::new();
    let mut now = secs(from);
    while now <= secs(to) {
        gone.extend(membership.tick(now, PERIOD).gone);
        now += PERIOD;
    }
    gone
}

fn state(membership: &Membership, id: i64) -> Option<State> {
    membership.members().find(|member| member.id == NodeId(id)).map(|member| member.state)
}

#[test]
fn a_lost_life_that_comes_back_would_be_routed_to_after_its_end_was_told() {
    let mut membership = membership();
    membership.join(secs(0), lobby(20, 7), vec![]).unwrap();
    assert_eq!(ticks(&mut membership, 0, 9), []);
    assert_eq!(ticks(&mut membership, 10, 10), [(NodeId(20), 7)]);
    assert_eq!(membership.admits(NodeId(20), 7), Err(Reason::Evicted));
    assert_eq!(membership.join(secs(11), lobby(20, 6), vec![]), Err(Reason::Evicted));
    assert!(membership.join(secs(11), lobby(20, 8), vec![]).is_ok());
}

#[test]
fn a_closed_connection_is_a_loss_at_once() {
    let mut membership = membership();
    membership.join(secs(0), lobby(20, 7), vec![]).unwrap();
    assert_eq!(membership.disconnected(NodeId(20), 6), ViewChange::default(), "an older life's connection");
    assert_eq!(membership.disconnected(NodeId(20), 7).gone, [(NodeId(20), 7)]);
    assert_eq!(membership.disconnected(NodeId(20), 7), ViewChange::default());
    assert_eq!(membership.admits(NodeId(20), 7), Err(Reason::Evicted));
}

#[test]
fn a_node_whose_first_connection_broke_while_it_started_may_try_again() {
    let mut membership = membership();
    let starting = member(20, Role::Lobby, State::Starting, 7);
    membership.join(secs(0), starting.clone(), vec![]).unwrap();
    assert_eq!(membership.disconnected(NodeId(20), 7).gone, [(NodeId(20), 7)]);
    assert!(membership.join(secs(1), starting, vec![]).is_ok());
}

#[test]
fn two_lives_of_one_id_are_never_members_together() {
    let mut membership = membership();
    membership.join(secs(0), lobby(20, 7), vec![]).unwrap();
    assert_eq!(membership.admits(NodeId(20), 8), Err(Reason::IdTaken));
    assert_eq!(membership.admits(NodeId(20), 6), Err(Reason::Evicted));
    assert_eq!(membership.admits(NodeId(20), 7), Ok(()), "its pulse is another connection of the same life");
}

#[test]
fn a_node_that_beats_without_progress_is_stuck_and_not_lost() {
    let mut membership = membership();
    membership.join(secs(0), lobby(20, 7), vec![]).unwrap();
    let id = NodeId(20);
    for at in (0..30).step_by(3) {
        let change = membership.pulse(secs(at), id, 7, 1);
        let seen: Vec<_> = change.members.iter().map(|member| member.state).collect();
        assert_eq!(seen, if at == 6 { vec![State::Stuck] } else { vec![] }, "at {at}");
        assert_eq!(ticks(&mut membership, at, at + 2), []);
    }
    let draining = StateChange { state: State::Draining, modules: vec![] };
    assert_eq!(membership.restate(id, 7, draining).members[0].state, State::Stuck);
    let back = membership.pulse(secs(30), id, 7, 2);
    assert_eq!(back.members[0].state, State::Draining, "as it last said itself");
}

#[test]
fn a_node_that_blocks_while_it_loads_is_starting_and_not_stuck() {
    let mut membership = membership();
    membership.join(secs(0), member(20, Role::Lobby, State::Starting, 7), vec![]).unwrap();
    for at in 0..20 {
        membership.pulse(secs(at), NodeId(20), 7, 1);
    }
    assert_eq!(state(&membership, 20), Some(State::Starting));
}

#[test]
fn a_master_that_was_frozen_calls_nobody_lost_for_it() {
    let mut membership = membership();
    membership.join(secs(0), lobby(20, 7), vec![]).unwrap();
    assert_eq!(ticks(&mut membership, 0, 5), []);
    // Frozen for a minute; the beats that were sent meanwhile are read after the tick.
    assert_eq!(ticks(&mut membership, 65, 69), []);
    membership.pulse(secs(69), NodeId(20), 7, 2);
    assert_eq!(ticks(&mut membership, 70, 78), []);
    assert_eq!(ticks(&mut membership, 79, 79), [(NodeId(20), 7)], "and a real silence still counts");
}

#[test]
fn a_restarted_master_waits_for_those_it_was_told_of() {
    let mut membership = membership();
    let proxy = member(10, Role::Proxy, State::Ready, 3);
    let known = vec![proxy.clone(), lobby(21, 4), member(1, Role::Master, State::Ready, 1)];
    let change = membership.join(secs(0), lobby(20, 7), known).unwrap();
    let ids: Vec<_> = change.members.iter().map(|member| member.id.0).collect();
    assert_eq!(ids, [20, 10, 21]);
    assert_eq!(membership.joined().collect::<Vec<_>>(), [NodeId(20)]);
    assert!(membership.is_recovering(secs(1)));
    assert_eq!(membership.disconnected(NodeId(21), 4), ViewChange::default(), "it never was connected");
    ticks(&mut membership, 0, 2);
    membership.join(secs(3), proxy, vec![]).unwrap();
    assert!(!membership.is_recovering(secs(3)), "lobbies hold no sessions");
    membership.pulse(secs(5), NodeId(20), 7, 1);
    assert_eq!(ticks(&mut membership, 3, 12), [(NodeId(21), 4)]);
}

#[test]
fn a_proxy_that_never_comes_back_holds_up_logins_for_the_grace_alone() {
    let mut membership = membership();
    let known = vec![member(10, Role::Proxy, State::Ready, 3)];
    membership.join(secs(0), lobby(20, 7), known).unwrap();
    for at in 0..9 {
        // Alive, and stuck: it beats and does not join.
        membership.pulse(secs(at), NodeId(10), 3, 1);
        assert!(membership.is_recovering(secs(at)));
    }
    assert!(!membership.is_recovering(secs(10)));
}

#[test]
fn a_new_life_replaces_the_one_that_others_still_tell_of() {
    let mut membership = membership();
    membership.join(secs(0), lobby(20, 7), vec![lobby(21, 4)]).unwrap();
    membership.join(secs(1), lobby(21, 5), vec![]).unwrap();
    assert_eq!(membership.admits(NodeId(21), 4), Err(Reason::Evicted));
    let change = membership.join(secs(2), lobby(22, 1), vec![lobby(21, 4)]).unwrap();
    assert_eq!(change.members.len(), 1, "an old life is not taken back: {change:?}");
}

#[test]
fn a_restarted_master_takes_no_life_back_whose_end_others_were_told() {
    let mut membership = membership();
    membership.join(secs(0), lobby(20, 7), vec![]).unwrap();
    membership.join(secs(0), lobby(21, 3), vec![lobby(22, 5)]).unwrap();
    let change =
        membership.learn_ended(vec![(NodeId(20), 7), (NodeId(21), 2), (NodeId(22), 5), (NodeId(23), 9)]);
    assert_eq!(change.gone, [(NodeId(20), 7), (NodeId(22), 5)], "21 has started anew since");
    assert_eq!(membership.admits(NodeId(20), 7), Err(Reason::Evicted));
    assert_eq!(membership.admits(NodeId(23), 9), Err(Reason::Evicted));
    assert_eq!(membership.admits(NodeId(20), 8), Ok(()));
    assert_eq!(membership.admits(NodeId(21), 3), Ok(()));
}

#[test]
fn a_restarted_master_would_tell_each_of_each_what_all_know() {
    let mut membership = membership();
    let known: Vec<Member> = (20..30).map(|id| lobby(id, 7)).collect();
    let change = membership.join(secs(0), lobby(20, 7), known.clone()).unwrap();
    assert_eq!(change.members.len(), 10, "nobody knew them here");
    for id in 21..29 {
        let change = membership.join(secs(1), lobby(id, 7), known.clone()).unwrap();
        assert_eq!(change, ViewChange::default(), "{id}");
    }
    let other = member(29, Role::Lobby, State::Draining, 7);
    let change = membership.join(secs(1), other.clone(), known).unwrap();
    assert_eq!(change.members, [other], "it is not as it was told");
}
