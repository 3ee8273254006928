//! How a client gets a session: a new one through the master, or its own again.

use crate::conn::{Conn, Stage};
use crate::place::Why;
use crate::proxy::{ASK, Proxy};
use crate::rate::Bucket;
use crate::session::{Due, Session, SharedSession, epoch_of};
use chappe_node::control::{self, Enter, Entered, Left, LoginGrant};
use chappe_node::{Failure, To};
use chappe_wire::client::{Login, PROTOCOL, ToClient, Welcome};
use chappe_wire::{PlayerId, Reason, Row, value};
use std::cell::RefCell;
use std::rc::Rc;
use tokio::time::{Instant, timeout};

/// The longest nickname, in characters; what is longer is cut.
const NICKNAME: usize = 64;

impl Proxy {
    /// A client introduces itself.
    pub(crate) fn on_login(&self, conn: &Rc<Conn>, mut login: Login) {
        if login.protocol != PROTOCOL {
            let message = format!("this proxy speaks client protocol {PROTOCOL}, not {}", login.protocol);
            return conn.close(Reason::ForeignVersion, &message, Instant::now());
        }
        if let Some(session) = self.resumable(&login) {
            return self.resume(conn, &session, login.received);
        }
        if self.is_leaving() {
            return conn.close(Reason::ShuttingDown, "the proxy shuts down", Instant::now());
        }
        cut(&mut login.nickname);
        let (this, conn) = (self.clone(), conn.clone());
        self.0.node.spawn(async move { this.check_login(conn, login).await });
    }

    async fn check_login(self, conn: Rc<Conn>, mut login: Login) {
        let check = self.options().check.check(login.uid, login.token.as_deref());
        let refusal = match timeout(self.options().login_deadline, check).await {
            Ok(Ok(granted)) => {
                login.nickname = granted.nickname.unwrap_or(login.nickname);
                cut(&mut login.nickname);
                None
            }
            Ok(Err(denied)) => {
                denied.counter.into_iter().for_each(|counter| self.stats().count(counter));
                Some((Reason::Refused, denied.message))
            }
            Err(_) => Some((Reason::DeadlineExceeded, "the login check took too long".to_owned())),
        };
        if let Some((reason, message)) = refusal {
            self.stats().count("logins_refused");
            tracing::debug!(uid = login.uid, message, "a login is refused");
            return conn.close(reason, &message, Instant::now());
        }
        // What has proved it is not kept.
        login.token = None;
        // A callback and not a future: what the master sends behind the grant must find the session.
        let (this, at) = (self.clone(), conn.clone());
        let ask = control::Login { uid: login.uid };
        let target = (control::MASTER, "login");
        let asked =
            self.0.node.request(Row::Internal, To::Master, target, &ask, ASK, move |reply| {
                match reply.and_then(|data| data.parse::<LoginGrant>().map_err(Failure::from)) {
                    Ok(grant) => this.on_grant(&at, login, grant),
                    Err(failure) => {
                        this.stats().count("logins_refused");
                        at.close(failure.reason, &failure.message, Instant::now());
                    }
                }
            });
        if let Err(error) = asked {
            conn.close(Reason::BadData, &error.to_string(), Instant::now());
        }
    }

    /// The master lets the player in: from here on there is a session.
    fn on_grant(&self, conn: &Rc<Conn>, login: Login, grant: LoginGrant) {
        let (uid, epoch) = (login.uid, grant.epoch);
        let older = self.0.by_uid.borrow().get(&uid).copied();
        let mut secret = [0; 16];
        let problem = if conn.stage.get() != Stage::LoggingIn {
            Some(Reason::Disconnected)
        } else if older.is_some_and(|older| older > epoch) {
            Some(Reason::Replaced)
        } else if getrandom::fill(&mut secret).is_err() {
            Some(Reason::Refused)
        } else {
            None
        };
        if let Some(reason) = problem {
            self.0.node.tell_master("left", &Left { uid, epoch, reason });
            return conn.close(reason, "the login came to nothing", Instant::now());
        }
        let older = older.and_then(|older| self.session(older));
        let previous = older.and_then(|older| {
            let (server, epoch) = (older.borrow().server, older.borrow().epoch);
            self.end(&older, Reason::Replaced, "the player logged in again");
            server.map(|server| (server, epoch))
        });
        let session = Rc::new(RefCell::new(Session {
            uid,
            epoch,
            nickname: login.nickname,
            secret,
            format: conn.format.get(),
            conn: Some(conn.clone()),
            away_since: None,
            server: None,
            target: None,
            is_moving: true,
            due: Due::Welcome,
            next_move: None,
            wants_logout: false,
            has_ended: false,
            held: Default::default(),
            held_bytes: 0,
            replay: Default::default(),
            received: 0,
            told: 0,
            bucket: Bucket::new(self.options().client_burst, self.0.started.elapsed()),
            told_drop: None,
        }));
        *conn.session.borrow_mut() = Some(session.clone());
        conn.stage.set(Stage::In);
        self.add_session(session.clone(), uid, epoch);
        self.stats().count("logins");
        self.place(&session, Why::Login { target: grant.server, previous });
    }

    fn resumable(&self, login: &Login) -> Option<SharedSession> {
        let token = login.resume.as_deref()?;
        let found = epoch_of(token).and_then(|epoch| self.session(epoch));
        let found = found.filter(|session| {
            let session = session.borrow();
            session.uid == login.uid
                && session.is_token(token)
                && session.due != Due::Welcome
                && session.replay.can_resume(login.received)
        });
        if found.is_none() {
            self.stats().count("resumes_refused");
        }
        found
    }

    /// The client is back: it hears what it missed, and its server that it is back.
    fn resume(&self, conn: &Rc<Conn>, shared: &SharedSession, received: u64) {
        let mut session = shared.borrow_mut();
        if let Some(old) = session.conn.replace(conn.clone()) {
            // The proxy had not noticed yet that the old socket is dead.
            *old.session.borrow_mut() = None;
            old.abort();
        }
        session.away_since = None;
        *conn.session.borrow_mut() = Some(shared.clone());
        conn.stage.set(Stage::In);
        let format = conn.format.get();
        if std::mem::replace(&mut session.format, format) != format {
            session.replay.convert(|frame| match std::str::from_utf8(frame) {
                Ok(text) if text.starts_with('[') => value::json_to_msgpack(text).ok(),
                _ => format.body(frame.to_vec()),
            });
        }
        self.stats().count("resumes");
        if session.is_moving {
            session.due = Due::Resumed { received };
            return;
        }
        self.welcome(&mut session, Some(received));
        let Some(server) = session.server else { return };
        let epoch = session.epoch;
        let enter = Enter {
            uid: session.uid,
            epoch,
            nickname: session.nickname.clone(),
            is_transfer: false,
            is_reconnect: true,
            transfer_param: String::new(),
        };
        let told = Entered { uid: session.uid, epoch, server, is_transfer: false, is_reconnect: true };
        drop(session);
        self.0.node.tell_master("entered", &told);
        let to = To::Node(server);
        let entered = self.0.node.ask::<_, ()>(Row::Internal, to, (control::SERVER, "enter"), &enter, ASK);
        let (this, shared) = (self.clone(), shared.clone());
        self.0.node.spawn(async move {
            if let Err(failure) = entered.await {
                tracing::debug!(epoch, %server, %failure, "a player came back to a server that does not have them");
                this.on_server_lost(&shared, server);
            }
        });
    }

    /// Answers a login; with what the client said it has received, sends it what it lacks.
    pub(crate) fn welcome(&self, session: &mut Session, resumed: Option<u64>) {
        let (Some(conn), Some(server_id)) = (session.conn.clone(), session.server) else { return };
        session.told = session.received;
        conn.say(&ToClient::Welcome(Welcome {
            uid: session.uid,
            player_id: PlayerId(session.epoch),
            epoch: session.epoch,
            server_id,
            proxy_id: self.0.node.id(),
            token: session.token(),
            resumed: resumed.is_some(),
            received: session.received,
            measure: self.0.node.config().measure,
            resume_ms: self.options().resume.as_millis() as u64,
        }));
        if let Some(received) = resumed {
            session.replay.acknowledge(received);
        }
        for (kept, is_first) in session.replay.send_all() {
            // Bounded by what is kept, so not by the queue.
            let _ = conn.queue(&kept.frame, usize::MAX);
            if is_first {
                self.delivered(kept.meta);
            }
        }
    }
}

fn cut(nickname: &mut String) {
    if let Some((cut, _)) = nickname.char_indices().nth(NICKNAME) {
        nickname.truncate(cut);
    }
}
