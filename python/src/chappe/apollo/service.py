"""``service.serverManager``, ``service.serviceConf``, ``service.netgameApi``, ``service.serviceHttp``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe.apollo.callables import check
from chappe.apollo.look import Look, Servers
from chappe.apollo.ops import OpCommands

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

SERVERS = ("proxy", "lobby", "game")
STATUS = {"ready": 1, "draining": 2, "starting": 3, None: 4}
"""GetServersStatus: 1 serves, 2 is leaving, 3 is starting, 4 is not connected (a stuck one, too)."""


class ServerManager(Servers):
    """The lobbies and games that a service sees."""

    def _members(self) -> list[tuple[int, str, str, str, list[str]]]:
        return [member for member in self._runtime.node.members() if member[1] in ("lobby", "game")]

    @property
    def serverListMap(self) -> dict[int, dict[str, Any]]:
        """The lobbies and games that are connected, by serverid: their entries of ``serverlist``, and their status."""
        entries = self._runtime.config.entries
        return {
            id: {**entries.get(id, {}), "serverid": id, "type": kind, "app_type": role, "status": STATUS.get(state, 4)}
            for id, role, kind, state, _ in self._members()
        }

    def GetServerIdsByServerType(self, serverType: str) -> list[int]:
        """The lobbies and games of a type that are connected."""
        return [id for id, _, kind, *_ in self._members() if kind == serverType]

    def GetServersStatus(self) -> dict[int, int]:
        """The status of each lobby and game by serverid: 1 serves, 2 is leaving, 3 is starting, 4 is not connected."""
        states = self._states().items()
        return {id: STATUS.get(state, 4) for id, (role, state) in states if role in ("lobby", "game")}

    def IsConnectedServer(self, serverId: int) -> bool:
        """Whether that lobby, game or proxy is connected."""
        return any(id == serverId for id, role, *_ in self._runtime.node.members() if role in SERVERS)


class ServiceConf:
    """What this service is."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.netgameConf = runtime.config.shaped()

    def get_module_names(self) -> list[str]:
        """The RPC modules of this node: its type, and what it declares."""
        node = self._runtime.node
        return [node.node_type, *(name for name in node.modules if name != node.node_type)]

    def get_server_type(self) -> str:
        """The type of this node."""
        return self._runtime.node.node_type

    def get_server_id(self) -> int:
        """The serverid of this node."""
        return self._runtime.node.id


class NetgameApi(Look, OpCommands):
    """What a service asks of the network."""

    def GetServiceConfig(self) -> dict[str, Any]:
        """The entry of this service in ``servicelist``."""
        entries = self._runtime.config.shaped()["servicelist"]
        return next((entry for entry in entries if entry["serverid"] == self._runtime.node.id), {})


class ServiceHttp:
    """Urls of a service's own HTTP port (``http_port`` in deploy.json)."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def RegisterServiceHttp(self, url: str, instance: object, func: Callable[[int, Any], object]) -> None:
        """Calls ``func(clientId, requestBody)`` for each POST to ``url``; unanswered for 10 s gives 504.

        Raises RuntimeError when deploy.json gives this node no ``http_port``, OSError when it is taken.
        """
        check(f"RegisterServiceHttp({url!r})", func, ("clientId", "requestBody"))
        self._runtime.http_port().register(url, func)

    def SendHttpResponse(self, clientId: int, body: str | bytes) -> bool:
        """Answers a request, at once or later; False for a second or late answer, which is dropped with a warning."""
        data = body if isinstance(body, bytes) else str(body).encode("utf-8")
        return self._runtime.http_port().respond(clientId, data)

    def SendHttpRequestToMaster(self, requestUrl: str, message: str | bytes) -> None:
        """POSTs to a url of the master; what comes of it is in the log when it is an error."""
        self._runtime.post_http("SendHttpRequestToMaster", self._runtime.node.master_id, "port", requestUrl, message)
