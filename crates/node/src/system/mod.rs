//! The calls that games use: systems, one kind for each role (apollo.md sections 1 and 2).
//!
//! A system has a namespace and a name, and every event that it sends carries both: that pair and the event's
//! name are what listeners on other nodes listen to. The calls that a role does not have do not exist on its
//! system, so a mistake is found by the compiler.

mod server;
mod service;

pub use server::ServerSystem;
pub use service::ServiceSystem;

use crate::control::{PlayerInfo, Where};
use crate::error::Failure;
use crate::listeners::topic;
use crate::{
    Data, ENGINE_NAMESPACE, ENGINE_SYSTEM, Event, ListenerId, Node, OwnedEvent, Reply, SendError, To,
};
use chappe_wire::value::{self, ValueError};
use chappe_wire::{Reason, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

/// The most uids in one [`System::online_server_info_of_multi_players`].
pub const MAX_LOOKUP: usize = 100;
/// How long a look-up of players waits for the master.
const LOOKUP: Duration = Duration::from_secs(5);

/// What all roles' systems have. Cheap to clone; all clones are one system.
#[derive(Clone)]
pub struct System {
    node: Node,
    namespace: Rc<str>,
    name: Rc<str>,
    listening: Rc<RefCell<Vec<ListenerId>>>,
    /// The topic of the event that was sent last: what is sent often is sent in a row.
    recent: Rc<RefCell<(String, Rc<[u8]>)>>,
}

impl Deref for System {
    type Target = Node;
    fn deref(&self) -> &Node {
        &self.node
    }
}

impl System {
    /// A system of `node` under `(namespace, name)`.
    pub fn new(node: &Node, namespace: &str, name: &str) -> System {
        System {
            node: node.clone(),
            namespace: namespace.into(),
            name: name.into(),
            listening: Rc::default(),
            recent: Rc::new(RefCell::new((String::new(), topic(namespace, name, "").as_slice().into()))),
        }
    }

    /// The node that it is on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `ListenForEvent` with priority 0: `namespace` and `system` name the sending system, on whatever node.
    pub fn listen(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        handler: impl Fn(Event<'_>) + 'static,
    ) -> ListenerId {
        self.listen_with_priority(namespace, system, event, 0, handler)
    }

    /// `ListenForEvent`: larger priorities are called first; the largest is 10.
    pub fn listen_with_priority(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        priority: i32,
        handler: impl Fn(Event<'_>) + 'static,
    ) -> ListenerId {
        let id = self.node.listen(namespace, system, event, priority, handler);
        self.listening.borrow_mut().push(id);
        id
    }

    /// `ListenForEvent` for a handler that awaits. It starts in the order of events; while it waits, others run.
    pub fn listen_async<F: Future<Output = ()> + 'static>(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        handler: impl Fn(OwnedEvent) -> F + 'static,
    ) -> ListenerId {
        let id = self.node.listen_async(namespace, system, event, 0, handler);
        self.listening.borrow_mut().push(id);
        id
    }

    /// Listens to an event that the node itself raises (apollo.md section 5).
    pub fn listen_engine(&self, event: &str, handler: impl Fn(Event<'_>) + 'static) -> ListenerId {
        self.listen(ENGINE_NAMESPACE, ENGINE_SYSTEM, event, handler)
    }

    /// `UnListenForEvent`. Returns false when that was done before.
    pub fn unlisten(&self, id: ListenerId) -> bool {
        self.listening.borrow_mut().retain(|other| *other != id);
        self.node.unlisten(id)
    }

    /// `UnListenAllEvents`: undoes every registration of this system.
    pub fn unlisten_all(&self) {
        let ids = self.listening.take();
        ids.into_iter().for_each(|id| {
            self.node.unlisten(id);
        });
    }

    /// `BroadcastEvent`: to the systems of this node, after what the current handler does.
    ///
    /// # Errors
    /// [`SendError::Data`].
    pub fn broadcast_event<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), SendError> {
        let data = value::encode(data).map_err(|error| SendError::Data { call: "BroadcastEvent", error })?;
        self.node.0.raise_raw(&self.namespace, &self.name, event, data);
        Ok(())
    }

    /// `RequestToService` (row 16): asks one provider of `module`, in turn. `timeout` is
    /// [`crate::DEFAULT_TIMEOUT`] in Apollo.
    ///
    /// # Errors
    /// The [`Failure`] with the reason of the outcome; `BadData` when `args` cannot be sent or the answer is no
    /// `R`.
    pub fn request_to_service<T: Serialize + ?Sized, R: DeserializeOwned + 'static>(
        &self,
        module: &str,
        method: &str,
        args: &T,
        timeout: Duration,
    ) -> impl Future<Output = Result<R, Failure>> + use<T, R> {
        self.node.ask(Row::RequestToService, To::Module, (module, method), args, timeout)
    }

    /// `RequestToService` (row 16) with a callback, which gets the one outcome.
    ///
    /// # Errors
    /// When `args` cannot be sent; the callback is then not called.
    pub fn request_to_service_with<T: Serialize + ?Sized>(
        &self,
        module: &str,
        method: &str,
        args: &T,
        timeout: Duration,
        callback: impl FnOnce(Reply<'_>) + 'static,
    ) -> Result<(), ValueError> {
        self.node.request(Row::RequestToService, To::Module, (module, method), args, timeout, callback)
    }

    /// `RequestToServiceMod` (row 17): asks a service of the type `service_type`.
    ///
    /// # Errors
    /// As [`System::request_to_service`].
    pub fn request_to_service_mod<T: Serialize + ?Sized, R: DeserializeOwned + 'static>(
        &self,
        service_type: &str,
        method: &str,
        args: &T,
        timeout: Duration,
    ) -> impl Future<Output = Result<R, Failure>> + use<T, R> {
        self.node.ask(Row::RequestToServiceMod, To::Module, (service_type, method), args, timeout)
    }

    /// `RequestToServiceMod` (row 17) with a callback, which gets the one outcome.
    ///
    /// # Errors
    /// When `args` cannot be sent; the callback is then not called.
    pub fn request_to_service_mod_with<T: Serialize + ?Sized>(
        &self,
        service_type: &str,
        method: &str,
        args: &T,
        timeout: Duration,
        callback: impl FnOnce(Reply<'_>) + 'static,
    ) -> Result<(), ValueError> {
        let target = (service_type, method);
        self.node.request(Row::RequestToServiceMod, To::Module, target, args, timeout, callback)
    }

    /// `RequestToHashService`: the same `key` reaches the same provider while the set of providers stands.
    ///
    /// # Errors
    /// As [`System::request_to_service`].
    pub fn request_to_hash_service<T: Serialize + ?Sized, R: DeserializeOwned + 'static>(
        &self,
        service_type: &str,
        key: &[u8],
        method: &str,
        args: &T,
        timeout: Duration,
    ) -> impl Future<Output = Result<R, Failure>> + use<T, R> {
        self.node.ask(Row::RequestToHashService, To::Key(key), (service_type, method), args, timeout)
    }

    /// `GetOnlineServerInfoOfPlayer`: where a player is.
    ///
    /// # Errors
    /// The [`Failure`] when the master does not answer.
    pub fn online_server_info_of_player(
        &self,
        uid: u64,
    ) -> impl Future<Output = Result<PlayerInfo, Failure>> + use<> {
        let all = self.online_server_info_of_multi_players(&[uid]);
        async move {
            let offline = || Failure::new(Reason::BadData, "the master answered for nobody");
            all.await?.into_iter().next().ok_or_else(offline)
        }
    }

    /// `GetOnlineServerInfoOfMultiPlayers`: where players are, in the order asked.
    ///
    /// # Errors
    /// `BadData` for more than [`MAX_LOOKUP`] uids; the [`Failure`] when the master does not answer.
    pub fn online_server_info_of_multi_players(
        &self,
        uids: &[u64],
    ) -> impl Future<Output = Result<Vec<PlayerInfo>, Failure>> + use<> {
        let (node, uids) = (self.node.clone(), uids.to_vec());
        async move {
            if uids.len() > MAX_LOOKUP {
                let text = format!("{} uids in one look-up; the most is {MAX_LOOKUP}", uids.len());
                return Err(Failure::new(Reason::BadData, text));
            }
            node.ask_master("where", &Where { uids }, LOOKUP).await
        }
    }

    /// The topic of this system's event.
    pub fn topic(&self, event: &str) -> Rc<[u8]> {
        let mut recent = self.recent.borrow_mut();
        if recent.0 != event {
            *recent = (event.to_owned(), topic(&self.namespace, &self.name, event).as_slice().into());
        }
        recent.1.clone()
    }

    /// Registers a method whose handler awaits: `handler` gets the decoded arguments, and what it returns is
    /// the answer. Arguments of another form and errors end the request as `HandlerFailed` with their text. While
    /// 100,000 handlers of the node wait, requests end as `Overloaded`.
    pub fn register_async<A, R, E, F>(
        &self,
        row: Row,
        module: &str,
        method: &str,
        handler: impl Fn(A) -> F + 'static,
    ) where
        A: DeserializeOwned,
        R: Serialize,
        E: std::fmt::Display,
        F: Future<Output = Result<R, E>> + 'static,
    {
        let node = self.node.clone();
        self.node.register(row, module, method, move |call| {
            let args = match Data(call.raw()).parse::<A>().map_err(|error| error.labelled("args")) {
                Ok(args) => args,
                Err(error) => return call.fail(Reason::HandlerFailed, &error.to_string()),
            };
            let Some(place) = node.running() else {
                return call.fail(Reason::Overloaded, "too many handlers of the node wait already");
            };
            let (answer, responder) = (handler(args), call.into_responder());
            node.spawn_running(place, async move {
                match answer.await {
                    Ok(data) => drop(responder.respond(&data)),
                    Err(error) => responder.fail(Reason::HandlerFailed, &error.to_string()),
                }
            });
        });
    }
}
