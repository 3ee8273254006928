# Written by scripts/stubs.py from the package's sources.
"""The named pools of one kind of database."""

from chappe.apollo.pools.call import Callback
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

def AsyncDelete(dbName: str, key: str, callback: Callback | None = None) -> None:
    """DEL. `callback(number of keys removed)`, 0 or 1, or None on error."""

def AsyncFuncWithKey(dbName: str, func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """Calls `func(client, *args)` with a redis-py client on a thread of the pool.

    `callback(what it returned)`, or None if it raised. `func` must not call the node's API. Raises `TypeError` if
    `func` is none."""

def AsyncGet(dbName: str, key: str, callback: Callback | None = None) -> None:
    """GET. `callback(text)`, or None when there is no such key and on error."""

def AsyncHgetall(dbName: str, key: str, callback: Callback | None = None) -> None:
    """HGETALL. `callback(dict of texts)`, empty when there is no such key, or None on error."""

def AsyncMget(dbName: str, keys: Iterable[str], callback: Callback | None = None) -> None:
    """MGET. `callback(list)` with a text or None for each key, or None on error. Runs after earlier calls on any of them."""

def AsyncSet(dbName: str, key: str, value: Any, callback: Callback | None = None) -> None:
    """SET. `callback(True)`, or None on error."""

def Finish() -> None:
    """Finishes all of them: see `Pool.Finish`."""

def InitDB(dbName: str, poolSize: int = 8) -> None:
    """Starts the pool of that name. Raises `PoolError` when deploy.json has none."""

def Tick() -> None:
    """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
