//! Modules: the handlers that a node has by name, and the attributes that they declare (snipe.md section 1).

use crate::attributes::Attributes;
use crate::message::split;
use crate::{HandlerError, NotifyError, Params, Player};
use chappe_wire::{NodeId, Value};
use rustc_hash::FxHashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// What a handler returns in the end: a map, or nothing.
pub type Handled = Result<Option<Value>, HandlerError>;
/// A handler that runs.
pub type Handling = Pin<Box<dyn Future<Output = Handled>>>;

pub(crate) type PlayerMethod = Rc<dyn Fn(Player, Params) -> Handling>;
pub(crate) type NodeMethod = Rc<dyn Fn(Params) -> Handling>;
pub(crate) type CacheMethod = Rc<dyn Fn(NodeId, Params) -> Handling>;

/// What a handler may return: nothing, a map, or perhaps a map.
pub trait IntoHandled {
    /// As the runtime takes it.
    fn into_handled(self) -> Option<Value>;
}

impl IntoHandled for () {
    fn into_handled(self) -> Option<Value> {
        None
    }
}

impl IntoHandled for Value {
    fn into_handled(self) -> Option<Value> {
        Some(self).filter(|value| !value.is_nil())
    }
}

impl IntoHandled for Option<Value> {
    fn into_handled(self) -> Option<Value> {
        self.filter(|value| !value.is_nil())
    }
}

/// A module: a name, and the handlers under it. [`Server::register`](crate::Server::register) makes it one of the node's.
pub struct Module {
    pub(crate) name: String,
    pub(crate) attributes: Option<Attributes>,
    pub(crate) player: Vec<(String, PlayerMethod, bool)>,
    pub(crate) node: Vec<(String, NodeMethod)>,
    pub(crate) cache: Vec<(String, CacheMethod)>,
}

impl Module {
    /// A module without handlers.
    pub fn new(name: impl Into<String>) -> Module {
        let (player, node, cache) = (Vec::new(), Vec::new(), Vec::new());
        Module { name: name.into(), attributes: None, player, node, cache }
    }

    /// The attributes of players that it declares.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Module {
        self.attributes = Some(attributes);
        self
    }

    /// A method that players may call: `handler` gets the player and the request, and what it returns is the response
    /// (nothing: none yet). Players can call no other methods.
    #[must_use]
    pub fn request<F, R>(self, method: &str, handler: impl Fn(Player, Params) -> F + 'static) -> Module
    where
        F: Future<Output = Result<R, HandlerError>> + 'static,
        R: IntoHandled,
    {
        self.player_method(method, handler, true)
    }

    /// A method on a player's record that notifications call: of their `_type`, of `_validate.func`, `onSuccess` and
    /// `onFail`.
    #[must_use]
    pub fn handler<F, R>(self, method: &str, handler: impl Fn(Player, Params) -> F + 'static) -> Module
    where
        F: Future<Output = Result<R, HandlerError>> + 'static,
        R: IntoHandled,
    {
        self.player_method(method, handler, false)
    }

    /// A method without a player: of what the master sends to nodes (`slaveClient.notify`, `notifyAll`), and of outcomes
    /// whose `_validate.id` is null.
    #[must_use]
    pub fn node_handler<F, R>(mut self, method: &str, handler: impl Fn(Params) -> F + 'static) -> Module
    where
        F: Future<Output = Result<R, HandlerError>> + 'static,
        R: IntoHandled,
    {
        let handler: NodeMethod = Rc::new(move |params| boxed(handler(params)));
        self.node.push((method.to_owned(), handler));
        self
    }

    /// On the master: a method that nodes call by `cacheNotify` and `cacheRequest`; it gets the node's id.
    #[must_use]
    pub fn cache_handler<F, R>(
        mut self,
        method: &str,
        handler: impl Fn(NodeId, Params) -> F + 'static,
    ) -> Module
    where
        F: Future<Output = Result<R, HandlerError>> + 'static,
        R: IntoHandled,
    {
        let handler: CacheMethod = Rc::new(move |node, params| boxed(handler(node, params)));
        self.cache.push((method.to_owned(), handler));
        self
    }

    fn player_method<F, R>(
        mut self,
        method: &str,
        handler: impl Fn(Player, Params) -> F + 'static,
        is_request: bool,
    ) -> Module
    where
        F: Future<Output = Result<R, HandlerError>> + 'static,
        R: IntoHandled,
    {
        let handler: PlayerMethod = Rc::new(move |player, params| boxed(handler(player, params)));
        self.player.push((method.to_owned(), handler, is_request));
        self
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({})", self.name)
    }
}

fn boxed<R: IntoHandled>(handling: impl Future<Output = Result<R, HandlerError>> + 'static) -> Handling {
    Box::pin(async move { handling.await.map(IntoHandled::into_handled) })
}

/// `module.method`, as bytes: what comes over the wire is looked up as it came.
type Kind = Box<[u8]>;

/// A node's modules.
#[derive(Default)]
pub(crate) struct Modules {
    player: FxHashMap<Kind, (PlayerMethod, bool)>,
    node: FxHashMap<Kind, NodeMethod>,
    cache: FxHashMap<Kind, CacheMethod>,
    attributes: Vec<(String, Attributes)>,
}

impl Modules {
    pub(crate) fn add(&mut self, module: Module) -> Result<(), NotifyError> {
        let Module { name, attributes, player, node, cache } = module;
        if let Some(attributes) = attributes {
            self.declare(&name, attributes)?;
        }
        for (method, handler, is_request) in player {
            let kind = kind(&name, &method)?;
            taken(&kind, self.player.insert(kind.as_bytes().into(), (handler, is_request)).is_some())?;
        }
        for (method, handler) in node {
            let kind = kind(&name, &method)?;
            taken(&kind, self.node.insert(kind.as_bytes().into(), handler).is_some())?;
        }
        for (method, handler) in cache {
            let kind = kind(&name, &method)?;
            taken(&kind, self.cache.insert(kind.as_bytes().into(), handler).is_some())?;
        }
        Ok(())
    }

    /// Whether players have records on this node: someone handles them.
    pub(crate) fn handle_players(&self) -> bool {
        !self.player.is_empty() || !self.attributes.is_empty()
    }

    /// The method that players may call under that name.
    pub(crate) fn request(&self, kind: &str) -> Option<PlayerMethod> {
        self.player
            .get(kind.as_bytes())
            .filter(|(_, is_request)| *is_request)
            .map(|(method, _)| method.clone())
    }

    pub(crate) fn player(&self, kind: &[u8]) -> Option<PlayerMethod> {
        self.player.get(kind).map(|(method, _)| method.clone())
    }

    pub(crate) fn node(&self, kind: &[u8]) -> Option<NodeMethod> {
        self.node.get(kind).cloned()
    }

    pub(crate) fn cache(&self, kind: &str) -> Option<CacheMethod> {
        self.cache.get(kind.as_bytes()).cloned()
    }

    /// The declared attributes, module by module.
    pub(crate) fn attributes(&self) -> &[(String, Attributes)] {
        &self.attributes
    }

    /// The method that was probably meant, for a `_type` that nobody handles.
    pub(crate) fn nearest(&self, kind: &str) -> Option<&str> {
        let names = self.player.keys().chain(self.node.keys()).chain(self.cache.keys());
        let names = names.filter_map(|name| std::str::from_utf8(name).ok());
        let near = names
            .filter(|name| name.len().abs_diff(kind.len()) <= 3)
            .map(|name| (strsim::damerau_levenshtein(name, kind), name));
        near.filter(|(steps, _)| *steps <= 3).min().map(|(_, name)| name)
    }

    fn declare(&mut self, module: &str, attributes: Attributes) -> Result<(), NotifyError> {
        for (other, declared) in &self.attributes {
            if let Some(name) = declared.names().find(|name| attributes.default_of(name).is_some()) {
                let text =
                    format!("the attribute {name:?} is declared by the modules {other:?} and {module:?}");
                return Err(NotifyError::Registration(text));
            }
        }
        self.attributes.push((module.to_owned(), attributes));
        Ok(())
    }
}

fn kind(module: &str, method: &str) -> Result<String, NotifyError> {
    let kind = format!("{module}.{method}");
    match split(&kind) {
        Some((_, last)) if last == method && !method.starts_with('_') => Ok(kind),
        _ => Err(NotifyError::Registration(format!("{kind:?} is no name of a module and a method"))),
    }
}

fn taken(kind: &str, is_taken: bool) -> Result<(), NotifyError> {
    if is_taken { Err(NotifyError::Registration(format!("{kind:?} is registered twice"))) } else { Ok(()) }
}
