//! Getting a player onto a server: at login, by transfer, and when the server before was lost. One flow for all
//! three, one at a time for each session, so that a player is never on two servers.

use crate::proxy::{ASK, Proxy};
use crate::session::{Due, SharedSession};
use chappe_node::control::{self, Enter, Entered, Move, Relocate};
use chappe_node::{Failure, To};
use chappe_wire::client::{Moved, ToClient};
use chappe_wire::{NodeId, Reason, Row};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How many other lobbies are tried when a server does not take the player.
const RELOCATIONS: usize = 3;
/// Between two looks for a lobby for the player of a lost server.
const REFUGE_PAUSE: Duration = Duration::from_millis(250);

/// Why a player is to be placed.
#[derive(Debug)]
pub(crate) enum Why {
    /// A login; `previous` is where an older session of the same player stood, and its epoch.
    Login { target: NodeId, previous: Option<(NodeId, u64)> },
    /// The master's order.
    Move(Move),
    /// The server that the player was on is gone.
    Lost(NodeId),
}

/// Where a player was placed.
struct Placed {
    server: NodeId,
    /// Which life of it was asked: a later one has never heard of the player.
    life: Option<u64>,
    is_transfer: bool,
    was_lost: bool,
}

impl Proxy {
    /// The master wants a player on another server.
    pub(crate) fn on_move(&self, shared: &SharedSession, order: Move) {
        let mut session = shared.borrow_mut();
        if session.is_moving {
            // The last word counts; it is acted on when the player stands.
            session.next_move = Some(order);
        } else if session.server != Some(order.server) {
            drop(session);
            self.place(shared, Why::Move(order));
        }
    }

    /// A server is gone, or has forgotten the player.
    pub(crate) fn on_server_lost(&self, shared: &SharedSession, server: NodeId) {
        let session = shared.borrow();
        if session.has_ended || session.is_moving || session.server != Some(server) {
            return;
        }
        drop(session);
        self.place(shared, Why::Lost(server));
    }

    /// Starts to place a player.
    pub(crate) fn place(&self, shared: &SharedSession, why: Why) {
        shared.borrow_mut().is_moving = true;
        let (this, shared) = (self.clone(), shared.clone());
        self.0.node.spawn(async move {
            let mut next = Some(why);
            while let Some(why) = next.take() {
                match this.find_place(&shared, why).await {
                    Ok(Some(placed)) => next = this.placed(&shared, &placed),
                    Ok(None) => {}
                    Err(failure) => this.end(&shared, failure.reason, &failure.message),
                }
            }
        });
    }

    /// Asks servers until one takes the player. `None`: the session has ended meanwhile.
    async fn find_place(&self, shared: &SharedSession, why: Why) -> Result<Option<Placed>, Failure> {
        let epoch = shared.borrow().epoch;
        let is_transfer = !matches!(why, Why::Login { .. });
        let was_lost = matches!(why, Why::Lost(_));
        let (mut target, mut param) = match why {
            Why::Login { target, previous } => {
                if let Some((server, older)) = previous {
                    let _ = self.ask_leave(server, older, false).await;
                }
                (target, String::new())
            }
            Why::Move(order) => {
                let old = shared.borrow_mut().server.take();
                if let Some(old) = old {
                    // Its answer or its loss: either way the player is there no more.
                    let _ = self.ask_leave(old, epoch, true).await;
                }
                (order.server, order.param)
            }
            Why::Lost(server) => {
                shared.borrow_mut().server = None;
                match self.refuge(shared, server).await? {
                    Some(lobby) => (lobby, String::new()),
                    None => return Ok(None),
                }
            }
        };
        let patience = Instant::now() + self.options().resume;
        let mut tries_left = RELOCATIONS;
        loop {
            let enter = {
                let mut session = shared.borrow_mut();
                if session.has_ended {
                    return Ok(None);
                }
                session.target = Some(target);
                let (uid, nickname) = (session.uid, session.nickname.clone());
                let transfer_param = std::mem::take(&mut param);
                Enter { uid, epoch, nickname, is_transfer, is_reconnect: false, transfer_param }
            };
            let (to, life) = (To::Node(target), self.life_of(target));
            let asked = self.0.node.ask(Row::Internal, to, (control::SERVER, "enter"), &enter, ASK);
            let answer: Result<(), Failure> = asked.await;
            if shared.borrow().has_ended {
                return Ok(None);
            }
            let Err(failure) = answer else {
                return Ok(Some(Placed { server: target, life, is_transfer, was_lost }));
            };
            tracing::debug!(epoch, server = %target, %failure, "a server did not take a player");
            shared.borrow_mut().target = None;
            if failure.reason == Reason::DeadlineExceeded {
                // It may take the player yet.
                drop(self.ask_leave(target, epoch, is_transfer));
            }
            if is_transfer && failure.reason.is_transient() && Instant::now() < patience {
                // Nobody's session ends because the master restarts, or its store.
                sleep(REFUGE_PAUSE).await;
                match self.refuge(shared, target).await? {
                    Some(lobby) => target = lobby,
                    None => return Ok(None),
                }
                continue;
            }
            if tries_left == 0 {
                return Err(failure);
            }
            tries_left -= 1;
            target = match self.relocate(epoch, target).await {
                Ok(other) => other,
                Err(_) => return Err(failure),
            };
        }
    }

    /// A lobby for the player of a server that was lost, or did not take them. Where there is none at the moment (the
    /// only lobby restarts, or the master does), waits for one as long as it would for a client. `None`: the session
    /// has ended meanwhile.
    async fn refuge(&self, shared: &SharedSession, lost: NodeId) -> Result<Option<NodeId>, Failure> {
        let epoch = shared.borrow().epoch;
        let deadline = Instant::now() + self.options().resume;
        let mut not = lost;
        loop {
            let answer = self.relocate(epoch, not).await;
            if shared.borrow().has_ended {
                return Ok(None);
            }
            match answer {
                Ok(lobby) => return Ok(Some(lobby)),
                Err(failure) if Instant::now() >= deadline || failure.reason == Reason::PlayerOffline => {
                    return Err(failure);
                }
                Err(_) => sleep(REFUGE_PAUSE).await,
            }
            // If the lost one is back, it is another life of it, and welcome.
            not = self.0.node.id();
        }
    }

    pub(crate) fn life_of(&self, server: NodeId) -> Option<u64> {
        self.0.node.with_view(|view| view.member(server).map(|member| member.incarnation))
    }

    async fn relocate(&self, epoch: u64, not: NodeId) -> Result<NodeId, Failure> {
        self.stats().count("relocations");
        self.0.node.ask_master("relocate", &Relocate { epoch, not }, ASK).await
    }

    /// A server has taken the player: everyone is told, and what was held goes on. Returns what is to follow.
    fn placed(&self, shared: &SharedSession, placed: &Placed) -> Option<Why> {
        let server = placed.server;
        let held = {
            let mut session = shared.borrow_mut();
            session.target = None;
            session.server = Some(server);
            session.is_moving = false;
            let due = std::mem::replace(&mut session.due, Due::Server);
            let told = Entered {
                uid: session.uid,
                epoch: session.epoch,
                server,
                is_transfer: placed.is_transfer,
                is_reconnect: matches!(due, Due::Resumed { .. }),
            };
            self.0.node.tell_master("entered", &told);
            match due {
                Due::Welcome => self.welcome(&mut session, None),
                Due::Resumed { received } => self.welcome(&mut session, Some(received)),
                Due::Server => {
                    if let Some(conn) = session.live() {
                        conn.say(&ToClient::Server(Moved {
                            server_id: server,
                            is_transfer: !placed.was_lost,
                        }));
                        for kept in session.replay.send_new() {
                            let _ = conn.queue(&kept.frame, usize::MAX);
                            self.delivered(kept.meta);
                        }
                    }
                }
            }
            session.held_bytes = 0;
            std::mem::take(&mut session.held)
        };
        for held in held {
            // Counted where it fails.
            let _ = self.0.node.forward(server, held.meta, &held.topic, &held.data);
        }
        let mut session = shared.borrow_mut();
        if session.wants_logout {
            drop(session);
            self.end(shared, Reason::Logout, "logged out");
            return None;
        }
        let is_there = placed.life.is_some() && self.life_of(server) == placed.life;
        let order = session.next_move.take().filter(|order| order.server != server);
        let next = match order {
            _ if !is_there => Some(Why::Lost(server)),
            Some(order) => Some(Why::Move(order)),
            None => None,
        };
        session.is_moving = next.is_some();
        next
    }
}
