//! Nodes that come, change and go: what they ask, and what the others are told.

use crate::master::Master;
use chappe_node::control::{self, Join, Pulse, Session, StateChange};
use chappe_node::{Call, Changed, ViewChange};
use chappe_wire::hello::{Hello, Purpose, Refusal};
use chappe_wire::{NodeId, Reason, Role};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How much of what a node says of its version is kept.
const VERSION: usize = 32;
/// The most tools that may be connected.
const TOOLS: usize = 1024;

impl Master {
    /// Hears of every connection, and answers nodes that join.
    pub(crate) fn serve_members(&self) {
        self.watch();
        self.serve("join", Master::on_join);
        self.serve("state", Master::on_state);
        self.serve("sessions", Master::on_sessions);
        self.serve("pulse", Master::on_pulse);
    }

    /// Looks every `period` who was silent for too long.
    pub(crate) async fn tick(self, period: Duration) {
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
            self.expire_away();
            self.tell_lease();
        }
    }

    fn tell_lease(&self) {
        if let Some(leadership) = self.leadership() {
            let stats = self.0.node.stats();
            stats.gauge("master_leads", 1);
            stats.gauge("master_term", leadership.term());
            stats.gauge("lease_valid", u64::from(leadership.is_valid()));
            stats.gauge("lease_renewals_failed", leadership.failed_renewals());
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
            master.0.versions.borrow_mut().remove(&(id, incarnation));
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
            let member = match change {
                Changed::Gone(member) => member,
                Changed::Member(_, member) => return master.proxy_back(member),
            };
            let now = master.now();
            let effects = match member.role {
                Role::Proxy if master.0.node.awaits_next(member.id) => return master.proxy_away(member.id),
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
        let declared = self.0.node.with_view(|view| {
            view.declared().nodes.iter().find(|(node, ..)| *node == id).map(|(_, role, _)| *role)
        });
        let is_master = hello.role == Role::Master && declared == Some(Role::Master);
        if is_master && hello.purpose == Purpose::Lead {
            if hello.term > self.0.node.term() {
                self.superseded(id, hello.term);
            }
            return Ok(());
        }
        if self.0.node.config().second_master.is_some() && hello.term > self.0.node.term() {
            let (mine, theirs) = (self.0.node.term(), hello.term);
            let text = format!("this master leads under term {mine}; node {id} knows of term {theirs}");
            return refuse(Reason::StaleTerm, text);
        }
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
            // Its heartbeats, if it has any, may come when it is gone: they make no tool.
            if hello.purpose == Purpose::Messages {
                tools.insert(id, hello.incarnation);
            }
        } else if hello.purpose == Purpose::Messages {
            let version = hello.version.chars().take(VERSION).collect();
            self.0.versions.borrow_mut().insert((id, hello.incarnation), version);
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
        let forgotten = self.0.membership.borrow_mut().learn_ended(join.ended);
        self.pass_on(forgotten, None);
        let joined = self.0.membership.borrow_mut().join(now, member, join.known);
        let change = match joined {
            Ok(change) => change,
            Err(reason) => return call.fail(reason, &format!("node {id} cannot join: {reason}")),
        };
        tracing::info!(node = %id, %role, "joined");
        self.0.was_recovering.set(self.0.was_recovering.get() || self.is_recovering());
        self.pass_on(change, Some(id));
        // Before it knows of anyone whom it could send to.
        self.tell_replaced(id);
        let _ = call.respond(&self.everyone());
        self.tell_declared(id);
        if role == Role::Proxy {
            self.rebuild(id, &join.sessions);
        }
        self.see_recovered();
    }

    fn on_sessions(&self, call: Call<'_>) {
        if self.0.membership.borrow().role(call.from()) == Some(Role::Proxy)
            && let Ok(sessions) = call.args::<Vec<Session>>()
        {
            self.rebuild(call.from(), &sessions);
        }
    }

    fn rebuild(&self, proxy: NodeId, sessions: &[Session]) {
        self.proxy_told(proxy, sessions);
        let effects = self.0.directory.borrow_mut().rebuild(self.now(), proxy, sessions);
        self.carry_out(effects);
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

    /// Takes in what has changed, and tells every member but `except`, which is answered with everything.
    fn pass_on(&self, change: ViewChange, except: Option<NodeId>) {
        if change.members.is_empty() && change.gone.is_empty() {
            return;
        }
        let node = &self.0.node;
        node.apply_view(change.clone());
        let mut joined: Vec<NodeId> = self.0.membership.borrow().joined().collect();
        joined.retain(|id| Some(*id) != except);
        let untold = node.tell_each(joined, control::NODE, "view", &change);
        self.0.behind.borrow_mut().extend(untold);
    }

    /// Tells everything to those who have missed something.
    fn catch_up(&self) {
        let behind = self.0.behind.take();
        if behind.is_empty() {
            return;
        }
        let mut joined: Vec<NodeId> = self.0.membership.borrow().joined().collect();
        joined.retain(|id| behind.contains(id));
        let untold = self.0.node.tell_each(joined.iter().copied(), control::NODE, "view", &self.everyone());
        self.0.behind.borrow_mut().extend(untold);
        joined.into_iter().for_each(|id| self.tell_declared(id));
    }

    fn everyone(&self) -> ViewChange {
        let mut members = vec![self.0.node.member()];
        members.extend(self.0.membership.borrow().members());
        ViewChange { full: true, members, gone: Vec::new() }
    }
}
