//! The master's handle: what is registered on its node, and how decisions are passed on.

use crate::away::AwayProxy;
use crate::directory::{Directory, Effect};
use crate::http::Urls;
use crate::login::{LoginChoice, Strategy};
use crate::membership::Membership;
use chappe_node::control::{self, Announce, Close, Declare, Replace};
use chappe_node::control_tool::NodeInfo;
use chappe_node::{Call, Member, Node, State};
use chappe_store::{Leadership, StoreError};
use chappe_wire::{NodeId, Reason, Role, Row, value};
use serde::Serialize;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// What the client of a session is told that a newer one took over.
pub(crate) const AGAIN: &str = "the player has logged in again";
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
    pub(crate) tools: RefCell<BTreeMap<NodeId, u64>>,
    /// What the nodes that are connected say of their programs' versions.
    pub(crate) versions: RefCell<BTreeMap<(NodeId, u64), String>>,
    /// What waits until all sessions are known.
    held: RefCell<VecDeque<Box<dyn FnOnce()>>>,
    /// By what it rules, where it needs a lease for that.
    leadership: OnceCell<Leadership>,
    pub(crate) was_recovering: Cell<bool>,
    /// Members whose queues had no room for what changed: they are told everything as soon as there is.
    pub(crate) behind: RefCell<BTreeSet<NodeId>>,
    /// Nodes that are being replaced, and until when: who joins is told.
    pub(crate) replaced: RefCell<BTreeMap<NodeId, (Replace, Instant)>>,
    /// Proxies that are being replaced and have left: what is to be settled when they are back.
    pub(crate) away: RefCell<BTreeMap<NodeId, AwayProxy>>,
    /// How deploy.json was changed last, since this master runs.
    pub(crate) declare: RefCell<Option<Declare>>,
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
            versions: RefCell::default(),
            held: RefCell::default(),
            leadership: OnceCell::new(),
            was_recovering: Cell::new(false),
            behind: RefCell::default(),
            replaced: RefCell::default(),
            away: RefCell::default(),
            declare: RefCell::default(),
        }));
        master.serve_members();
        master.serve_sessions();
        master.serve_tools();
        master.serve_declare();
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
        let versions = self.0.versions.borrow();
        let version = |member: &Member| match member.id == self.0.node.id() {
            true => chappe_node::VERSION.to_owned(),
            false => versions.get(&(member.id, member.incarnation)).cloned().unwrap_or_default(),
        };
        let info = |member: &Member| NodeInfo {
            id: member.id,
            role: member.role,
            node_type: member.node_type.clone(),
            state: member.state,
            incarnation: member.incarnation,
            modules: member.modules.clone(),
            players: players.get(&member.id).copied().unwrap_or_default(),
            version: version(member),
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

    /// The master rules by that lease from now on: without it, it grants no logins. To be called once, before the node runs.
    pub fn rule_by(&self, leadership: Leadership) {
        let _ = self.0.leadership.set(leadership);
    }

    /// The lease that it rules by, where it needs one.
    pub fn leadership(&self) -> Option<&Leadership> {
        self.0.leadership.get()
    }

    /// Whether what it grants counts.
    pub(crate) fn may_rule(&self) -> bool {
        self.leadership().is_none_or(Leadership::is_valid)
    }

    /// Milliseconds since 1970 that never go back from one master to the next: by the store's clock where there are two, for
    /// those of their machines may be hours apart.
    pub(crate) fn epoch_ms(&self) -> u64 {
        self.leadership().and_then(Leadership::now_ms).unwrap_or_else(unix_millis)
    }

    /// Another master has said that it leads, under a later term.
    pub(crate) fn superseded(&self, by: NodeId, now: u64) {
        if let Some(leadership) = self.leadership() {
            leadership.lose(StoreError::LeaseLost { term: leadership.term(), now, by: Some(by) });
        }
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

    /// The lobby or game that the player with a session is on, and the one that they are on their way to; `None` for a
    /// player who is offline.
    pub fn session_of(&self, uid: u64) -> Option<(Option<NodeId>, Option<NodeId>)> {
        self.0.directory.borrow().by_uid(uid).map(|entry| (entry.session.server, entry.going))
    }

    /// Whether a node is a member of the cluster at the moment, or the master itself.
    pub fn is_member(&self, id: NodeId) -> bool {
        id == self.0.node.id() || self.0.membership.borrow().role(id).is_some()
    }

    /// Whether a command-line tool of that id is connected.
    pub fn is_tool(&self, id: NodeId) -> bool {
        self.0.tools.borrow().contains_key(&id)
    }

    /// Runs `request` now, or when all sessions are known; with `false` when too many wait for that.
    pub fn when_recovered(&self, request: impl FnOnce(bool) + 'static) {
        // The flag spares each login the look at all members.
        if !self.0.was_recovering.get() || !self.is_recovering() {
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
                    let message = AGAIN.to_owned();
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

    /// Lets go on what has waited for the end of the recovery.
    pub(crate) fn see_recovered(&self) {
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

fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Answers a request with what came of it.
pub(crate) fn answer<T: Serialize>(call: Call<'_>, result: Result<T, (Reason, String)>) {
    match result {
        Ok(data) => drop(call.respond(&data)),
        Err((reason, text)) => call.fail(reason, &text),
    }
}
