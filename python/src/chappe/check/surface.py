"""What the modules of the platform have, as the package itself offers it: asked of it, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from .api import API_ROLE, module_name

#: Names of the game engine in modules that the network and the game share: nothing to correct in them.
_ENGINE = frozenset("""
    GetComponent GetComponentCls GetEngineActor GetEngineVersion GetHostPlayerId GetModConfigJson GetPlatform GetServerTickTime GetTopScreen GetTopUI
    GetUI IsInApollo IsInServer StartCoroutine StopCoroutine StartMemProfile StopMemProfile StartMultiProfile StopMultiProfile StartProfile
    StopProfile StartRecordEvent StopRecordEvent StartRecordPacket StopRecordPacket RegisterUI CreateUI PushScreen PopScreen RegisterComponent
""".split())


@cache
def names() -> dict[str, frozenset[str]]:
    """Module (without `mod.`) -> the names it has."""
    from ..apollo import binding, install
    from ..apollo.pools import configure
    from ..client.api import ExtraClientApi

    stand_in: Any = _Anything()
    parts: dict[str, Any] = install.surface(stand_in) | configure().modules()
    found = {name: _public(part) for name, part in parts.items()}
    found["client.extraClientApi"] |= _public(ExtraClientApi)
    found["common.mod.Mod"] = _public(binding.Binder().mod())
    return found


@cache
def of_systems() -> frozenset[str]:
    """The names that systems of any role have."""
    from ..apollo import systems
    from ..client.system import ClientSystem

    classes = [one for name, one in vars(systems).items() if name.endswith("System") and isinstance(one, type)]
    return frozenset(name for one in [*classes, ClientSystem] for name in dir(one))


@cache
def packages() -> frozenset[str]:
    """The top packages below which the platform or the game engine has every module: importing one never fails."""
    from ..apollo import install

    return frozenset((*install.PACKAGES, *install.PREFIXES, "mod_log"))


def is_shared(module: str) -> bool:
    """Whether the game engine has names of its own in the module, beside the network's."""
    return module.rsplit(".", 1)[-1] in API_ROLE


def lacks(module: str, name: str) -> bool:
    """Whether the module is the platform's and has no such name (that of a module below it counts as one)."""
    known = names()
    if module not in known or name.startswith("_") or name in known[module]:
        return False
    return not (is_shared(module) and name in _ENGINE) and f"{module}.{name}" not in known


def elsewhere(name: str, besides: str) -> list[str]:
    """The modules of the platform that have the name."""
    return sorted(module for module, has in names().items() if name in has and module != besides)


def modules() -> Iterator[str]:
    """All modules of the platform."""
    return (module_name(name) for name in names() if name != "common.mod.Mod")


def _public(part: Any) -> frozenset[str]:
    found = vars(part) if isinstance(part, ModuleType) else dir(part)
    return frozenset(name for name in found if not name.startswith("_"))


class _Anything:
    """Stands for a node, whose modules are made and never called."""

    def __getattr__(self, name: str) -> _Anything:
        return self

    def __call__(self, *args: object, **kwargs: object) -> _Anything:
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())
