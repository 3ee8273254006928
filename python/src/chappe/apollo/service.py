"""``service.serverManager``, ``service.serviceConf``, ``service.netgameApi``, ``service.serviceHttp``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe.apollo.callables import check

if TYPE_CHECKING:
    from chappe.apollo.common import CommonNetgameApi
    from chappe.apollo.runtime import Runtime


class ServerManager:
    """The lobbies and games that a service sees."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def _members(self) -> list[tuple[int, str, str, str, list[str]]]:
        return [member for member in self._runtime.node.members() if member[1] in ("lobby", "game")]

    @property
    def serverListMap(self) -> dict[int, dict[str, Any]]:
        """The lobbies and games by serverid: {serverid, type, app_type, status}."""
        return {
            id: {"serverid": id, "type": kind, "app_type": role, "status": state}
            for id, role, kind, state, _ in self._members()
        }

    def GetServerType(self, serverId: int) -> str | None:
        """The type of a node; None for one that deploy.json does not have."""
        for id, _, kind, *_ in self._runtime.node.members():
            if id == serverId:
                return kind
        return next((kind for id, _, kind in self._runtime.node.declared_nodes if id == serverId), None)

    def GetServerIdsByServerType(self, serverType: str) -> list[int]:
        """The lobbies and games of a type that are connected."""
        return [id for id, _, kind, *_ in self._members() if kind == serverType]

    def GetServersStatus(self) -> dict[str, str]:
        """The state of each lobby and game, by serverid as text."""
        return {str(id): state for id, _, _, state, _ in self._members()}

    def IsConnectedServer(self, serverId: int) -> bool:
        """Whether that lobby or game is connected."""
        return any(member[0] == serverId for member in self._members())


class ServiceConf:
    """What this service is."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.netgameConf = runtime.common_config()

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


class NetgameApi:
    """What a service asks of the network."""

    def __init__(self, runtime: Runtime, calls: CommonNetgameApi) -> None:
        self._runtime = runtime
        self.GetCommonConfig = calls.GetCommonConfig
        self.GetOnlineServerInfoOfPlayer = calls.GetOnlineServerInfoOfPlayer
        self.GetOnlineServerInfoOfMultiPlayers = calls.GetOnlineServerInfoOfMultiPlayers

    def GetServerId(self) -> int:
        """The serverid of this node."""
        return self._runtime.node.id


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
