//! The master's handle: what is registered on its node, and how decisions are passed on.

use crate::directory::{Directory, Effect};
use crate::http::Urls;
use crate::login::{LoginChoice, Strategy};
use crate::membership::Membership;
use chappe_node::control::{self, Announce, Close, Join, Pulse, StateChange};
use chappe_node::control_tool::NodeInfo;
use chappe_node::{Call, Changed, Member, Node, State, ViewChange};
use chappe_wire::hello::{Hello, Refusal};
use chappe_wire::{NodeId, Reason, Role, Row, value};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The most tools that may be connected.
const TOOLS: usize = 1024;
/// The most requests that wait until a restarted master knows all sessions.
const HELD: usize = 10_000;

/// The master of a cluster: a handle that is cheap to clone and stays on the node's thread.
#[derive(Clone)]
pub struct Master(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) node: Node,
    started: Instant,
    pub(crate) membership: RefCell<Membership>,
    pub(crate) directory: RefCell<Directory>,
    pub(crate) strategy: RefCell<Option<Strategy>>,
    pub(crate) urls: RefCell<Urls>,
    /// Command-line tools that are connected, with their lives.
    tools: RefCell<BTreeMap<NodeId, u64>>,
    /// What waits until all sessions are known.
    held: RefCell<VecDeque<Box<dyn FnOnce()>>>,
    was_recovering: Cell<bool>,
    /// Members whose queues had no room for what changed: they are told everything as soon as there is.
    behind: RefCell<BTreeSet<NodeId>>,
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Master({})", self.0.node.id())
    }
}

impl Master {
    /// Makes `node`, which is of role master, the master of its cluster. To be called before [`Node::run`], so
    /// that nobody connects unseen, and inside the [`tokio::task::LocalSet`] that the node runs on.
    pub fn attach(node: &Node) -> Master {
        let timing = node.config().timing.clone();
        // Often enough that a loss is seen soon after it is due.
        let period = (timing.heartbeat / 6).clamp(Duration::from_millis(5), Duration::from_millis(500));
        let master = Master(Rc::new(Inner {
            node: node.clone(),
            started: Instant::now(),
            membership: RefCell::new(Membership::new(timing)),
            directory: RefCell::default(),
            strategy: RefCell::default(),
            urls: RefCell::default(),
            tools: RefCell::default(),
            held: RefCell::default(),
            was_recovering: Cell::new(false),
            behind: RefCell::default(),
        }));
        master.watch();
        master.serve("join", Master::on_join);
        master.serve("state", Master::on_state);
        master.serve("pulse", Master::on_pulse);
        master.serve_sessions();
        master.serve_tools();
        node.spawn(master.clone().tick(period));
        master
    }

    /// The node that it runs on.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// Decides where logins lead (`SetLoginStratege`): `strategy` is called with the uid and answers through
    /// the [`LoginChoice`]. Without one they lead to the emptiest lobby of type `lobby`.
    pub fn set_login_strategy(&self, strategy: impl Fn(u64, LoginChoice) + 'static) {
        *self.0.strategy.borrow_mut() = Some(Rc::new(strategy));
    }

    /// The lobbies and games that are up (`GetConnectedLobbyAndGameIds`), by id.
    pub fn connected_servers(&self) -> Vec<NodeId> {
        let up = |member: &&Member| member.role.is_server() && member.state != State::Starting;
        self.0.node.with_view(|view| view.members().filter(up).map(|member| member.id).collect())
    }

    /// How many players stand on the lobbies and games of each type (`GetOnlineNumByServerType`).
    pub fn online_by_type(&self) -> BTreeMap<String, usize> {
        let mut online = BTreeMap::new();
        for node in self.nodes().into_iter().filter(|node| node.role.is_server()) {
            *online.entry(node.node_type).or_default() += node.players;
        }
        online
    }

    /// How many players have a session.
    pub fn online(&self) -> usize {
        self.0.directory.borrow().len()
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> Vec<NodeInfo> {
        let players = self.0.directory.borrow().players_by_node();
        let info = |member: &Member| NodeInfo {
            id: member.id,
            role: member.role,
            node_type: member.node_type.clone(),
            state: member.state,
            incarnation: member.incarnation,
            modules: member.modules.clone(),
            players: players.get(&member.id).copied().unwrap_or_default(),
        };
        self.0.node.with_view(|view| view.members().map(info).collect())
    }

    /// Ends a player's session; the client is told `message`.
    ///
    /// # Errors
    /// [`Reason::PlayerOffline`].
    pub fn kick(&self, uid: u64, message: &str) -> Result<(), Reason> {
        let entry = self.0.directory.borrow().by_uid(uid).ok_or(Reason::PlayerOffline)?;
        let close = Close { epoch: entry.session.epoch, reason: Reason::Kicked, message: message.to_owned() };
        self.0.node.tell(entry.session.proxy, control::PROXY, "close", &close);
        Ok(())
    }

    /// Sends a text to every client. Returns how many proxies were told.
    pub fn announce(&self, message: &str) -> usize {
        let proxies = self.members_where(|member| member.role == Role::Proxy);
        let announce = Announce { message: message.to_owned() };
        for proxy in &proxies {
            self.0.node.tell(*proxy, control::PROXY, "announce", &announce);
        }
        proxies.len()
    }

    /// Whether the master has restarted and does not know all sessions yet: logins wait.
    pub fn is_recovering(&self) -> bool {
        self.0.membership.borrow().is_recovering(self.now())
    }

    /// The time on the master's own clock.
    pub(crate) fn now(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// The ids of the members that are as wanted, by id.
    pub(crate) fn members_where(&self, wanted: impl Fn(&Member) -> bool) -> Vec<NodeId> {
        let wanted = |member: &&Member| wanted(member);
        self.0.node.with_view(|view| view.members().filter(wanted).map(|member| member.id).collect())
    }

    /// Registers a method of `$master` for members and tools.
    pub(crate) fn serve(&self, method: &'static str, handler: impl Fn(&Master, Call<'_>) + 'static) {
        let master = self.clone();
        self.0.node.register(Row::Internal, control::MASTER, method, move |call| {
            let is_known = method == "join" || master.knows(call.from()) || call.from() == master.0.node.id();
            // Beats may come before the join: they find no member and change nothing.
            if call.row() != Row::Internal || !(is_known || method == "pulse") {
                let text = format!("node {} may not ask the master for {method:?}", call.from());
                return call.fail(Reason::Refused, &text);
            }
            handler(&master, call);
        });
    }

    /// Runs `request` now, or when all sessions are known; with `false` when too many wait for that.
    pub(crate) fn when_recovered(&self, request: impl FnOnce(bool) + 'static) {
        if !self.is_recovering() {
            return request(true);
        }
        if self.0.held.borrow().len() >= HELD {
            return request(false);
        }
        self.0.held.borrow_mut().push_back(Box::new(move || request(true)));
    }

    /// Carries out what a change of the directory asks for.
    pub(crate) fn carry_out(&self, effects: Vec<Effect>) {
        let node = &self.0.node;
        for effect in effects {
            match effect {
                Effect::Close { proxy, epoch } => {
                    let message = "the player has logged in again".to_owned();
                    let close = Close { epoch, reason: Reason::Replaced, message };
                    node.tell(proxy, control::PROXY, "close", &close);
                }
                Effect::Login { server, uid, is_transfer, is_reconnect } => {
                    let data = value!({
                        "serverId": server.0,
                        "uid": uid,
                        "isTransfer": is_transfer,
                        "isReconnect": is_reconnect,
                        "protocolVersion": chappe_wire::client::PROTOCOL,
                    });
                    node.raise("PlayerLoginServerEvent", &data);
                }
                Effect::Logout { server, uid, is_transfer } => {
                    let data = value!({"serverId": server.0, "uid": uid, "isTransfer": is_transfer});
                    node.raise("PlayerLogoutServerEvent", &data);
                }
            }
        }
    }

    fn watch(&self) {
        let node = &self.0.node;
        let master = self.clone();
        node.on_hello(move |hello| master.on_hello(hello));
        let master = self.clone();
        node.on_peer_lost(move |id, incarnation| {
            let mut tools = master.0.tools.borrow_mut();
            if tools.get(&id) == Some(&incarnation) {
                tools.remove(&id);
            }
            drop(tools);
            let change = master.0.membership.borrow_mut().disconnected(id, incarnation);
            if !change.gone.is_empty() {
                tracing::info!(node = %id, "gone: its connection has ended");
            }
            master.pass_on(change, None);
        });
        let master = self.clone();
        node.on_own_state(move || {
            let me = master.0.node.member();
            master.pass_on(ViewChange { members: vec![me], ..ViewChange::default() }, None);
        });
        let master = self.clone();
        node.on_view(move |change| {
            let Changed::Gone(member) = change else { return };
            let now = master.now();
            let effects = match member.role {
                Role::Proxy => master.0.directory.borrow_mut().lose_proxy(member.id),
                role if role.is_server() => master.0.directory.borrow_mut().lose_server(now, member.id),
                _ => return,
            };
            master.carry_out(effects);
        });
    }

    fn on_hello(&self, hello: &Hello) -> Result<(), Refusal> {
        let refuse = |reason, message| Err(Refusal { reason, message });
        let id = hello.node;
        let declared = &self.0.node.config().declared.nodes;
        let declared = declared.iter().find(|(node, ..)| *node == id).map(|(_, role, _)| *role);
        match (hello.role, declared) {
            (Role::Master, _) => {
                let text = format!("node {} is the master; {id} cannot be another", self.0.node.id());
                return refuse(Reason::Refused, text);
            }
            (Role::Tool, Some(role)) => {
                return refuse(
                    Reason::IdTaken,
                    format!("id {id} is taken: deploy.json has a {role} of that id"),
                );
            }
            (role, Some(declared)) if role != declared => {
                let text = format!("deploy.json has node {id} as a {declared}, not as a {role}");
                return refuse(Reason::Refused, text);
            }
            _ => {}
        }
        let admitted = self.0.membership.borrow().admits(id, hello.incarnation);
        admitted.or_else(|reason| match reason {
            Reason::IdTaken => refuse(reason, format!("id {id} is taken: a live node holds it")),
            _ => refuse(reason, format!("that life of node {id} has ended; it must start as a new one")),
        })?;
        if hello.role == Role::Tool {
            let mut tools = self.0.tools.borrow_mut();
            if self.0.membership.borrow().role(id).is_some() {
                return refuse(Reason::IdTaken, format!("id {id} is taken: a live node holds it"));
            }
            if tools.len() >= TOOLS {
                return refuse(Reason::Overloaded, format!("{TOOLS} tools are connected already"));
            }
            tools.insert(id, hello.incarnation);
        }
        Ok(())
    }

    fn on_join(&self, call: Call<'_>) {
        let join: Join = match call.args() {
            Ok(join) => join,
            Err(error) => return call.fail(Reason::BadData, &error.to_string()),
        };
        let (id, member) = (call.from(), join.member);
        if self.0.node.is_stopping() {
            return call.fail(Reason::ShuttingDown, "the master is leaving");
        }
        if (member.id, member.incarnation) != (id, call.incarnation()) {
            let text = format!("node {id} cannot join as node {}", member.id);
            return call.fail(Reason::WrongNode, &text);
        }
        // A tool sees everyone and is seen by nobody.
        if self.0.tools.borrow().contains_key(&id) {
            let _ = call.respond(&self.everyone());
            return;
        }
        if matches!(member.role, Role::Tool | Role::Master) {
            return call.fail(Reason::WrongRole, "neither a tool nor another master can be a member");
        }
        let (now, role) = (self.now(), member.role);
        let joined = self.0.membership.borrow_mut().join(now, member, join.known);
        let change = match joined {
            Ok(change) => change,
            Err(reason) => return call.fail(reason, &format!("node {id} cannot join: {reason}")),
        };
        tracing::info!(node = %id, %role, "joined");
        self.0.was_recovering.set(self.0.was_recovering.get() || self.is_recovering());
        self.pass_on(change, Some(id));
        let _ = call.respond(&self.everyone());
        if role == Role::Proxy {
            let effects = self.0.directory.borrow_mut().rebuild(now, id, &join.sessions);
            self.carry_out(effects);
        }
        self.see_recovered();
    }

    fn on_state(&self, call: Call<'_>) {
        if let Ok(stated) = call.args::<StateChange>() {
            let (id, life) = (call.from(), call.incarnation());
            let change = self.0.membership.borrow_mut().restate(id, life, stated);
            self.pass_on(change, None);
        }
    }

    fn on_pulse(&self, call: Call<'_>) {
        if let Ok(Pulse { progress }) = call.args() {
            let (now, id, life) = (self.now(), call.from(), call.incarnation());
            let change = self.0.membership.borrow_mut().pulse(now, id, life, progress);
            self.pass_on(change, None);
        }
    }

    async fn tick(self, period: Duration) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.now();
            let change = self.0.membership.borrow_mut().tick(now, period);
            for (node, _) in &change.gone {
                tracing::warn!(%node, "lost: it was silent for too long");
            }
            self.pass_on(change, None);
            self.0.directory.borrow_mut().expire(now);
            self.see_recovered();
            self.catch_up();
        }
    }

    /// Takes in what has changed, and tells every member but `except`, which is answered with everything.
    fn pass_on(&self, change: ViewChange, except: Option<NodeId>) {
        if change.members.is_empty() && change.gone.is_empty() {
            return;
        }
        let node = &self.0.node;
        node.apply_view(change.clone());
        let joined: Vec<NodeId> = self.0.membership.borrow().joined().collect();
        for id in joined.into_iter().filter(|id| Some(*id) != except) {
            if !node.tell(id, control::NODE, "view", &change) {
                self.0.behind.borrow_mut().insert(id);
            }
        }
    }

    /// Tells everything to those who have missed something.
    fn catch_up(&self) {
        let behind = self.0.behind.take();
        if behind.is_empty() {
            return;
        }
        let joined: Vec<NodeId> = self.0.membership.borrow().joined().collect();
        let everyone = self.everyone();
        for id in joined.into_iter().filter(|id| behind.contains(id)) {
            if !self.0.node.tell(id, control::NODE, "view", &everyone) {
                self.0.behind.borrow_mut().insert(id);
            }
        }
    }

    fn everyone(&self) -> ViewChange {
        let mut members = vec![self.0.node.member()];
        members.extend(self.0.membership.borrow().members());
        ViewChange { full: true, members, gone: Vec::new() }
    }

    /// Lets go on what has waited for the end of the recovery.
    fn see_recovered(&self) {
        if self.0.was_recovering.get() && !self.is_recovering() {
            self.0.was_recovering.set(false);
            tracing::info!(players = self.online(), "all sessions are known again");
            let held = self.0.held.take();
            for request in held {
                // Tasks start in their order, and one that panics ends alone.
                self.0.node.spawn(async move { request() });
            }
        }
    }

    fn knows(&self, id: NodeId) -> bool {
        self.0.membership.borrow().role(id).is_some() || self.0.tools.borrow().contains_key(&id)
    }
}

/// Answers a request with what came of it.
pub(crate) fn answer<T: Serialize>(call: Call<'_>, result: Result<T, (Reason, String)>) {
    match result {
        Ok(data) => drop(call.respond(&data)),
        Err((reason, text)) => call.fail(reason, &text),
    }
}
