"""Puts the API modules where mods import them from: by their names, and with ``mod.`` and ``netgame.`` in front."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from chappe.apollo import common, extra, launcher, lobby, master, roles, service, timers
from chappe.apollo.engine import Engine, EngineModules

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

PREFIXES = ("mod", "netgame")
PACKAGES = ("server", "client", "service", "master", "lobbyGame", "apolloCommon", "common")


class ApiModule(types.ModuleType):
    """A module whose names are an object's public attributes; what it does not have is the engine's."""

    def __init__(self, name: str, api: Any, engine: Any) -> None:
        super().__init__(name, type(api).__doc__)
        self.__dict__.update(_api=api, _engine=engine, __path__=[])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        try:
            found = getattr(self._api, name)
        except AttributeError:
            return self._engine.named(f"{self.__name__}.{name}")
        return self._guard(name, found)

    def _guard(self, name: str, found: Any) -> Any:
        """What stands for a name that is there."""
        return found

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._api) if not name.startswith("_")]


class ForeignModule(ApiModule):
    """A module of another role than this node's: its calls are told once each."""

    def _guard(self, name: str, found: Any) -> Any:
        return roles.foreign(self._engine, self.__name__, name, found)


def surface(runtime: Runtime) -> dict[str, Any]:
    """The API of one node: what stands behind each module name, without prefixes."""
    calls = common.CommonNetgameApi(runtime)
    return {
        "server.extraServerApi": extra.ExtraApi(runtime, "Server"),
        "server.extraServiceApi": extra.ExtraApi(runtime, "Service"),
        "server.extraMasterApi": extra.ExtraApi(runtime, "Master"),
        "service.extraServiceApi": extra.ExtraApi(runtime, "Service"),
        "master.extraMasterApi": extra.ExtraApi(runtime, "Master"),
        "client.extraClientApi": extra.ExtraClientApi(runtime),
        "common.mod": common.ModModule(runtime),
        "common.minecraftEnum": extra.MinecraftEnum(),
        "apolloCommon.commonNetgameApi": calls,
        "apolloCommon.launcherApi": launcher.LauncherApi(runtime),
        "lobbyGame.netgameApi": lobby.NetgameApi(runtime, calls),
        "service.netgameApi": service.NetgameApi(runtime, calls),
        "service.serverManager": service.ServerManager(runtime),
        "service.serviceConf": service.ServiceConf(runtime),
        "service.serviceHttp": service.ServiceHttp(runtime),
        "service.asyncore_with_timer": timers.AsyncoreWithTimer(runtime),
        "master.netgameApi": master.NetgameApi(runtime, calls),
        "master.masterHttp": master.MasterHttp(runtime),
        "master.serverManager": master.ServerManager(runtime),
        "master.masterConf": master.MasterConf(runtime),
        "mod_log": common.ModLog(),
    }


def modules(runtime: Runtime) -> dict[str, types.ModuleType]:
    """Every module of a node's surface by each of its names, with the packages that hold them."""
    parts = surface(runtime) | runtime.pools.modules()
    runtime.engine.known = {name: frozenset(_public(part)) for name, part in parts.items()}
    return spread(parts, runtime.engine, {name for name in parts if roles.is_foreign(name, runtime.side)})


def _public(part: Any) -> Iterable[str]:
    found = vars(part) if isinstance(part, types.ModuleType) else dir(part)
    return (name for name in found if not name.startswith("_"))


def spread(surface: dict[str, Any], engine: Engine, foreign: Iterable[str] = ()) -> dict[str, types.ModuleType]:
    """Every module by each of its names, with the packages that hold them; ``surface`` is the modules, or what stands
    behind them, by their names without prefixes. The ``foreign`` are of other roles."""
    found: dict[str, types.ModuleType] = {}

    def package(name: str) -> types.ModuleType:
        if name not in found:
            found[name] = ApiModule(name, object(), engine)
            parent, _, last = name.rpartition(".")
            if parent:
                setattr(package(parent), last, found[name])
        return found[name]

    for name in PACKAGES:
        package(name)
        for prefix in PREFIXES:
            package(f"{prefix}.{name}")
    for name, api in surface.items():
        kind = ForeignModule if name in foreign else ApiModule
        module = api if isinstance(api, types.ModuleType) else kind(name, api, engine)
        for spelled in (name, *(f"{prefix}.{name}" for prefix in PREFIXES)):
            found[spelled] = module
            parent, _, last = spelled.rpartition(".")
            if parent:
                setattr(package(parent), last, module)
    return found


def install(runtime: Runtime) -> None:
    """Makes the surface importable in this process."""
    put(modules(runtime), runtime.engine)


def put(modules: dict[str, types.ModuleType], engine: Engine) -> None:
    """Makes ``modules`` importable in this process, and what they lack inert."""
    sys.modules.update(modules)
    sys.meta_path.append(EngineModules(engine, (*PACKAGES, *PREFIXES), _spare(modules, engine)))


def _spare(modules: dict[str, types.ModuleType], engine: Engine) -> dict[str, Callable[[], types.ModuleType]]:
    """Modules for whoever has no file of their names: other packages have such names, too."""

    def ujson() -> types.ModuleType:
        from chappe.apollo import ujson

        return ujson

    def mcmath() -> types.ModuleType:
        from chappe.apollo import mcmath

        return mcmath

    found: dict[str, Callable[[], types.ModuleType]] = {
        "logout": lambda: ApiModule("logout", common.Logger("mod"), engine),
        "ujson": ujson,
        "common.utils": lambda: ApiModule("common.utils", object(), engine),
        "common.utils.mcmath": mcmath,
        "lobby": lambda: ApiModule("lobby", object(), engine),
    }
    netgame = modules.get("lobbyGame.netgameApi")
    if netgame is not None:
        found["lobby.netgameApi"] = lambda: netgame
    return found
