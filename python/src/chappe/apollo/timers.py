"""``service.asyncore_with_timer``: CallLater and CallEvery, on the node's own timers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe import _core

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime


class CallLater:
    """Calls ``target(*args, **kwargs)`` once, after so many seconds."""

    _runtime: Runtime

    def __init__(self, seconds: float, target: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        if not callable(target):
            raise TypeError(f"{type(self).__name__}: {target!r} cannot be called")
        self._what = (float(seconds), target, args, kwargs)
        self.cancelled = False
        self._start()

    def _start(self) -> None:
        seconds, target, args, kwargs = self._what
        self._timer: _core.Timer = self._runtime.node.add_timer(seconds, target, args, kwargs or None)

    def cancel(self) -> None:
        """Stops it."""
        self.cancelled = True
        self._timer.cancel()

    def reset(self) -> None:
        """Starts its time anew."""
        self._timer.cancel()
        self.cancelled = False
        self._start()

    def delay(self, seconds: float) -> None:
        """Starts its time anew, with so many seconds."""
        self._what = (float(seconds), *self._what[1:])
        self.reset()


class CallEvery(CallLater):
    """Calls ``target(*args, **kwargs)`` every so many seconds."""

    def _start(self) -> None:
        seconds, target, args, kwargs = self._what
        self._timer = self._runtime.node.add_repeated_timer(seconds, target, args, kwargs or None)


class AsyncoreWithTimer:
    """The loop is the node's: what would run it does nothing."""

    def __init__(self, runtime: Runtime) -> None:
        self.CallLater = type("CallLater", (CallLater,), {"_runtime": runtime})
        self.CallEvery = type("CallEvery", (CallEvery,), {"_runtime": runtime})

    def scheduler(self, *args: Any) -> None:
        """Does nothing."""

    def loop(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""

    def close_all(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""
