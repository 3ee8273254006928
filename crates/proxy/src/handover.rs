//! From one life of a proxy to the next (`chappe roll`): its sessions are left in a file that the next life finds, and their
//! clients come back to it as after any dropped socket. Meanwhile what is for the proxy waits at its senders.

use crate::conn::Format;
use crate::proxy::Proxy;
use crate::rate::Bucket;
use crate::replay::{Kept, Replay};
use crate::session::{Due, Session, SharedSession};
use chappe_node::{State, To, control};
use chappe_wire::{Meta, NodeId, Reason, Row, value};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

/// How long players who are between two servers may take to arrive.
const ARRIVE: Duration = Duration::from_secs(2);
/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(5);
/// What was left so long ago, nobody waits for any more.
const OLDEST: Duration = Duration::from_secs(120);
/// How long a server may take to hear who is still there.
const HOLD: Duration = Duration::from_secs(3);

/// The most sessions in one message.
const RECORDS: usize = 5000;

/// What one life leaves to the next.
#[derive(Serialize, Deserialize)]
struct Handover {
    /// When, in milliseconds since 1970.
    left_at: u64,
    sessions: Vec<Saved>,
}

/// A session whose client is in the game.
#[derive(Serialize, Deserialize)]
struct Saved {
    uid: u64,
    epoch: u64,
    nickname: String,
    #[serde(with = "serde_bytes")]
    secret: Vec<u8>,
    is_text: bool,
    server: NodeId,
    /// Which life of it.
    life: u64,
    /// How many messages have come from the client.
    received: u64,
    /// How many events came before `kept`.
    before: u64,
    kept: Vec<SavedEvent>,
}

/// An event that the client has not acknowledged.
#[derive(Serialize, Deserialize)]
struct SavedEvent {
    #[serde(with = "serde_bytes")]
    frame: Vec<u8>,
    row: u8,
    stamp: u64,
    is_sent: bool,
}

/// Sessions that were taken over, each with the life of the server that its player stood on.
pub(crate) type TakenOver = RefCell<BTreeMap<u64, u64>>;

impl Proxy {
    /// Whether sessions outlast this life.
    pub(crate) fn hands_over(&self) -> bool {
        let options = self.options();
        self.0.node.wants_restart() && options.handover.is_some() && !options.resume.is_zero()
    }

    /// Leaves all sessions to the next life; those that cannot be, end.
    pub(crate) async fn hand_over(&self) {
        let deadline = Instant::now() + ARRIVE;
        while self.all().iter().any(|session| session.borrow().is_moving) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        let mut saved = Vec::new();
        for shared in self.all() {
            let kept = self.save(&shared.borrow());
            match kept {
                Some(kept) => saved.push(kept),
                None => self.end(&shared, Reason::ShuttingDown, "the proxy shuts down"),
            }
        }
        let Some(path) = &self.options().handover else { return };
        let (left_at, count) = (unix_millis(), saved.len());
        if let Err(error) = write(path, &Handover { left_at, sessions: saved }) {
            tracing::error!(node = %self.0.node.id(), %error, "the sessions cannot be left to the next life: they end");
            for session in self.all() {
                self.end(&session, Reason::ShuttingDown, "the proxy shuts down");
            }
            return;
        }
        tracing::info!(node = %self.0.node.id(), sessions = count, "the sessions are left to the next life");
        for shared in self.all() {
            let mut session = shared.borrow_mut();
            session.has_ended = true;
            if let Some(conn) = session.conn.take() {
                *conn.session.borrow_mut() = None;
                conn.end(Instant::now());
            }
        }
        self.forget_all();
    }

    fn save(&self, session: &Session) -> Option<Saved> {
        let server = session.server.filter(|_| !session.is_moving && session.due != Due::Welcome)?;
        let (before, kept) = session.replay.parts();
        let event = |kept: &Kept| SavedEvent {
            frame: kept.frame.to_vec(),
            row: kept.meta.row.code(),
            stamp: kept.meta.stamp,
            is_sent: kept.is_sent,
        };
        Some(Saved {
            uid: session.uid,
            epoch: session.epoch,
            nickname: session.nickname.clone(),
            secret: session.secret.to_vec(),
            is_text: session.format == Format::Text,
            server,
            life: self.life_of(server)?,
            received: session.received,
            before,
            kept: kept.map(event).collect(),
        })
    }

    /// Takes up the sessions that the life before has left; their clients are away. To be called before the node runs.
    pub(crate) fn take_up(&self) {
        let Some(path) = &self.options().handover else { return };
        let found = match read(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::error!(node = %self.0.node.id(), %error, "the sessions of the life before cannot be read: their players log in again");
                return;
            }
        };
        let age = Duration::from_millis(unix_millis().saturating_sub(found.left_at));
        if age > OLDEST {
            tracing::warn!(node = %self.0.node.id(), ?age, "the sessions of an earlier life are too old: their players log in again");
            return;
        }
        let count = found.sessions.len();
        found.sessions.into_iter().for_each(|saved| self.restore(saved));
        self.stats().count_many("sessions_taken_over", count as u64);
        tracing::info!(node = %self.0.node.id(), sessions = count, "the sessions of the life before go on");
    }

    fn restore(&self, saved: Saved) {
        let Ok(secret) = <[u8; 16]>::try_from(saved.secret) else { return };
        let (uid, epoch) = (saved.uid, saved.epoch);
        let events = saved.kept.into_iter().filter_map(|event| {
            let meta = Meta { stamp: event.stamp, ..Meta::of(Row::from_code(event.row)?) };
            Some(Kept { frame: event.frame.into(), meta, is_sent: event.is_sent })
        });
        let session = Session {
            uid,
            epoch,
            nickname: saved.nickname,
            secret,
            format: if saved.is_text { Format::Text } else { Format::Binary },
            conn: None,
            away_since: Some(Instant::now()),
            server: Some(saved.server),
            target: None,
            is_moving: false,
            due: Due::Server,
            next_move: None,
            wants_logout: false,
            has_ended: false,
            held: Default::default(),
            held_bytes: 0,
            replay: Replay::of(saved.before, events.collect()),
            received: saved.received,
            told: saved.received,
            bucket: Bucket::new(self.options().client_burst, self.0.started.elapsed()),
            told_drop: None,
        };
        self.0.taken_over.borrow_mut().insert(epoch, saved.life);
        self.add_session(Rc::new(RefCell::new(session)), uid, epoch);
    }

    /// For a proxy that has joined, before it takes clients: its servers hear whose sessions go on, and let the others go; of
    /// players whose servers have gone meanwhile, it finds another.
    pub async fn settle(&self) {
        let taken_over = self.0.taken_over.take();
        let records: Vec<_> =
            self.all().iter().map(|session| session.borrow().record(self.0.node.id())).collect();
        records.chunks(RECORDS).for_each(|records| self.0.node.tell_master("sessions", &records.to_vec()));
        for (epoch, life) in &taken_over {
            let Some(shared) = self.session(*epoch) else { continue };
            let server = shared.borrow().server;
            if let Some(server) = server.filter(|server| self.life_of(*server) != Some(*life)) {
                self.on_server_lost(&shared, server);
            }
        }
        let node = &self.0.node;
        let servers: Vec<NodeId> = node.with_view(|view| {
            let up = view.members().filter(|at| at.role.is_server() && at.state != State::Starting);
            up.map(|member| member.id).collect()
        });
        let ask = |server: NodeId| {
            let here = |session: &SharedSession| {
                let session = session.borrow();
                (session.server == Some(server) || session.target == Some(server)).then_some(session.epoch)
            };
            let epochs: Vec<u64> = self.all().iter().filter_map(here).collect();
            node.ask::<_, ()>(Row::Internal, To::Node(server), (control::SERVER, "hold"), &epochs, HOLD)
        };
        let asked: Vec<_> = servers.into_iter().map(ask).collect();
        for told in asked {
            // One that did not hear lets all of them go when this proxy is ready, and they enter again.
            let _ = told.await;
        }
    }
}

fn write(path: &Path, handover: &Handover) -> io::Result<()> {
    let bytes = value::encode(handover).map_err(io::Error::other)?;
    let new = path.with_extension("new");
    // The secrets of sessions are for this user alone.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    fs::rename(new, path)
}

fn read(path: &Path) -> io::Result<Handover> {
    let bytes = fs::read(path)?;
    // Nobody else may find it.
    fs::remove_file(path)?;
    value::decode(&bytes).map_err(io::Error::other)
}

fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
