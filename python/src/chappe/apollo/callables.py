"""What a mod hands over to be called: that it can be, and with how many arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

_checked: set[tuple[object, bool, int]] = set()
"""Functions that were found right, by their code: registration in a loop must not cost an inspection each time."""


def check(call: str, func: object, arguments: tuple[str, ...]) -> None:
    """Raises TypeError when ``func`` cannot be called with so many arguments; ``call`` names the registration."""
    if not callable(func):
        raise TypeError(f"{call}: {func!r} cannot be called")
    inner = getattr(func, "__func__", func)
    key = (getattr(inner, "__code__", None), inner is not func, len(arguments))
    if key[0] is not None and key in _checked:
        return
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError):
        return  # a built-in that does not tell
    try:
        signature.bind(*arguments)
    except TypeError as error:
        wanted = f"{len(arguments)} argument{'s' if len(arguments) != 1 else ''} ({', '.join(arguments)})"
        raise TypeError(f"{call}: {describe(func)} takes {signature}, but is called with {wanted}: {error}") from None
    if key[0] is not None:
        _checked.add(key)


def describe(func: Callable[..., Any] | object) -> str:
    """A function's name, with the file and line where it stands."""
    inner = getattr(func, "__func__", func)
    code = getattr(inner, "__code__", None)
    name = getattr(inner, "__qualname__", repr(func))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else str(name)
