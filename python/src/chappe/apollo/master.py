"""``master.masterHttp``, ``master.serverManager``, ``master.netgameApi``, ``master.masterConf``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe.apollo.callables import check

if TYPE_CHECKING:
    from chappe.apollo.common import CommonNetgameApi
    from chappe.apollo.runtime import Runtime


class MasterHttp:
    """Urls of the master's control port."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def RegisterMasterHttp(self, url: str, instance: object, func: Callable[[int, Any], object]) -> None:
        """Calls ``func(clientId, requestBody)`` for each POST to ``url``; unanswered for 10 s gives 504."""
        check(f"RegisterMasterHttp({url!r})", func, ("clientId", "requestBody"))
        self._runtime.node.register_http(url, func)

    def SendHttpResponse(self, clientId: int, body: str | bytes) -> bool:
        """Answers a request, at once or later; False for a second or late answer, which is dropped with a warning."""
        data = body if isinstance(body, bytes) else str(body).encode("utf-8")
        return self._runtime.node.send_http_response(clientId, data)


class ServerManager:
    """The nodes that the master knows."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def GetConnectedLobbyAndGameIds(self) -> list[int]:
        """The lobbies and games that are up, by serverid."""
        return self._runtime.node.connected_servers()

    def GetOnlineNumByServerType(self, serverType: str | None = None) -> Any:
        """How many players stand on the lobbies and games of a type; by type when none is named."""
        online = self._runtime.node.online_by_type()
        return online if serverType is None else online.get(serverType, 0)

    def GetServerType(self, serverId: int) -> str | None:
        """The type of a node; None for one that deploy.json does not have."""
        return next((kind for id, _, kind in self._runtime.node.declared_nodes if id == serverId), None)

    def GetServerIdsByServerType(self, serverType: str) -> list[int]:
        """The nodes of a type that are connected."""
        return [id for id, _, kind, *_ in self._runtime.node.members() if kind == serverType]

    def IsConnectedServer(self, serverId: int) -> bool:
        """Whether that node is connected."""
        return any(member[0] == serverId for member in self._runtime.node.members())

    def StopServerById(self, serverId: int) -> None:
        """Asks a node to finish what it has and end."""
        self._runtime.node.stop_node(int(serverId))


class NetgameApi:
    """Logins, and what the master asks of the network."""

    def __init__(self, runtime: Runtime, calls: CommonNetgameApi) -> None:
        self._runtime = runtime
        self.GetCommonConfig = calls.GetCommonConfig
        self.GetOnlineServerInfoOfPlayer = calls.GetOnlineServerInfoOfPlayer
        self.GetOnlineServerInfoOfMultiPlayers = calls.GetOnlineServerInfoOfMultiPlayers

    def SetLoginStratege(self, func: Callable[[int, Callable[[int], object]], object]) -> None:
        """``func(uid, callback)`` decides where a login leads: it calls ``callback(serverId)``, now or within 5 s."""
        check("SetLoginStratege", func, ("uid", "callback"))
        self._runtime.node.set_login_strategy(func)

    def GetServerId(self) -> int:
        """The serverid of this node."""
        return self._runtime.node.id


class MasterConf:
    """What deploy.json says."""

    def __init__(self, runtime: Runtime) -> None:
        self.netgameConf = runtime.common_config()
