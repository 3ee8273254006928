# Written by scripts/stubs.py from the package's sources.
"""Timers, configuration and look-ups, on every node."""

from chappe import _core
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

def AddRepeatedTimer(delay: float, func: Callable[..., object], *args: Any, **kwargs: Any) -> _core.Timer:
    """Calls ``func(*args, **kwargs)`` every ``delay`` seconds."""

def AddTimer(delay: float, func: Callable[..., object], *args: Any, **kwargs: Any) -> _core.Timer:
    """Calls ``func(*args, **kwargs)`` once, after ``delay`` seconds."""

def CancelTimer(timer: _core.Timer | None) -> None:
    """Stops a timer; nothing when it has fired, was stopped before, or is None."""

def ChangeDatabaseSlowLogLimit(db: str, interval: float) -> bool:
    """Calls on ``db`` (mysql, redis, mongo) that take longer than ``interval`` seconds are logged as slow."""

def CheckNameValid(name: str) -> bool:
    """Always true: there is no list of words here."""

def CheckWordsValid(words: str) -> bool:
    """Always true: there is no list of words here."""

def ConvertBsonToInt(data: Any) -> Any:
    """A copy in which each ``bson.Int64`` is a plain int, in dicts, lists and tuples."""

def GetApolloGameId() -> int:
    """``game_id`` of deploy.json, else 0."""

def GetApolloGameKey() -> str:
    """``game_key`` of deploy.json, else an empty text."""

def GetApolloReviewStage() -> int:
    """``review_stage`` of deploy.json, else 0."""

def GetApolloUniqueId() -> int:
    """``apolloid`` of deploy.json, else 0."""

def GetCommonConfig() -> dict[str, Any]:
    """deploy.json as written, with ``serverlist`` (proxies, lobbies, games), ``servicelist``, ``proxylist`` and
    ``log_debug_level``: see `chappe.apollo.config`. A new dict each time."""

def GetModJsonConfig(scriptRoot: str) -> Mapping[str, Any]:
    """The mod.json of the mod whose script package is ``scriptRoot``. Raises KeyError when there is none."""

def GetModJsonConfigByName(scriptRoot: str, pathFile: str) -> Any:
    """What a JSON file of a mod holds, leniently read; ``pathFile`` is from the folder of its mod.json, or from its
    script package. None, with a warning, when there is none; raises KeyError for an unknown ``scriptRoot``."""

def GetModScriptRootDir(scriptRootName: str | None = None) -> str:
    """The folder that the script package ``scriptRootName`` is in, with a slash at its end; without it, that of the
    mod that calls. Raises KeyError for an unknown package."""

def GetOnlineKey(uid: int = 0) -> str:
    """The name under which mods keep in redis where a player is. Nothing here writes to it."""

def GetOnlineServerInfoOfMultiPlayers(uids: list[int], callback: Callable[[Any], object]) -> None:
    """Where players are: callback(list), in the order of ``uids``.

    Raises ValueError for more than 100 uids."""

def GetOnlineServerInfoOfPlayer(uid: int, callback: Callable[[Any], object]) -> None:
    """Where a player is: callback({uid, isPeUser, serverId, proxyId, protocolVersion}); the last three are None
    when offline, and when the master does not answer, which is logged."""

def GetServerId() -> int:
    """The serverid of this node."""

def GetServerType() -> str:
    """The type of this node."""

def ToPcUid(uid: int) -> int:
    """The same uid: there is one kind."""

def ToPeUid(uid: int) -> int:
    """The same uid: there is one kind."""

def UnicodeConvert(data: Any) -> Any:
    """The same: text is text here."""
