//! The membership view, and where an address leads.

use chappe_wire::{NodeId, Reason, Role};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::Hasher;

/// What a node can do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its mods are being loaded. Nothing is routed to it.
    Starting,
    /// Routable.
    Ready,
    /// Its handlers make no progress. Nothing new is routed to it.
    Stuck,
    /// Leaving: it finishes what it has; no new requests or logins.
    Draining,
}

impl State {
    /// The state's one word.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Stuck => "stuck",
            State::Draining => "draining",
        }
    }
}

/// A node as the others know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its role.
    pub role: Role,
    /// Its type.
    pub node_type: String,
    /// The modules it answers requests for, declared or registered; its type is always one of them.
    pub modules: Vec<String>,
    /// What it can do.
    pub state: State,
    /// Which life of it this is.
    pub incarnation: u64,
}

/// What the master tells: who is there, or what has changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewChange {
    /// Whether `members` is everyone: those not in it have gone.
    pub full: bool,
    /// New or changed members.
    pub members: Vec<Member>,
    /// Members that have gone, each with the life that ended.
    pub gone: Vec<(NodeId, u64)>,
}

/// Nodes and modules that deploy.json and the mods' own files declare, whether or not they are up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Every node of the cluster.
    pub nodes: Vec<(NodeId, Role, String)>,
    /// Modules beyond the nodes' types.
    pub modules: Vec<String>,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// The lobby or game of that id.
    Server(NodeId),
    /// The service of that id.
    Service(NodeId),
    /// The proxy of that id.
    Proxy(NodeId),
    /// The master.
    Master,
    /// All lobbies and games of a type.
    ServersOfType(&'a str),
    /// All services.
    Services,
}

/// Why an address, or a part of it, leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoute {
    /// The node that is meant, where it is one.
    pub node: Option<NodeId>,
    /// Why it gets nothing.
    pub reason: Reason,
}

/// One provider for a request, or what to do without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Ask this one.
    Node(NodeId),
    /// It is declared and not up: wait, within the deadline.
    Wait,
    /// Nobody will ever answer.
    None,
}

/// The cluster as one node knows it.
#[derive(Debug, Default)]
pub struct View {
    members: BTreeMap<NodeId, Member>,
    providers: FxHashMap<String, Providers>,
    declared: Declared,
}

/// Who serves a module, and whose turn it is.
#[derive(Debug, Default)]
struct Providers {
    nodes: Vec<NodeId>,
    turn: usize,
}

/// What a [`ViewChange`] changed, member by member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// A member is new, or has a new state or modules: before and after.
    Member(Option<Member>, Member),
    /// A life of a member has ended.
    Gone(Member),
}

impl View {
    /// An empty view of a cluster in which `declared` stands.
    pub fn new(declared: Declared) -> View {
        View { declared, ..View::default() }
    }

    /// What is declared.
    pub fn declared(&self) -> &Declared {
        &self.declared
    }

    /// From now on this is declared.
    pub fn declare(&mut self, declared: Declared) {
        self.declared = declared;
    }

    /// All members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The member of that id.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// The master, if it is known.
    pub fn master(&self) -> Option<NodeId> {
        self.members.values().find(|member| member.role == Role::Master).map(|member| member.id)
    }

    /// Takes in what the master tells. The result is in the order in which to act on it: who has gone first.
    /// A member that came back as a new life counts as gone and then as new.
    pub fn apply(&mut self, change: ViewChange) -> Vec<Changed> {
        let mut changed = Vec::new();
        for (id, incarnation) in change.gone {
            if self.members.get(&id).is_some_and(|member| member.incarnation == incarnation) {
                changed.extend(self.members.remove(&id).map(Changed::Gone));
            }
        }
        if change.full {
            let told: FxHashSet<NodeId> = change.members.iter().map(|member| member.id).collect();
            let missing: Vec<NodeId> = self.members.keys().filter(|id| !told.contains(id)).copied().collect();
            changed.extend(missing.iter().filter_map(|id| self.members.remove(id)).map(Changed::Gone));
        }
        for member in change.members {
            let mut before = self.members.insert(member.id, member.clone());
            if before.as_ref().is_some_and(|before| before.incarnation != member.incarnation) {
                changed.extend(before.take().map(Changed::Gone));
            }
            if before.as_ref() != Some(&member) {
                changed.push(Changed::Member(before, member));
            }
        }
        if !changed.is_empty() {
            self.index();
        }
        changed
    }

    /// Where an address leads now: the nodes that get the message, and the ones that were meant and do not,
    /// each with the reason. Both empty: no such type.
    pub fn resolve(&self, address: Address<'_>) -> (Vec<NodeId>, Vec<NoRoute>) {
        match address {
            Address::Server(id) => one(self.reachable(id, Role::is_server), id),
            Address::Service(id) => one(self.reachable(id, |role| role == Role::Service), id),
            Address::Proxy(id) => one(self.reachable(id, |role| role == Role::Proxy), id),
            Address::Master => match self.master() {
                Some(id) => one(self.reachable(id, |_| true), id),
                None => (Vec::new(), vec![NoRoute { node: None, reason: Reason::Disconnected }]),
            },
            Address::ServersOfType(name) => {
                self.group(|role, node_type| role.is_server() && node_type == name)
            }
            Address::Services => self.group(|role, _| role == Role::Service),
        }
    }

    /// Whether a message may go to that node, which is meant to be of a role that `takes` accepts.
    ///
    /// # Errors
    /// [`Reason::NoRoute`] for an id that nobody has, [`Reason::WrongRole`], [`Reason::Disconnected`] for one
    /// that is declared and away, [`Reason::NotReady`], [`Reason::Stuck`].
    pub fn reachable(&self, id: NodeId, takes: impl Fn(Role) -> bool) -> Result<NodeId, Reason> {
        let Some(member) = self.members.get(&id) else {
            return Err(match self.declared.nodes.iter().find(|(node, ..)| *node == id) {
                Some((_, role, _)) if takes(*role) => Reason::Disconnected,
                Some(_) => Reason::WrongRole,
                None => Reason::NoRoute,
            });
        };
        if !takes(member.role) {
            return Err(Reason::WrongRole);
        }
        match member.state {
            State::Ready | State::Draining => Ok(id),
            State::Starting => Err(Reason::NotReady),
            State::Stuck => Err(Reason::Stuck),
        }
    }

    /// The next provider of a module, in turn among those that take new requests.
    pub fn provider(&mut self, module: &str) -> Provider {
        let Some(providers) = self.providers.get_mut(module).filter(|providers| !providers.nodes.is_empty())
        else {
            return self.absent(module);
        };
        providers.turn = (providers.turn + 1) % providers.nodes.len();
        Provider::Node(providers.nodes[providers.turn])
    }

    /// The provider of a module for a key: the same one while the set of providers stands, and few keys move
    /// when it changes (rendezvous hashing).
    pub fn provider_for_key(&self, module: &str, key: &[u8]) -> Provider {
        let score = |id: &NodeId| {
            let mut hasher = FxHasher::default();
            hasher.write(key);
            hasher.write_i64(id.0);
            // FxHasher's low bits depend on the last word alone; a final mix spreads them.
            let hash = hasher.finish();
            (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        match self
            .providers
            .get(module)
            .and_then(|providers| providers.nodes.iter().max_by_key(|id| score(id)))
        {
            Some(id) => Provider::Node(*id),
            None => self.absent(module),
        }
    }

    /// Whether a node, up or not, is declared to serve a module.
    pub fn is_declared(&self, module: &str) -> bool {
        let serves = |role: Role| matches!(role, Role::Service | Role::Master);
        self.declared.modules.iter().any(|name| name == module)
            || self.declared.nodes.iter().any(|(_, role, name)| serves(*role) && name == module)
    }

    fn absent(&self, module: &str) -> Provider {
        let serving = |member: &Member| {
            member.modules.iter().any(|name| name == module)
                && matches!(member.role, Role::Service | Role::Master)
        };
        if self.is_declared(module) || self.members.values().any(serving) {
            Provider::Wait
        } else {
            Provider::None
        }
    }

    fn group(&self, meant: impl Fn(Role, &str) -> bool) -> (Vec<NodeId>, Vec<NoRoute>) {
        let known = self.members.values().filter(|member| meant(member.role, &member.node_type));
        let declared = self.declared.nodes.iter().filter(|(_, role, name)| meant(*role, name));
        let mut ids: Vec<NodeId> =
            known.map(|member| member.id).chain(declared.map(|(id, ..)| *id)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut missing = Vec::new();
        ids.retain(|id| match self.reachable(*id, |_| true) {
            Ok(_) => true,
            Err(reason) => {
                missing.push(NoRoute { node: Some(*id), reason });
                false
            }
        });
        (ids, missing)
    }

    fn index(&mut self) {
        // Turns go on where they stood.
        self.providers.values_mut().for_each(|providers| providers.nodes.clear());
        let ready = self.members.values().filter(|member| member.state == State::Ready);
        for member in ready.filter(|member| matches!(member.role, Role::Service | Role::Master)) {
            for module in &member.modules {
                let providers = &mut self.providers.entry(module.clone()).or_default().nodes;
                if providers.last() != Some(&member.id) {
                    providers.push(member.id);
                }
            }
        }
    }
}

fn one(found: Result<NodeId, Reason>, id: NodeId) -> (Vec<NodeId>, Vec<NoRoute>) {
    match found {
        Ok(id) => (vec![id], Vec::new()),
        Err(reason) => (Vec::new(), vec![NoRoute { node: Some(id), reason }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: i64, role: Role, node_type: &str, state: State, incarnation: u64) -> Member {
        let modules = vec![node_type.to_owned()];
        Member { id: NodeId(id), role, node_type: node_type.to_owned(), modules, state, incarnation }
    }

    fn view(members: Vec<Member>) -> View {
        let declared = Declared {
            nodes: vec![
                (NodeId(1), Role::Master, "master".into()),
                (NodeId(20), Role::Lobby, "lobby".into()),
                (NodeId(30), Role::Game, "duel".into()),
                (NodeId(31), Role::Game, "duel".into()),
                (NodeId(40), Role::Service, "service_mail".into()),
            ],
            modules: vec!["guild".into()],
        };
        let mut view = View::new(declared);
        view.apply(ViewChange { full: true, members, gone: vec![] });
        view
    }

    #[test]
    fn a_starting_or_stuck_node_gets_nothing_and_is_named_as_missing() {
        let view = view(vec![
            member(30, Role::Game, "duel", State::Starting, 1),
            member(31, Role::Game, "duel", State::Ready, 1),
        ]);
        let (to, missing) = view.resolve(Address::ServersOfType("duel"));
        assert_eq!(to, [NodeId(31)]);
        assert_eq!(missing, [NoRoute { node: Some(NodeId(30)), reason: Reason::NotReady }]);
        let away = view.resolve(Address::Services).1;
        assert_eq!(away, [NoRoute { node: Some(NodeId(40)), reason: Reason::Disconnected }]);
    }

    #[test]
    fn a_master_that_is_starting_gets_nothing() {
        let view = view(vec![member(1, Role::Master, "master", State::Starting, 1)]);
        let missing = [NoRoute { node: Some(NodeId(1)), reason: Reason::NotReady }];
        assert_eq!(view.resolve(Address::Master), (vec![], missing.to_vec()));
    }

    #[test]
    fn a_wrong_role_is_told_from_an_unknown_id() {
        let view = view(vec![member(40, Role::Service, "service_mail", State::Ready, 1)]);
        assert_eq!(view.resolve(Address::Server(NodeId(40))).1[0].reason, Reason::WrongRole);
        assert_eq!(view.resolve(Address::Service(NodeId(20))).1[0].reason, Reason::WrongRole);
        assert_eq!(view.resolve(Address::Server(NodeId(99))).1[0].reason, Reason::NoRoute);
        assert_eq!(view.resolve(Address::Server(NodeId(20))).1[0].reason, Reason::Disconnected);
    }

    #[test]
    fn a_declared_module_is_waited_for_and_an_undeclared_one_fails_at_once() {
        let mut view = view(vec![]);
        assert_eq!(view.provider("guild"), Provider::Wait);
        assert_eq!(view.provider("service_mail"), Provider::Wait);
        assert_eq!(view.provider("duel"), Provider::None, "a game serves no modules");
        assert_eq!(view.provider("nobody"), Provider::None);
    }

    #[test]
    fn providers_take_turns_and_the_leaving_are_skipped() {
        let mail = |id, state| member(id, Role::Service, "service_mail", state, 1);
        let mut view = view(vec![mail(40, State::Ready), mail(41, State::Ready), mail(42, State::Draining)]);
        let asked: Vec<_> = (0..4).map(|_| view.provider("service_mail")).collect();
        assert_eq!(asked[0], asked[2]);
        assert_ne!(asked[0], asked[1]);
        assert!(!asked.contains(&Provider::Node(NodeId(42))));
    }

    #[test]
    fn a_key_stays_with_its_provider_when_others_come() {
        let mail = |id| member(id, Role::Service, "service_mail", State::Ready, 1);
        let few = view(vec![mail(40), mail(41), mail(42)]);
        let more = view(vec![mail(40), mail(41), mail(42), mail(43)]);
        let keys: Vec<String> = (0..400).map(|n| format!("player{n}")).collect();
        let at = |view: &View, key: &str| view.provider_for_key("service_mail", key.as_bytes());
        let moved = keys.iter().filter(|key| at(&few, key) != at(&more, key)).collect::<Vec<_>>();
        assert!(moved.iter().all(|key| at(&more, key) == Provider::Node(NodeId(43))));
        assert!(moved.len() < 200, "{} of 400 keys moved", moved.len());
        for id in [40, 41, 42] {
            let share = keys.iter().filter(|key| at(&few, key) == Provider::Node(NodeId(id))).count();
            assert!(share > 50, "{id} has {share} of 400 keys");
        }
    }

    #[test]
    fn a_new_life_of_a_node_is_told_as_gone_and_come() {
        let mut view = view(vec![member(30, Role::Game, "duel", State::Ready, 1)]);
        let again = member(30, Role::Game, "duel", State::Starting, 2);
        let change = ViewChange { members: vec![again.clone()], ..ViewChange::default() };
        let changed = view.apply(change);
        assert!(matches!(&changed[..], [Changed::Gone(old), Changed::Member(None, new)]
            if old.incarnation == 1 && *new == again));
        let late = ViewChange { gone: vec![(NodeId(30), 1)], ..ViewChange::default() };
        assert!(view.apply(late).is_empty(), "the end of an old life does not touch the new one");
    }
}
