"""`apolloCommon.workerPool`: a mod's own functions on threads, without a database.

`pool = workerPool.ForkNewPool(4)`, then `pool.EmitOrder(key, func, callback, *args)`: `func(*args)` runs on a thread, those with the
same key in order, and `callback` gets what it returned, a tuple, as its arguments. A mod may have several pools.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .call import Limits, Post
from .pool import Pool


class NoSession:
    """These threads keep nothing."""

    def close(self) -> None:
        """Nothing to close."""


class WorkerPool(Pool[NoSession]):
    """One pool of threads."""

    kind = "worker"

    def EmitOrder(self, key: object, func: Callable[..., Any], callback: Callable[..., Any] | None = None, *args: Any) -> None:
        """Runs `func(*args)` on a thread, after earlier calls with the same key. Raises `TypeError` if `func` is none.

        `func` returns a tuple, the arguments of `callback`: `()` or None for none, and one that is no tuple for itself. If
        it raises, that is logged and `callback`, whose arguments nobody knows, does not run. `func` must not call the node's API.
        """
        if not callable(func):
            raise TypeError(f"{self.name}.EmitOrder: func is a function, not {type(func).__name__}")
        if callback is not None and not callable(callback):
            raise TypeError(f"{self.name}.EmitOrder: callback is a function or None, not {type(callback).__name__}")

        def deliver(arguments: tuple[Any, ...] | None) -> None:
            if arguments is not None and callback is not None:
                callback(*arguments)

        said = f"{key!r}, {getattr(func, '__name__', func)}"
        self._submit("EmitOrder", [key], said, lambda _: _as_arguments(func(*args)), callback and deliver)

    def Finish(self, timeout: float | None = None) -> None:
        """Waits until all calls have run, at most `timeout` seconds (None: `limits.finish_seconds`), and ends the threads."""
        self.close(timeout)

    def _open_session(self) -> NoSession:
        return NoSession()

    def _probe(self, session: NoSession) -> None:
        pass


class WorkerPools:
    """The functions of `apolloCommon.workerPool`."""

    def __init__(self, post: Post, limits: Limits) -> None:
        self._post = post
        self._limits = limits
        self.pools: list[WorkerPool] = []

    def ForkNewPool(self, orderSize: int) -> WorkerPool:
        """A new pool with up to `orderSize` threads, from 1 to 256. Raises `TypeError` or `ValueError` for a size that is none."""
        pool = WorkerPool("workerPool", None, self._post, self._limits)
        pool.InitDB(orderSize)
        self.pools.append(pool)
        return pool


def _as_arguments(returned: Any) -> tuple[Any, ...]:
    if returned is None:
        return ()
    return returned if isinstance(returned, tuple) else (returned,)
