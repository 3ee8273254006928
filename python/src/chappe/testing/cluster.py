"""A cluster in the test's process: its nodes, its time, its players, and what was sent."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chappe import _core, mods
from chappe.apollo.runtime import Runtime
from chappe.snipe import binding
from chappe.testing import sent
from chappe.testing.client import Client
from chappe.testing.errors import FromLog, HandlerError
from chappe.testing.http import MasterNode, Reply, Urls
from chappe.testing.views import Views

log = logging.getLogger("chappe.testing")

MASTER, PROXY = 1, 2
"""The serverids of the two nodes that every cluster has."""
PATIENCE = 30.0
"""Seconds, of the machine's time, that threads of mods may work while the cluster's time stands still."""


@dataclass
class Node:
    """A node of a test's cluster."""

    cluster: Cluster = field(repr=False)
    id: int
    role: str
    type: str
    mods: list[Path]
    module_names: list[str]
    max_players: int = 0
    runtime: Runtime | None = field(default=None, repr=False)
    urls: Urls | None = field(default=None, repr=False)
    is_frozen: bool = False

    @property
    def is_up(self) -> bool:
        """Whether it runs; one that was lost and then thawed does not."""
        return self.cluster._core is not None and self.cluster._core.is_up(self.id)

    def start(self) -> None:
        """Starts it, again after `stop` or `kill`; ready when this returns. Raises ModError, as the node's log would
        say why a mod is not loaded."""
        self.cluster._start(self)

    def stop(self) -> None:
        """Lets it leave in order: its mods' Destroy methods run."""
        self.cluster._running().stop(self.id)
        self.cluster.settle()

    def kill(self) -> None:
        """Ends it at once, as a crash does. The others learn of it."""
        self.cluster._running().kill(self.id)
        self._gone()
        self.cluster.settle()

    def freeze(self) -> None:
        """Nothing of it runs until `thaw`, as after ``kill -STOP``: what is sent to it waits, and after ten seconds it
        counts as lost."""
        self.cluster._running().freeze(self.id, True)
        self.is_frozen = True

    def thaw(self) -> None:
        """It runs again; if it was lost meanwhile it ends, as its process would, and `start` gives it a new life."""
        self.cluster._running().freeze(self.id, False)
        self.is_frozen = False
        self.cluster.settle()

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Runs ``function(*args, **kwargs)`` on the node, as one of its handlers would be, and returns its result."""
        if self.cluster._views.current == self.id:
            return function(*args, **kwargs)  # from a handler of its own
        result = self.cluster._running().call(self.id, lambda: function(*args, **kwargs))
        self.cluster.settle()
        return result

    def module(self, name: str) -> Any:
        """A module as this node sees it, imported if it was not: ``node.module("mailScript.mail")``."""
        import importlib

        return self.call(importlib.import_module, name)

    def system(self, namespace: str, name: str) -> Any:
        """The system of that name; its methods run on the node. Raises KeyError when there is none."""
        self.cluster.start()
        if self.runtime is None or (namespace, name) not in self.runtime.systems:
            known = sorted(self.runtime.systems) if self.runtime else []
            raise KeyError(f"node {self.id} has no system {(namespace, name)}; it has {known}")
        return OnNode(self, self.runtime.systems[namespace, name])

    def _gone(self) -> None:
        """Its process is no more, and so are its threads."""
        runtime, self.runtime, self.is_frozen = self.runtime, None, False
        for pool in runtime.pools.all() if runtime else ():
            pool.close(0.0)
        if self.urls is not None:
            self.urls.close()


class OnNode:
    """A system, from outside of its node: methods run there, other attributes are read."""

    def __init__(self, node: Node, target: Any) -> None:
        object.__setattr__(self, "_node", node)
        object.__setattr__(self, "_target", target)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return (lambda *args, **kwargs: self._node.call(found, *args, **kwargs)) if callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, value)


class Cluster:
    """A master, a proxy, and the nodes that a test adds; all in this thread, on a time that only the test moves.

    Nodes are declared with `lobby`, `game`, `service` and `master`, and start with the first that needs them
    (`start`, `login`, `advance`). ``directory`` is where its deploy.json is written; ``config`` is what else is in it.
    """

    def __init__(self, directory: Path, config: dict[str, Any] | None = None) -> None:
        self._directory = directory
        self.config: dict[str, Any] = dict(config or {})
        """What deploy.json has beside the nodes, for mods to read: databases, for one. Set before the cluster starts."""
        self._nodes: dict[int, Node] = {}
        self._sent: list[sent.Sent] = []
        self._views = Views()
        self._core: _core.Cluster | None = None
        self.errors: list[HandlerError] = []
        """What handlers have raised. The fixture fails the test for what is left here; see `take_errors`."""
        self._from_log = FromLog(lambda about, error: self.errors.append(self._error(about, error)))
        self.master()

    def lobby(self, type: str = "lobby", *, mods: Iterable[str | Path] = (), id: int = 0, max_players: int = 0) -> Node:
        """A lobby: where logins lead if its type is ``lobby``."""
        return self._declare("lobby", type, mods, id or self._free(1000), (), max_players)

    def game(self, type: str = "game", *, mods: Iterable[str | Path] = (), id: int = 0, max_players: int = 0) -> Node:
        """A game."""
        return self._declare("game", type, mods, id or self._free(2000), (), max_players)

    def service(
        self, type: str, *, mods: Iterable[str | Path] = (), id: int = 0, module_names: Iterable[str] = ()
    ) -> Node:
        """A service; ``module_names`` are RPC modules beside those of its mods' mod.json."""
        return self._declare("service", type, mods, id or self._free(3000), module_names, 0)

    def master(self, *, mods: Iterable[str | Path] = ()) -> Node:
        """The master, which there is anyhow; called to give it mods."""
        self._nodes.pop(MASTER, None)
        return self._declare("master", "master", mods, MASTER, (), 0)

    def start(self) -> None:
        """Starts all nodes, services first, unless that was done. Raises ModError when mods cannot be loaded."""
        if self._core is not None:
            return
        (self._directory / "deploy.json").write_text(json.dumps(self._deploy()), "utf-8")
        nodes = [(node.id, node.role, node.type) for node in self._nodes.values()]
        names = [name for node in self._nodes.values() for name in node.module_names]
        self._core = _core.Cluster([*nodes, (PROXY, "proxy", "proxy")], names, self)
        self._from_log.start()
        order = {"master": 0, "service": 1, "game": 2, "lobby": 3}
        try:
            for node in sorted(self._nodes.values(), key=lambda node: (order[node.role], node.id)):
                self._start(node)
            self._core.start(PROXY, [], 0)
        except BaseException:
            self.close()  # so that it can be started when what is wrong is mended
            raise
        self.settle()

    def node(self, id: int) -> Node:
        """The node with that serverid."""
        return self._nodes[id]

    @property
    def now(self) -> float:
        """Seconds since the start, in the cluster's time."""
        return self._core.now() if self._core else 0.0

    def advance(self, seconds: float) -> None:
        """Lets time pass: what is due in it (timers, time-outs, Update) happens, in its order, and nothing waits."""
        self._running().advance(float(seconds))

    def settle(self) -> None:
        """Lets everything happen that needs no time; a millisecond passes."""
        self._running().advance(0.0)

    def login(self, uid: int, nickname: str = "") -> Client:
        """Logs a player in through the proxy. Raises ConnectionError, whose text says why not."""
        client = Client(self, uid)
        client.player_id, client._session = self._running().log_in(uid, nickname or f"player{uid}", client._hear)
        self.settle()
        return client

    def record(self, uid: int) -> dict[str, Any] | None:
        """The attributes of a player as the store has them, which is what a crash would leave; None for a player who has
        never logged in, or while the master is down."""
        core = self._running()
        found = core.record(uid) if core.is_up(MASTER) else None
        return found and {name: value for name, value in found.items() if not name.startswith("_")}

    def post(self, url: str, body: str | bytes = b"", *, node: Node | None = None) -> Reply:
        """POSTs to a url that a mod has registered: of the master, or of the service ``node``. The reply may be open
        until its time has come. Raises ConnectionRefusedError when that node is not up."""
        core, to = self._running(), node or self._nodes[MASTER]
        if to.urls is None or not to.is_up:
            raise ConnectionRefusedError(f"node {to.id} is not up")
        reply, call = to.urls.post(url, body.encode("utf-8") if isinstance(body, str) else bytes(body))
        if call is not None:
            try:
                core.call(to.id, call)
            except Exception as error:
                self.errors.append(HandlerError(to.id, f"HTTP {url}", error))
            self.settle()
        return reply

    def sent(self, call: str | None = None, **wanted: Any) -> list[sent.Sent]:
        """What mods have sent with the call of that name, in its order: ``cluster.sent("NotifyToClient",
        eventName="Mails")``. ``wanted`` are arguments of the call, or node, namespace, system, data, result."""
        return [one for one in self._sent if call in (None, one.call) and one.fits(wanted)]

    def forget(self) -> None:
        """Forgets what was sent until now."""
        self._sent.clear()

    def take_errors(self) -> list[HandlerError]:
        """What handlers have raised; a test that expects errors takes them."""
        errors, self.errors = self.errors, []
        return errors

    def close(self) -> None:
        """Lets all nodes leave in order."""
        core, self._core = self._core, None
        if core is not None:
            try:
                core.close()
            finally:
                self._views.switch(None)
                self._from_log.stop()

    # What the core calls.

    def load(self, core: _core.Node) -> None:
        """A node starts: its mods are loaded."""
        node = self._nodes[core.id]
        node.urls = urls = Urls(lambda: self.now)
        of_master: Any = MasterNode(core, urls) if core.role == "master" else core
        node.runtime = runtime = Runtime(of_master, self._directory / "deploy.json", ("in the test", 0))
        runtime._http_port = urls  # type: ignore[assignment]
        runtime.install()
        for base in runtime.bases.values():
            sent.watch(base, self._told(core.id))
        runtime.load(node.mods)
        core.on_leave(runtime.leave)

    def switch(self, node: int | None) -> None:
        """From here on it is this node's code that runs."""
        self._views.switch(node)
        runtime = self._nodes[node].runtime if node in self._nodes else None
        binding.enter(runtime.snipe if runtime else None)

    def wait_for_threads(self) -> bool:
        """Whether threads of mods had something to do; it is done when this returns. Raises TimeoutError."""
        runtimes = [node.runtime for node in self._nodes.values() if node.runtime and not node.is_frozen]
        working = [pool for runtime in runtimes for pool in runtime.pools.all() if pool.working]
        for pool in working:
            if not pool.drain(PATIENCE):
                raise TimeoutError(f"a thread of {pool.name} has been at work for {PATIENCE:g} s of the machine's time")
        return bool(working)

    def on_error(self, about: str, error: BaseException) -> None:
        """A handler has raised."""
        self.errors.append(self._error(about, error))
        log.error("node %s: %s: a handler raised", self._views.current, about, exc_info=error)

    def _error(self, about: str, error: BaseException) -> HandlerError:
        return HandlerError(self._views.current or 0, about, error)

    def _declare(
        self, role: str, type: str, dirs: Iterable[str | Path], id: int, names: Iterable[str], players: int
    ) -> Node:
        if self._core is not None:
            raise RuntimeError("the cluster is up: nodes are declared before it starts, as in deploy.json")
        if id in self._nodes or id == PROXY:
            raise ValueError(f"there is a node {id} already")
        found = [Path(directory).resolve() for directory in dirs]
        declared = [*names, *(name for directory in found for name in mods.declared_modules(directory))]
        node = self._nodes[id] = Node(self, id, role, type, found, declared, players)
        return node

    def _free(self, id: int) -> int:
        while id in self._nodes:
            id += 1
        return id

    def _running(self) -> _core.Cluster:
        self.start()
        if self._core is None:
            raise RuntimeError("the cluster is closed")
        return self._core

    def _start(self, node: Node) -> None:
        if self._core is None:
            return self.start()
        self._views.add(node.id, node.mods)
        self._core.start(node.id, node.module_names, node.max_players)
        self.settle()
        return None

    def _told(self, node: int) -> Callable[[Any, str, dict[str, Any], Any], None]:
        def told(system: Any, call: str, args: dict[str, Any], result: Any) -> None:
            self._sent.append(sent.Sent(node, system.namespace, system.systemName, call, args, self.now, result))

        return told

    def _deploy(self) -> dict[str, Any]:
        found: dict[str, Any] = {"master": {"serverid": MASTER}, "proxy": [{"serverid": PROXY}]}
        for node in self._nodes.values():
            if node.role != "master":
                found.setdefault(node.role, []).append({"serverid": node.id, "type": node.type})
        return {**found, **self.config}
