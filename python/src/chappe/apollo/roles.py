"""Which roles have which names of the API: what is said of a call that this node's role does not have."""

from __future__ import annotations

import functools
from typing import Any

from chappe.apollo.engine import Engine

SIDE_OF_PACKAGE = {"lobbyGame": "Server", "service": "Service", "master": "Master"}
"""Whose the modules of a package are; those of other packages are everyone's."""
WHOSE = {"Server": "lobbies and games", "Service": "services", "Master": "the master", "Client": "clients"}
EVERYONES = frozenset(
    """
    GetServerId GetCommonConfig GetServerType GetOnlineServerInfoOfPlayer GetOnlineServerInfoOfMultiPlayers netgameConf
    GetMysqlConfig GetRedisConfig GetMongoConfig IsShowDebugLog GetServerIdsByServerType IsConnectedServer GetServersStatus
    GetServerLoadedModsById GetServerLoadedModsByType GetServerProtocolVersion
    """.split()
)
"""Calls that give the same on every node, whosever module they are asked of."""


def is_foreign(module: str, side: str) -> bool:
    """Whether a module of the surface is of another role; ``service.asyncore_with_timer`` and the base classes are not."""
    package, _, last = module.partition(".")
    whose = SIDE_OF_PACKAGE.get(package, side)
    return whose != side and last != "asyncore_with_timer" and not last.startswith("extra")


def foreign(engine: Engine, module: str, name: str, found: Any) -> Any:
    """``found``, the call ``name`` of a module of another role, so that calling it is told."""
    if name in EVERYONES or not callable(found):
        return found

    @functools.wraps(found)
    def call(*args: Any, **kwargs: Any) -> Any:
        whose = WHOSE[SIDE_OF_PACKAGE[module.partition(".")[0]]]
        engine.warn_once(f"{module}.{name} is a call of {whose}, and this node is none of them")
        return found(*args, **kwargs)

    return call


class Lacks(AttributeError):
    """A system of the class ``cls``, of the side ``side``, has no attribute ``name``. Its text says why; it is made when
    it is asked for, as ``hasattr`` never does."""

    def __init__(self, side: str, cls: str, name: str) -> None:
        super().__init__(name)
        self._what = (side, cls, name)

    def __str__(self) -> str:
        return lacks(*self._what)


# In a traceback it is what it is elsewhere.
Lacks.__name__ = Lacks.__qualname__ = "AttributeError"
Lacks.__module__ = "builtins"


def lacks(side: str, cls: str, name: str) -> str:
    """Why a system of the class ``cls`` has no attribute ``name``: it may be a call of another role, or misspelt."""
    from chappe.check.api import CALLS, ROLES
    from chappe.suggest import did_you_mean

    role = side.lower()
    text = f"{cls!r} object has no attribute {name!r}"
    call = CALLS.get(name)
    if call is not None and role not in call.roles:
        whose = " and ".join(WHOSE[one.capitalize()] for one in ROLES if one in call.roles)
        hint = f"; {call.hint}" if call.hint else ""
        return f"{text}: {name} is a call of {whose}, and this is a system of {WHOSE[side]}{hint}"
    return text + did_you_mean(name, [known for known, call in CALLS.items() if role in call.roles])
