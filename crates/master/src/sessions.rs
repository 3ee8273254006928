//! What proxies and servers ask about players: logins, transfers, where someone is.

use crate::directory::Effect;
use crate::login::LoginChoice;
use crate::master::{AGAIN, Master, answer};
use chappe_node::control::{
    self, Announce, Close, Destination, Entered, Kick, Left, LoginGrant, Move, PlayerInfo, Relocate, Session,
    Transfer, Where,
};
use chappe_node::control_tool::Announced;
use chappe_node::{Call, Failure, Member, Responder, State, To};
use chappe_wire::{NodeId, Reason, Role, Row, value};
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// The type of server that a login lands on (apollo.md section 5).
pub(crate) const LOBBY: &str = "lobby";
/// How long a login strategy may take.
const STRATEGY: Duration = Duration::from_secs(5);
/// How long a login waits for the end of an older session.
const CLOSE: Duration = Duration::from_secs(3);
/// What a login is told that a later one of the same player has overtaken.
const TAKEN_OVER: &str = "a later login took over";
/// The most players that one `where` may ask for.
const WHERE_MOST: usize = 100;
/// What is told to those for whom there is no room to wait.
const OVERLOADED: &str = "too many wait until the restarted master knows all sessions";

/// What a login is told by a master that may have been replaced.
const WITHOUT_LEASE: &str =
    "the master cannot reach its store: nobody is let in until it can, or another leads";

/// Why a request about a player fails: the code, and the same for a person.
type Refused = (Reason, String);

impl Master {
    pub(crate) fn serve_sessions(&self) {
        self.serve("login", Master::on_login);
        self.serve("entered", |master, call| {
            if let Ok(entered) = call.args::<Entered>() {
                let (now, proxy) = (master.now(), call.from());
                let effects = master.0.directory.borrow_mut().entered(now, proxy, &entered);
                master.carry_out(effects);
            }
        });
        self.serve("left", |master, call| {
            if let Ok(left) = call.args::<Left>() {
                let effects = master.0.directory.borrow_mut().left(&left);
                master.carry_out(effects);
            }
        });
        self.serve("transfer", |master, call| {
            let from = call.from();
            master.answer_recovered(call, move |master, transfer| master.transfer(from, transfer));
        });
        self.serve("relocate", |master, call| {
            let result = args(&call).and_then(|relocate| master.relocate(relocate));
            answer(call, result);
        });
        self.serve("where", |master, call| master.answer_recovered(call, Master::locate));
        self.serve("kick", |master, call| master.answer_recovered(call, Master::on_kick));
        self.serve("announce", |master, call| {
            let told = |announce: Announce| Announced { proxies: master.announce(&announce.message) };
            let result = args(&call).map(told);
            answer(call, result);
        });
    }

    /// Where a player is (`GetOnlineServerInfoOfPlayer`).
    pub fn player_info(&self, uid: u64) -> PlayerInfo {
        self.0.directory.borrow().info(uid)
    }

    fn on_login(&self, call: Call<'_>) {
        let login: control::Login = match args(&call) {
            Ok(login) => login,
            Err((reason, text)) => return call.fail(reason, &text),
        };
        let (proxy, responder) = (call.from(), call.into_responder());
        if self.0.membership.borrow().role(proxy) != Some(Role::Proxy) {
            return responder.fail(Reason::WrongRole, "only a proxy logs players in");
        }
        let master = self.clone();
        let start = move |has_room: bool| {
            if !has_room {
                return responder.fail(Reason::Overloaded, OVERLOADED);
            }
            if !master.may_rule() {
                return responder.fail(Reason::StoreUnavailable, WITHOUT_LEASE);
            }
            // Drawn at once, so that of two logins the one that came later wins, however long either takes.
            let epoch = master.0.directory.borrow_mut().next_epoch(master.epoch_ms());
            let strategy = master.0.strategy.borrow().clone();
            let Some(strategy) = strategy else {
                let lobby = master.emptiest(|member| member.role.is_server() && member.node_type == LOBBY);
                let nobody = || (Reason::NoRoute, format!("no server of type {LOBBY:?} is ready"));
                return master.finish_login(responder, (login.uid, epoch), proxy, lobby.ok_or_else(nobody));
            };
            let (choice, chosen) = LoginChoice::new();
            master.0.node.clone().spawn(async move {
                let chosen = match timeout(STRATEGY, chosen).await {
                    Ok(Ok(server)) => master.takes_players(server).map(|member| member.id),
                    Ok(Err(_)) => Err((Reason::Refused, "the login strategy chose no server".to_owned())),
                    Err(_) => Err((Reason::Refused, format!("the login strategy took over {STRATEGY:?}"))),
                };
                master.finish_login(responder, (login.uid, epoch), proxy, chosen);
            });
            strategy(login.uid, choice);
        };
        self.when_recovered(start);
    }

    fn finish_login(
        &self,
        responder: Responder,
        (uid, epoch): (u64, u64),
        proxy: NodeId,
        server: Result<NodeId, Refused>,
    ) {
        let granted = server.and_then(|server| {
            if !self.may_rule() {
                return Err((Reason::StoreUnavailable, WITHOUT_LEASE.to_owned()));
            }
            if self.0.membership.borrow().role(proxy) != Some(Role::Proxy) {
                return Err((Reason::NodeLost, format!("proxy {proxy} is gone")));
            }
            let granted = self.0.directory.borrow_mut().grant(self.now(), (uid, epoch), proxy, server);
            let effects = granted.map_err(|reason| (reason, TAKEN_OVER.to_owned()))?;
            Ok((LoginGrant { epoch, server }, effects))
        });
        let (grant, effects) = match granted {
            Ok(granted) => granted,
            Err((reason, text)) => return responder.fail(reason, &text),
        };
        let is_close = |effect: &Effect| matches!(effect, Effect::Close { .. });
        let (closes, others): (Vec<_>, Vec<_>) = effects.into_iter().partition(is_close);
        self.carry_out(others);
        if closes.is_empty() {
            return drop(responder.respond(&grant));
        }
        // The player is let in when the older session's server has let them go: nobody is on two servers.
        let master = self.clone();
        let left: Vec<_> = closes.iter().filter_map(|close| self.leave_for(close)).collect();
        let closed: Vec<_> = closes.into_iter().filter_map(|close| self.ask_close(&close)).collect();
        self.0.node.spawn(async move {
            for closed in closed {
                let _ = closed.await;
            }
            for left in left {
                let _ = left.await;
            }
            let current = master.0.directory.borrow().by_uid(uid).map(|entry| entry.session.epoch);
            match current {
                Some(current) if current == epoch => drop(responder.respond(&grant)),
                _ => responder.fail(Reason::Replaced, TAKEN_OVER),
            }
        });
    }

    /// Has a proxy end a session; resolves when the player is on no server of it any more, or after [`CLOSE`].
    fn ask_close(&self, effect: &Effect) -> Option<impl Future<Output = Result<(), Failure>> + use<>> {
        let Effect::Close { proxy, epoch } = effect else { return None };
        let close = Close { epoch: *epoch, reason: Reason::Replaced, message: AGAIN.to_owned() };
        let to = To::Node(*proxy);
        Some(self.0.node.ask(Row::Internal, to, (control::PROXY, "close"), &close, CLOSE))
    }

    fn transfer(&self, from: NodeId, transfer: Transfer) -> Result<NodeId, Refused> {
        let entry = self.0.directory.borrow().by_epoch(transfer.epoch).ok_or_else(offline)?;
        let (session, current) = (entry.session, entry.session.server);
        let asks = self.0.membership.borrow().role(from);
        if asks.is_some_and(Role::is_server) && current != Some(from) {
            return Err((Reason::StaleSession, format!("player {} is not on node {from}", session.uid)));
        }
        let target = match transfer.to {
            Destination::Server(id) => self.takes_players(id)?,
            Destination::Type(name) => {
                let wanted = |member: &Member| member.role.is_server() && member.node_type == name;
                let other = self.emptiest(|member| wanted(member) && Some(member.id) != current);
                let id = other.or_else(|| self.emptiest(wanted)).ok_or_else(|| {
                    let is_there = !self.members_where(wanted).is_empty();
                    let reason = if is_there { Reason::NotReady } else { Reason::NoRoute };
                    (reason, format!("no server of type {name:?} is ready"))
                })?;
                self.takes_players(id)?
            }
        };
        if Some(target.id) != current {
            self.send_on(&session, current.unwrap_or(from), &target, transfer.param);
        }
        Ok(target.id)
    }

    /// Has a player's proxy take them from one server to another.
    pub(crate) fn send_on(&self, session: &Session, from: NodeId, target: &Member, param: String) {
        self.0.directory.borrow_mut().send_to(self.now(), session.epoch, target.id);
        let event = value!({
            "serverId": from.0,
            "uid": session.uid,
            "targetServerId": target.id.0,
            "targetServerType": target.node_type.as_str(),
            "transferParam": param.as_str(),
        });
        self.0.node.raise("PlayerTransferServerEvent", &event);
        let order = Move { epoch: session.epoch, server: target.id, param };
        if !self.keep_move(session.proxy, &order) {
            self.0.node.tell(session.proxy, control::PROXY, "move", &order);
        }
    }

    fn relocate(&self, relocate: Relocate) -> Result<NodeId, Refused> {
        self.0.directory.borrow().by_epoch(relocate.epoch).ok_or_else(offline)?;
        let is_lobby = |member: &Member| member.role.is_server() && member.node_type == LOBBY;
        let lobby = self.emptiest(|member| is_lobby(member) && member.id != relocate.not);
        let lobby = lobby.ok_or_else(|| {
            (Reason::NoRoute, format!("no server of type {LOBBY:?} other than {} is ready", relocate.not))
        })?;
        self.0.directory.borrow_mut().send_to(self.now(), relocate.epoch, lobby);
        Ok(lobby)
    }

    fn locate(&self, asked: Where) -> Result<Vec<PlayerInfo>, Refused> {
        if asked.uids.len() > WHERE_MOST {
            let text = format!("at most {WHERE_MOST} uids in one call, not {}", asked.uids.len());
            return Err((Reason::BadData, text));
        }
        let directory = self.0.directory.borrow();
        Ok(asked.uids.into_iter().map(|uid| directory.info(uid)).collect())
    }

    fn on_kick(&self, kick: Kick) -> Result<(), Refused> {
        self.kick(kick.uid, &kick.message)
            .map_err(|reason| (reason, format!("player {} is offline", kick.uid)))
    }

    /// The emptiest of the ready servers that are as wanted.
    pub(crate) fn emptiest(&self, wanted: impl Fn(&Member) -> bool) -> Option<NodeId> {
        let ready = self.members_where(|member| member.state == State::Ready && wanted(member));
        self.0.directory.borrow().emptiest(ready.into_iter())
    }

    /// The lobby or game of that id, if it takes players now.
    fn takes_players(&self, id: NodeId) -> Result<Member, Refused> {
        let refused = |reason: Reason| (reason, format!("node {id} does not take players: {reason}"));
        self.0.node.with_view(|view| {
            view.reachable(id, Role::is_server).map_err(refused)?;
            match view.member(id) {
                Some(member) if member.state == State::Ready => Ok(member.clone()),
                Some(_) => Err(refused(Reason::Draining)),
                None => Err(refused(Reason::NoRoute)),
            }
        })
    }

    /// Answers a request that needs all sessions, when they are known.
    fn answer_recovered<A, T>(
        &self,
        call: Call<'_>,
        decide: impl FnOnce(&Master, A) -> Result<T, Refused> + 'static,
    ) where
        A: serde::de::DeserializeOwned + 'static,
        T: serde::Serialize,
    {
        let asked = match args::<A>(&call) {
            Ok(asked) => asked,
            Err((reason, text)) => return call.fail(reason, &text),
        };
        let (master, responder) = (self.clone(), call.into_responder());
        self.when_recovered(move |has_room| {
            if !has_room {
                return responder.fail(Reason::Overloaded, OVERLOADED);
            }
            match decide(&master, asked) {
                Ok(data) => drop(responder.respond(&data)),
                Err((reason, text)) => responder.fail(reason, &text),
            }
        });
    }
}

pub(crate) fn args<T: serde::de::DeserializeOwned>(call: &Call<'_>) -> Result<T, Refused> {
    call.args().map_err(|error| (Reason::BadData, error.to_string()))
}

fn offline() -> Refused {
    (Reason::PlayerOffline, "the player has no such session".to_owned())
}
