//! A proxy without sockets: players log in, play, log in elsewhere, and some of what they sent under an old
//! session comes late, as it does over real networks. Servers must never hear it.

use crate::load::{Part, topic};
use crate::oracle::Kind;
use chappe_node::control::{self, Close, Enter, Entered, Leave, Left, Login, LoginGrant, Session};
use chappe_node::{Call, To};
use chappe_wire::{Meta, NodeId, Origin, Reason, Role, Row, value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

const ASK: Duration = Duration::from_secs(1);
/// Few, so that they meet themselves.
const PLAYERS: u64 = 6;

/// A proxy's part of the load.
#[derive(Clone)]
pub struct Door {
    part: Part,
    /// By epoch, those that have ended among them.
    sessions: Rc<RefCell<BTreeMap<u64, Held>>>,
}

#[derive(Clone, Copy)]
struct Held {
    uid: u64,
    server: NodeId,
    is_over: bool,
}

impl Door {
    /// Registers what a proxy hears.
    pub fn listen(part: Part) -> Door {
        let door = Door { part, sessions: Rc::default() };
        let node = &door.part.node;
        let this = door.clone();
        node.on_push(move |from, _, _, _, data| {
            if let Ok(id) = value::decode::<u64>(data) {
                this.part.oracle.sees(this.part.life, from, id);
            }
        });
        let this = door.clone();
        node.on_join(move || this.live());
        let this = door.clone();
        node.register(Row::Internal, control::PROXY, "close", move |call: Call<'_>| {
            if let Ok(close) = call.args::<Close>() {
                this.end(close.epoch, close.reason);
            }
            let _ = call.respond(&());
        });
        for order in ["move", "announce"] {
            node.register(Row::Internal, control::PROXY, order, |call: Call<'_>| drop(call.respond(&())));
        }
        door
    }

    /// Plays for as long as the load goes on.
    pub async fn run(self) {
        let rng = self.part.rng.clone();
        while self.part.active.get() {
            sleep(Duration::from_millis(rng.range(10, 150))).await;
            if self.part.gone.get() {
                return;
            }
            if !self.part.begun.get() {
                continue;
            }
            match rng.below(10) {
                0 | 1 => {
                    let this = self.clone();
                    self.part.node.spawn(async move { this.log_in().await });
                }
                2 => {
                    let live = self.live();
                    if !live.is_empty() {
                        self.end(rng.pick(&live).epoch, Reason::Logout);
                    }
                }
                _ => (0..rng.range(1, 4)).for_each(|_| self.play()),
            }
        }
    }

    fn live(&self) -> Vec<Session> {
        let sessions = self.sessions.borrow();
        let live = sessions.iter().filter(|(_, held)| !held.is_over);
        let proxy = self.part.node.id();
        live.map(|(epoch, held)| Session { uid: held.uid, epoch: *epoch, proxy, server: Some(held.server) })
            .collect()
    }

    async fn log_in(&self) {
        let (node, uid) = (&self.part.node, self.part.rng.below(PLAYERS));
        let asked = node.ask_master::<_, LoginGrant>("login", &Login { uid }, ASK);
        let Ok(LoginGrant { epoch, server }) = asked.await else { return };
        let enter = Enter {
            uid,
            epoch,
            nickname: String::new(),
            is_transfer: false,
            is_reconnect: false,
            transfer_param: String::new(),
        };
        let entered =
            node.ask::<_, ()>(Row::Internal, To::Node(server), (control::SERVER, "enter"), &enter, ASK);
        let held = Held { uid, server, is_over: entered.await.is_err() };
        self.sessions.borrow_mut().insert(epoch, held);
        if held.is_over {
            node.tell_master("left", &Left { uid, epoch, reason: Reason::ServerFull });
        } else {
            let entered = Entered { uid, epoch, server, is_transfer: false, is_reconnect: false };
            node.tell_master("entered", &entered);
        }
    }

    fn end(&self, epoch: u64, reason: Reason) {
        let Some(held) = self.sessions.borrow_mut().get_mut(&epoch).map(|held| {
            held.is_over = true;
            *held
        }) else {
            return;
        };
        let node = &self.part.node;
        let leave = Leave { epoch, is_transfer: false };
        let target = (control::SERVER, "leave");
        drop(node.ask::<_, ()>(Row::Internal, To::Node(held.server), target, &leave, ASK));
        node.tell_master("left", &Left { uid: held.uid, epoch, reason });
    }

    /// Passes on something of one session, which may be over.
    fn play(&self) {
        let sessions: Vec<(u64, Held)> =
            self.sessions.borrow().iter().rev().take(8).map(|(epoch, held)| (*epoch, *held)).collect();
        if sessions.is_empty() {
            return;
        }
        let (part, (epoch, held)) = (&self.part, *self.part.rng.pick(&sessions));
        let origin = Some(Origin { uid: held.uid, epoch, proxy: part.node.id() });
        let (row, to, kind) = if part.rng.percent(70) {
            // Whether the session is still there is for the server to say.
            (Row::ClientToServer, held.server, Kind::Broadcast)
        } else {
            let to = part.any(|role| role == Role::Service);
            (Row::ClientToService, to, Kind::Event(to))
        };
        let id = part.oracle.sends(part.life, kind, false);
        part.means(id, to);
        let Ok(data) = value::encode(&id) else { return };
        part.node.stats().sent(row, 1);
        let meta = Meta { row, stamp: 0, origin };
        if let Err(reason) = part.node.forward(to, meta, &topic(&part.node), &data) {
            part.oracle.refused(id, reason);
        }
    }
}
