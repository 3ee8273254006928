//! Handlers in Python, as the runtime runs them (snipe.md section 4).
//!
//! Handlers do not await. What one asks for with a callback is awaited behind it: the look-up of a player
//! in the same run, which ends, and is committed, after its last callback; what leaves the node only after the
//! commit, in a run of its own on the same player.

use crate::deliver::Deliver;
use crate::notify_player::Player;
use crate::notify_value::{fill, to_value};
use chappe::notify::{Handled, HandlerError, Origin, Params, Server};
use chappe::{NodeId, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::{OnceCell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// Records and notifications of one node, for its handlers in Python.
pub(crate) struct Runs {
    pub(crate) server: Server,
    pub(crate) deliver: Rc<Deliver>,
    /// Makes an empty dict for what a handler is given.
    params: Py<PyAny>,
    /// The exception that says an expected no.
    refuse: Py<PyAny>,
    /// Makes a node, as the master's handlers get it, of its serverid.
    slave_client: Py<PyAny>,
    /// The handler whose Python runs now.
    open: RefCell<Option<Rc<Open>>>,
}

/// A handler from its call to the end of its last callback.
pub(crate) struct Open {
    /// What it is, for log lines.
    kind: Rc<str>,
    player: Option<chappe::notify::Player>,
    /// The player's object, from the first call on.
    client: OnceCell<Rc<Py<Player>>>,
    waited: RefCell<Vec<Waited>>,
}

/// What a handler waits for, and the callback that is told.
type Waited = (Pin<Box<dyn Future<Output = Result<bool, HandlerError>>>>, Py<PyAny>);

/// A handler on a player, which is told of something when it has ended.
pub(crate) struct Asker {
    /// The player's own object there: the callback can use it again.
    client: Rc<Py<Player>>,
    uid: u64,
    origin: Origin,
}

/// Makes what a callback is called with, anew for each run.
type Args = dyn Fn(Python<'_>) -> PyResult<Py<PyTuple>>;

/// Whom a handler is called with, before what it is for.
pub(crate) enum With {
    Player(chappe::notify::Player),
    Node(NodeId),
    Nobody,
}

impl Runs {
    /// `types`: what makes the dict of a handler, the exception that says no, and what makes a node for the master.
    pub(crate) fn new(server: &Server, deliver: Rc<Deliver>, types: [Py<PyAny>; 3]) -> Rc<Runs> {
        let [params, refuse, slave_client] = types;
        Rc::new(Runs {
            server: server.clone(),
            deliver,
            params,
            refuse,
            slave_client,
            open: RefCell::default(),
        })
    }

    /// A node, as the master's handlers get it.
    pub(crate) fn slave_client(&self, py: Python<'_>, id: NodeId) -> PyResult<Py<PyAny>> {
        self.slave_client.call1(py, (id.0,))
    }

    /// Runs the method of a module.
    pub(crate) async fn method(
        self: Rc<Self>,
        kind: Rc<str>,
        method: Rc<Py<PyAny>>,
        with: With,
        params: Params,
    ) -> Handled {
        let player = match &with {
            With::Player(player) => Some(player.clone()),
            With::Node(_) | With::Nobody => None,
        };
        let open = Open::new(kind, player);
        let this = self.clone();
        let call = |py: Python<'_>| {
            let dict = this.params.bind(py).call0()?;
            fill(dict.cast::<PyDict>()?, params.value())?;
            match (&with, open.client.get()) {
                (With::Node(id), _) => method.call1(py, (this.slave_client(py, *id)?, dict)),
                (_, Some(client)) => method.call1(py, (client.clone_ref(py), dict)),
                (_, None) => method.call1(py, (dict,)),
            }
        };
        self.run(&open, call).await
    }

    /// Runs function(client), as a handler on the player.
    pub(crate) async fn function(
        self: Rc<Self>,
        kind: Rc<str>,
        player: chappe::notify::Player,
        client: Option<Rc<Py<Player>>>,
        call: impl FnOnce(Python<'_>, &Py<Player>) -> PyResult<Py<PyAny>>,
    ) -> Handled {
        let open = Open::new(kind, Some(player));
        if let Some(client) = client {
            let _ = open.client.set(client);
        }
        let call = |py: Python<'_>| match open.client.get() {
            Some(client) => call(py, client),
            None => Ok(py.None()),
        };
        self.run(&open, call).await
    }

    /// Who asks, when a handler on a player runs now.
    pub(crate) fn asker(&self) -> Option<Asker> {
        let open = self.open.borrow().clone()?;
        let player = open.player.as_ref()?;
        Some(Asker { client: open.client.get()?.clone(), uid: player.uid(), origin: player.origin() })
    }

    /// The uid of the player whose handler's Python runs now.
    pub(crate) fn current(&self) -> Option<u64> {
        self.open.borrow().as_ref()?.player.as_ref().map(chappe::notify::Player::uid)
    }

    /// The handler whose Python runs now goes on with callback(answer) when the answer is there. Gives them back when
    /// none runs.
    pub(crate) fn wait_for(&self, waited: Waited) -> Option<Waited> {
        match &*self.open.borrow() {
            Some(open) => {
                open.waited.borrow_mut().push(waited);
                None
            }
            None => Some(waited),
        }
    }

    async fn run(&self, open: &Rc<Open>, call: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> Handled {
        let mut answer = self.turn(open, call)?;
        while let Some((known, callback)) = open.next().await {
            let known = known?;
            let more = self.turn(open, |py| callback.call1(py, (known,)))?;
            answer = more.or(answer);
        }
        Ok(answer)
    }

    /// One call into Python on behalf of a handler.
    fn turn(&self, open: &Rc<Open>, call: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> Handled {
        let before = Before(&self.open, self.open.replace(Some(open.clone())));
        let turn = |py: Python<'_>| {
            let client = open.client(py)?;
            if let (Some(client), Some(player)) = (client, &open.player) {
                client.get().bind(player.clone());
            }
            let answer = call(py).and_then(|answer| answer_of(answer.bind(py)));
            let written = client.map_or(Ok(()), |client| client.get().unbind(py, answer.is_ok()));
            answer.and_then(|answer| written.map(|()| answer))
        };
        let handled = self.deliver.call(|py| turn(py).map_err(|error| self.failure(py, open, error)));
        drop(before);
        handled
    }

    /// What a handler has raised: an expected no, or something that is told.
    fn failure(&self, py: Python<'_>, open: &Open, error: PyErr) -> HandlerError {
        let raised = error.value(py);
        if raised.is_instance(self.refuse.bind(py)).unwrap_or(false) {
            let text = |name: &str| raised.getattr(name).and_then(|text| text.extract::<String>());
            if let (Ok(code), Ok(text)) = (text("code"), text("text")) {
                return HandlerError::refuse_with(code, text);
            }
        }
        let text = error.to_string();
        match &open.player {
            Some(player) => {
                let about = format_args!("{}, player {}", open.kind, player.uid());
                self.deliver.report(py, &about, error);
            }
            None => self.deliver.report(py, &open.kind, error),
        }
        HandlerError::failed(text)
    }
}

/// Runs `callback` in a run of its own on the player, in answer to what `origin` was called for; what it refuses or returns
/// is the response to that.
pub(crate) async fn call_back(
    runs: Rc<Runs>,
    what: Rc<str>,
    asker: Asker,
    callback: Rc<Py<PyAny>>,
    args: Rc<Args>,
) {
    let Asker { client, uid, origin } = asker;
    let kind: Option<Rc<str>> = origin.kind().map(Rc::from);
    let (this, answered, name) = (runs.clone(), kind.clone(), what.clone());
    let run = move |player: chappe::notify::Player| {
        let (this, name, client) = (this.clone(), name.clone(), client.clone());
        let (callback, args, answered) = (callback.clone(), args.clone(), answered.clone());
        async move {
            let call = move |py: Python<'_>, _: &Py<Player>| callback.call1(py, args(py)?);
            let answer = this.function(name, player.clone(), Some(client), call).await?;
            if let (Some(kind), Some(answer)) = (answered, answer) {
                player.response(&kind, answer)?;
            }
            Ok(None)
        }
    };
    let result = runs.server.run_after(origin.clone(), uid, &what, run).await;
    let (Err(error), Some(kind)) = (result, kind) else { return };
    let text = if error.is_refusal() { error.text() } else { "the handler failed" };
    let told = chappe::value!({"errorCode": error.code(), "message": text});
    let tell = move |player: chappe::notify::Player| {
        let told = player.response(&kind, told.clone());
        async move { told.map(|()| None).map_err(HandlerError::from) }
    };
    if let Err(error) = runs.server.run_after(origin, uid, &what, tell).await {
        tracing::warn!(player = uid, call = %what, "the player is not told of what failed: {error}");
    }
}

impl Open {
    fn new(kind: Rc<str>, player: Option<chappe::notify::Player>) -> Rc<Open> {
        Rc::new(Open { kind, player, client: OnceCell::new(), waited: RefCell::default() })
    }

    /// The player's object, which is there while a handler runs that has a player.
    fn client(&self, py: Python<'_>) -> PyResult<Option<&Rc<Py<Player>>>> {
        let Some(player) = &self.player else { return Ok(None) };
        if self.client.get().is_none() {
            let made = Rc::new(Py::new(py, Player::new(player.uid()))?);
            return Ok(Some(self.client.get_or_init(|| made)));
        }
        Ok(self.client.get())
    }

    /// The next answer that the handler waits for; none when it waits for nothing more.
    async fn next(&self) -> Option<(Result<bool, HandlerError>, Py<PyAny>)> {
        poll_fn(|cx| {
            let mut waited = self.waited.borrow_mut();
            let ready =
                waited.iter_mut().enumerate().find_map(|(at, (answer, _))| match answer.as_mut().poll(cx) {
                    Poll::Ready(answer) => Some((at, answer)),
                    Poll::Pending => None,
                });
            match ready {
                Some((at, answer)) => Poll::Ready(Some((answer, waited.remove(at).1))),
                None if waited.is_empty() => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// Makes the handler before the current one again, on a panic too.
struct Before<'a>(&'a RefCell<Option<Rc<Open>>>, Option<Rc<Open>>);

impl Drop for Before<'_> {
    fn drop(&mut self) {
        *self.0.borrow_mut() = self.1.take();
    }
}

/// What a handler has returned: a dict, or nothing.
fn answer_of(answer: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    if answer.is_none() {
        return Ok(None);
    }
    if !answer.is_instance_of::<PyDict>() {
        let kind = answer.get_type().name()?;
        return Err(PyTypeError::new_err(format!("a handler returns a dict or None, not {kind}")));
    }
    to_value(answer, "the returned dict").map(Some).map_err(crate::deliver::to_py)
}
