"""``apolloCommon.commonNetgameApi``, ``common.mod`` and ``mod_log``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chappe import _core, mods
from chappe.apollo.callables import check
from chappe.apollo.pools.mongo_pool import convert_bson_to_int

if TYPE_CHECKING:
    from chappe.apollo.base import BaseRuntime
    from chappe.apollo.runtime import Runtime

MOST_UIDS = 100
"""The most uids in one GetOnlineServerInfoOfMultiPlayers."""


class ModModule:
    """The decorators of a modMain."""

    def __init__(self, runtime: BaseRuntime) -> None:
        self.Mod = runtime.binder.mod()


class CommonNetgameApi:
    """Timers, configuration and look-ups, on every node."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def AddTimer(self, delay: float, func: Callable[..., object], *args: Any, **kwargs: Any) -> _core.Timer:
        """Calls ``func(*args, **kwargs)`` once, after ``delay`` seconds."""
        check("AddTimer", func, tuple(f"argument {at}" for at in range(len(args)))) if not kwargs else None
        return self._runtime.node.add_timer(float(delay), func, args, kwargs or None)

    def AddRepeatedTimer(self, delay: float, func: Callable[..., object], *args: Any, **kwargs: Any) -> _core.Timer:
        """Calls ``func(*args, **kwargs)`` every ``delay`` seconds."""
        check("AddRepeatedTimer", func, tuple(f"argument {at}" for at in range(len(args)))) if not kwargs else None
        return self._runtime.node.add_repeated_timer(float(delay), func, args, kwargs or None)

    def CancelTimer(self, timer: _core.Timer | None) -> None:
        """Stops a timer; nothing when it has fired, was stopped before, or is None."""
        if timer is not None:
            timer.cancel()

    def GetCommonConfig(self) -> dict[str, Any]:
        """deploy.json as written, with ``serverlist`` (proxies, lobbies, games), ``servicelist``, ``proxylist`` and
        ``log_debug_level``: see `chappe.apollo.config`. A new dict each time."""
        return self._runtime.config.shaped()

    def GetModJsonConfig(self, scriptRoot: str) -> Mapping[str, Any]:
        """The mod.json of the mod whose script package is ``scriptRoot``. Raises KeyError when there is none."""
        return self._runtime.manifest(scriptRoot)

    def GetModJsonConfigByName(self, scriptRoot: str, pathFile: str) -> Any:
        """What a JSON file of a mod holds, leniently read; ``pathFile`` is from the folder of its mod.json, or from its
        script package. None, with a warning, when there is none; raises KeyError for an unknown ``scriptRoot``."""
        script = self._runtime.script(scriptRoot)
        for path in (script.root / pathFile, script.root / script.package / pathFile):
            if path.is_file():
                try:
                    return mods.lenient_json(path.read_text("utf-8-sig"))
                except ValueError as error:
                    self._runtime.warn_of(f"GetModJsonConfigByName: {path}: {error}")
                    return None
        self._runtime.warn_of(f"GetModJsonConfigByName: {script.root} has no file {pathFile}")
        return None

    def GetModScriptRootDir(self, scriptRootName: str | None = None) -> str:
        """The folder that the script package ``scriptRootName`` is in, with a slash at its end; without it, that of the
        mod that calls. Raises KeyError for an unknown package."""
        name = scriptRootName or self._runtime.script_root(sys._getframe(1).f_code.co_filename)
        return f"{self._runtime.script(name).root}/"

    def GetServerType(self) -> str:
        """The type of this node."""
        return self._runtime.node.node_type

    def GetServerId(self) -> int:
        """The serverid of this node."""
        return self._runtime.node.id

    def ChangeDatabaseSlowLogLimit(self, db: str, interval: float) -> bool:
        """Calls on ``db`` (mysql, redis, mongo) that take longer than ``interval`` seconds are logged as slow."""
        return self._runtime.pools.ChangeDatabaseSlowLogLimit(db, interval)

    def CheckWordsValid(self, words: str) -> bool:
        """Always true: there is no list of words here."""
        return True

    def CheckNameValid(self, name: str) -> bool:
        """Always true: there is no list of words here."""
        return True

    def GetOnlineKey(self, uid: int = 0) -> str:
        """The name under which mods keep in redis where a player is. Nothing here writes to it."""
        return f"user:online:{uid}"

    def ToPcUid(self, uid: int) -> int:
        """The same uid: there is one kind."""
        return uid

    def ToPeUid(self, uid: int) -> int:
        """The same uid: there is one kind."""
        return uid

    def GetApolloReviewStage(self) -> int:
        """``review_stage`` of deploy.json, else 0."""
        return self._runtime.config.written.get("review_stage") or 0

    def GetApolloGameId(self) -> int:
        """``game_id`` of deploy.json, else 0."""
        return self._runtime.config.written.get("game_id") or 0

    def GetApolloGameKey(self) -> str:
        """``game_key`` of deploy.json, else an empty text."""
        return self._runtime.config.written.get("game_key") or ""

    def GetApolloUniqueId(self) -> int:
        """``apolloid`` of deploy.json, else 0."""
        return self._runtime.config.written.get("apolloid") or 0

    def ConvertBsonToInt(self, data: Any) -> Any:
        """A copy in which each ``bson.Int64`` is a plain int, in dicts, lists and tuples."""
        return convert_bson_to_int(data)

    def UnicodeConvert(self, data: Any) -> Any:
        """The same: text is text here."""
        return data

    def GetOnlineServerInfoOfPlayer(self, uid: int, callback: Callable[[Any], object]) -> None:
        """Where a player is: callback({uid, isPeUser, serverId, proxyId, protocolVersion}); the last three are None
        when offline, and when the master does not answer, which is logged."""
        check("GetOnlineServerInfoOfPlayer", callback, ("info",))
        self._look_up([uid], lambda infos: callback(infos[0]))

    def GetOnlineServerInfoOfMultiPlayers(self, uids: list[int], callback: Callable[[Any], object]) -> None:
        """Where players are: callback(list), in the order of ``uids``.

        Raises ValueError for more than 100 uids.
        """
        check("GetOnlineServerInfoOfMultiPlayers", callback, ("infos",))
        uids = list(uids)
        if len(uids) > MOST_UIDS:
            raise ValueError(
                f"GetOnlineServerInfoOfMultiPlayers: {len(uids)} uids in one look-up; the most is {MOST_UIDS}"
            )
        self._look_up(uids, callback)

    def _look_up(self, uids: list[int], callback: Callable[[Any], object]) -> None:
        def finish(infos: Any, failure: tuple[str, str] | None) -> None:
            if failure is not None:
                self._runtime.warn_of(f"GetOnlineServerInfoOfPlayer: {failure[0]}: {failure[1]}")
                nowhere = {"isPeUser": False, "serverId": None, "proxyId": None, "protocolVersion": None}
                infos = [{"uid": uid, **nowhere} for uid in uids]
            callback(infos)

        self._runtime.node.whereabouts(uids, finish)


class Logger:
    """A logger that takes whatever mods hand it."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self.debug = self._at(logging.DEBUG)
        self.info = self._at(logging.INFO)
        self.warning = self.warn = self._at(logging.WARNING)
        self.error = self._at(logging.ERROR)
        self.critical = self.fatal = self._at(logging.CRITICAL)

    def exception(self, message: object, *args: Any) -> None:
        """An error, with the traceback of the exception that is handled."""
        self._logger.exception(str(message), *args)

    def _at(self, level: int) -> Callable[..., None]:
        def log(message: object = "", *args: Any, **kwargs: Any) -> None:
            self._logger.log(level, str(message), *args, **kwargs)

        return log


class ModLog:
    """``mod_log``: logger and engine_logger."""

    def __init__(self) -> None:
        self.logger = Logger("mod")
        self.engine_logger = Logger("engine")
