//! Taking a node out of service while others play on: nothing new for it, its players to other nodes, and then it leaves
//! (design, promises: leaving).

use crate::master::Master;
use crate::sessions::LOBBY;
use chappe_node::control::{self, Replace, Session};
use chappe_node::control_tool::{DrainNode, Drained};
use chappe_node::{Failure, Member, State, To};
use chappe_wire::{NodeId, Reason, Role, Row};
use std::future::Future;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// How long a node may take to say that it takes nothing new.
const TELL: Duration = Duration::from_secs(2);
/// The longest that moving players may take.
const MOST: Duration = Duration::from_secs(600);
/// How long messages wait for the next life of a node, in milliseconds: a start with many mods, and a margin.
const NEXT_LIFE_MS: u64 = 60_000;
/// Between two looks at who is still there; players who could not go are sent again after each.
const LOOK: Duration = Duration::from_millis(20);
/// A player who was sent and has not arrived after so long is sent again.
const AGAIN: Duration = Duration::from_secs(5);

impl Master {
    /// Takes a node out of service, or starts this master anew. A node takes nothing new, its players are taken to the emptiest other node of its type,
    /// else to the emptiest lobby, as by a transfer, and then it is told to leave. When players remain after the time, it
    /// serves on, unless that is not wanted.
    ///
    /// # Errors
    /// `NoRoute`, `NotReady`: no such node, or not one that serves; `WrongRole` for the master, unless it is to start anew; the failure of the request.
    pub fn drain_node(&self, asked: DrainNode) -> impl Future<Output = Result<Drained, Failure>> + use<> {
        let master = self.clone();
        async move {
            if asked.id == master.0.node.id() && asked.restart {
                // Its store is given back in order: of two masters the other one leads at once.
                master.ask_stop(asked.id, true).await?;
                return Ok(Drained { moved: 0, left: 0, leaves: true });
            }
            let node = master.drainable(asked.id)?;
            let told = |drains: control::Drain| {
                let to = To::Node(asked.id);
                master.0.node.ask::<_, ()>(Row::Internal, to, (control::NODE, "drain"), &drains, TELL)
            };
            told(true).await?;
            let within = Duration::from_millis(asked.timeout_ms).min(MOST);
            let (moved, left) = match node.role.is_server() {
                true => master.empty(&node, Instant::now() + within).await,
                false => (0, 0),
            };
            let leaves = left == 0 || asked.force;
            if leaves {
                let replace = replace(&node, asked.restart);
                master.announce_leaver(&replace).await;
                if let Err(failure) = master.ask_stop(asked.id, asked.restart).await {
                    // Of one that has died meanwhile the next life may come all the same.
                    if master.is_up(&node) {
                        master.announce_leaver(&Replace { within_ms: 0, ..replace }).await;
                    }
                    return Err(failure);
                }
            } else {
                told(false).await?;
            }
            tracing::info!(node = %asked.id, moved, left, leaves, "a node was drained");
            Ok(Drained { moved, left, leaves })
        }
    }

    /// Tells all members that a node is about to leave, and waits until each has had taken in what it had sent to that node
    /// before, or is lost itself.
    async fn announce_leaver(&self, replace: &Replace) {
        let node = &self.0.node;
        let until = Instant::now() + Duration::from_millis(replace.within_ms);
        self.0.replaced.borrow_mut().insert(replace.id, (replace.clone(), until));
        let loss = node.config().timing.loss;
        let joined: Vec<NodeId> =
            self.0.membership.borrow().joined().filter(|id| *id != replace.id).collect();
        let ask = |id: NodeId| {
            (id, node.ask::<_, ()>(Row::Internal, To::Node(id), (control::NODE, "replace"), replace, loss))
        };
        let asked: Vec<_> = joined.into_iter().map(ask).collect();
        let (done, own) = oneshot::channel();
        node.replace(replace.clone(), move || done.send(()).unwrap_or_default());
        let _ = timeout(loss, own).await;
        for (id, told) in asked {
            // Nodes of an older version do not know of it: what they send late may be lost.
            if let Err(failure) = told.await
                && failure.reason != Reason::NodeLost
            {
                node.stats().count("leavers_unseen");
                tracing::warn!(node = %id, leaves = %replace.id, %failure, "a node was not told in time that another leaves");
            }
        }
    }

    /// Tells a node that joins who is being replaced.
    pub(crate) fn tell_replaced(&self, id: NodeId) {
        let now = Instant::now();
        let node = &self.0.node;
        let mut replaced = self.0.replaced.borrow_mut();
        replaced.retain(|id, (replace, until)| {
            let is_back = |member: &Member| member.incarnation > replace.life && member.state == State::Ready;
            *until > now && !node.with_view(|view| view.member(*id).is_some_and(is_back))
        });
        for (replace, until) in replaced.values() {
            let within_ms = (*until - now).as_millis() as u64;
            node.tell(id, control::NODE, "replace", &Replace { within_ms, ..replace.clone() });
        }
    }

    fn drainable(&self, id: NodeId) -> Result<Member, Failure> {
        let refused = |reason: Reason| Failure::new(reason, format!("node {id} cannot be drained: {reason}"));
        let member = self.0.node.with_view(|view| view.member(id).cloned());
        let member = member.ok_or_else(|| refused(Reason::NoRoute))?;
        match (member.role, member.state) {
            (Role::Master, _) => {
                let text = format!(
                    "nobody takes over what node {id} is, the master; started anew (`--restart`) it goes on, and of two the \
                     other one leads meanwhile"
                );
                Err(Failure::new(Reason::WrongRole, text))
            }
            (_, State::Ready | State::Draining) => Ok(member),
            (_, State::Starting | State::Stuck) => Err(refused(Reason::NotReady)),
        }
    }

    /// Sends everyone on a node elsewhere until nobody is left, or the time is up. Returns how many have gone, and how many
    /// are there still.
    async fn empty(&self, node: &Member, deadline: Instant) -> (usize, usize) {
        let here = || self.0.directory.borrow().load(node.id);
        let at_first = here();
        let mut sent_at: Option<Instant> = None;
        loop {
            let here = here();
            if here == 0 || Instant::now() >= deadline || !self.is_up(node) {
                return (at_first.saturating_sub(here), here);
            }
            if sent_at.is_none_or(|at| at.elapsed() >= AGAIN) {
                sent_at = Some(Instant::now());
                for session in &self.sessions_on(node.id) {
                    if let Some(target) = self.refuge(node) {
                        self.send_on(session, node.id, &target, String::new());
                    }
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Who stands on a server, or is on the way to it.
    fn sessions_on(&self, id: NodeId) -> Vec<Session> {
        let directory = self.0.directory.borrow();
        let here =
            directory.after(None).filter(|entry| entry.session.server == Some(id) || entry.going == Some(id));
        here.map(|entry| entry.session).collect()
    }

    /// Where a player of a node that is drained goes.
    fn refuge(&self, node: &Member) -> Option<Member> {
        let other = |member: &Member| member.role.is_server() && member.id != node.id;
        let same = self.emptiest(|member| other(member) && member.node_type == node.node_type);
        let id = same.or_else(|| self.emptiest(|member| other(member) && member.node_type == LOBBY))?;
        self.0.node.with_view(|view| view.member(id).cloned())
    }

    fn is_up(&self, node: &Member) -> bool {
        self.0
            .node
            .with_view(|view| view.member(node.id).is_some_and(|it| it.incarnation == node.incarnation))
    }
}

fn replace(node: &Member, has_next: bool) -> Replace {
    let Member { id, role, modules, incarnation: life, .. } = node.clone();
    Replace { id, life, role, modules, has_next, within_ms: NEXT_LIFE_MS }
}
