"""The methods of a module: which there are, who may call each, and with what."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from chappe.apollo.callables import describe

MARK = "_chappe_request"
Method = tuple[str, str, Callable[..., Any]]
"""The name, the kind ("request", "player", "node" or "cache"), and the function."""
_F = TypeVar("_F", bound=Callable[..., Any])


def request(method: _F) -> _F:
    """Marks a method that players may call: ``method(client, params)``. They can call no other."""
    if not callable(method):
        raise TypeError(f"@request marks a method, and takes no arguments; it was given {method!r}")
    setattr(method, MARK, True)
    return method


def methods(module: object, role: str) -> list[Method]:
    """The handlers among the public methods of ``module`` (an object, or a Python module) for a node of ``role``: with two
    arguments it is called with a player (on the master: with the node that asks) and the fields, with one with the
    fields. Methods that can be called neither way are no handlers. Raises TypeError for one that is marked all the same.
    """
    if isinstance(module, type):
        raise TypeError(f"registerModule: {module.__name__} is a class; give an object of it: {module.__name__}()")
    found: list[Method] = []
    for name, function in _public(module):
        is_request = bool(getattr(function, MARK, False))
        count = _arguments(function)
        if is_request and role == "master" and count == 2:
            continue  # players do not ask the master, and nodes are no players
        if count == 2:
            kind = "cache" if role == "master" else "request" if is_request else "player"
        elif count == 1 and not is_request:
            kind = "node"
        elif is_request:
            raise TypeError(f"registerModule: {describe(function)} is called with (client, params)")
        else:
            continue
        found.append((name, kind, function))
    return found


def _public(module: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    if isinstance(module, types.ModuleType):
        for name, function in list(vars(module).items()):
            # What it has imported is not its own, and nobody is to call it from outside.
            if not name.startswith("_") and inspect.isfunction(function) and function.__module__ == module.__name__:
                yield name, function
        return
    for name in dir(type(module)):
        if name.startswith("_"):
            continue
        static = inspect.getattr_static(type(module), name)
        if inspect.isfunction(static) or isinstance(static, (staticmethod, classmethod)):
            yield name, getattr(module, name)


def _arguments(function: Callable[..., Any]) -> int:
    """2 when it can be called with two arguments, else 1 when with one, else 0."""
    signature = inspect.signature(function)
    for count in (2, 1):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    return 0
