//! A proxy without sockets, for tests: players log in, play, move and leave by the real session protocol.

use crate::deliver::to_py;
use crate::value::In;
use chappe::control::{
    self, Announce, Close, Enter, Entered, Leave, Left, Login, LoginGrant, Move, Relocate,
};
use chappe::{Call, Changed, Failure, Node, NodeId, PlayerId, PushTo, Reason, Row, To, value};
use chappe_wire::envelope::split_topic;
use chappe_wire::{Meta, Origin};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const ASK: Duration = Duration::from_secs(5);

/// The proxy of a test's cluster.
#[derive(Clone)]
pub(crate) struct Door(Rc<Inner>);

struct Inner {
    node: Node,
    /// By epoch.
    sessions: RefCell<BTreeMap<u64, Session>>,
}

struct Session {
    uid: u64,
    nickname: String,
    /// None while the player is between two servers.
    server: Option<NodeId>,
    /// What the client sent meanwhile: row, receiver if it is a service, topic, data.
    held: Vec<Sending>,
    /// Called with what the client hears: its kind, and what belongs to it.
    hears: Py<PyAny>,
}

/// What a client sends: the row, the service that it is for, the topic and the data.
pub(crate) type Sending = (Row, Option<NodeId>, Vec<u8>, Vec<u8>);

impl Door {
    /// Registers what a proxy hears.
    pub(crate) fn attach(node: &Node) -> Door {
        let door = Door(Rc::new(Inner { node: node.clone(), sessions: RefCell::default() }));
        let this = door.clone();
        node.on_push(move |_, meta, to, topic, data| this.push(meta, to, topic, data));
        let this = door.clone();
        node.on_view(move |change| {
            if let Changed::Gone(member) = change {
                this.lose(member.id);
            }
        });
        let this = door.clone();
        node.register(Row::Internal, control::PROXY, "close", move |call: Call<'_>| {
            let Ok(close) = call.args::<Close>() else { return };
            let (this, responder) = (this.clone(), call.into_responder());
            this.0.node.clone().spawn(async move {
                this.end(close.epoch, close.reason, &close.message).await;
                let _ = responder.respond(&());
            });
        });
        let this = door.clone();
        node.register(Row::Internal, control::PROXY, "move", move |call: Call<'_>| {
            if let Ok(order) = call.args::<Move>() {
                let this = this.clone();
                this.0.node.clone().spawn(async move { this.move_to(order).await });
            }
            let _ = call.respond(&());
        });
        let this = door.clone();
        node.register(Row::Internal, control::PROXY, "announce", move |call: Call<'_>| {
            if let Ok(order) = call.args::<Announce>() {
                let epochs: Vec<u64> = this.0.sessions.borrow().keys().copied().collect();
                epochs.into_iter().for_each(|epoch| this.tell(epoch, ("announce", order.message.as_str())));
            }
            let _ = call.respond(&());
        });
        door
    }

    /// Logs a player in; returns the session's epoch.
    pub(crate) async fn log_in(&self, uid: u64, nickname: String, hears: Py<PyAny>) -> Result<u64, Failure> {
        let LoginGrant { epoch, server } = self.0.node.ask_master("login", &Login { uid }, ASK).await?;
        let older: Vec<u64> = {
            let sessions = self.0.sessions.borrow();
            sessions.iter().filter(|(_, held)| held.uid == uid).map(|(epoch, _)| *epoch).collect()
        };
        for older in older {
            self.end(older, Reason::Replaced, "the player logged in again").await;
        }
        let session = Session { uid, nickname, server: None, held: Vec::new(), hears };
        self.0.sessions.borrow_mut().insert(epoch, session);
        match self.enter(epoch, server, false, String::new()).await {
            Ok(()) => Ok(epoch),
            Err(failure) => {
                self.end(epoch, failure.reason, &failure.message).await;
                Err(failure)
            }
        }
    }

    /// Ends a session: the player leaves, the master and the client are told.
    pub(crate) async fn end(&self, epoch: u64, reason: Reason, message: &str) {
        self.tell(epoch, ("closed", reason.as_str(), message));
        let Some(session) = self.0.sessions.borrow_mut().remove(&epoch) else { return };
        if let Some(server) = session.server {
            self.ask_leave(server, epoch, false).await;
        }
        self.0.node.tell_master("left", &Left { uid: session.uid, epoch, reason });
    }

    /// Where the player is; None while between two servers, or when the session is over.
    pub(crate) fn server_of(&self, epoch: u64) -> Option<NodeId> {
        self.0.sessions.borrow().get(&epoch).and_then(|session| session.server)
    }

    /// The proxy's serverid.
    pub(crate) fn id(&self) -> NodeId {
        self.0.node.id()
    }

    /// Passes on what a client sends; while the player moves, when that is done.
    pub(crate) fn send(&self, epoch: u64, sending: Sending) -> Result<(), Reason> {
        let (uid, server) = {
            let mut sessions = self.0.sessions.borrow_mut();
            let session = sessions.get_mut(&epoch).ok_or(Reason::PlayerOffline)?;
            if session.server.is_none() {
                session.held.push(sending);
                return Ok(());
            }
            (session.uid, session.server)
        };
        let (row, service, topic, data) = sending;
        let to = service.or(server).ok_or(Reason::PlayerOffline)?;
        let node = &self.0.node;
        node.stats().sent(row, 1);
        let origin = Some(Origin { uid, epoch, proxy: node.id() });
        node.forward(to, Meta { row, stamp: 0, origin }, &topic, &data)
    }

    async fn enter(
        &self,
        epoch: u64,
        server: NodeId,
        is_transfer: bool,
        transfer_param: String,
    ) -> Result<(), Failure> {
        let known = |session: &Session| (session.uid, session.nickname.clone());
        let known = self.0.sessions.borrow().get(&epoch).map(known);
        let Some((uid, nickname)) = known else { return Ok(()) };
        let enter = Enter { uid, epoch, nickname, is_transfer, is_reconnect: false, transfer_param };
        let (node, target) = (&self.0.node, (control::SERVER, "enter"));
        node.ask::<_, ()>(Row::Internal, To::Node(server), target, &enter, ASK).await?;
        node.tell_master("entered", &Entered { uid, epoch, server, is_transfer, is_reconnect: false });
        let held = {
            let mut sessions = self.0.sessions.borrow_mut();
            let Some(session) = sessions.get_mut(&epoch) else { return Ok(()) };
            session.server = Some(server);
            std::mem::take(&mut session.held)
        };
        for sending in held {
            // Counted where it fails.
            let _ = self.send(epoch, sending);
        }
        Ok(())
    }

    async fn move_to(&self, order: Move) {
        let Move { epoch, server, param } = order;
        let old = self.0.sessions.borrow_mut().get_mut(&epoch).and_then(|session| session.server.take());
        let Some(old) = old else { return };
        self.ask_leave(old, epoch, true).await;
        let mut entered = self.enter(epoch, server, true, param).await;
        if entered.is_err()
            && let Ok(lobby) = self.0.node.ask_master("relocate", &Relocate { epoch, not: server }, ASK).await
        {
            entered = self.enter(epoch, lobby, true, String::new()).await;
        }
        self.placed(epoch, entered, true).await;
    }

    fn lose(&self, server: NodeId) {
        let lost: Vec<u64> = {
            let mut sessions = self.0.sessions.borrow_mut();
            let on_it = sessions.iter_mut().filter(|(_, session)| session.server == Some(server));
            on_it.map(|(epoch, session)| (session.server = None, *epoch).1).collect()
        };
        for epoch in lost {
            let this = self.clone();
            self.0.node.spawn(async move {
                let found = this.0.node.ask_master("relocate", &Relocate { epoch, not: server }, ASK).await;
                let entered = match found {
                    Ok(lobby) => this.enter(epoch, lobby, true, String::new()).await,
                    Err(failure) => Err(failure),
                };
                this.placed(epoch, entered, false).await;
            });
        }
    }

    async fn placed(&self, epoch: u64, entered: Result<(), Failure>, is_transfer: bool) {
        match (entered, self.server_of(epoch)) {
            (Ok(()), Some(server)) => self.tell(epoch, ("moved", server.0, is_transfer)),
            (Ok(()), None) => {}
            (Err(failure), _) => self.end(epoch, failure.reason, &failure.message).await,
        }
    }

    async fn ask_leave(&self, server: NodeId, epoch: u64, is_transfer: bool) {
        let (to, target) = (To::Node(server), (control::SERVER, "leave"));
        let leave = Leave { epoch, is_transfer };
        // Its answer or its loss: either way the player is there no more.
        let _ = self.0.node.ask::<_, ()>(Row::Internal, to, target, &leave, ASK).await;
    }

    fn push(&self, meta: Meta, to: PushTo<'_>, topic: &[u8], data: &[u8]) {
        let epochs: Vec<u64> = match to {
            PushTo::Uid(uid) => {
                let sessions = self.0.sessions.borrow();
                let of = sessions.iter().rev().find(|(_, session)| session.uid == uid);
                vec![of.map_or(0, |(epoch, _)| *epoch)]
            }
            PushTo::Epochs(_) => to.epochs().collect(),
        };
        let Ok((namespace, system, event)) = split_topic(topic) else { return };
        for epoch in epochs {
            if !self.0.sessions.borrow().contains_key(&epoch) {
                self.0.node.stats().dropped(meta.row, Reason::PlayerOffline);
                continue;
            }
            self.0.node.stats().delivered(meta.row, meta.stamp);
            Python::attach(|py| match value::decode::<In>(data).map_err(to_py) {
                Ok(data) => self.tell(epoch, ("event", namespace, system, event, data.0)),
                Err(error) => error.write_unraisable(py, None),
            });
        }
    }

    fn tell(&self, epoch: u64, what: impl for<'py> IntoPyObject<'py, Target = PyTuple>) {
        Python::attach(|py| {
            let hears = self.0.sessions.borrow().get(&epoch).map(|session| session.hears.clone_ref(py));
            let Some(hears) = hears else { return };
            let told = what.into_py_any(py).and_then(|what| hears.call1(py, (what,)));
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// The playerId of a session.
pub(crate) fn player_id_of(epoch: u64) -> String {
    PlayerId(epoch).to_string()
}
