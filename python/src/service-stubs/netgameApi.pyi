# Written by scripts/stubs.py from the package's sources.
"""What a service asks of the network."""

from collections.abc import Callable
from typing import Any

def GetCommonConfig() -> dict[str, Any]:
    """deploy.json as written, with ``serverlist`` (proxies, lobbies, games), ``servicelist``, ``proxylist`` and
    ``log_debug_level``: see `chappe.apollo.config`. A new dict each time."""

def GetMongoConfig() -> tuple[bool, str, str, str, str, int]:
    """(exist, host, user, password, database, port) of ``mongo`` in deploy.json."""

def GetMysqlConfig() -> tuple[bool, str, str, str, str, int]:
    """(exist, host, user, password, database, port) of ``mysql`` in deploy.json."""

def GetOnlineServerInfoOfMultiPlayers(uids: list[int], callback: Callable[[Any], object]) -> None:
    """Where players are: callback(list), in the order of ``uids``.

    Raises ValueError for more than 100 uids."""

def GetOnlineServerInfoOfPlayer(uid: int, callback: Callable[[Any], object]) -> None:
    """Where a player is: callback({uid, isPeUser, serverId, proxyId, protocolVersion}); the last three are None
    when offline, and when the master does not answer, which is logged."""

def GetRedisConfig() -> tuple[bool, str, int, str]:
    """(exist, host, port, password) of ``redis`` in deploy.json."""

def GetServerId() -> int:
    """The serverid of this node."""

def GetServerLoadedModsById(serverId: int) -> list[str]:
    """The names of the mods that a node loads; 0 is the master. An empty list for no such node."""

def GetServerLoadedModsByType(serverType: str) -> list[str]:
    """The names of the mods that the first node of a type loads. An empty list for no such type."""

def GetServiceConfig() -> dict[str, Any]:
    """The entry of this service in ``servicelist``."""

def IsShowDebugLog() -> bool:
    """``log_debug_level`` of this node's entry, or of deploy.json."""

def RegisterOpCommand(url: str, callback: Callable[[int, Any], object]) -> None:
    """Calls ``callback(clientId, requestData)`` for each POST to ``url`` on the master's control port; with several
    nodes that have the url, on each of them. ``opUid``, ``opServerIds`` and ``opServerType`` in the body choose."""

def ResponseOpCommandFail(clientId: int, code: int, message: str) -> None:
    """Answers a request, at once or within 8 s: it failed, with a text. The code 1 means success, so that 2 is sent
    instead of it."""

def ResponseOpCommandSuccess(clientId: int, entity: Any) -> None:
    """Answers a request, at once or within 8 s: code 1 and ``entity``."""

def UnRegisterOpCommand(url: str) -> None:
    """Undoes RegisterOpCommand."""
