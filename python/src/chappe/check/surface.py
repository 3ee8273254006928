"""What the modules of the platform have, as the package itself offers it: asked of it, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from ..apollo import published
from .api import module_name

#: Names of the game engine that are close to the network's: nothing to correct in them.
_ENGINE = frozenset("GetComponent StartMemProfile StopMemProfile StartMultiProfile StopMultiProfile StartRecordEvent StopRecordEvent".split())


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
    found["lobby.netgameApi"] = found["lobbyGame.netgameApi"]
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


@cache
def spare() -> frozenset[str]:
    """Modules that the platform has for whoever has no file of their names."""
    from ..apollo import install

    netgame = ModuleType("lobbyGame.netgameApi")
    return frozenset(install._spare({netgame.__name__: netgame}, _Anything()))  # type: ignore[arg-type]


def is_shared(module: str) -> bool:
    """Whether the game engine has names of its own in the module, beside the network's."""
    return module.rsplit(".", 1)[-1] in (*published.SHARED, "minecraftEnum")


def is_absent(module: str, name: str) -> bool:
    """Whether the name is published for the network, and is not here."""
    return name in published.ABSENT.get(module, ())


def lacks(module: str, name: str) -> bool:
    """Whether the module is the platform's and has no such name (that of a module below it counts as one)."""
    known = names()
    if module not in known or name.startswith("_") or name in known[module]:
        return False
    return name not in published.ENGINE.get(module, ()) and name not in _ENGINE and f"{module}.{name}" not in known


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
