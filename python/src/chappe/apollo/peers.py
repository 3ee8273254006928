"""What the nodes that run Python mods say to each other: what they have registered, so that a slip in a name is found
when all are up, and that one is to be started again.

Their messages are events of the system ``chappe.apollo``; what a client sends under that name is not listened to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe import _core
from chappe.apollo import unheard
from chappe.apollo.ops import Ops

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

OWN = ("chappe", "apollo")
PERIOD = 0.5
"""Seconds between two looks at whether all nodes are up."""
PATIENCE = 5.0
"""Seconds in which the others may say what they have."""
ASKING = 1.0
"""Seconds that a node may take to say which methods it has."""
RESET = 60.0
"""Seconds that a server which is reset may take to be back."""


class Peers:
    """The other nodes with Python mods, as one node knows them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.systems: set[tuple[str, str]] = set()
        """The systems of the others: (namespace, name)."""
        self.methods: dict[str, set[str]] = {}
        """What the others answer: methods by module."""
        self.has_looked = False
        """Whether the others have said what they have."""
        self._is_looking = False
        self.resetting: dict[int, _core.Timer] = {}
        self._asked: set[int] = set()
        self._sought: set[str] = set()
        self._waiting: list[Callable[[], object]] = []
        self._timer: _core.Timer | None = None
        self._core = runtime.node.system(*OWN)
        self.listen("WhatIsThere", self._tell)
        self.listen("IsThere", self._told)
        self.ops = Ops(runtime, self)
        if runtime.side == "Server":
            self.listen("Reset", lambda data: runtime.restart())
        if runtime.side == "Master":
            runtime.engine_system.listen("Minecraft", "Engine", "ServerConnectedEvent", self._connected, 0)

    def start(self) -> None:
        """The mods are loaded: from here on the others are asked as soon as all are up."""
        if any(self._runtime.config.mods.values()):
            self._timer = self._runtime.node.add_repeated_timer(PERIOD, self._look, ())

    def reset(self, server: int) -> None:
        """Asks a lobby or game to leave and be started again. On the master ResetGamesBeginEvent{serverId} is raised,
        and ResetGamesEndEvent{serverId, bSuccess} when it is back, or is not after 60 s."""
        runtime = self._runtime
        if not self.send(server, "Reset", {}):
            return
        if runtime.side == "Master" and server not in self.resetting:
            self.resetting[server] = runtime.node.add_timer(RESET, self._end_reset, (server, False))
            runtime.node.raise_event("ResetGamesBeginEvent", {"serverId": server})

    def hint(self, module: str, method: str) -> str:
        """What a request for a method that nobody answers may have meant."""
        from chappe.suggest import did_you_mean

        if module not in self.modules():
            return did_you_mean(module, self.modules())
        return did_you_mean(method, self.methods.get(module, ()))

    def when_known(self, module: str, then: Callable[[], object]) -> None:
        """Calls ``then`` when the methods of ``module`` are known; also when they do not become so: each module is
        asked for once."""
        nodes = [id for id, *_, names in self._runtime.node.members() if module in names and self._can_ask(id)]
        if module in self.methods or module in self._sought or not nodes:
            then()
            return
        self._sought.add(module)
        self._waiting.append(then)
        for node in nodes:
            self.send(node, "WhatIsThere", {"from": self._runtime.node.id}, quietly=True)
        self._runtime.node.add_timer(ASKING, self._go_on, ())

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()

    def modules(self) -> set[str]:
        """Every module that is declared or registered anywhere: services' types, module_names, and what others have."""
        node = self._runtime.node
        found = {kind for _, role, kind in node.declared_nodes if role == "service"}
        found |= {*node.declared_modules, *self.methods}
        return found.union(*(names for *_, names in node.members()))

    def _look(self) -> None:
        runtime = self._runtime
        states = {id: state for id, _, _, state, _ in runtime.node.members()}
        wanted = [id for id, role, _ in runtime.node.declared_nodes if role != "proxy"]
        if not all(states.get(id) == "ready" for id in wanted if id != runtime.node.id):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._is_looking = True
        self._asked = {id for id in wanted if self._can_ask(id)}
        for server in sorted(self._asked):
            self.send(server, "WhatIsThere", {"from": runtime.node.id})
        self._timer = runtime.node.add_timer(PATIENCE, self._all_told, ())
        if not self._asked:
            self._all_told()

    def _tell(self, data: dict[str, Any]) -> None:
        systems = [list(names) for names in self._runtime.systems]
        methods = [[module, sorted(names)] for module, names in self._runtime.methods.items()]
        mine = {"from": self._runtime.node.id, "systems": systems, "methods": methods, "urls": self.ops.urls}
        self.send(data["from"], "IsThere", mine)

    def _told(self, data: dict[str, Any]) -> None:
        self.systems.update((namespace, name) for namespace, name in data["systems"])
        for module, names in data["methods"]:
            self.methods.setdefault(module, set()).update(names)
        if self._runtime.side == "Master":
            self.ops.has(data["from"], data["urls"])
        self._asked.discard(data["from"])
        if not self._asked and not self.has_looked and self._is_looking:
            self._all_told()
        self._go_on()

    def _all_told(self) -> None:
        if self.has_looked:
            return
        self.has_looked = True
        if self._timer is not None:
            self._timer.cancel()
        unheard.tell(self._runtime, self.systems, is_complete=not self._asked)

    def _connected(self, data: dict[str, Any]) -> None:
        if data["serverId"] in self.resetting:
            self._end_reset(data["serverId"], True)

    def _end_reset(self, server: int, success: bool) -> None:
        timer = self.resetting.pop(server, None)
        if timer is not None:
            timer.cancel()
            self._runtime.node.raise_event("ResetGamesEndEvent", {"serverId": server, "bSuccess": success})

    def listen(self, event: str, handler: Callable[[dict[str, Any]], object]) -> None:
        """Calls ``handler(data)`` for each such message of another node."""

        def guarded(data: Any) -> None:
            # Who a client is always stands in what it has sent.
            if isinstance(data, dict) and not any(str(key).startswith("__") for key in data):
                handler(data)

        self._core.listen(*OWN, event, guarded)

    def _role(self, server: int) -> str | None:
        return next((role for id, role, _ in self._runtime.node.declared_nodes if id == server), None)

    def _can_ask(self, server: int) -> bool:
        """Whether a node runs Python mods and can be sent to: lobbies and games have no way to each other."""
        runtime, role = self._runtime, self._role(server)
        is_out_of_reach = runtime.side == "Server" and role in ("lobby", "game")
        return server != runtime.node.id and bool(runtime.config.mods.get(server)) and not is_out_of_reach

    def send(self, server: int, event: str, data: dict[str, Any], quietly: bool = False) -> bool:
        """Tells another node; whether it could be. What cannot is warned of, unless ``quietly``. Raises DataError."""
        side, role = self._runtime.side, self._role(server)
        try:
            if role == "master":
                self._core.to_master(3 if side == "Server" else 7, event, data)
            elif role == "service":
                self._core.to_service(6 if side == "Master" else 11, server, event, data)
            else:
                self._core.to_server(4 if side == "Master" else 10, server, event, data)
        except _core.RouteError as error:
            if not quietly:
                self._runtime.warn_of(f"{'ResetServer' if event == 'Reset' else event}: {error}")
            return False
        return True
