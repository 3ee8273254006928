# Written by scripts/stubs.py from the package's sources.
"""Logins, and what the master asks of the network."""

from collections.abc import Callable
from typing import Any

def BanUser(uid: int, banTime: int, reason: str = '', bCombineReason: bool = True) -> bool:
    """False, with a warning: there is no list of the banned here. SetLoginStratege and a database make one."""

def GetBanUserInfo(uid: int, callback: Callable[[int, Any], object]) -> None:
    """callback(uid, None), which means that it failed, with a warning."""

def GetCommonConfig() -> dict[str, Any]:
    """deploy.json as written, with ``serverlist`` (proxies, lobbies, games), ``servicelist``, ``proxylist`` and
    ``log_debug_level``: see `chappe.apollo.config`. A new dict each time."""

def GetGameTypeByServerId(serverId: int) -> str | None:
    """The type of a node; None for one that deploy.json does not have."""

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

def GetOnlineUidList() -> list[int]:
    """The players who are on a lobby or game, by uid."""

def GetProtocolVersionByUID(uid: int) -> int | None:
    """The version of the protocol that a player's client speaks; None when offline."""

def GetRedisConfig() -> tuple[bool, str, int, str]:
    """(exist, host, port, password) of ``redis`` in deploy.json."""

def GetServerId() -> int:
    """The serverid of this node."""

def GetServerIdByUid(uid: int) -> int | None:
    """The lobby or game that a player is on; None when offline. See `chappe.apollo.online` for a master that was
    started again."""

def GetServerIdsByGameType(gameType: str) -> list[int]:
    """The nodes of a type that deploy.json has."""

def GetServerLoadedModsById(serverId: int) -> list[str]:
    """The names of the mods that a node loads; 0 is the master. An empty list for no such node."""

def GetServerLoadedModsByType(serverType: str) -> list[str]:
    """The names of the mods that the first node of a type loads. An empty list for no such type."""

def GetUserSilentInfo(uid: int, callback: Callable[[int, Any], object]) -> None:
    """callback(uid, None), which means that it failed, with a warning."""

def IsService(serverId: int) -> bool:
    """Whether deploy.json has that node as a service."""

def IsShowDebugLog() -> bool:
    """``log_debug_level`` of this node's entry, or of deploy.json."""

def SetLoginStratege(func: Callable[[int, Callable[[int], object]], object]) -> bool:
    """``func(uid, callback)`` decides where a login leads: it calls ``callback(serverId)``, now or within 5 s."""

def SilentByUID(uid: int, banTime: int, reason: str = '') -> bool:
    """False, with a warning: there is no list of the silenced here."""

def UnBanUser(uid: int) -> bool:
    """False, with a warning, as BanUser."""

def UnSilentByUID(uid: int) -> bool:
    """False, with a warning, as SilentByUID."""
