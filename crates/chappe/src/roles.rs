//! What a node does by its role: the built-in part, then the game's.

use crate::access;
use crate::app::{App, ModError, ModNode};
use crate::config::notify_options;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_master::{Access, HttpPort, Master};
use chappe_node::Node;
use chappe_notify::{Desk, Server};
use chappe_proxy::{Proxy, ProxyOptions};
use chappe_store::StoreClient;
use chappe_wire::Role;
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// Between two times that the counters of records are told.
const PUBLISH: Duration = Duration::from_secs(1);

/// What a node is beside a node.
pub(crate) enum Part {
    /// The master; its HTTP control port opens when it is set up.
    Master(Master, Server, Http),
    /// A proxy; its port for clients opens when it is set up.
    Proxy(Proxy),
    /// What the game says, or nothing.
    Game(Server),
}

/// The master's HTTP control port.
pub(crate) struct Http {
    /// It, where it is open already.
    pub(crate) port: Cell<Option<HttpPort>>,
    /// Whom it lets in.
    pub(crate) access: Access,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// Its mods.
    #[error(transparent)]
    Mod(#[from] ModError),
    /// Its game, or its ports.
    #[error("{0}")]
    Other(String),
}

impl From<String> for SetupError {
    fn from(why: String) -> SetupError {
        SetupError::Other(why)
    }
}

impl Part {
    /// Registers what must be there before the node runs. `store` and `http`: the master's.
    ///
    /// # Errors
    /// A proxy's certificates or login keys.
    pub(crate) fn attach(
        app: &App,
        deploy: &Deploy,
        entry: &NodeEntry,
        node: &Node,
        store: Option<StoreClient>,
        http: Http,
    ) -> Result<Part, SetupError> {
        let server = || {
            let server = Server::attach(node, notify_options(deploy));
            publish(&server);
            server
        };
        Ok(match entry.role {
            Role::Master => {
                let master = Master::attach(node);
                if let Some(store) = store {
                    Desk::attach(&master, store);
                }
                Part::Master(master, server(), http)
            }
            Role::Proxy => {
                let mut options = proxy_options(deploy, entry);
                access::apply(deploy, &entry.access, &mut options)?;
                options.handover = Some(deploy.run_dir().join(format!("{}.sessions", entry.id)));
                Part::Proxy(Proxy::attach(node, app.proxy_options(options)))
            }
            _ => Part::Game(server()),
        })
    }

    /// Prepares a node that is connected and not routable yet: the game's setup for its type, then its ports.
    ///
    /// # Errors
    /// Why the node cannot start.
    pub(crate) async fn set_up(
        &self,
        app: &App,
        deploy: &Deploy,
        entry: &NodeEntry,
        node: &Node,
    ) -> Result<(), SetupError> {
        let load = |server, master| match app.mod_host().filter(|_| !entry.mods.is_empty()) {
            Some(host) => host.load(ModNode { node, server, master, entry, deploy }),
            None => Ok(()),
        };
        match self {
            Part::Master(master, server, http) => {
                app.register_modules(server).map_err(|error| error.to_string())?;
                app.master_setup().map_or(Ok(()), |setup| setup(master))?;
                load(server, Some(master))?;
                if let Some(port) = http.port.take() {
                    master.answer(port);
                } else if let Some(address) = address(entry).await? {
                    let access = http.access.clone();
                    master.serve_http(address, access).await.map_err(|error| error.to_string())?;
                }
                Ok(())
            }
            Part::Proxy(proxy) => {
                if let Some(address) = address(entry).await? {
                    access::check_address(entry, proxy.options(), address.ip())?;
                    let listener = TcpListener::bind(address).await;
                    let listener =
                        listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
                    proxy.settle().await;
                    node.spawn(proxy.clone().serve(listener));
                }
                Ok(())
            }
            Part::Game(server) => {
                app.register_modules(server).map_err(|error| error.to_string())?;
                app.setup_of(entry.role, &entry.node_type).map_or(Ok(()), |setup| setup(node))?;
                load(server, None)?;
                Ok(())
            }
        }
    }
}

/// Keeps the counters of records and handler runs up to date.
fn publish(server: &Server) {
    let server = server.clone();
    server.node().clone().spawn(async move {
        loop {
            let stats = server.node().stats();
            stats.gauge("records_owned", server.records() as u64);
            stats.gauge("runs_undecided", server.undecided() as u64);
            tokio::time::sleep(PUBLISH).await;
        }
    });
}

fn proxy_options(deploy: &Deploy, entry: &NodeEntry) -> ProxyOptions {
    let (limits, defaults) = (&deploy.limits, ProxyOptions::default());
    // A proxy's players are its clients; without a number of its own it has the library's.
    let max_clients = entry.max_players.filter(|&most| most > 0).and_then(|most| usize::try_from(most).ok());
    ProxyOptions {
        message_bytes: limits.message_bytes,
        client_rate: limits.client_rate,
        client_burst: limits.client_burst,
        hold_messages: limits.hold_messages,
        resume: deploy.timing.resume,
        max_clients: max_clients.unwrap_or(defaults.max_clients),
        ..defaults
    }
}

/// Where the node listens, if it does.
pub(crate) async fn address(entry: &NodeEntry) -> Result<Option<SocketAddr>, String> {
    let Some(port) = entry.port else { return Ok(None) };
    let found = tokio::net::lookup_host((entry.ip.as_str(), port)).await;
    let mut found = found.map_err(|error| format!("the address of `{}`: {error}", entry.ip))?;
    found.next().map(Some).ok_or_else(|| format!("`{}` has no address", entry.ip))
}
