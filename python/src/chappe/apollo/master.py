"""``master.masterHttp``, ``master.serverManager``, ``master.netgameApi``, ``master.masterConf``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe.apollo.callables import check
from chappe.apollo.look import PROTOCOL, Look, Servers

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

STATUS = {"ready": 2, "stuck": 2, "draining": 4}
"""GetAllServerStatus: 2 is connected, 4 is leaving in order; all else is 1, not connected."""
SERVERS = ("proxy", "lobby", "game")


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

    def SendHttpRequestToService(self, serverId: int, requestUrl: str, body: str | bytes) -> None:
        """POSTs to a url of a service that has an ``http_port``; what comes of it is in the log when it is an error."""
        self._runtime.post_http("SendHttpRequestToService", int(serverId), "http_port", requestUrl, body)


class ServerManager(Servers):
    """The nodes that the master knows."""

    def GetConnectedLobbyAndGameIds(self) -> list[int]:
        """The lobbies and games that are up, by serverid."""
        return self._runtime.node.connected_servers()

    def GetOnlineNumByServerType(self, serverType: str | None = None) -> Any:
        """How many players stand on the lobbies and games of a type; by type when none is named."""
        online = self._runtime.node.online_by_type()
        return online if serverType is None else online.get(serverType, 0)

    def GetOnlineNumByServerId(self, serverId: int) -> int:
        """How many players are on a lobby or game, or connected to a proxy."""
        return self._runtime.node.online_by_node().get(int(serverId), 0)

    def GetAllServersOnlineNum(self) -> dict[int, int]:
        """How many players are on each lobby and game, and connected to each proxy."""
        online = self._runtime.node.online_by_node()
        return {id: online.get(id, 0) for id, (role, _) in self._states().items() if role in SERVERS}

    def GetTotalOnlineNum(self) -> int:
        """How many players stand on lobbies and games."""
        return sum(self._runtime.node.online_by_type().values())

    def GetServerIdsByServerType(self, serverType: str) -> list[int]:
        """The nodes of a type that are connected."""
        return [id for id, _, kind, *_ in self._runtime.node.members() if kind == serverType]

    def IsConnectedServer(self, serverId: int) -> bool:
        """Whether that node is connected."""
        return any(member[0] == serverId for member in self._runtime.node.members())

    def IsValidServer(self, serverId: int) -> bool:
        """Whether that node is connected, serves, and is not about to leave."""
        return any(member[0] == serverId and member[3] == "ready" for member in self._runtime.node.members())

    def GetAllServerStatus(self) -> dict[int, int]:
        """The status of each proxy, lobby and game by serverid: 1 not connected, 2 connected, 4 leaving."""
        return {id: STATUS.get(state, 1) for id, (role, state) in self._states().items() if role in SERVERS}

    def GetOneServerStatus(self, serverId: int) -> int:
        """The status of a node, as in GetAllServerStatus."""
        return STATUS.get(self._states().get(int(serverId), ("", None))[1], 1)

    def GetAllResetingServers(self) -> list[int]:
        """The servers that ResetServer has reset and that are not back."""
        return sorted(self._runtime.peers.resetting)

    def StopServerById(self, serverId: int) -> None:
        """Asks a node to finish what it has and end."""
        self._runtime.node.stop_node(int(serverId))

    def StopServerByServerid(self, serverId: int, actType: int = 2) -> None:
        """As StopServerById; players of the server go to the emptiest lobby, whatever ``actType`` is."""
        self.StopServerById(serverId)

    def RollingCloseServers(self, serverIds: list[int]) -> None:
        """As StopServerById, for each of them."""
        for server in serverIds:
            self.StopServerById(server)


class NetgameApi(Look):
    """Logins, and what the master asks of the network."""

    def SetLoginStratege(self, func: Callable[[int, Callable[[int], object]], object]) -> bool:
        """``func(uid, callback)`` decides where a login leads: it calls ``callback(serverId)``, now or within 5 s."""
        check("SetLoginStratege", func, ("uid", "callback"))
        self._runtime.node.set_login_strategy(func)
        return True

    def GetServerIdByUid(self, uid: int) -> int | None:
        """The lobby or game that a player is on; None when offline. See `chappe.apollo.online` for a master that was
        started again."""
        return self._runtime.online.server_of(int(uid))

    def GetOnlineUidList(self) -> list[int]:
        """The players who are on a lobby or game, by uid."""
        return self._runtime.online.uids()

    def GetProtocolVersionByUID(self, uid: int) -> int | None:
        """The version of the protocol that a player's client speaks; None when offline."""
        return None if self._runtime.online.server_of(int(uid)) is None else PROTOCOL

    def GetGameTypeByServerId(self, serverId: int) -> str | None:
        """The type of a node; None for one that deploy.json does not have."""
        return next((kind for id, _, kind in self._runtime.node.declared_nodes if id == serverId), None)

    def GetServerIdsByGameType(self, gameType: str) -> list[int]:
        """The nodes of a type that deploy.json has."""
        return sorted(id for id, _, kind in self._runtime.node.declared_nodes if kind == gameType)

    def IsService(self, serverId: int) -> bool:
        """Whether deploy.json has that node as a service."""
        return any(id == serverId and role == "service" for id, role, _ in self._runtime.node.declared_nodes)

    def BanUser(self, uid: int, banTime: int, reason: str = "", bCombineReason: bool = True) -> bool:
        """False, with a warning: there is no list of the banned here. SetLoginStratege and a database make one."""
        return self._no_list("BanUser")

    def UnBanUser(self, uid: int) -> bool:
        """False, with a warning, as BanUser."""
        return self._no_list("UnBanUser")

    def GetBanUserInfo(self, uid: int, callback: Callable[[int, Any], object]) -> None:
        """callback(uid, None), which means that it failed, with a warning."""
        self._no_info("GetBanUserInfo", uid, callback)

    def SilentByUID(self, uid: int, banTime: int, reason: str = "") -> bool:
        """False, with a warning: there is no list of the silenced here."""
        return self._no_list("SilentByUID")

    def UnSilentByUID(self, uid: int) -> bool:
        """False, with a warning, as SilentByUID."""
        return self._no_list("UnSilentByUID")

    def GetUserSilentInfo(self, uid: int, callback: Callable[[int, Any], object]) -> None:
        """callback(uid, None), which means that it failed, with a warning."""
        self._no_info("GetUserSilentInfo", uid, callback)

    def _no_list(self, call: str) -> bool:
        self._runtime.engine.warn_once(f"{call}: there is no list of banned or silenced players here; it gives False")
        return False

    def _no_info(self, call: str, uid: int, callback: Callable[[int, Any], object]) -> None:
        check(call, callback, ("uid", "info"))
        self._runtime.engine.warn_once(f"{call}: there is no list of banned or silenced players here; it answers None")
        self._runtime.node.add_timer(0.0, callback, (uid, None))


class MasterConf:
    """What deploy.json says."""

    def __init__(self, runtime: Runtime) -> None:
        self.netgameConf = runtime.config.shaped()
