"""One node's mods: their systems, what they share, and their life."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from chappe import _core, mods
from chappe.apollo import install, systems, unheard
from chappe.apollo.base import BaseRuntime
from chappe.apollo.config import CommonConfig
from chappe.apollo.online import Online
from chappe.apollo.peers import Peers
from chappe.apollo.players import Players
from chappe.apollo.pools import configure
from chappe.snipe import binding

if TYPE_CHECKING:
    from chappe.apollo.http import HttpPort

ENGINE = systems.ENGINE
"""The namespace and the system name of what a node raises itself."""
STATUS = {"ready": "1", "starting": "3"}
"""What UpdateServerStatusEvent says of a state."""
LARGEST_SERVER = (1 << 31) - 1
"""Larger numbers are uids rather than serverids."""
SIDES = {"lobby": "Server", "game": "Server", "service": "Service", "master": "Master"}


class Runtime(BaseRuntime):
    """The mods of one node, and what the API modules are bound to."""

    def __init__(self, node: _core.Node, deploy: Path, http: tuple[str, int] | None = None) -> None:
        super().__init__(node, SIDES[node.role], self._chat)
        self.node = node
        self.deploy = deploy
        self.post = node.poster()
        self.config = CommonConfig(self._written(), node.declared_nodes)
        self.pools = configure(post=self.post, settings=self.config.written)
        self.is_to_restart = False
        """The node is to be started again when it has left."""
        self.engine_system = node.system(*ENGINE)
        self.bases = {
            side: type(f"{side}System", (getattr(systems, f"{side}System"),), {"_runtime": self})
            for side in ("Server", "Service", "Master")
        }
        self._seen_modules: set[str] = set()
        self._http = http
        self._http_port: HttpPort | None = None
        self.control_token: str | None = None
        """What the master's HTTP port wants to be shown."""
        self.peers = Peers(self)
        self.online = Online(self)
        self._players = Players(self)
        self.snipe = binding.Bound(node)
        """What `chappe.snipe.server` stands for on this node."""

    def install(self) -> None:
        """Makes the API modules importable."""
        install.install(self)
        binding.enter(self.snipe)

    def _nothing(self, directory: Path) -> str:
        if mods.scripts(directory, "behavior_packs"):
            return (
                f"{directory}: is a client mod: it has behavior_packs and no developer_mods, so there is nothing in it "
                f"for node {self.node.id} ({self.node.role})"
            )
        return (
            f"{directory}: no modMain.py: it is wanted in {directory.name}/developer_mods/<X>Dev/<X>Script, "
            f"or in {directory.name} itself or a folder of it"
        )

    def load(self, directories: list[Path]) -> None:
        """Loads the mods in ``directories``, in their order. Raises ModError."""
        super().load(directories)
        self.peers.start()

    def restart(self) -> None:
        """The node leaves, and whoever supervises it starts it again."""
        self.log.warning("ResetServer (%s): this node leaves, and is to be started again", self.engine.caller())
        self.is_to_restart = True
        self.node.stop()

    def leave(self) -> None:
        """The node leaves: it is said, what is marked Destroy runs, then each system's Destroy."""
        self._players.shut_down()
        super().leave()
        self.pools.close()
        if self._http_port is not None:
            self._http_port.close()

    def http_port(self) -> HttpPort:
        """The node's own HTTP port, opened when it is first asked for. Raises RuntimeError when it has none."""
        if self._http is None:
            raise RuntimeError(f"node {self.node.id} has no `http_port` in deploy.json")
        if self._http_port is None:
            from chappe.apollo.http import HttpPort

            self._http_port = HttpPort(self._http, self.post)
        return self._http_port

    def adapted(self, names: tuple[str, str, str], func: Callable[[Any], object]) -> Callable[[Any], object]:
        """``func``, a listener's; that of UpdateServerStatusEvent gets {"4000": "1"}: 1 serves, 3 is starting, else 2."""
        if names != (*ENGINE, "UpdateServerStatusEvent"):
            return func
        return lambda states: func({id: STATUS.get(state, "2") for id, state in states.items()})

    def hears_engine(self, one: systems.Listening) -> None:
        """A mod listens to an event of the engine: it is told when that is never raised here."""
        unheard.engine_event(self, one)

    def whose(self, server: object) -> str:
        """What a number that is no serverid may be, to hang on to a message."""
        if server is None:
            return ""
        id = int(server)  # type: ignore[call-overload]
        role = next((role for known, role, _ in self.node.declared_nodes if known == id), None)
        if role is not None:
            return f" (node {id} is a {role})"
        if (id >= 0 and self.node.player_by_uid(id) is not None) or self.online.server_of(id) is not None:
            return f"; {id} is the uid of a player, and here a serverid is wanted"
        return f"; deploy.json has no node {id}" + (": it may be a uid" if id > LARGEST_SERVER else "")

    def unanswered(self, call: str, failure: tuple[str, str], module: str, method: str, place: str) -> None:
        """A request came to nothing: a warning when nobody has what it asked for, with what it may have meant."""
        reason, text = failure
        if reason in ("NoProvider", "NoMethod"):
            tell = lambda: self.warn_of(f"{call}: {reason}: {text}{self.peers.hint(module, method)}", place)  # noqa: E731
            self.peers.when_known(module, tell)
        else:
            self.log.info("%s: %s: %s (%s)", call, reason, text, place)

    def check_module(self, call: str, module: str, method: str, frame: FrameType) -> None:
        """A request that wants no answer: told once when nobody has the module, as nothing else would tell it."""
        if module in self._seen_modules:
            return
        if module in self.peers.modules():
            self._seen_modules.add(module)
        else:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            hint = self.peers.hint(module, method)
            self.warn_of(f"{call}({module!r}, {method!r}): no node serves the module {module!r}{hint}", place)

    def raise_now(self, event: str, data: dict[str, Any]) -> bool:
        """Calls the listeners of an engine event at once, larger priorities first; what one raises is told. Whether
        there are any."""
        found = [
            (-one.priority, one.func)
            for system in self.systems.values()
            for one in system.listeners((*ENGINE, event))
        ]
        for _, func in sorted(found, key=lambda one: one[0]):
            self._guarded(f"event {event}", partial(func, dict(data)))
        return bool(found)

    def post_http(self, call: str, server: int, key: str, url: str, body: str | bytes) -> None:
        """POSTs to the port ``key`` of a node's entry, from a thread of its own; an error is told."""
        from chappe.apollo.http import post

        entry = self.config.entries.get(server, {})
        if not entry.get(key):
            return self.warn_of(f"{call}: node {server} has no `{key}` in deploy.json")
        data = body if isinstance(body, bytes) else str(body).encode("utf-8")
        post(call, (entry["ip"], entry[key]), url, data, self.control_token if key == "port" else None)

    def _written(self) -> dict[str, Any]:
        found = mods.lenient_json(self.deploy.read_text("utf-8-sig"))
        return found if isinstance(found, dict) else {}

    def _chat(self, player: str | None, event: str, data: dict[str, Any]) -> None:
        send = self.engine_system
        try:
            if player is None:
                send.to_all_players(event, data)
            else:
                send.to_player(str(player), event, data)
        except _core.RouteError as error:
            self.warn_of(str(error))
