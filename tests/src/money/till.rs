//! Players without sockets: a proxy that logs them in, passes on what they ask, and writes down what they are told.

use chappe_node::control::{self, Close, Enter, Entered, Leave, Left, Login, LoginGrant, Session};
use chappe_node::{Call, Changed, Failure, Node, To};
use chappe_wire::client::{REQUEST, REQUEST_NAMESPACE, REQUEST_SYSTEM};
use chappe_wire::{Meta, NodeId, Origin, PushTo, Reason, Row, Value, value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const ASK: Duration = Duration::from_secs(10);

/// What players were told: each with the uid.
pub type Told = Rc<RefCell<Vec<(u64, Value)>>>;

/// Where the master lets players in; those who are not named at its first game.
pub type Homes = Rc<RefCell<BTreeMap<u64, NodeId>>>;

/// A proxy's part.
#[derive(Clone)]
pub struct Till {
    node: Node,
    sessions: Rc<RefCell<BTreeMap<u64, Session>>>,
    told: Told,
    homes: Homes,
}

impl Till {
    /// Registers what a proxy hears; `told` outlives its process, and `homes` is what the master goes by.
    pub fn listen(node: &Node, told: Told, homes: Homes) -> Till {
        let till = Till { node: node.clone(), sessions: Rc::default(), told, homes };
        let this = till.clone();
        node.on_push(move |_, _, to, _, data| {
            let Ok(data) = value::decode::<Value>(data) else { return };
            let epochs: Vec<u64> = match to {
                PushTo::Uid(_) => Vec::new(),
                to => to.epochs().collect(),
            };
            let sessions = this.sessions.borrow();
            let of = |epoch: &u64| sessions.values().find(|session| session.epoch == *epoch);
            for session in epochs.iter().filter_map(of) {
                this.told.borrow_mut().push((session.uid, data.clone()));
            }
        });
        let this = till.clone();
        node.on_join(move || this.sessions.borrow().values().copied().collect());
        let this = till.clone();
        node.on_view(move |change| {
            if let Changed::Gone(member) = change {
                this.lose_server(member.id);
            }
        });
        let this = till.clone();
        node.register(Row::Internal, control::PROXY, "close", move |call: Call<'_>| {
            let Ok(close) = call.args::<Close>() else { return };
            let (this, responder) = (this.clone(), call.into_responder());
            let node = this.node.clone();
            node.spawn(async move {
                this.end(close.epoch, close.reason).await;
                let _ = responder.respond(&());
            });
        });
        for order in ["move", "announce"] {
            node.register(Row::Internal, control::PROXY, order, |call: Call<'_>| drop(call.respond(&())));
        }
        till
    }

    /// Logs a player in on that server, or on the one that the master chooses.
    ///
    /// # Errors
    /// When the master or the server does not let them in.
    pub async fn log_in(&self, uid: u64, at: Option<NodeId>) -> Result<NodeId, Failure> {
        if let Some(at) = at {
            self.homes.borrow_mut().insert(uid, at);
        }
        let grant = self.node.ask_master::<_, LoginGrant>("login", &Login { uid }, ASK).await?;
        let (server, epoch) = (grant.server, grant.epoch);
        let enter = Enter {
            uid,
            epoch,
            nickname: String::new(),
            is_transfer: false,
            is_reconnect: false,
            transfer_param: String::new(),
        };
        let entered = self.ask_server(server, "enter", &enter).await;
        if let Err(failure) = entered {
            self.node.tell_master("left", &Left { uid, epoch, reason: Reason::ServerFull });
            return Err(failure);
        }
        let session = Session { uid, epoch, proxy: self.node.id(), server: Some(server) };
        self.sessions.borrow_mut().insert(uid, session);
        let entered = Entered { uid, epoch, server, is_transfer: false, is_reconnect: false };
        self.node.tell_master("entered", &entered);
        Ok(server)
    }

    /// Logs a player out.
    pub async fn log_out(&self, uid: u64) {
        let session = self.sessions.borrow().get(&uid).copied();
        if let Some(session) = session {
            self.end(session.epoch, Reason::Logout).await;
        }
    }

    /// Takes a player to another server.
    ///
    /// # Errors
    /// When it does not let them in; the player is nowhere then.
    pub async fn move_to(&self, uid: u64, server: NodeId) -> Result<(), Failure> {
        let Some(session) = self.sessions.borrow().get(&uid).copied() else {
            return Err(Failure::new(Reason::PlayerOffline, "no session"));
        };
        let epoch = session.epoch;
        // A master that starts anew meanwhile is told that the player is on the way.
        if let Some(session) = self.sessions.borrow_mut().get_mut(&uid) {
            session.server = None;
        }
        if let Some(from) = session.server {
            let _ = self.ask_server(from, "leave", &Leave { epoch, is_transfer: true }).await;
        }
        let entered = Entered { uid, epoch, server, is_transfer: true, is_reconnect: false };
        self.node.tell_master("entered", &entered);
        // The master knows of a move before it begins: this waits until it does.
        let _ = self.node.ask_master::<_, Value>("where", &(), ASK).await;
        let enter = Enter {
            uid,
            epoch,
            nickname: String::new(),
            is_transfer: true,
            is_reconnect: false,
            transfer_param: String::new(),
        };
        let result = self.ask_server(server, "enter", &enter).await;
        match result {
            Ok(()) => {
                if let Some(session) = self.sessions.borrow_mut().get_mut(&uid) {
                    session.server = Some(server);
                }
                Ok(())
            }
            Err(failure) => {
                self.sessions.borrow_mut().remove(&uid);
                self.node.tell_master("left", &Left { uid, epoch, reason: Reason::ServerFull });
                Err(failure)
            }
        }
    }

    /// Whether the player has a session.
    pub fn is_online(&self, uid: u64) -> bool {
        self.sessions.borrow().contains_key(&uid)
    }

    /// Forgets the sessions on a server that has died: their players are nowhere.
    fn lose_server(&self, server: NodeId) {
        let lost: Vec<Session> = {
            let sessions = self.sessions.borrow();
            sessions.values().filter(|session| session.server == Some(server)).copied().collect()
        };
        for session in lost {
            self.sessions.borrow_mut().remove(&session.uid);
            let left = Left { uid: session.uid, epoch: session.epoch, reason: Reason::NodeLost };
            self.node.tell_master("left", &left);
        }
    }

    /// Passes on a player's request.
    pub fn request(&self, uid: u64, fields: Value) {
        let Some(session) = self.sessions.borrow().get(&uid).copied() else { return };
        let Some(server) = session.server else { return };
        let origin = Some(Origin { uid, epoch: session.epoch, proxy: self.node.id() });
        let topic = [REQUEST_NAMESPACE, REQUEST_SYSTEM, REQUEST].join("\0");
        let meta = Meta { row: Row::PlayerRequest, stamp: 0, origin };
        let Ok(data) = value::encode(&fields) else { return };
        self.node.stats().sent(Row::PlayerRequest, 1);
        // One that cannot be passed on is counted; the player hears nothing, as over a broken network.
        let _ = self.node.forward(server, meta, topic.as_bytes(), &data);
    }

    async fn end(&self, epoch: u64, reason: Reason) {
        let session = {
            let mut sessions = self.sessions.borrow_mut();
            let uid = sessions.values().find(|session| session.epoch == epoch).map(|session| session.uid);
            uid.and_then(|uid| sessions.remove(&uid))
        };
        let Some(session) = session else { return };
        if let Some(server) = session.server {
            let _ = self.ask_server(server, "leave", &Leave { epoch, is_transfer: false }).await;
        }
        self.node.tell_master("left", &Left { uid: session.uid, epoch, reason });
    }

    async fn ask_server<T: serde::Serialize>(
        &self,
        server: NodeId,
        what: &str,
        args: &T,
    ) -> Result<(), Failure> {
        self.node.ask(Row::Internal, To::Node(server), (control::SERVER, what), args, ASK).await
    }
}
