# Written by scripts/stubs.py from the package's sources.
"""The functions of `apolloCommon.mongoPool`, of one database."""

from chappe.apollo.pools.call import Callback
from collections.abc import Callable
from typing import Any

def AsyncExecute(collection: str, func: Callable[..., Any], callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """`func(collection, *args)`; calls on the same collection run in order. Raises `TypeError` if `func` is none."""

def AsyncExecuteWithOrderKey(collection: str, func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """`func(collection, *args)`; calls with the same `orderKey` run in order. Raises `TypeError` if `func` is none."""

def Finish() -> None:
    """Waits until all calls have run, at most `limits.finish_seconds`; the last user's call closes the pool.

    Callbacks are not waited for: they run on the main thread, which stands in this call. Calls that could not be begun in
    time get None. Does nothing on a pool that was never started."""

def Init(host: str, port: int, user: str, password: str, database: str, poolSize: int = 8) -> None:
    """The older way to start: `InitDB` on a server named here instead of in deploy.json."""

def InitDB(poolSize: int = 8) -> None:
    """Starts the pool with up to `poolSize` threads and connections (from 1 to 256), and tries the database once.

    Does not wait and does not raise when the database cannot be reached: that is logged, and calls get None until it can
    be. Called again, by another mod, it only allows more threads if `poolSize` is larger. Section 4 of the Apollo
    specification. Raises `TypeError` or `ValueError` for a size that is none."""

def Tick() -> None:
    """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
