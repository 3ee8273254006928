"""What mods send: each call of a system is kept, with its arguments by their names."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SENDING = ("Notify", "Broadcast", "RemoteNotify", "Request", "Response")
"""What the names of the calls that send begin with."""


@dataclass(frozen=True)
class Sent:
    """One call that sends. ``time`` is in seconds since the cluster's start, ``result`` what the call returned."""

    node: int
    namespace: str
    system: str
    call: str
    args: dict[str, Any]
    time: float
    result: Any

    @property
    def data(self) -> Any:
        """The data of the event or request."""
        found = self.args.get("eventData")
        return found if found is not None else self.args.get("args")

    def fits(self, wanted: dict[str, Any]) -> bool:
        """Whether it was sent from ``node``, by ``system``, ..., with these arguments among others."""
        own = {"node": self.node, "namespace": self.namespace, "system": self.system, "result": self.result}
        given = {**own, "data": self.data, **self.args}
        return all(name in given and given[name] == value for name, value in wanted.items())


def watch(base: type, told: Callable[[Any, str, dict[str, Any], Any], None]) -> None:
    """Has ``told(system, call, args, result)`` called for what systems derived from ``base`` send."""
    for name in dir(base):
        if name.startswith(SENDING):
            setattr(base, name, _watched(name, getattr(base, name), told))


def _watched(name: str, call: Callable[..., Any], told: Callable[[Any, str, dict[str, Any], Any], None]) -> Any:
    signature = inspect.signature(call)

    @functools.wraps(call)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = call(self, *args, **kwargs)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        named = dict(list(bound.arguments.items())[1:])
        told(self, name, {key: _as_it_was(value) for key, value in named.items()}, result)
        return result

    return watched


def _as_it_was(value: Any) -> Any:
    """A copy, so that what the mod does with it later does not show."""
    return copy.deepcopy(value) if isinstance(value, (dict, list, tuple)) else value
