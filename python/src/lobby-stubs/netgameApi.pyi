# Written by scripts/stubs.py from the package's sources.
"""Players, and where they go."""

from collections.abc import Callable
from typing import Any

def CheckMasterExist() -> bool:
    """Whether the master is connected."""

def GetCommonConfig() -> dict[str, Any]:
    """deploy.json as written, with ``serverlist`` (proxies, lobbies, games), ``servicelist``, ``proxylist`` and
    ``log_debug_level``: see `chappe.apollo.config`. A new dict each time."""

def GetConnectingProxyIdOfPlayer(playerId: str) -> int | None:
    """The proxy that the client of a player on this server is connected to; None for one who is not."""

def GetMongoConfig() -> tuple[bool, str, str, str, str, int]:
    """(exist, host, user, password, database, port) of ``mongo`` in deploy.json."""

def GetMysqlConfig() -> tuple[bool, str, str, str, str, int]:
    """(exist, host, user, password, database, port) of ``mysql`` in deploy.json."""

def GetOnlinePlayerNum() -> int:
    """How many players are on this server."""

def GetOnlineServerInfoOfMultiPlayers(uids: list[int], callback: Callable[[Any], object]) -> None:
    """Where players are: callback(list), in the order of ``uids``.

    Raises ValueError for more than 100 uids."""

def GetOnlineServerInfoOfPlayer(uid: int, callback: Callable[[Any], object]) -> None:
    """Where a player is: callback({uid, isPeUser, serverId, proxyId, protocolVersion}); the last three are None
    when offline, and when the master does not answer, which is logged."""

def GetPlatformUid(playerId: str) -> int | None:
    """The same as GetPlayerUid: there is one account."""

def GetPlayerIdByUid(uid: int) -> str:
    """The playerId of a player on this server; an empty text for one who is not."""

def GetPlayerLockResult(id: int, success: bool) -> None:
    """The outcome of ServerGetPlayerLockEvent, with its ``id``: a player whose lock was not to be had is kicked."""

def GetPlayerNickname(playerId: str) -> str | None:
    """The name of a player on this server; None for one who is not."""

def GetPlayerUid(playerId: str) -> int | None:
    """The uid of a player on this server; None for one who is not."""

def GetRedisConfig() -> tuple[bool, str, int, str]:
    """(exist, host, port, password) of ``redis`` in deploy.json."""

def GetServerId() -> int:
    """The serverid of this node."""

def GetServerLoadedModsById(serverId: int) -> list[str]:
    """The names of the mods that a node loads; 0 is the master. An empty list for no such node."""

def GetServerLoadedModsByType(serverType: str) -> list[str]:
    """The names of the mods that the first node of a type loads. An empty list for no such type."""

def GetServerProtocolVersion() -> int:
    """The version of the protocol that clients speak with this cluster."""

def GetServerType() -> str:
    """The type of this node."""

def GetUidIsSilent(uid: int) -> int:
    """Always 2, not silenced: there is no list of the silenced here."""

def IsPlayerPeUser(playerId: str) -> bool | None:
    """False, or None for a player who is not on this server."""

def IsServiceConnected(serviceId: int) -> bool:
    """Whether that service is connected."""

def IsShowDebugLog() -> bool:
    """``log_debug_level`` of this node's entry, or of deploy.json."""

def RegisterOpCommand(url: str, callback: Callable[[int, Any], object]) -> None:
    """Calls ``callback(clientId, requestData)`` for each POST to ``url`` on the master's control port; with several
    nodes that have the url, on each of them. ``opUid``, ``opServerIds`` and ``opServerType`` in the body choose."""

def ReleasePlayerLockResult(id: int, success: bool) -> None:
    """The outcome of ServerReleasePlayerLockEvent; one that failed is told."""

def ResetServer() -> None:
    """Lets this node finish what it has, end, and be started again by `chappe up`."""

def ResponseOpCommandFail(clientId: int, code: int, message: str) -> None:
    """Answers a request, at once or within 8 s: it failed, with a text. The code 1 means success, so that 2 is sent
    instead of it."""

def ResponseOpCommandSuccess(clientId: int, entity: Any) -> None:
    """Answers a request, at once or within 8 s: code 1 and ``entity``."""

def SetGracefulShutdownOk() -> None:
    """Does nothing: a node leaves as soon as ServerWillShutDownEvent was heard."""

def SetShutdownOk() -> None:
    """Does nothing: a node leaves as soon as ServerWillShutDownEvent was heard."""

def ShieldPlayerJoinText(bShield: bool = True) -> bool:
    """Does nothing: there is no text."""

def ShutdownServer() -> None:
    """Lets this node finish what it has, and end. `chappe up` does not start it again."""

def TransferToOtherServer(playerId: str, typeName: str = '', transferParam: str = '', callback: Callable[[bool, int, str], object] | None = None, **others: Any) -> None:
    """Moves a player to the emptiest server of a type; ``transferParam`` (also ``param``) arrives there.
    ``callback(isSuc, reasonCode, message)`` says what came of it, and so do the events
    MasterResponseTransferSucServerEvent{uid} and MasterResponseTransferFailServerEvent{uid, reason}."""

def TransferToOtherServerById(playerId: str, serverId: int, transferParam: str = '', callback: Callable[[bool, int, str], object] | None = None, **others: Any) -> None:
    """Moves a player to the server ``serverId``; the rest as for TransferToOtherServer."""

def TryToKickoutPlayer(playerId: str, message: str = '') -> bool:
    """Ends a player's session; the client is told the message. False for one who is not on this server."""

def UnRegisterOpCommand(url: str) -> None:
    """Undoes RegisterOpCommand."""
