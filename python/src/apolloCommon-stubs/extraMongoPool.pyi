# Written by scripts/stubs.py from the package's sources.
"""The named pools of one kind of database."""

from chappe.apollo.pools.call import Callback
from collections.abc import Callable
from typing import Any

def AsyncExecute(dbName: str, collection: str, func: Callable[..., Any], callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """`func(collection, *args)`; calls on the same collection run in order. Raises `TypeError` if `func` is none."""

def AsyncExecuteWithOrderKey(dbName: str, collection: str, func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """`func(collection, *args)`; calls with the same `orderKey` run in order. Raises `TypeError` if `func` is none."""

def Finish() -> None:
    """Finishes all of them: see `Pool.Finish`."""

def InitDB(dbName: str, poolSize: int = 8) -> None:
    """Starts the pool of that name. Raises `PoolError` when deploy.json has none."""

def Tick() -> None:
    """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
