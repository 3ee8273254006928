//! Which master leads, where there are two: one rules under a term, the other stands by, and nodes obey the highest term that
//! they have heard of. A connection to a master belongs to one life of it, which leads under one term, so that everything on
//! it carries that term.

use crate::connect::Greeted;
use crate::error::NodeError;
use crate::greet::GreetError;
use crate::node::{Inner, Node};
use chappe_link::Link;
use chappe_wire::hello::{Hello, Purpose, Refusal};
use chappe_wire::{NodeId, Reason, Row};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Between two times that a new leader calls those who have not joined: the first wait, doubled up to the second.
const CALL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

impl Node {
    /// For a master: listens, and turns everyone away as `NotLeading`, with the text that `why` gives, until `leads`
    /// resolves; [`Node::run`] then goes on with the same listener. `None`: the node was asked to leave meanwhile.
    ///
    /// # Errors
    /// [`NodeError::Listen`].
    pub async fn stand_by<T>(
        &self,
        link: &Arc<dyn Link + Send + Sync>,
        why: impl Fn() -> String + 'static,
        leads: impl Future<Output = T>,
    ) -> Result<Option<T>, NodeError> {
        self.on_hello(move |hello| match hello.purpose {
            Purpose::Lead => Ok(()),
            _ => Err(Refusal { reason: Reason::NotLeading, message: why() }),
        });
        self.take_connections(link)?;
        let stopped = async {
            loop {
                let stop = self.0.stop.notified();
                if self.is_stopping() {
                    return;
                }
                stop.await;
            }
        };
        let led = tokio::select! {
            biased;
            () = stopped => None,
            led = leads => Some(led),
        };
        if led.is_none() {
            self.stop_listening();
        }
        Ok(led)
    }

    /// For a master: it leads under that term.
    pub fn lead(&self, term: u64) {
        self.0.term.set(term);
    }

    /// For a master that leads: calls every declared node that is not connected, until it is: a node that is with another
    /// master, which is frozen or has lost its store, leaves it then.
    pub fn make_known(&self) {
        let inner = self.0.clone();
        self.spawn(async move { inner.call_nodes().await });
    }

    /// The term that this node leads under, or the highest that it has heard of; 0: none.
    pub fn term(&self) -> u64 {
        self.0.term.get()
    }

    /// Whether the master's word may come from that life of a node: it is the leader that this node has joined. What another
    /// master says is counted.
    pub fn obeys(&self, from: NodeId, incarnation: u64) -> bool {
        let inner = &self.0;
        if inner.leader.get() == Some((from, incarnation)) || from == self.id() {
            return true;
        }
        if inner.config.is_master(from) {
            inner.stats.dropped(Row::Internal, Reason::StaleTerm);
        }
        false
    }
}

impl Inner {
    /// A master has called that leads from now on.
    pub(crate) fn hear_of_leader(&self, hello: &Hello) {
        if hello.term > self.term.get() {
            self.called_by.set(Some((hello.node, hello.term)));
            self.link_changed.notify_waiters();
        }
    }

    /// Resolves when a master has called that leads under a higher term than the one that is known, with a connection to it:
    /// nobody is left for one that does not answer.
    pub(crate) async fn called_away(&self, from: NodeId) -> Greeted {
        loop {
            let changed = self.link_changed.notified();
            let caller = self.called_by.take().filter(|(_, term)| *term > self.term.get());
            let Some((caller, _)) = caller.filter(|(caller, _)| *caller != from) else {
                changed.await;
                continue;
            };
            match self.dial_once(caller, Purpose::Messages).await {
                Ok(greeted) if greeted.0.term > self.term.get() => {
                    let (node, term) = (self.config.id, greeted.0.term);
                    tracing::info!(%node, %from, to = %caller, term, "another master leads: it is joined");
                    return greeted;
                }
                Ok((_, conn, _)) => conn.close(),
                // It calls again.
                Err(error) => {
                    tracing::debug!(node = %self.config.id, %caller, %error, "a master that has called does not answer")
                }
            }
        }
    }

    /// Obeys a master from now on, unless its term is over.
    pub(crate) fn follow(&self, hello: &Hello) -> Result<(), GreetError> {
        let known = self.term.get();
        // A lone master has no one to be replaced by.
        if self.config.second_master.is_some() && hello.term < known {
            self.stats.dropped(Row::Internal, Reason::StaleTerm);
            self.stats.count("stale_masters");
            let message =
                format!("master {} leads under term {}; term {known} has begun", hello.node, hello.term);
            tracing::warn!(node = %self.config.id, "{message}: it is not obeyed");
            return Err(GreetError::Refused(Refusal { reason: Reason::StaleTerm, message }));
        }
        self.term.set(hello.term);
        self.leader.set(Some((hello.node, hello.incarnation)));
        self.beats_to.send_replace(Some(hello.node));
        Ok(())
    }

    async fn call_nodes(self: Rc<Self>) {
        let mut wait = CALL.0;
        loop {
            let me = self.config.id;
            let others: Vec<NodeId> = {
                let view = self.view.borrow();
                view.declared().nodes.iter().map(|(id, ..)| *id).filter(|id| *id != me).collect()
            };
            for id in others.into_iter().filter(|id| !self.is_connected(*id)) {
                if self.dialing.borrow_mut().insert(id) {
                    let this = self.clone();
                    tokio::task::spawn_local(async move {
                        if let Ok((_, conn, _)) = this.dial_once(id, Purpose::Lead).await {
                            conn.close();
                        }
                        this.dialing.borrow_mut().remove(&id);
                    });
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(CALL.1);
        }
    }
}
