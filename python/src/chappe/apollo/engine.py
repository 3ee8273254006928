"""Names of the game engine itself (blocks, entities, screens). Outside a game they do not exist: importing and calling
them works, is told once per name with the mod's file and line, and gives None."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import logging
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chappe.apollo import published

log = logging.getLogger("chappe.engine")

Chat = Callable[[str, dict[str, Any]], None]

MOST_REMEMBERED = 1000
"""The most functions of mods in which a None of the engine is remembered."""


class Inert:
    """Stands for something of the engine. Its attributes are inert too; called, it is told and gives None, or, for
    what makes or holds other things, another inert one."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.__dict__["_engine"] = engine
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._engine.named(f"{self._name}.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__[name] = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        last = self._name.rpartition(".")[2]
        if last not in _DELIVERED:
            self._engine.tell(self._name)
        if last.startswith("Create") or last in _HOLDERS:
            return self._engine.made(self._name, args)
        if last.startswith("Get") and last.endswith("Cls"):
            return type(last[3:-3], (InertBase,), {})
        if last.startswith("binding") and len(args) == 1:
            return lambda func: func
        self._engine.gave_nothing(self._name)
        return None

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: object) -> Any:
        return None

    def __int__(self) -> int:
        return 0

    __index__ = __int__

    def __or__(self, other: object) -> Inert:
        return self

    __ror__ = __or__

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        """A mod's class may derive from it."""
        self._engine.tell(self._name)
        return (InertBase,)

    def __repr__(self) -> str:
        return f"<{self._name}, which exists inside a game only>"


_DELIVERED = {"CreateMsg", "CreateCommand"}
"""What reaches clients: nothing is to be told of it."""
_HOLDERS = {"GetEngineCompFactory", "GetMinecraftEnum", "GetViewBinderCls", "GetEngineActor", "GetUI", "GetComponentCls"}


class InertBase:
    """What stands for an engine's class that a mod derives from."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass


class Msg(Inert):
    """``CreateMsg``: chat reaches the client as an engine event."""

    def NotifyOneMessage(self, playerId: str, msg: str, color: str = "") -> bool:
        """Raises NotifyOneMessage{playerId, msg, color} on the player's client."""
        self._engine.chat(playerId, "NotifyOneMessage", {"playerId": playerId, "msg": msg, "color": color})
        return True


class Command(Inert):
    """``CreateCommand``: commands reach the clients as an engine event."""

    def SetCommand(self, cmdStr: str, entityId: str | None = None, showOutput: bool = False) -> bool:
        """Raises SetCommand{command, playerId} on the client of the player, or on all clients of this server."""
        self._engine.chat(entityId, "SetCommand", {"command": cmdStr, "playerId": entityId})
        return True


class Engine:
    """The absent engine of one node. ``chat(playerId or None, event, data)`` sends an engine event to clients."""

    def __init__(self, chat: Callable[[str | None, str, dict[str, Any]], None], is_mod: Callable[[str], bool]) -> None:
        self.chat = chat
        self._is_mod = is_mod
        self._told: set[str] = set()
        self._gave: dict[tuple[str, str, int], tuple[int, str]] = {}
        self.known: Mapping[str, frozenset[str]] = {}
        """The names of each module that is not the engine's, without prefixes."""

    def named(self, name: str) -> Inert:
        """What stands for ``name``."""
        return Inert(self, name)

    def made(self, name: str, args: tuple[Any, ...]) -> Inert:
        """What a call of ``name`` gives."""
        last = name.rpartition(".")[2]
        kind = {"CreateMsg": Msg, "CreateCommand": Command}.get(last, Inert)
        return kind(self, f"{name}()")

    def component(self, name: str, entity: object) -> Inert:
        """A component that a system has created."""
        self.tell(name)
        return Inert(self, name)

    def tell(self, name: str) -> None:
        """Says once that ``name`` does nothing here; a warning for what is no name of the game engine."""
        if name in self._told:
            return
        self._told.add(name)
        level, text = published.about(name, self.known)
        log.log(level, "%s: %s", self.caller(), text)

    def warn_once(self, text: str) -> None:
        """Warns of something once, with the place of the mod that calls."""
        if text not in self._told:
            self._told.add(text)
            log.warning("%s: %s", self.caller(), text)

    def gave_nothing(self, name: str) -> None:
        """Remembers where a mod has got None from the engine, for the errors that come of it."""
        frame = self._frame()
        if frame is not None and len(self._gave) < MOST_REMEMBERED:
            code = frame.f_code
            self._gave[code.co_filename, code.co_name, code.co_firstlineno] = (frame.f_lineno, name)

    def explains(self, error: BaseException) -> str:
        """What to add to an error of a handler: that it came of a None of the absent engine. Empty when it did not."""
        if not isinstance(error, (TypeError, AttributeError)) or "NoneType" not in str(error):
            return ""
        frames = error.__traceback__
        found = ""
        while frames is not None:
            code = frames.tb_frame.f_code
            gave = self._gave.get((code.co_filename, code.co_name, code.co_firstlineno))
            if gave is not None:
                found = f"; line {gave[0]}: {gave[1]} belongs to the game engine, which is not here, and has given None"
            frames = frames.tb_next
        return found

    def caller(self) -> str:
        """``file:line`` of the mod that calls."""
        frame = self._frame()
        return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "?"

    def _frame(self) -> types.FrameType | None:
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and not self._is_mod(frame.f_code.co_filename):
            frame = frame.f_back
        return frame


class EngineModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules that nobody else has: ``spare`` ones by their names (without prefixes), and those of the engine,
    below the packages that mods import the API from."""

    def __init__(
        self, engine: Engine, packages: Sequence[str], spare: Mapping[str, Callable[[], types.ModuleType]] | None = None
    ) -> None:
        self._engine = engine
        self._packages = frozenset(packages)
        self._spare = spare or {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """A spare module, or one below one of the packages."""
        if published.plain(name) in self._spare or name.partition(".")[0] in self._packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """The spare one, or a module all of whose names are inert."""
        make = self._spare.get(published.plain(spec.name))
        if make is not None:
            return make()
        self._engine.tell(f"module {spec.name}")
        return EngineModule(self._engine, spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


class EngineModule(types.ModuleType):
    """A module all of whose names are inert."""

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(name, "Exists inside a game only.")
        self.__dict__["_engine"] = engine

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._engine.named(f"{self.__name__}.{name}")
