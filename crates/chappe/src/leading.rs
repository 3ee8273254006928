//! From a master that stands by to one that leads, and back: the lease, kept on a thread of its own.

use crate::exit::CommandError;
use chappe_deploy::Deploy;
use chappe_link::Link;
use chappe_master::{Access, HttpPort, Standing};
use chappe_node::{Node, NodeError};
use chappe_store::{Keeping, Leadership, StoreClient, StoreError};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a lone master waits for its database's word before it starts without it.
const ALONE: Duration = Duration::from_secs(8);

/// A master that leads.
pub(crate) struct Leader {
    /// The store, for work under the lease.
    pub(crate) store: StoreClient,
    /// Its HTTP port, where it is open already.
    pub(crate) http: Option<HttpPort>,
    leadership: Leadership,
}

/// Waits until this master leads; `None`: it was asked to leave meanwhile. Of two, the one that waits answers HTTP at `http`
/// and calls `on_standby` when it knows that the other leads. One that is alone does not wait for a database that is away:
/// it starts, and has no lease until that is back.
///
/// # Errors
/// As [`Node::stand_by`], and when the port cannot be opened.
pub(crate) async fn wait(
    deploy: &Deploy,
    node: &Node,
    link: &Arc<dyn Link + Send + Sync>,
    store: &StoreClient,
    http: Option<(SocketAddr, Access)>,
    on_standby: impl Fn(),
) -> Result<Option<Leader>, NodeError> {
    let leadership =
        Leadership::new(node.id(), node.config().incarnation, Keeping::lasting(deploy.timing.lease));
    let standing = Standing::new(node.id());
    let is_alone = !deploy.has_two_masters();
    let (told, why) = (standing.clone(), standing.clone());
    let leads = async {
        if is_alone {
            match timeout(ALONE, leadership.try_lead(store)).await {
                Ok(Ok(_)) if leadership.term() != 0 => return Ok(None),
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return Ok(None),
            }
        }
        let mut port = match http {
            Some((address, access)) => {
                Some(HttpPort::open(node, address, access).await.map_err(|error| error.to_string())?)
            }
            None => None,
        };
        let looked = |found: &Result<_, StoreError>| {
            told.see(found);
            if !is_alone && told.leader().is_some_and(|(leader, _)| leader != node.id()) {
                on_standby();
            }
        };
        let stands = leadership.stand(store, looked);
        match &mut port {
            Some(port) => tokio::select! {
                biased;
                () = stands => {}
                () = standing.answer(port) => {}
            },
            None => stands.await,
        }
        Ok(port)
    };
    let led = node.stand_by(link, move || why.text(), leads).await?;
    let Some(opened) = led else { return Ok(None) };
    let http = opened.map_err(|why| NodeError::Setup { node: node.id(), why })?;
    let store = match leadership.is_needless() {
        true => store.clone(),
        false => store.led_by(leadership.clone()),
    };
    Ok(Some(Leader { store, http, leadership }))
}

impl Leader {
    /// Begins to rule: keeps the lease, and calls the nodes that are with another master.
    ///
    /// # Errors
    /// There is no thread for the lease.
    pub(crate) fn rule(&self, deploy: &Deploy, node: &Node, store: &StoreClient) -> Result<(), NodeError> {
        if self.store.leadership().is_none() {
            return Ok(());
        }
        let (leadership, store) = (self.leadership.clone(), store.clone());
        let failed = |error: std::io::Error| NodeError::Setup { node: node.id(), why: error.to_string() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        // A handler that blocks the node's thread does not cost the lease.
        let keep = move || runtime.block_on(leadership.keep(&store));
        std::thread::Builder::new().name("chappe-lease".to_owned()).spawn(keep).map_err(failed)?;
        let term = self.leadership.term();
        if term > 0 {
            node.lead(term);
            tracing::info!(node = %node.id(), term, "this master leads");
        }
        if deploy.has_two_masters() {
            if term > 1 {
                node.stats().count("takeovers");
            }
            node.make_known();
        }
        Ok(())
    }

    /// Resolves when another master leads.
    pub(crate) async fn lost(&self) -> StoreError {
        self.leadership.lost().await
    }
}

/// Called once, by whichever comes first.
pub(crate) struct Once(RefCell<Option<Box<dyn FnOnce()>>>);

impl Once {
    pub(crate) fn new(call: impl FnOnce() + 'static) -> Once {
        Once(RefCell::new(Some(Box::new(call))))
    }

    pub(crate) fn call(&self) {
        let call = self.0.borrow_mut().take();
        if let Some(call) = call {
            call();
        }
    }
}

/// What a master that was replaced says last.
pub(crate) fn replaced(node: &Node, lost: &StoreError) -> CommandError {
    tracing::error!(node = %node.id(), %lost, "this master rules nothing any more: it starts again and stands by");
    CommandError::Told { code: crate::exit::RESTART }
}
