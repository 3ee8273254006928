"""What an expression can turn out to be, beside plain constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .model import Class, Scope

#: Values are hashable: str, int, float, bool, `NONE`, tuples, and the classes below. None stands for "not known".
Values = frozenset[Any] | None


@dataclass(frozen=True)
class Nothing:
    """Python's None, as a value."""


@dataclass(frozen=True)
class Dotted:
    """A module or a member of it that is not the mods' own, under its name in the API (without `mod.`)."""

    name: str


@dataclass(frozen=True)
class Instance:
    """An object of a class of the mods."""

    cls: Class


@dataclass(frozen=True)
class Callable_:
    """A function or method of the mods. `bound`: its first parameter is given already."""

    scope: Scope
    bound: bool


@dataclass(frozen=True)
class SystemBase:
    """The base class of systems of a role."""

    role: str


@dataclass(frozen=True)
class SystemOf:
    """What `GetSystem(namespace, name)` answers."""

    namespace: str
    name: str


@dataclass(frozen=True)
class SlaveNode:
    """A node as the master has it, to `notify`: what `server.getRandomClient(type)` answers. `type` None: any."""

    type: str | None


@dataclass(frozen=True)
class Table:
    """A dict of constants."""

    items: tuple[tuple[Any, Any], ...]


NONE = Nothing()


def is_constant(values: Values) -> bool:
    """Whether it is constants alone, and no name of somebody else's, which may be anything."""
    return bool(values) and all(isinstance(value, (str, int, float, bool, tuple, bytes, Nothing, Table)) for value in values or ())
