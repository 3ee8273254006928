//! What a game's nodes do, by their type, and the way from `main` to the command.

use crate::cmd;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_master::Master;
use chappe_node::Node;
use chappe_notify::{NotifyError, Server};
use chappe_proxy::ProxyOptions;
use chappe_wire::Role;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// The type that stands for every type that has no setup of its own.
const ANY: &str = "*";

/// What prepares one node: registers its listeners and methods. An error's text says why the node cannot start.
pub(crate) type Setup = Arc<dyn Fn(&Node) -> Result<(), String> + Send + Sync>;
/// The same for the master.
pub(crate) type MasterSetup = Arc<dyn Fn(&Master) -> Result<(), String> + Send + Sync>;

/// What registers a game's modules on one node.
pub(crate) type ModulesSetup = Arc<dyn Fn(&Server) -> Result<(), NotifyError> + Send + Sync>;

/// What a proxy of this game does otherwise than deploy.json says.
pub(crate) type ProxySetup = Arc<dyn Fn(&mut ProxyOptions) + Send + Sync>;

/// A node whose entry has `mods`, when its mods are to be loaded.
#[derive(Clone, Copy)]
pub struct ModNode<'a> {
    /// The node: connected, and not routable before its mods are loaded.
    pub node: &'a Node,
    /// Its end of player records and notifications.
    pub server: &'a Server,
    /// The master, on the node that is one.
    pub master: Option<&'a Master>,
    /// Its entry of deploy.json.
    pub entry: &'a NodeEntry,
    /// The whole of deploy.json.
    pub deploy: &'a Deploy,
}

impl fmt::Debug for ModNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModNode").field("entry", &self.entry.id).finish_non_exhaustive()
    }
}

/// Why a node's mods cannot be loaded. The text says where in the mod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModError {
    /// The mod itself is wrong: trying again changes nothing.
    #[error("{0}")]
    Wrong(String),
    /// Something that the mod needs was not there; it may be the next time.
    #[error("{0}")]
    NotNow(String),
}

/// A program that runs mods: what `chappe` becomes inside another language's interpreter.
pub trait ModHost: Send + Sync {
    /// How this program is started again, for the nodes that it supervises: a program and its leading arguments.
    fn program(&self) -> Vec<OsString>;

    /// The RPC modules that the mod in `dir` declares (its mod.json).
    ///
    /// # Errors
    /// Why its declaration cannot be read.
    fn declared_modules(&self, dir: &Path) -> Result<Vec<String>, ModError>;

    /// Loads the node's mods. Runs on the node's thread, which is the one that [`App::main`] was called on.
    ///
    /// # Errors
    /// Why the node cannot start: a mod that does not load.
    fn load(&self, node: ModNode<'_>) -> Result<(), ModError>;

    /// Runs a command that the host has and this crate only names (`mod ...`, `client ...`): `words` are its name and
    /// its arguments. What goes wrong it tells by itself; the answer is the exit code.
    ///
    /// # Errors
    /// Why there is no such command.
    fn command(&self, words: &[OsString]) -> Result<u8, String>;
}

/// A game: what each type of node does. [`App::main`] turns it into a program that understands the whole command
/// `chappe`, so that deploy.json can name it (spec/apollo.md section 5, "A Rust game").
#[derive(Clone, Default)]
pub struct App {
    servers: BTreeMap<String, Setup>,
    services: BTreeMap<String, Setup>,
    modules: Vec<ModulesSetup>,
    master: Option<MasterSetup>,
    proxy: Option<ProxySetup>,
    mods: Option<Arc<dyn ModHost>>,
}

impl App {
    /// A game of which no node does anything yet.
    #[must_use]
    pub fn new() -> App {
        App::default()
    }

    /// What lobbies and games of `node_type` do (`"*"`: of every type that has no setup of its own). `setup` runs
    /// on the node's thread once it is connected and before anything is routed to it.
    #[must_use]
    pub fn server<F>(mut self, node_type: &str, setup: F) -> App
    where
        F: Fn(&Node) -> Result<(), String> + Send + Sync + 'static,
    {
        self.servers.insert(node_type.to_owned(), Arc::new(setup));
        self
    }

    /// As [`App::server`], for services.
    #[must_use]
    pub fn service<F>(mut self, node_type: &str, setup: F) -> App
    where
        F: Fn(&Node) -> Result<(), String> + Send + Sync + 'static,
    {
        self.services.insert(node_type.to_owned(), Arc::new(setup));
        self
    }

    /// Registers modules: what players may ask, what players do to each other, and the attributes of their records
    /// (spec/snipe.md section 1). `register` runs on every node but proxies, the master too, before the node's own
    /// setup; what it registers and a node has no use for costs nothing. It may be called for each part of a game.
    ///
    /// ```no_run
    /// use chappe::notify::{Module, Player};
    /// use chappe::{App, value};
    ///
    /// let app = App::new().modules(|server| {
    ///     server.register(Module::new("user").request("hello", async |player: Player, _| {
    ///         Ok(value!({"you": player.uid()}))
    ///     }))
    /// });
    /// ```
    ///
    /// With the [`Server`] comes its node ([`Server::node`]), so this is also the place for listeners that notify.
    #[must_use]
    pub fn modules<F>(mut self, register: F) -> App
    where
        F: Fn(&Server) -> Result<(), NotifyError> + Send + Sync + 'static,
    {
        self.modules.push(Arc::new(register));
        self
    }

    /// What the master does beside its own work: its login strategy, its HTTP urls, its modules. `setup` runs
    /// before the control port opens.
    #[must_use]
    pub fn master<F>(mut self, setup: F) -> App
    where
        F: Fn(&Master) -> Result<(), String> + Send + Sync + 'static,
    {
        self.master = Some(Arc::new(setup));
        self
    }

    /// What proxies do otherwise than deploy.json says: above all who may log in ([`ProxyOptions::check`]; the
    /// default lets anyone in as whomever they say they are). The proxy's entry in deploy.json must name this
    /// program. `setup` runs on the proxy's thread before its port opens.
    #[must_use]
    pub fn proxy<F>(mut self, setup: F) -> App
    where
        F: Fn(&mut ProxyOptions) + Send + Sync + 'static,
    {
        self.proxy = Some(Arc::new(setup));
        self
    }

    /// Runs the nodes whose entries have `mods` in this program.
    #[must_use]
    pub fn mods(mut self, host: impl ModHost + 'static) -> App {
        self.mods = Some(Arc::new(host));
        self
    }

    /// Runs the command that the program's arguments name: `node DEPLOY ID` is one node of this game, `up DEPLOY`
    /// the cluster, and so on (`--help`). The code is for the system: 0 fine, 1 failed, 2 wrong usage or
    /// configuration, 3 refused by the master, 4 declared lost, 5 no cluster to reach, 6 a mod that cannot be loaded.
    #[must_use]
    pub fn main(self) -> ExitCode {
        self.run(std::env::args_os())
    }

    /// As [`App::main`], with `args` as the program's arguments; the first is the program's name.
    #[must_use]
    pub fn run(self, args: impl IntoIterator<Item = OsString>) -> ExitCode {
        cmd::run(self, args)
    }

    /// What prepares a lobby, game or service of that type.
    pub(crate) fn setup_of(&self, role: Role, node_type: &str) -> Option<Setup> {
        let by_type = match role {
            Role::Lobby | Role::Game => &self.servers,
            Role::Service => &self.services,
            Role::Master | Role::Proxy | Role::Tool => return None,
        };
        by_type.get(node_type).or_else(|| by_type.get(ANY)).cloned()
    }

    /// Registers the game's modules on a node.
    ///
    /// # Errors
    /// As [`Server::register`].
    pub(crate) fn register_modules(&self, server: &Server) -> Result<(), NotifyError> {
        self.modules.iter().try_for_each(|register| register(server))
    }

    /// The options of a proxy, given those of deploy.json.
    pub(crate) fn proxy_options(&self, mut options: ProxyOptions) -> ProxyOptions {
        if let Some(setup) = &self.proxy {
            setup(&mut options);
        }
        options
    }

    /// What runs mods in this program.
    pub(crate) fn mod_host(&self) -> Option<&dyn ModHost> {
        self.mods.as_deref()
    }

    /// What prepares the master.
    pub(crate) fn master_setup(&self) -> Option<MasterSetup> {
        self.master.clone()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("servers", &self.servers.keys())
            .field("services", &self.services.keys())
            .field("modules", &self.modules.len())
            .field("master", &self.master.is_some())
            .field("proxy", &self.proxy.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_for_every_type_does_not_hide_one_for_its_own() {
        let app = App::new()
            .server("lobby", |_| Err("lobby".into()))
            .server("*", |_| Err("any server".into()))
            .service("service_mail", |_| Err("mail".into()));
        let node = Node::new(chappe_node::Config::new("c", 1.into(), Role::Lobby, "lobby"));
        let said = |role, node_type| app.setup_of(role, node_type).map(|setup| setup(&node).unwrap_err());
        assert_eq!(said(Role::Lobby, "lobby").as_deref(), Some("lobby"));
        assert_eq!(said(Role::Game, "bw4").as_deref(), Some("any server"));
        assert_eq!(said(Role::Service, "service_mail").as_deref(), Some("mail"));
        assert_eq!(said(Role::Service, "lobby"), None);
        assert_eq!(said(Role::Proxy, "lobby"), None);
    }

    #[test]
    fn a_games_login_check_is_not_lost_on_the_way_to_the_proxy() {
        struct Nobody;
        impl chappe_proxy::LoginCheck for Nobody {
            fn check(&self, _: u64, _: Option<&str>) -> chappe_proxy::Checking {
                Box::pin(std::future::ready(Err("closed".into())))
            }
        }
        let app = App::new().proxy(|options| options.check = std::rc::Rc::new(Nobody));
        let options = app.proxy_options(ProxyOptions { max_clients: 7, ..ProxyOptions::default() });
        assert_eq!((options.max_clients, options.check.warning()), (7, None));
        assert!(App::new().proxy_options(ProxyOptions::default()).check.warning().is_some());
    }
}
