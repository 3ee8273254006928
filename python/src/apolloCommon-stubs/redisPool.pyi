# Written by scripts/stubs.py from the package's sources.
"""The functions of `apolloCommon.redisPool`, of one database."""

from chappe.apollo.pools.call import Callback
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

def AsyncDelete(key: str, callback: Callback | None = None) -> None:
    """DEL. `callback(number of keys removed)`, 0 or 1, or None on error."""

def AsyncFuncWithKey(func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """Calls `func(client, *args)` with a redis-py client on a thread of the pool.

    `callback(what it returned)`, or None if it raised. `func` must not call the node's API. Raises `TypeError` if
    `func` is none."""

def AsyncGet(key: str, callback: Callback | None = None) -> None:
    """GET. `callback(text)`, or None when there is no such key and on error."""

def AsyncHgetall(key: str, callback: Callback | None = None) -> None:
    """HGETALL. `callback(dict of texts)`, empty when there is no such key, or None on error."""

def AsyncMget(keys: Iterable[str], callback: Callback | None = None) -> None:
    """MGET. `callback(list)` with a text or None for each key, or None on error. Runs after earlier calls on any of them."""

def AsyncSet(key: str, value: Any, callback: Callback | None = None) -> None:
    """SET. `callback(True)`, or None on error."""

def Finish() -> None:
    """Waits until all calls have run, at most `limits.finish_seconds`; the last user's call closes the pool.

    Callbacks are not waited for: they run on the main thread, which stands in this call. Calls that could not be begun in
    time get None. Does nothing on a pool that was never started."""

def InitDB(poolSize: int = 8) -> None:
    """Starts the pool with up to `poolSize` threads and connections (from 1 to 256), and tries the database once.

    Does not wait and does not raise when the database cannot be reached: that is logged, and calls get None until it can
    be. Called again, by another mod, it only allows more threads if `poolSize` is larger. Section 4 of the Apollo
    specification. Raises `TypeError` or `ValueError` for a size that is none."""

def Tick() -> None:
    """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
