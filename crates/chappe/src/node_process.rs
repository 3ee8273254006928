//! One node, from its deploy entry to its end.

use crate::app::{App, ModError};
use crate::config::{self, node_config};
use crate::exit::{self, CommandError};
use crate::last_report;
use crate::leading::{self, Once};
use crate::links::{self, Hosts};
use crate::python;
use crate::roles::{Http, Part, SetupError, address};
use crate::{access, open_files, secrets, store};
use chappe_deploy::{Deploy, NodeEntry};
use chappe_link::Link;
use chappe_master::Access;
use chappe_node::control::Declare;
use chappe_node::{Beats, Config, Node, NodeError, State, run_blocking};
use chappe_wire::secret::Secrets;
use chappe_wire::{NodeId, Role};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long a node that is ready waits for the master's word that it is, before it says so all the same.
const HEARD: Duration = Duration::from_secs(1);

/// What one life of a node has from the process that it runs in.
pub(crate) struct Life {
    /// How it reaches others.
    pub(crate) link: Arc<dyn Link + Send + Sync>,
    /// Which of them are near.
    pub(crate) hosts: Hosts,
    /// Becomes true when it is to leave.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Runs a node on the current thread until `stop` becomes true or it has to end. `on_ready` is called when the
/// node is routable.
///
/// # Errors
/// [`CommandError::Node`] as [`Node::run`]; [`CommandError::Mod`] when it can never start with the mods that it has,
/// [`CommandError::Store`] when the master's store is not to be had.
pub(crate) fn run(
    app: &App,
    deploy: &Deploy,
    entry: &NodeEntry,
    Life { link, hosts, stop }: Life,
    on_ready: impl FnOnce() + 'static,
) -> Result<(), CommandError> {
    open_files::raise_limit();
    access::check_program(app, deploy, entry)?;
    let secrets = Arc::new(secrets::of_cluster(deploy)?);
    let (store, token) = match entry.role {
        Role::Master => {
            store::check_masters(deploy)?;
            (Some(store::open(deploy)?), secrets::of_control(deploy)?)
        }
        _ => (None, Secrets::default()),
    };
    let is_mod_wrong = Cell::new(false);
    let (wants_restart, replaced) = (Cell::new(false), RefCell::new(None));
    let told = |error: SetupError| {
        is_mod_wrong.set(matches!(error, SetupError::Mod(ModError::Wrong(_))));
        error.to_string()
    };
    let live = |store| {
        let mut config = mod_config(app, deploy, entry)
            .map_err(|error| NodeError::Setup { node: NodeId(entry.id), why: told(error.into()) })?;
        config.secrets = secrets;
        run_blocking(|| async {
            let node = Node::new(config);
            node.on_declare(move |declare| hosts.learn(declare));
            let on_ready = Rc::new(Once::new(on_ready));
            tokio::task::spawn_local(stop_when_asked(node.clone(), stop));
            tokio::task::spawn_local(tell_ready(node.clone(), on_ready.clone()));
            let control = Access { token, open_metrics: deploy.open_metrics };
            let leader = match &store {
                None => None,
                Some(store) => {
                    let http = address(entry)
                        .await
                        .map_err(|why| NodeError::Setup { node: node.id(), why })?
                        .filter(|_| deploy.has_two_masters())
                        .map(|address| (address, control.clone()));
                    let standby = || on_ready.call();
                    match leading::wait(deploy, &node, &link, store, http, standby).await? {
                        Some(leader) => Some(leader),
                        None => return Ok(()),
                    }
                }
            };
            if leader.is_some() && deploy.has_two_masters() {
                read_anew(app, deploy, &node);
            }
            let (leads, http) = leader.map_or((None, None), |mut leader| {
                let http = leader.http.take();
                (Some(leader), http)
            });
            let led_store = leads.as_ref().map(|leader| leader.store.clone());
            let http = Http { port: Cell::new(http), access: control };
            let part = Part::attach(app, deploy, entry, &node, led_store, http)
                .map_err(|error| NodeError::Setup { node: node.id(), why: told(error) })?;
            if let (Some(leader), Some(store)) = (&leads, &store) {
                leader.rule(deploy, &node, store)?;
            }
            let ended = node.run(link, Beats::Thread, async |node| {
                part.set_up(app, deploy, entry, node).await.map_err(told)
            });
            let lost = async {
                match &leads {
                    Some(leader) => leader.lost().await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                biased;
                lost = lost => {
                    replaced.replace(Some(leading::replaced(&node, &lost)));
                    node.abandon();
                    return Ok(());
                }
                ended = ended => ended,
            };
            last_report::leave(&node);
            wants_restart.set(node.wants_restart());
            if matches!(ended, Err(NodeError::Evicted { .. })) && !node.has_been_member() {
                config::leap(&deploy.run_dir(), entry.id);
            }
            ended
        })
    };
    let (store, closing) = (store.clone(), store);
    let ended = live(store);
    closing.iter().for_each(store::close);
    if let Some(replaced) = replaced.take() {
        return Err(replaced);
    }
    if ended.is_ok() && wants_restart.get() {
        return Err(CommandError::Told { code: exit::RESTART });
    }
    ended.map_err(|error| match is_mod_wrong.get() {
        true => CommandError::Mod(error),
        false => CommandError::Node(error),
    })
}

/// Takes in how the file has changed while this master stood by (`chappe apply`). One that is wrong now, is no news.
fn read_anew(app: &App, deploy: &Deploy, node: &Node) {
    let declared = Deploy::load(&deploy.path).ok().and_then(|(now, _)| declare(app, &now).ok());
    declared.into_iter().for_each(|declared| node.declare(declared));
}

/// What `deploy` declares, with the modules that mods declare.
///
/// # Errors
/// A mod whose modules cannot be told.
pub(crate) fn declare(app: &App, deploy: &Deploy) -> Result<Declare, ModError> {
    let mut declared = config::declared(deploy);
    if let Some(host) = app.mod_host() {
        for dir in deploy.nodes.iter().flat_map(|node| &node.mods) {
            declared.modules.extend(host.declared_modules(dir)?);
        }
    }
    Ok(Declare { declared, hosts: links::hosts(deploy) })
}

/// The settings of a node, with the modules that mods declare.
fn mod_config(app: &App, deploy: &Deploy, entry: &NodeEntry) -> Result<Config, ModError> {
    let mut config = node_config(deploy, entry);
    let Some(host) = app.mod_host() else { return Ok(config) };
    for other in &deploy.nodes {
        for dir in &other.mods {
            let modules = host.declared_modules(dir)?;
            if other.id == entry.id {
                config.modules.extend(modules.iter().cloned());
            }
            config.declared.modules.extend(modules);
        }
    }
    Ok(config)
}

/// Refuses nodes that cannot be run here: those with `mods` need the Python package, in this program or beside it.
///
/// # Errors
/// What is missing.
pub(crate) fn check_entries(app: &App, entries: &[NodeEntry]) -> Result<(), String> {
    let with_mods: Vec<&NodeEntry> = entries.iter().filter(|entry| !entry.mods.is_empty()).collect();
    if with_mods.is_empty() || app.mod_host().is_some() || python::program().is_some() {
        return Ok(());
    }
    let name = |entry: &NodeEntry| {
        let NodeEntry { id, node_type, place, .. } = entry;
        format!("node {id} ({node_type}, {place}) has `mods`\n")
    };
    let names: String = with_mods.into_iter().map(name).collect();
    Err(format!("{names}running mods {}", python::needed()))
}

async fn stop_when_asked(node: Node, mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|asked| *asked).await.is_ok() {
        node.stop();
    }
}

/// A node counts as ready when the master's view says so: from then on others send to it.
async fn tell_ready(node: Node, on_ready: Rc<Once>) {
    let changed = Rc::new(Notify::new());
    let notify = changed.clone();
    node.on_view(move |_| notify.notify_one());
    let is_known =
        || node.with_view(|view| view.member(node.id()).is_some_and(|me| me.state == State::Ready));
    while !is_known() {
        let was_ready = node.state() == State::Ready;
        if timeout(HEARD, changed.notified()).await.is_err() && was_ready {
            break;
        }
    }
    if node.state() == State::Ready {
        on_ready.call();
    }
}
