//! Membership as one node lives it: joining, the master's word, and the events that tell mods.

use crate::connect::Greeted;
use crate::control::{self, Join, Left, Session, StateChange};
use crate::error::{Failure, NodeError};
use crate::greet::GreetError;
use crate::node::{Inner, Node};
use crate::rpc::{Reply, To};
use chappe_route::{Changed, Member, State, ViewChange};
use chappe_wire::hello::Purpose;
use chappe_wire::{NodeId, Reason, Role, Row, value};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long one join may take. Long, because a master that is gone is known at once, and one that is merely busy
/// would take a node that gives up and connects again for lost.
const JOIN: Duration = Duration::from_secs(60);
/// The most sessions in one message.
const SESSIONS: usize = 5000;
/// The first wait between two attempts to reach the master, doubled up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How long an id that was just given up may still look taken: a restart outruns the news of the death.
const TAKEN_GRACE: Duration = Duration::from_secs(3);
/// How long a starting node waits for its connections before it loads its mods all the same.
const MESH: Duration = Duration::from_secs(3);

impl Node {
    /// Takes in what has changed, for the master itself; other nodes hear it from the master.
    pub fn apply_view(&self, change: ViewChange) {
        self.0.apply_view(change);
    }

    /// Itself, as the others are to know it.
    pub fn member(&self) -> Member {
        self.0.member()
    }

    /// Changes what the node can do and tells the master.
    pub fn set_state(&self, state: State) {
        if self.0.state.replace(state) != state {
            self.0.tell_state();
        }
    }
}

impl Inner {
    pub(crate) fn member(&self) -> Member {
        let config = &self.config;
        let mut modules = vec![config.node_type.clone()];
        modules.extend(config.modules.iter().cloned());
        modules.extend(self.announced_modules.borrow().iter().cloned());
        modules.sort();
        modules.dedup();
        Member {
            id: config.id,
            role: config.role,
            node_type: config.node_type.clone(),
            modules,
            state: self.state.get(),
            incarnation: config.incarnation,
        }
    }

    /// A module was registered that nothing declared: others learn of it.
    pub(crate) fn announce_module(&self, module: &str) {
        let config = &self.config;
        if module == config.node_type || config.modules.iter().any(|name| name == module) {
            return;
        }
        let declared = self.view.borrow().declared().modules.iter().any(|name| name == module);
        if self.announced_modules.borrow_mut().insert(module.to_owned()) {
            if !declared {
                tracing::warn!(node = %config.id, module, "a module is registered that module_names does not name");
            }
            self.tell_state();
        }
    }

    fn tell_state(&self) {
        let member = self.member();
        let change = StateChange { state: member.state, modules: member.modules };
        match self.config.role {
            Role::Master => self.on_own_state(),
            _ => self.tell_master("state", &change),
        }
    }

    fn on_own_state(&self) {
        let hook = self.on_own_state.borrow().clone();
        if let Some(hook) = hook {
            self.later(move || hook());
        }
    }

    /// Sends the master a message that wants no answer, if there is a master: a new one is told everything
    /// when this node joins it.
    pub(crate) fn tell_master<T: serde::Serialize + ?Sized>(&self, method: &str, data: &T) {
        let Some(master) = self.view.borrow().master() else { return };
        if let Ok(payload) = value::encode(data) {
            self.tell(master, control::MASTER, method, &payload);
        }
    }

    /// Keeps this node a member: connects to the master that leads, joins, and does so again when that one went away or
    /// another leads. Returns only with what ends the node.
    pub(crate) async fn stay_joined(self: Rc<Self>) -> NodeError {
        let (mut wait, mut taken, mut master) = (RETRY.0, Duration::ZERO, self.config.master);
        let mut greeted = None;
        loop {
            let was_joined = Cell::new(false);
            let member = async {
                self.join_once(master, greeted.take()).await?;
                was_joined.set(true);
                self.while_joined(master).await;
                Ok(())
            };
            let (ended, other) = tokio::select! {
                biased;
                ended = member => (ended, None),
                other = self.called_away(master) => (Ok(()), Some(other)),
            };
            self.leave_master(master);
            if was_joined.get() {
                (wait, taken) = (RETRY.0, Duration::ZERO);
            }
            if let Some(other) = other {
                master = other.0.node;
                greeted = Some(other);
                continue;
            }
            match ended {
                Ok(()) => {}
                Err(GreetError::Refused(refusal)) => {
                    let node = self.config.id;
                    match refusal.reason {
                        Reason::IdTaken if taken < TAKEN_GRACE => taken += wait,
                        Reason::NotLeading | Reason::StaleTerm => {
                            tracing::debug!(%node, %master, %refusal, "this master does not lead");
                        }
                        Reason::Evicted => return NodeError::Evicted { node },
                        // A master with another secret, or whoever says to be one: a node that works is not ended by it.
                        Reason::WrongSecret if self.was_joined() => {
                            tracing::error!(node = %node, %refusal, "the master cannot be joined again");
                        }
                        _ => return NodeError::Refused { node, refusal },
                    }
                }
                Err(error) => tracing::debug!(node = %self.config.id, %error, "the master cannot be reached"),
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
            master = self.config.masters().find(|other| *other != master).unwrap_or(master);
        }
    }

    /// Whether it has been a member: it knows others.
    pub(crate) fn was_joined(&self) -> bool {
        self.view.borrow().members().next().is_some()
    }

    /// Whether it is connected to a master that it has joined, or is about to.
    pub(crate) fn has_joined(&self) -> bool {
        self.leader.get().is_some_and(|(master, _)| self.is_connected(master))
    }

    /// Is with a master no more.
    fn leave_master(self: &Rc<Self>, master: NodeId) {
        self.leader.set(None);
        let peer = self.peers.borrow().get(&master).cloned();
        if let Some(peer) = peer {
            self.peer_ended(&peer, "this master is left");
        }
        let gone = self.view.borrow().member(master).map(|member| (master, member.incarnation));
        self.apply_view(ViewChange { gone: gone.into_iter().collect(), ..ViewChange::default() });
    }

    async fn join_once(self: &Rc<Self>, master: NodeId, greeted: Option<Greeted>) -> Result<(), GreetError> {
        let (hello, conn, buffer) = match greeted {
            Some(greeted) => greeted,
            None => self.dial_once(master, Purpose::Messages).await?,
        };
        if let Err(refused) = self.follow(&hello) {
            conn.close();
            return Err(refused);
        }
        self.linked(&hello, conn, buffer);
        let known =
            self.view.borrow().members().filter(|member| member.role != Role::Master).cloned().collect();
        let mut sessions = self.held_sessions();
        sessions.truncate(SESSIONS);
        let mut ended: Vec<_> = self.ended.borrow().iter().map(|(id, life)| (*id, *life)).collect();
        ended.retain(|(id, _)| !self.config.is_master(*id));
        ended.sort_unstable();
        let join = Join { member: self.member(), known, ended, sessions: sessions.clone() };
        let (told, joined) = oneshot::channel();
        let this = self.clone();
        let to = To::Node(master);
        let target = (control::MASTER, "join");
        // A callback and not a future: what the master tells behind its answer must not be overtaken by it.
        let taken = move |reply: Reply<'_>| {
            let view = reply.and_then(|data| data.parse::<ViewChange>().map_err(Failure::from));
            let _ = told.send(view.map(|view| this.joined(view, sessions)));
        };
        let asked = Node(self.clone()).request(Row::Internal, to, target, &join, JOIN, taken);
        let gone = || Failure::new(Reason::Disconnected, "the node has stopped");
        let joined = match asked {
            Ok(()) => joined.await.unwrap_or_else(|_| Err(gone())),
            Err(error) => Err(Failure::from(error)),
        };
        joined.map_err(|failure| {
            let peer = self.peers.borrow().get(&master).cloned();
            if let Some(peer) = peer {
                self.peer_ended(&peer, "the master did not take the join");
            }
            let refusal = chappe_wire::hello::Refusal { reason: failure.reason, message: failure.message };
            match refusal.reason {
                Reason::Evicted | Reason::IdTaken => GreetError::Refused(refusal),
                _ => GreetError::Io(std::io::ErrorKind::NotConnected.into()),
            }
        })
    }

    /// Takes in the answer to a join that told of `sessions`. What has changed of this node while the join was on its
    /// way was told to nobody: it is told now.
    fn joined(self: &Rc<Self>, view: ViewChange, sessions: Vec<Session>) {
        self.apply_view(view);
        let known = self.view.borrow().member(self.config.id).cloned();
        if known.is_some_and(|known| known != self.member()) {
            self.tell_state();
        }
        self.tell_sessions(sessions);
    }

    fn held_sessions(&self) -> Vec<Session> {
        let hook = self.sessions.borrow().clone();
        hook.map_or_else(Vec::new, |sessions| sessions())
    }

    /// Tells the master what it does not know yet of a proxy's sessions, when it knows `told`.
    fn tell_sessions(&self, told: Vec<Session>) {
        let mut told: BTreeMap<u64, Session> =
            told.into_iter().map(|session| (session.epoch, session)).collect();
        let mut held = self.held_sessions();
        held.retain(|session| told.remove(&session.epoch) != Some(*session));
        for sessions in held.chunks(SESSIONS) {
            self.tell_master("sessions", sessions);
        }
        for Session { uid, epoch, .. } in told.into_values() {
            self.tell_master("left", &Left { uid, epoch, reason: Reason::Disconnected });
        }
    }

    /// Until the connection to the master ends.
    async fn while_joined(&self, master: NodeId) {
        loop {
            let changed = self.link_changed.notified();
            if !self.is_connected(master) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until the node has joined, then until it is connected to every member that is ready, so that nothing
    /// it sends or is sent has to wait for a connection; a member that cannot be reached must not hold up the
    /// start.
    pub(crate) async fn meshed(self: &Rc<Self>) {
        loop {
            let changed = self.link_changed.notified();
            if self.view.borrow().master().is_some() {
                break;
            }
            changed.await;
        }
        let all = async {
            loop {
                let changed = self.link_changed.notified();
                let missing = {
                    let (view, peers) = (self.view.borrow(), self.peers.borrow());
                    let connected = |id: NodeId| peers.get(&id).is_some_and(|peer| peer.is_connected());
                    let proxies = |role: Role| role == Role::Proxy && self.config.role == Role::Proxy;
                    let mut others = view.members().filter(|member| member.id != self.config.id);
                    others.any(|member| {
                        member.state == State::Ready && !proxies(member.role) && !connected(member.id)
                    })
                };
                if !missing {
                    return;
                }
                changed.await;
            }
        };
        let _ = timeout(MESH, all).await;
    }

    pub(crate) fn apply_view(self: &Rc<Self>, change: ViewChange) {
        #[cfg(feature = "sabotage")]
        let change = crate::sabotage::view(change);
        let changed = self.view.borrow_mut().apply(change);
        if changed.is_empty() {
            return;
        }
        for change in &changed {
            let (Changed::Member(_, member) | Changed::Gone(member)) = change;
            if let Some(peer) = self.peers.borrow().get(&member.id) {
                self.mark_peer(peer);
            }
        }
        for change in &changed {
            self.note_life(change);
            if let Changed::Gone(member) = change
                && member.id != self.config.id
            {
                let peer = self.peers.borrow().get(&member.id).cloned();
                if let Some(peer) = peer.filter(|peer| peer.incarnation == member.incarnation) {
                    self.peer_ended(&peer, "it is no longer a member");
                }
                self.lose_requests(member.id, member.incarnation);
                self.see_gone(member.id, member.incarnation);
            }
            if let Changed::Member(_, member) = change {
                self.see_replaced(member);
            }
            self.raise_member(change);
            let hooks = self.on_view.borrow().clone();
            hooks.iter().for_each(|hook| self.guarded(&"on_view", || hook(change)));
        }
        // It tells of all servers each time, so it is not made for nobody.
        if self.config.role == Role::Service
            && self.is_heard("UpdateServerStatusEvent")
            && changed.iter().any(|change| matches!(change, Changed::Member(_, member) | Changed::Gone(member) if member.role.is_server()))
        {
            let statuses: BTreeMap<String, &str> = {
                let view = self.view.borrow();
                let servers = view.members().filter(|member| member.role.is_server());
                servers.map(|member| (member.id.to_string(), member.state.as_str())).collect()
            };
            Node(self.clone()).raise("UpdateServerStatusEvent", &statuses);
        }
        for change in &changed {
            if let Changed::Member(_, member) = change {
                self.dial_member(member);
            }
        }
        self.retry_waiting();
        // Whoever waits for the connections of the view as it was looks again.
        self.link_changed.notify_waiters();
    }

    fn is_heard(&self, engine_event: &str) -> bool {
        let topic = crate::listeners::topic(crate::ENGINE_NAMESPACE, crate::ENGINE_SYSTEM, engine_event);
        self.listeners.borrow_mut().of(&topic).is_some()
    }

    /// Remembers which lives are over: others were told so, and must not hear of them again.
    fn note_life(&self, change: &Changed) {
        let mut ended = self.ended.borrow_mut();
        match change {
            Changed::Gone(member) => {
                let latest = ended.entry(member.id).or_default();
                *latest = member.incarnation.max(*latest);
            }
            // A life that was only starting may come back.
            Changed::Member(_, member) if ended.get(&member.id) == Some(&member.incarnation) => {
                ended.remove(&member.id);
            }
            Changed::Member(..) => {}
        }
    }

    /// Tells this node's mods, in the words of apollo.md section 5.
    fn raise_member(self: &Rc<Self>, change: &Changed) {
        let node = Node(self.clone());
        let (before, member) = match change {
            Changed::Member(before, member) => (before.as_ref(), Some(member)),
            Changed::Gone(member) => (Some(member), None),
        };
        let Some(about) = member.or(before) else { return };
        let id = about.id;
        if about.role == Role::Master && self.config.role != Role::Master {
            let connected = member.is_some();
            let told = if connected {
                self.announced.borrow_mut().insert(id)
            } else {
                self.announced.borrow_mut().remove(&id)
            };
            if told && self.config.role.is_server() {
                let data = chappe_wire::value!({"isConnect": connected, "serverId": id.0});
                node.raise("MasterConnectStatusEvent", &data);
            }
            return;
        }
        let hears_servers = matches!(self.config.role, Role::Service | Role::Master);
        let hears = match about.role {
            role if role.is_server() => hears_servers,
            Role::Service => self.config.role.is_server() || self.config.role == Role::Master,
            _ => false,
        };
        if !hears || id == self.config.id {
            return;
        }
        let is_service = about.role == Role::Service;
        let Some(member) = member else {
            if self.announced.borrow_mut().remove(&id) {
                let event = if is_service { "ServiceDisconnectEvent" } else { "ServerDisconnectEvent" };
                node.raise(event, &chappe_wire::value!({"serverId": id.0}));
            }
            return;
        };
        if member.state == State::Starting {
            return;
        }
        if self.announced.borrow_mut().insert(id) {
            if is_service {
                let data = chappe_wire::value!({"serverId": id.0, "serviceType": member.node_type.as_str()});
                node.raise("ServiceConnectEvent", &data);
            } else {
                let protocol = u32::from(chappe_wire::hello::PROTOCOL.minor);
                node.raise(
                    "ServerConnectedEvent",
                    &chappe_wire::value!({"serverId": id.0, "protocolVersion": protocol}),
                );
            }
        }
        if is_service && self.config.role.is_server() {
            let known = before.filter(|before| before.state != State::Starting);
            let is_new = |module: &&String| known.is_none_or(|before| !before.modules.contains(module));
            for module in member.modules.iter().filter(is_new) {
                let name = module.as_str();
                let data = chappe_wire::value!({"serverId": id.0, "moduleName": name, "modulename": name});
                node.raise("ServiceRegisterModuleEvent", &data);
            }
        }
    }
}
