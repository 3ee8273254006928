//! One node, from its deploy entry to its end.

use crate::app::App;
use crate::config::node_config;
use crate::python;
use crate::roles::Part;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_link::Link;
use chappe_node::{Beats, Config, Node, NodeError, State, run_blocking};
use chappe_wire::NodeId;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long a node that is ready waits for the master's word that it is, before it says so all the same.
const HEARD: Duration = Duration::from_secs(1);

/// Runs a node on the current thread until `stop` becomes true or it has to end. `on_ready` is called when the
/// node is routable.
///
/// # Errors
/// As [`Node::run`].
pub(crate) fn run(
    app: &App,
    deploy: &Deploy,
    entry: &NodeEntry,
    link: Arc<dyn Link + Send + Sync>,
    stop: watch::Receiver<bool>,
    on_ready: impl FnOnce() + 'static,
) -> Result<(), NodeError> {
    let config =
        mod_config(app, deploy, entry).map_err(|why| NodeError::Setup { node: NodeId(entry.id), why })?;
    run_blocking(|| async move {
        let node = Node::new(config);
        tokio::task::spawn_local(stop_when_asked(node.clone(), stop));
        tokio::task::spawn_local(tell_ready(node.clone(), on_ready));
        let part = Part::attach(app, deploy, entry, &node);
        node.run(link, Beats::Thread, async |node| part.set_up(app, deploy, entry, node).await).await
    })
}

/// The settings of a node, with the modules that mods declare.
fn mod_config(app: &App, deploy: &Deploy, entry: &NodeEntry) -> Result<Config, String> {
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

/// Refuses a node that cannot be run here: one with `mods` needs the Python package, in this program or beside it.
///
/// # Errors
/// What is missing.
pub(crate) fn check_entry(app: &App, entry: &NodeEntry) -> Result<(), String> {
    if entry.mods.is_empty() || app.mod_host().is_some() || python::program().is_some() {
        return Ok(());
    }
    let (id, kind, place) = (entry.id, &entry.node_type, &entry.place);
    Err(format!("node {id} ({kind}, {place}) has `mods`: running them needs the Python package `chappe`"))
}

async fn stop_when_asked(node: Node, mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|asked| *asked).await.is_ok() {
        node.stop();
    }
}

/// A node counts as ready when the master's view says so: from then on others send to it.
async fn tell_ready(node: Node, on_ready: impl FnOnce()) {
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
        on_ready();
    }
}
