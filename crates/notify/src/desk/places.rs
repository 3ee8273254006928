//! Where a player's step runs, and who may own a record. Pure.

use chappe_node::{Member, State, View};
use chappe_wire::{NodeId, Role};

/// The lobby or game that a player with a session is on, and the one that they are on their way to.
pub(crate) type Session = (Option<NodeId>, Option<NodeId>);

/// The node on which the steps of a player run: where their session is, else where their record is owned, else the
/// first game server. `None`: nobody takes them now.
pub(crate) fn place(session: Option<Session>, owner: Option<NodeId>, view: &View) -> Option<NodeId> {
    let (on, going) = session.unwrap_or_default();
    // A player on the move is where the record is: the new server has claimed it, or the old one has it still.
    let by_session = match (on, going) {
        (Some(_), Some(going)) if owner == Some(going) => Some(going),
        (on, going) => on.or(going),
    };
    let takes = |member: &Member| matches!(member.state, State::Ready | State::Draining);
    let by_session = by_session.filter(|id| view.member(*id).is_some_and(takes));
    let is_up = |id: &NodeId| view.member(*id).is_some_and(|member| member.state != State::Starting);
    by_session.or(owner.filter(is_up)).or_else(|| first_server(view))
}

/// Whether `asker` may own the record of a player; with `lets_in`, it is about to let that player in.
pub(crate) fn may_own(
    asker: NodeId,
    lets_in: bool,
    session: Option<Session>,
    owner: Option<NodeId>,
    view: &View,
) -> bool {
    if lets_in && session == Some((None, None)) {
        // On the way, and whoever knew where to has been replaced by this master: the proxy knows.
        return true;
    }
    let (on, going) = session.unwrap_or_default();
    // Not the server that the player is leaving, once the other one has the record.
    let has_moved = going.is_some() && going != on && owner == going;
    going == Some(asker) || on == Some(asker) && !has_moved || place(session, owner, view) == Some(asker)
}

/// The lowest id of a ready game, else of a ready lobby.
pub(crate) fn first_server(view: &View) -> Option<NodeId> {
    let first = |role: Role| {
        let mut ready = view.members().filter(|member| member.role == role && member.state == State::Ready);
        ready.next().map(|member| member.id)
    };
    first(Role::Game).or_else(|| first(Role::Lobby))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_node::ViewChange;

    fn view(members: &[(i64, Role, State)]) -> View {
        let member = |(id, role, state): &(i64, Role, State)| Member {
            id: NodeId(*id),
            role: *role,
            node_type: String::new(),
            modules: Vec::new(),
            state: *state,
            incarnation: 1,
        };
        let mut view = View::default();
        let members = members.iter().map(member).collect();
        view.apply(ViewChange { full: true, members, gone: Vec::new() });
        view
    }

    #[test]
    fn an_offline_players_step_would_go_to_another_server_than_the_one_that_has_the_record() {
        let ready = State::Ready;
        let view = view(&[(20, Role::Lobby, ready), (30, Role::Game, ready), (31, Role::Game, ready)]);
        assert_eq!(place(None, None, &view), Some(NodeId(30)), "games come before lobbies");
        assert_eq!(place(None, Some(NodeId(20)), &view), Some(NodeId(20)));
        assert_eq!(
            place(None, Some(NodeId(99)), &view),
            Some(NodeId(30)),
            "an owner that is gone owns nothing"
        );
        assert!(may_own(NodeId(20), false, None, Some(NodeId(20)), &view));
        assert!(!may_own(NodeId(31), false, None, None, &view));
    }

    #[test]
    fn the_server_that_a_player_has_left_would_take_the_record_back() {
        let ready = State::Ready;
        let view = view(&[(20, Role::Lobby, ready), (30, Role::Game, ready)]);
        let (lobby, game) = (NodeId(20), NodeId(30));
        let moving = Some((Some(lobby), Some(game)));
        assert_eq!(place(moving, Some(lobby), &view), Some(lobby));
        assert_eq!(place(moving, Some(game), &view), Some(game));
        assert!(may_own(game, true, moving, Some(lobby), &view));
        assert!(may_own(lobby, false, moving, Some(lobby), &view));
        assert!(!may_own(lobby, false, moving, Some(game), &view));
        assert_eq!(
            place(Some((None, Some(lobby))), None, &view),
            Some(lobby),
            "a login is about to arrive there"
        );
    }

    #[test]
    fn a_player_on_the_way_would_be_let_in_nowhere_after_a_restart_of_the_master() {
        let view = view(&[(20, Role::Lobby, State::Ready), (30, Role::Game, State::Ready)]);
        let (lobby, game) = (NodeId(20), NodeId(30));
        let between = Some((None, None));
        assert!(may_own(game, true, between, Some(lobby), &view));
        assert!(!may_own(game, false, between, Some(lobby), &view), "not for a step");
        assert!(!may_own(game, true, Some((Some(lobby), None)), Some(lobby), &view), "they are somewhere");
    }

    #[test]
    fn a_step_is_sent_to_a_server_that_is_still_starting() {
        let view = view(&[(20, Role::Lobby, State::Starting), (21, Role::Lobby, State::Draining)]);
        assert_eq!(place(Some((Some(NodeId(20)), None)), None, &view), None);
        assert_eq!(place(Some((Some(NodeId(21)), None)), None, &view), Some(NodeId(21)));
        assert_eq!(place(None, Some(NodeId(20)), &view), None);
    }
}
