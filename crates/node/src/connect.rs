//! Connections: who dials whom, the handshake, and what happens when one stands or ends.

use crate::greet::{Admission, GreetError, HANDSHAKE, Heard, ask_for_proof, dial_greeting, write_all};
use crate::node::Inner;
use crate::peer::Peer;
use chappe_link::{Buffer, Conn, Link, Listener};
use chappe_route::Member;
use chappe_wire::hello::{Greeting, Hello, PROTOCOL, Purpose, Refusal, Version};
use chappe_wire::secret::Secrets;
use chappe_wire::{Body, Envelope, Meta, NodeId, Reason, Role, Row};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The first wait between two dials, doubled up to the second.
const REDIAL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// A connection whose other side has said who it is; what came behind that is in the buffer.
pub(crate) type Greeted = (Hello, Rc<dyn Conn>, Buffer);

impl Inner {
    pub(crate) fn hello(&self, to: Option<NodeId>, purpose: Purpose) -> Hello {
        Hello {
            cluster: self.config.cluster.clone(),
            node: self.config.id,
            role: self.config.role,
            node_type: self.config.node_type.clone(),
            incarnation: self.config.incarnation,
            to,
            purpose,
            term: self.term.get(),
            auth: None,
            version: crate::VERSION.to_owned(),
        }
    }

    /// Takes connections until the node stops.
    pub(crate) async fn accept(self: Rc<Self>, mut listener: Box<dyn Listener>) {
        loop {
            match poll_fn(|cx| listener.poll_accept(cx)).await {
                Ok(conn) => drop(tokio::task::spawn_local(Rc::clone(&self).incoming(conn))),
                Err(error) => {
                    self.stats.count("accept_errors");
                    tracing::warn!(node = %self.config.id, %error, "a connection could not be taken");
                    sleep(REDIAL.1).await;
                }
            }
        }
    }

    async fn incoming(self: Rc<Self>, conn: Box<dyn Conn>) {
        let conn: Rc<dyn Conn> = conn.into();
        let mut buffer = Buffer::default();
        // Until it has said which one it speaks.
        let mut version = PROTOCOL;
        let refusal = match self.received(&*conn, &mut buffer, &mut version).await {
            Ok((hello, answer)) => {
                if write_all(&*conn, &answer).await.is_ok() {
                    self.linked(&hello, conn, buffer);
                } else if !self.is_connected(hello.node) {
                    // The hook that admitted it is to forget it.
                    self.told_lost(hello.node, hello.incarnation);
                }
                return;
            }
            Err(GreetError::Io(_)) => return,
            Err(GreetError::Refused(refusal)) => refusal,
            Err(GreetError::Wire(error)) => Refusal { reason: error.reason(), message: error.to_string() },
            Err(error @ GreetError::Timeout) => {
                Refusal { reason: Reason::HandshakeTimeout, message: error.to_string() }
            }
        };
        if refusal.reason == Reason::NotLeading {
            // What a master that stands by tells everyone.
            tracing::debug!(node = %self.config.id, %refusal, "a connection is refused");
        } else {
            self.stats.count("refused_connections");
            self.count_wrong_secret(&refusal);
            tracing::warn!(node = %self.config.id, %refusal, "a connection is refused");
        }
        // The other side may be gone, or never read it.
        let refusal = Greeting::Refuse(refusal.for_version(version)).encode(PROTOCOL);
        let _ = timeout(HANDSHAKE, write_all(&*conn, &refusal)).await;
        conn.close();
    }

    /// The answering side of a handshake: who has come, and the last greeting, which lets them in.
    async fn received(
        &self,
        conn: &dyn Conn,
        buffer: &mut Buffer,
        version: &mut Version,
    ) -> Result<(Hello, Vec<u8>), GreetError> {
        let heard =
            timeout(HANDSHAKE, Heard::read(conn, buffer)).await.map_err(|_| GreetError::Timeout)??;
        *version = heard.version;
        let Greeting::Hello(hello) = heard.greeting else {
            // A refusal of what nobody has said.
            return Err(io::Error::from(io::ErrorKind::InvalidData).into());
        };
        self.is_meant(&hello).map_err(GreetError::Refused)?;
        let mine = self.hello(None, hello.purpose);
        let said = (&hello, &heard.bytes[..]);
        let admission = ask_for_proof(conn, buffer, said, mine.clone(), &self.config.secrets).await?;
        self.admit(&hello).map_err(GreetError::Refused)?;
        let answer = match admission {
            Admission::Known(welcome) => welcome,
            Admission::Stranger(has_secret) => {
                if has_secret {
                    self.stats.count("strangers_let_in");
                    tracing::warn!(node = %self.config.id, peer = %hello.node, "it shows no cluster secret, and is let in: `none` stands among the secrets");
                }
                Greeting::Hello(mine).encode(PROTOCOL)
            }
        };
        Ok((hello, answer))
    }

    fn count_wrong_secret(&self, refusal: &Refusal) {
        if refusal.reason == Reason::WrongSecret {
            self.stats.count("wrong_secrets");
        }
    }

    /// Whether a hello is for this node, whoever it comes from.
    fn is_meant(&self, hello: &Hello) -> Result<(), Refusal> {
        let refuse = |reason, message| Err(Refusal { reason, message });
        let config = &self.config;
        if hello.cluster != config.cluster {
            let text =
                format!("node {} is of cluster {:?}, not {:?}", config.id, config.cluster, hello.cluster);
            return refuse(Reason::WrongCluster, text);
        }
        if hello.to.is_some_and(|to| to != config.id) || hello.node == config.id {
            let text = format!("this is node {}, for a connection from {}", config.id, hello.node);
            return refuse(Reason::WrongNode, text);
        }
        if config.role != Role::Master {
            let is_master = config.is_master(hello.node) && hello.role == Role::Master;
            if is_master && hello.purpose == Purpose::Lead {
                return Ok(());
            }
            if config.is_master(hello.node) {
                let text = format!("node {} calls the master, and is not called by it", config.id);
                return refuse(Reason::WrongNode, text);
            }
            if hello.purpose == Purpose::Pulse {
                let text = format!("node {} is not the master: it takes no heartbeats", config.id);
                return refuse(Reason::WrongRole, text);
            }
            if hello.purpose == Purpose::Lead {
                return refuse(
                    Reason::WrongRole,
                    format!("node {} is no master: it leads nobody", hello.node),
                );
            }
        }
        Ok(())
    }

    /// Whether one that may speak to this node may come in now. The master takes it for connected from here on.
    fn admit(&self, hello: &Hello) -> Result<(), Refusal> {
        let refuse = |reason, message| Err(Refusal { reason, message });
        let config = &self.config;
        if hello.purpose == Purpose::Lead && config.role != Role::Master {
            // It says only that it leads.
            return Ok(());
        }
        let peers = self.peers.borrow();
        if let Some(peer) = peers.get(&hello.node).filter(|peer| peer.is_connected()) {
            if config.role == Role::Master && peer.incarnation != hello.incarnation {
                let text = format!("id {} is taken: a live node holds it", hello.node);
                return refuse(Reason::IdTaken, text);
            }
            if peer.incarnation > hello.incarnation {
                return refuse(Reason::Evicted, format!("node {} has a newer life", hello.node));
            }
        }
        drop(peers);
        // The master has a memory of its own for this.
        if config.role != Role::Master && self.is_over(hello) {
            return refuse(Reason::Evicted, format!("that life of node {} has ended", hello.node));
        }
        let hook = self.on_hello.borrow().clone();
        hook.map_or(Ok(()), |hook| hook(hello))
    }

    /// Whether the master has told that this life of a node has ended.
    fn is_over(&self, hello: &Hello) -> bool {
        self.ended.borrow().get(&hello.node).is_some_and(|ended| *ended >= hello.incarnation)
    }

    /// Keeps a connection to every node that this one is to dial.
    pub(crate) fn dial_members(self: &Rc<Self>) {
        let wanted: Vec<Member> = {
            let view = self.view.borrow();
            view.members().filter(|member| self.is_to_dial(member)).cloned().collect()
        };
        wanted.iter().for_each(|member| self.dial_member(member));
    }

    /// As [`Inner::dial_members`], for a member that is new or has changed.
    pub(crate) fn dial_member(self: &Rc<Self>, member: &Member) {
        if self.is_to_dial(member) && self.dialing.borrow_mut().insert(member.id) {
            tokio::task::spawn_local(Rc::clone(self).dial(member.clone()));
        }
    }

    fn is_to_dial(&self, member: &Member) -> bool {
        self.dials(member) && !self.is_connected(member.id)
    }

    /// Of two nodes the one with the larger id dials; everyone dials the master, which has a loop of its own.
    fn dials(&self, member: &Member) -> bool {
        let roles = (self.config.role, member.role);
        let is_with_master = roles.0 == Role::Master || roles.1 == Role::Master;
        !is_with_master && roles != (Role::Proxy, Role::Proxy) && self.config.id > member.id
    }

    async fn dial(self: Rc<Self>, member: Member) {
        let mut wait = REDIAL.0;
        loop {
            let stands =
                self.view.borrow().member(member.id).is_some_and(|now| now.incarnation == member.incarnation);
            if !stands {
                break;
            }
            match self.dial_once(member.id, Purpose::Messages).await {
                // It stood still while it was dialled, and was declared lost meanwhile.
                Ok((hello, conn, _)) if self.is_over(&hello) => conn.close(),
                Ok((hello, conn, buffer)) => {
                    self.linked(&hello, conn, buffer);
                    break;
                }
                Err(error @ (GreetError::Refused(_) | GreetError::Wire(_))) => {
                    self.stats.count("refused_dials");
                    tracing::warn!(node = %self.config.id, to = %member.id, %error, "a dial is refused");
                }
                Err(_) => {}
            }
            sleep(wait).await;
            wait = (wait * 2).min(REDIAL.1);
        }
        self.dialing.borrow_mut().remove(&member.id);
        // A life that came up while this one was dialled.
        self.dial_members();
    }

    /// Connects to a node and greets it.
    pub(crate) async fn dial_once(&self, to: NodeId, purpose: Purpose) -> Result<Greeted, GreetError> {
        let link = self.link.borrow().clone().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        let hello = self.hello(Some(to), purpose);
        let greeted = greet(&*link, to, hello, &self.config.secrets).await;
        let (theirs, conn, buffer) = greeted.inspect_err(|error| match error {
            GreetError::Refused(refusal) => self.count_wrong_secret(refusal),
            GreetError::Wire(_) | GreetError::Io(_) | GreetError::Timeout => {}
        })?;
        if theirs.cluster != self.config.cluster || theirs.node != to {
            let message = format!("node {} of {:?} answered for node {to}", theirs.node, theirs.cluster);
            return Err(GreetError::Refused(Refusal { reason: Reason::WrongNode, message }));
        }
        Ok((theirs, conn, buffer))
    }

    /// A connection stands: what was queued for the peer leaves, and its messages come in.
    pub(crate) fn linked(self: &Rc<Self>, hello: &Hello, conn: Rc<dyn Conn>, buffer: Buffer) {
        if self.has_left.get() {
            // Others may not have heard of it yet and dial again; what they send would be lost unseen.
            return conn.close();
        }
        if hello.purpose == Purpose::Lead {
            self.hear_of_leader(hello);
            return conn.close();
        }
        let (id, incarnation) = (hello.node, hello.incarnation);
        let peer = if hello.purpose == Purpose::Pulse {
            // Beside the node's own connection, and never written to.
            Rc::new(Peer::of_heartbeats(id, incarnation))
        } else {
            let known = self.peers.borrow().get(&id).cloned();
            match known {
                Some(peer)
                    if peer.incarnation == incarnation && !peer.is_connected() && !peer.is_closed() =>
                {
                    peer
                }
                Some(old) => {
                    self.peer_ended(&old, "a newer connection takes its place");
                    self.add_peer(id, incarnation)
                }
                None => self.add_peer(id, incarnation),
            }
        };
        peer.attach(conn.clone());
        self.mark_peer(&peer);
        if hello.purpose == Purpose::Messages {
            self.mark_dirty(&peer);
            self.link_changed.notify_waiters();
        }
        tokio::task::spawn_local(Rc::clone(self).reader(peer, conn, buffer));
    }

    fn add_peer(&self, id: NodeId, incarnation: u64) -> Rc<Peer> {
        let peer = Rc::new(Peer::new(id, incarnation));
        self.peers.borrow_mut().insert(id, peer.clone());
        peer
    }

    /// Ends a connection whose other side did what it must not, and tells it why.
    pub(crate) fn close_peer(self: &Rc<Self>, peer: &Rc<Peer>, reason: Reason, text: &str) {
        tracing::warn!(node = %self.config.id, peer = %peer.id, %reason, text, "a connection is closed");
        let payload = text.as_bytes();
        let envelope = Envelope { meta: Meta::of(Row::Internal), body: Body::Close { reason }, payload };
        peer.push_bare(|out| envelope.encode_into(out));
        // One attempt: a peer that does not read will not learn why.
        let _ = peer.flush();
        self.peer_ended(peer, text);
    }

    /// A connection has ended: its account is closed, requests that the peer had end as `NodeLost`.
    pub(crate) fn peer_ended(self: &Rc<Self>, peer: &Rc<Peer>, why: &str) {
        if !peer.close() {
            return;
        }
        let is_current = {
            let mut peers = self.peers.borrow_mut();
            let is_current = peers.get(&peer.id).is_some_and(|current| Rc::ptr_eq(current, peer));
            if is_current {
                peers.remove(&peer.id);
            }
            is_current
        };
        if !is_current {
            // A heartbeat connection, or one that was replaced.
            return;
        }
        self.stats.ended(peer.id, peer.incarnation, &peer.pair);
        self.unordered.forget(peer);
        tracing::debug!(node = %self.config.id, peer = %peer.id, why, "a connection has ended");
        self.lose_requests(peer.id, peer.incarnation);
        self.told_lost(peer.id, peer.incarnation);
        self.link_changed.notify_waiters();
        self.dial_members();
    }

    fn told_lost(&self, id: NodeId, incarnation: u64) {
        let hook = self.on_peer_lost.borrow().clone();
        if let Some(hook) = hook {
            hook(id, incarnation);
        }
    }
}

/// Connects over `link` to the node `to` and exchanges greetings.
pub(crate) async fn greet(
    link: &dyn Link,
    to: NodeId,
    hello: Hello,
    secrets: &Secrets,
) -> Result<Greeted, GreetError> {
    let dialled = timeout(HANDSHAKE, link.dial(to)).await.map_err(|_| GreetError::Timeout)?;
    let (conn, mut buffer): (Rc<dyn Conn>, _) = (dialled?.into(), Buffer::default());
    let theirs = dial_greeting(&*conn, &mut buffer, hello, secrets).await?;
    Ok((theirs, conn, buffer))
}
