# Written by scripts/stubs.py from the package's sources.
"""The functions of `apolloCommon.mysqlPool`, of one database."""

from chappe.apollo.pools.call import Callback
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

def AsyncExecute(orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Runs any statement. `callback(True)`, or None on error."""

def AsyncExecuteFunctionWithOrderKey(func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any) -> None:
    """Calls `func(connection, *args)` on a thread of the pool. `callback(what it returned)`, or None if it raised.

    `connection.cursor()` and `autocommit`, `commit`, `rollback` are as the DB-API says. A transaction that is still open
    when `func` returns is rolled back, and autocommit is turned on again. `func` must not call the node's API."""

def AsyncExecuteWithOrderKey(orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Runs any statement. `callback(True)`, or None on error."""

def AsyncExecutemanyWithOrderKey(orderKey: object, sql: str, paramsList: Iterable[Any] = (), callback: Callback | None = None) -> None:
    """Runs the statement once for each of `paramsList`, all or nothing. `callback(count)` of the rows changed, or None.

    The list is taken over when this is called; a change of it later changes nothing."""

def AsyncInsertOneWithOrderKey(orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Inserts one row. `callback(id)` with its AUTO_INCREMENT key (0 if the table has none), or None on error."""

def AsyncQuery(orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Runs a query. `callback(rows)` with a tuple of row tuples, empty when nothing was found, or None on error."""

def AsyncQueryWithOrderKey(orderKey: object, sql: str, params: Any = None, callback: Callback | None = None) -> None:
    """Runs a query. `callback(rows)` with a tuple of row tuples, empty when nothing was found, or None on error."""

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

def SyncFetchAll(sql: str, params: Any = None) -> Any:
    """Runs a query and waits: rows, or None on error. It holds up the node, so only for a mod's start."""

def SyncInsert(sql: str, params: Any = None) -> Any:
    """Inserts a row and waits: its AUTO_INCREMENT key, or None on error. It holds up the node, so only for a mod's start."""

def Tick() -> None:
    """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
