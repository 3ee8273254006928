//! The node's end of records and notifications: Snipe's `server` (snipe.md section 1).

use crate::away::Away;
use crate::held::Held;
use crate::modules::{Module, Modules};
use crate::outbox::Outbox;
use crate::protocol::NOTIFY;
use crate::run::Run;
use crate::undecided::Undecided;
use crate::{NotifyError, protocol};
use chappe_node::{Call, Node, Target};
use chappe_store::{CommitId, NotificationId, Step};
use chappe_wire::{Reason, Role, Row};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// Periods and bounds.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long after its commit a validated notification that was not acted on fails. Default 30 s.
    pub deadline: Duration,
    /// How many notifications may lie behind one in a chain of handlers. Default 32.
    pub depth: u32,
    /// After so long without a response, waiting pushes go by themselves. Default 3 s.
    pub push_after: Duration,
    /// After so long without a request to the master, waiting `cacheNotify`s go by themselves. Default 1 s.
    pub cache_after: Duration,
    /// How long a handler may run; then it counts as failed. Default 10 s.
    pub handler: Duration,
    /// How long the record of a player who is not here is kept after its last use. Default 5 s.
    pub keep: Duration,
}

impl Default for Options {
    fn default() -> Options {
        let secs = Duration::from_secs;
        Options {
            deadline: secs(30),
            depth: 32,
            push_after: secs(3),
            cache_after: secs(1),
            handler: secs(10),
            keep: secs(5),
        }
    }
}

/// A method of `$notify`.
type Method = Rc<dyn Fn(&Server, Call<'_>)>;

/// Records and notifications on one node: a handle that is cheap to clone and stays on the node's thread.
#[derive(Clone)]
pub struct Server(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) node: Node,
    pub(crate) options: Options,
    pub(crate) modules: RefCell<Modules>,
    pub(crate) records: RefCell<FxHashMap<u64, Held>>,
    pub(crate) undecided: RefCell<Undecided>,
    /// What those runs have said.
    pub(crate) outbox: RefCell<Outbox>,
    /// Told when one of them is decided.
    pub(crate) decided: Notify,
    /// Steps that were given to this node and are not done: each is taken once.
    pub(crate) steps: RefCell<FxHashSet<(NotificationId, Step)>>,
    /// Of those, what the master gave to this node while it had it already: what it had may turn out never to have been.
    pub(crate) given_again: RefCell<FxHashSet<(NotificationId, Step)>>,
    /// The run on whose behalf code runs now.
    pub(crate) current: RefCell<Option<Rc<Run>>>,
    /// How many notifications lie behind what is sent now, on the master's handlers, which are no runs.
    pub(crate) behind: Cell<u32>,
    /// Players whose queues are to be looked at, and whether someone is at it.
    pub(crate) to_pump: RefCell<VecDeque<u64>>,
    pub(crate) is_pumping: Cell<bool>,
    /// Where players of other servers are.
    pub(crate) away: RefCell<Away>,
    /// A run that has ended, kept for the next plain notification.
    pub(crate) spare: Cell<Option<Rc<Run>>>,
    /// Where plain notifications go.
    pub(crate) plain_target: Target,
    /// Where plain notifications are encoded.
    pub(crate) scratch: RefCell<Vec<u8>>,
    /// What the master is to be told behind the next request.
    pub(crate) cache: RefCell<VecDeque<Vec<u8>>>,
    pub(crate) cache_due: Cell<bool>,
    /// Types of which it was said that nobody handles them.
    pub(crate) unheard: RefCell<FxHashSet<String>>,
    /// Where the next random choice comes from.
    pub(crate) drawn: Cell<u64>,
    last_id: Cell<u64>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.0.node.id())
    }
}

impl Server {
    /// Records and notifications for `node`, of any role but proxy. To be called before the node runs or in its setup, and
    /// inside the [`tokio::task::LocalSet`] that the node runs on. Modules are registered afterwards.
    pub fn attach(node: &Node, options: Options) -> Server {
        let server = Server(Rc::new(Inner {
            node: node.clone(),
            options,
            modules: RefCell::default(),
            records: RefCell::default(),
            undecided: RefCell::default(),
            outbox: RefCell::default(),
            decided: Notify::new(),
            steps: RefCell::default(),
            given_again: RefCell::default(),
            current: RefCell::default(),
            away: RefCell::default(),
            behind: Cell::new(0),
            to_pump: RefCell::default(),
            is_pumping: Cell::new(false),
            plain_target: Target::new(NOTIFY, "plain"),
            spare: Cell::default(),
            scratch: RefCell::default(),
            cache: RefCell::default(),
            cache_due: Cell::new(false),
            unheard: RefCell::default(),
            drawn: Cell::new(node.config().incarnation),
            last_id: Cell::new(0),
        }));
        let hook = server.clone();
        node.after_master_request(move || hook.flush_cache());
        let hook = server.clone();
        node.on_leave(move || {
            let server = hook.clone();
            Box::pin(async move { server.all_decided().await })
        });
        server.serve("deliver", Row::Internal, Server::on_deliver);
        server.serve("moved", Row::Internal, Server::on_moved);
        server.serve_rows("event", &[Row::SlaveNotify, Row::NotifyAll], Server::on_event);
        if node.config().role.is_server() {
            server.serve("release", Row::Internal, Server::on_release);
            server.serve("plain", Row::Notify, Server::on_plain);
            server.serve("send_to", Row::SendTo, Server::on_send_to);
            server.serve_players();
        }
        if node.config().role == Role::Master {
            server.serve("cache", Row::CacheNotify, Server::on_cache_notify);
            server.serve("cache_request", Row::CacheRequest, Server::on_cache_request);
        }
        server
    }

    /// The node that it is on.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// Registers a module: its handlers, and the attributes that it declares. To be done in the node's setup.
    ///
    /// # Errors
    /// [`NotifyError::Registration`]: a name that is taken, or is none.
    pub fn register(&self, module: Module) -> Result<(), NotifyError> {
        self.0.modules.borrow_mut().add(module)
    }

    /// How many records this node owns.
    pub fn records(&self) -> usize {
        self.0.records.borrow().len()
    }

    /// How many handler runs wait for their commits.
    pub fn undecided(&self) -> usize {
        self.0.undecided.borrow().len()
    }

    /// Resolves when no handler run waits for its commit.
    pub async fn all_decided(&self) {
        loop {
            let decided = self.0.decided.notified();
            if self.undecided() == 0 {
                return;
            }
            decided.await;
        }
    }

    pub(crate) fn next_commit(&self) -> CommitId {
        let (origin, number) = self.next_id();
        CommitId::new(origin, number)
    }

    pub(crate) fn next_notification(&self) -> NotificationId {
        let (origin, number) = self.next_id();
        NotificationId::new(origin, number)
    }

    /// Unique for ever: no life of a node has the number of an earlier one, and the node's id is in the lower half.
    fn next_id(&self) -> (u64, u64) {
        let number = self.0.last_id.get() + 1;
        self.0.last_id.set(number);
        let config = self.0.node.config();
        let node = (config.id.0.cast_unsigned() & 0xFFFF) << 48;
        (config.incarnation, node | number)
    }

    /// Says once that nobody here handles a type, with the name that was probably meant.
    pub(crate) fn say_unheard(&self, kind: &str) {
        let mut unheard = self.0.unheard.borrow_mut();
        if unheard.len() >= 1000 || !unheard.insert(kind.to_owned()) {
            return;
        }
        let modules = self.0.modules.borrow();
        let meant = modules.nearest(kind).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        tracing::warn!(node = %self.0.node.id(), "no module handles {kind:?} here{meant}");
    }

    fn serve(&self, method: &str, row: Row, handler: impl Fn(&Server, Call<'_>) + 'static) {
        self.serve_rows_boxed(method, vec![row], Rc::new(handler));
    }

    fn serve_rows(&self, method: &str, rows: &[Row], handler: impl Fn(&Server, Call<'_>) + 'static) {
        self.serve_rows_boxed(method, rows.to_vec(), Rc::new(handler));
    }

    /// Registers a method of `$notify`; nobody but the runtime calls it, under those rows.
    fn serve_rows_boxed(&self, method: &str, rows: Vec<Row>, handler: Method) {
        let server = self.clone();
        let row = rows.first().copied().unwrap_or(Row::Internal);
        self.0.node.register(row, NOTIFY, method, move |call| {
            if !rows.contains(&call.row()) {
                let text = format!("{:?} is the runtime's own", protocol::NOTIFY);
                return call.fail(Reason::Refused, &text);
            }
            handler(&server, call);
        });
    }
}
