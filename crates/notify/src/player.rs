//! A player as a handler gets them: Snipe's `client` (snipe.md sections 1 and 4).

use crate::attributes::{self, Document};
use crate::job::{Origin, Task};
use crate::run::{Run, Said, Touched};
use crate::{HandlerError, NotifyError, Server};
use chappe_store::NewPush;
use chappe_wire::{PlayerId, Value, value};
use std::rc::Rc;

/// The largest push, in bytes: 64 of them ride in one response.
const PUSH: usize = 8 << 10;

/// A player and their record, while the handler runs that was given it. What it changes and says becomes real together,
/// with the handler's commit, or not at all.
#[derive(Clone)]
pub struct Player {
    pub(crate) server: Server,
    pub(crate) run: Rc<Run>,
    pub(crate) uid: u64,
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Player({})", self.uid)
    }
}

impl Player {
    /// The player's uid.
    pub fn uid(&self) -> u64 {
        self.uid
    }

    /// The player's session on this server; `None`: an offline player, whose record was loaded for a notification.
    pub fn id(&self) -> Option<PlayerId> {
        self.server.0.node.player_by_uid(self.uid).map(|player| player.id)
    }

    /// Whether the player is on this server; false for an offline player, whose pushes wait or are dropped.
    pub fn is_online(&self) -> bool {
        self.id().is_some()
    }

    /// The player's network id: what names the session to other clients. Empty for an offline player.
    pub fn network_id(&self) -> String {
        self.id().map(|id| id.to_string()).unwrap_or_default()
    }

    /// What the handler was called for.
    pub fn origin(&self) -> Origin {
        let kind = match &self.run.job.task {
            Task::Request { kind, .. } => Some(kind.clone()),
            Task::Call { origin, .. } => origin.kind.clone(),
            _ => None,
        };
        Origin { kind, request: self.run.request.clone() }
    }

    /// An attribute; nil when there is none of that name.
    ///
    /// # Errors
    /// [`NotifyError::RunEnded`].
    pub fn get(&self, name: &str) -> Result<Value, NotifyError> {
        self.read("get", |document| document.get(name).cloned().unwrap_or_default())
    }

    /// Whether there is an attribute of that name; it may be nil.
    ///
    /// # Errors
    /// [`NotifyError::RunEnded`].
    pub fn has(&self, name: &str) -> Result<bool, NotifyError> {
        self.read("has", |document| document.contains_key(name))
    }

    /// An attribute that is a whole number.
    ///
    /// # Errors
    /// [`NotifyError::RunEnded`]; `handlerFailed` when it is none.
    pub fn int(&self, name: &str) -> Result<i64, HandlerError> {
        let found = self.get(name)?;
        let uid = self.uid;
        found.as_int().ok_or_else(|| {
            let is = crate::params::type_name(&found);
            HandlerError::failed(format!("player {uid}: the attribute {name:?} is {is}, not an int"))
        })
    }

    /// All attributes.
    ///
    /// # Errors
    /// [`NotifyError::RunEnded`].
    pub fn attributes(&self) -> Result<Document, NotifyError> {
        self.read("attributes", |document| {
            let own = document.iter().filter(|(name, _)| name.as_str() != attributes::VERSIONS);
            own.map(|(name, value)| (name.clone(), value.clone())).collect()
        })
    }

    /// Changes an attribute.
    ///
    /// # Errors
    /// [`NotifyError::WrongType`] for an attribute that modules declared with another type; [`NotifyError::BadMessage`] for
    /// a name that begins with `_`; [`NotifyError::RunEnded`].
    pub fn set(&self, name: &str, value: impl Into<Value>) -> Result<(), NotifyError> {
        let value = value.into();
        self.check_name(name)?;
        let mismatch = attributes::mismatch(self.server.0.modules.borrow().attributes(), name, &value);
        if let Some((declared, given)) = mismatch {
            let (uid, name) = (self.uid, name.to_owned());
            return Err(NotifyError::WrongType { uid, name, declared, given });
        }
        self.write("set", |document| drop(document.insert(name.to_owned(), value)))
    }

    /// Adds to an attribute that is a whole number, and returns what it is then.
    ///
    /// # Errors
    /// As [`Player::int`] and [`Player::set`]; `handlerFailed` beyond 64 bits.
    pub fn add(&self, name: &str, amount: i64) -> Result<i64, HandlerError> {
        let sum = self.int(name)?.checked_add(amount);
        let sum = sum.ok_or_else(|| {
            HandlerError::failed(format!("player {}: the attribute {name:?} is beyond 64 bits", self.uid))
        })?;
        self.set(name, sum)?;
        Ok(sum)
    }

    /// Takes an attribute away.
    ///
    /// # Errors
    /// As [`Player::set`]: a declared attribute stays.
    pub fn remove(&self, name: &str) -> Result<(), NotifyError> {
        self.check_name(name)?;
        let declared =
            self.server.0.modules.borrow().attributes().iter().any(|(_, of)| of.default_of(name).is_some());
        if declared {
            let (uid, name) = (self.uid, name.to_owned());
            return Err(NotifyError::WrongType { uid, name, declared: "there", given: "nothing" });
        }
        self.write("remove", |document| drop(document.remove(name)))
    }

    /// `client.response(type, params)`: a response of that type, with the pushes that wait. For a player who is offline it is
    /// dropped and counted.
    ///
    /// # Errors
    /// [`NotifyError::BadMessage`] when `params` is no map; [`NotifyError::RunEnded`].
    pub fn response(&self, kind: &str, params: Value) -> Result<(), NotifyError> {
        let fields = self.server.response_fields("response", &self.run, kind, params)?;
        self.server.respond_in(&self.run, self.uid, kind, fields)
    }

    /// `client.notify(params)`: a push that rides in `serverNotify` of the next response, or goes by itself after 3 s. For
    /// an offline player it is dropped and counted: see [`Player::notify_durable`].
    ///
    /// # Errors
    /// As [`Player::response`].
    pub fn notify(&self, params: Value) -> Result<(), NotifyError> {
        self.push(params, false)
    }

    /// As [`Player::notify`]; for an offline player it waits for the next login, with up to 64 others.
    ///
    /// # Errors
    /// As [`Player::response`].
    pub fn notify_durable(&self, params: Value) -> Result<(), NotifyError> {
        self.push(params, true)
    }

    fn push(&self, fields: Value, is_durable: bool) -> Result<(), NotifyError> {
        self.alive("client.notify")?;
        if fields.as_map().is_none() {
            let what = format!("a push is a map, not {}", crate::params::type_name(&fields));
            return Err(NotifyError::BadMessage { call: "client.notify", what });
        }
        let uid = self.uid;
        let bad = |what: String| NotifyError::BadMessage { call: "client.notify", what };
        let payload = value::encode(&fields).map_err(|error| bad(error.to_string()))?;
        if payload.len() > PUSH {
            return Err(bad(format!("a push of {} bytes is over the limit of {PUSH}", payload.len())));
        }
        let mut did = self.run.did.borrow_mut();
        if self.is_online() {
            did.said.push(Said::Push { uid, fields });
        } else if is_durable {
            did.pushes.push(NewPush { uid, payload });
        } else {
            self.server.0.node.stats().count("pushes_to_offline_players");
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), NotifyError> {
        if name.starts_with('_') {
            let what = format!("{name:?}: names that begin with `_` belong to the runtime");
            return Err(NotifyError::BadMessage { call: "set", what });
        }
        Ok(())
    }

    fn alive(&self, call: &'static str) -> Result<(), NotifyError> {
        if self.run.ended.get() { Err(NotifyError::RunEnded { call, uid: self.uid }) } else { Ok(()) }
    }

    fn read<R>(&self, call: &'static str, read: impl FnOnce(&Document) -> R) -> Result<R, NotifyError> {
        self.touch(call)?;
        let did = self.run.did.borrow();
        let touched = did.touched.get(&self.uid);
        touched.map(|touched| read(&touched.now)).ok_or(NotifyError::RunEnded { call, uid: self.uid })
    }

    fn write(&self, call: &'static str, write: impl FnOnce(&mut Document)) -> Result<(), NotifyError> {
        self.touch(call)?;
        if let Some(touched) = self.run.did.borrow_mut().touched.get_mut(&self.uid) {
            write(Rc::make_mut(&mut touched.now));
        }
        Ok(())
    }

    /// From now on the run has read the record: it stands or falls with it.
    fn touch(&self, call: &'static str) -> Result<(), NotifyError> {
        self.alive(call)?;
        let mut did = self.run.did.borrow_mut();
        if let std::collections::btree_map::Entry::Vacant(slot) = did.touched.entry(self.uid) {
            let records = self.server.0.records.borrow();
            let held = records.get(&self.uid).ok_or(NotifyError::RunEnded { call, uid: self.uid })?;
            let epoch = held.epoch().ok_or(NotifyError::RunEnded { call, uid: self.uid })?;
            let (before, now) = (held.document.clone(), held.document.clone());
            let (version, upgraded) = (held.version, held.upgraded);
            slot.insert(Touched { epoch, version, before, now, sends: false, upgraded });
        }
        Ok(())
    }
}
