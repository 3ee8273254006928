# Written by scripts/stubs.py from the package's sources.
"""The named pools of one kind of database."""

from chappe.apollo.pools.call import Callback
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

def AsyncExecuteFunctionWithOrderKey(dbName: str, func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """Calls `func(connection, *args)` on a thread of the pool. `callback(what it returned)`, or None if it raised.

    `connection.cursor()` and `autocommit`, `commit`, `rollback` are as the DB-API says. A transaction that is still open
    when `func` returns is rolled back, and autocommit is turned on again. `func` must not call the node's API."""

def AsyncExecuteWithOrderKey(dbName: str, orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Runs any statement. `callback(True)`, or None on error."""

def AsyncExecutemanyWithOrderKey(dbName: str, orderKey: object, sql: str, paramsList: Iterable[Any] = (), callback: Callback | None = None) -> None:
    """Runs the statement once for each of `paramsList`, all or nothing. `callback(count)` of the rows changed, or None.

    The list is taken over when this is called; a change of it later changes nothing."""

def AsyncInsertOneWithOrderKey(dbName: str, orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Inserts one row. `callback(id)` with its AUTO_INCREMENT key (0 if the table has none), or None on error."""

def AsyncQueryWithOrderKey(dbName: str, orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Runs a query. `callback(rows)` with a tuple of row tuples, empty when nothing was found, or None on error."""

def Finish() -> None:
    """Finishes all of them: see `Pool.Finish`."""

def InitDB(dbName: str, poolSize: int = 8) -> None:
    """Starts the pool of that name. Raises `PoolError` when deploy.json has none."""

def SyncFetchAll(dbName: str, sql: str, params: Any = None) -> Any:
    """Runs a query and waits: rows, or None on error. It holds up the node, so only for a mod's start."""

def SyncInsert(dbName: str, sql: str, params: Any = None) -> Any:
    """Inserts a row and waits: its AUTO_INCREMENT key, or None on error. It holds up the node, so only for a mod's start."""

def Tick() -> None:
    """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
