"""What a handler is given beside the player: the fields of the request, or of the notification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chappe.snipe.errors import BadParams

_NONE: Any = object()
_NAMES = {type(None): "null", bool: "a bool", int: "an int", float: "a float", str: "a string", bytes: "bytes"}


class Params(dict[str, Any]):
    """A dict of the fields, ``_type`` among them. A field that is missing or of another type raises BadParams, which the
    player is told of, unless there is a default."""

    __slots__ = ()

    def getInt(self, name: str, default: Any = _NONE) -> int:
        """A whole number."""
        found: int = self._typed(name, default, "an int", _is_int)
        return found

    def getFloat(self, name: str, default: Any = _NONE) -> float:
        """A number; a whole one counts."""
        found = self._typed(name, default, "a float", lambda value: isinstance(value, float) or _is_int(value))
        return float(found) if _is_int(found) else found

    def getString(self, name: str, default: Any = _NONE) -> str:
        """A text."""
        found: str = self._typed(name, default, "a string", lambda value: isinstance(value, str))
        return found

    def getBool(self, name: str, default: Any = _NONE) -> bool:
        """True or False."""
        found: bool = self._typed(name, default, "a bool", lambda value: isinstance(value, bool))
        return found

    def get(self, name: str, default: Any = _NONE) -> Any:
        """Any value. Unlike that of other dicts it raises BadParams without a default, when the field is missing."""
        found = super().get(name, default)
        return self.__missing__(name) if found is _NONE else found

    def __missing__(self, name: object) -> Any:
        raise BadParams(f'params["{name}"] is missing; a value is needed')

    def _typed(self, name: str, default: Any, wanted: str, fits: Callable[[Any], bool]) -> Any:
        found = super().get(name)
        if found is None:
            if default is not _NONE:
                return default
            raise BadParams(f'params["{name}"] is missing; {wanted} is needed')
        if not fits(found):
            raise BadParams(f'params["{name}"] is {_kind(found)}, not {wanted}')
        return found


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return _NAMES.get(type(value), f"a {type(value).__name__}")
