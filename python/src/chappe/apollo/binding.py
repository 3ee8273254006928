"""``common.mod``: the class that a mod's modMain binds, and the methods that start and end it for each role."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

ROLES = ("Server", "Client", "Service", "Master")


class Binder:
    """Collects the classes that are bound while modMains are imported."""

    def __init__(self) -> None:
        self.bound: list[type] = []

    def mod(self) -> type:
        """The class ``Mod`` of ``common.mod``."""
        bound = self.bound

        def Binding(name: str = "", version: str = "", **others: Any) -> Callable[[type], type]:
            """Binds a mod's main class; ``name`` and ``version`` are for people."""

            def bind(cls: type) -> type:
                cls._chappe_mod = (name, version)  # type: ignore[attr-defined]
                bound.append(cls)
                return cls

            return bind

        names: dict[str, Any] = {"__doc__": "Decorators of a modMain.", "Binding": staticmethod(Binding)}
        for role in ROLES:
            names[f"Init{role}"] = staticmethod(_marker("init", role))
            names[f"Destroy{role}"] = staticmethod(_marker("destroy", role))
        return type("Mod", (), names)


def _marker(what: str, role: str) -> Callable[..., Any]:
    def mark(func: Callable[..., Any]) -> Callable[..., Any]:
        marks = getattr(func, "_chappe_marks", ())
        func._chappe_marks = (*marks, (what, role))  # type: ignore[attr-defined]
        return func

    def marker(func: Callable[..., Any] | None = None) -> Any:
        # Used with and without brackets.
        return mark(func) if callable(func) else mark

    return marker


def marked(cls: type, what: str, role: str) -> list[str]:
    """The names of a bound class's methods that are marked for a role, in the order of their definition."""
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            if (what, role) in getattr(member, "_chappe_marks", ()):
                names[name] = None
    return list(names)


def where(cls: type) -> str:
    """The file of a class."""
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__
