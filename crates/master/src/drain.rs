//! Taking a node out of service while others play on: nothing new for it, its players to other nodes, and then it leaves
//! (design, promises: leaving).

use crate::master::Master;
use crate::sessions::LOBBY;
use chappe_node::control::{self, Session};
use chappe_node::control_tool::{DrainNode, Drained};
use chappe_node::{Failure, Member, State, To};
use chappe_wire::{NodeId, Reason, Role, Row};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a node may take to say that it takes nothing new.
const TELL: Duration = Duration::from_secs(2);
/// The longest that moving players may take.
const MOST: Duration = Duration::from_secs(600);
/// Between two looks at who is still there; players who could not go are sent again after each.
const LOOK: Duration = Duration::from_millis(20);
/// A player who was sent and has not arrived after so long is sent again.
const AGAIN: Duration = Duration::from_secs(5);

impl Master {
    /// Takes a node out of service: it takes nothing new, its players are taken to the emptiest other node of its type,
    /// else to the emptiest lobby, as by a transfer, and then it is told to leave. When players remain after the time, it
    /// serves on, unless that is not wanted.
    ///
    /// # Errors
    /// `NoRoute`, `NotReady`: no such node, or not one that serves; `WrongRole` for the master; the failure of the request.
    pub fn drain_node(&self, asked: DrainNode) -> impl Future<Output = Result<Drained, Failure>> + use<> {
        let master = self.clone();
        async move {
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
                master.ask_stop(asked.id, asked.restart).await?;
            } else {
                told(false).await?;
            }
            tracing::info!(node = %asked.id, moved, left, leaves, "a node was drained");
            Ok(Drained { moved, left, leaves })
        }
    }

    fn drainable(&self, id: NodeId) -> Result<Member, Failure> {
        let refused = |reason: Reason| Failure::new(reason, format!("node {id} cannot be drained: {reason}"));
        let member = self.0.node.with_view(|view| view.member(id).cloned());
        let member = member.ok_or_else(|| refused(Reason::NoRoute))?;
        match (member.role, member.state) {
            (Role::Master, _) => Err(refused(Reason::WrongRole)),
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
