"""`apolloCommon.mysqlPool`: SQL on MySQL and MariaDB, over PyMySQL.

`sql` has `%s` places that `params`, a tuple, fills. Calls with the same `orderKey` (a text or a number) run in order,
different ones side by side. `callback` takes one argument and runs on the main thread; None on any error. Each statement
is committed by itself.

A connection that the server has closed is replaced before a statement is sent. A connection lost after that fails the
statement, because it may have been done: only queries that read are tried once more.
"""

from __future__ import annotations

import logging
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .call import Callback
from .pool import Pool, PoolError, keywords, load_driver
from .settings import Endpoint

log = logging.getLogger("chappe.apollo.pools")

_IDLE_PING_SECONDS = 30.0
_LOST = frozenset({0, 1053, 1927, 2000, 2006, 2013, 2014, 2027, 2055, 4031})
_READS = ("SELECT", "SHOW", "DESC", "DESCRIBE", "EXPLAIN")
_aliases = keywords(order_key="orderKey", cb="callback", args="params", paramList="paramsList", params_list="paramsList")
_many_aliases = keywords(
    order_key="orderKey", cb="callback", args="paramsList", params="paramsList", paramList="paramsList", params_list="paramsList"
)


class MysqlSession:
    """One thread's connection, made when first needed and again when it was lost."""

    def __init__(self, endpoint: Callable[[], Endpoint], connected: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._connected = connected
        self._connection: Any = None
        self._used_at = 0.0

    def connection(self) -> Any:
        """A live connection in autocommit mode. Raises `PoolError` when there is no way to one."""
        if self._connection is not None and not self._alive():
            self.close()
        if self._connection is None:
            self._connection = self._connect()
            self._connected()
        self._used_at = time.monotonic()
        return self._connection

    def run(self, work: Callable[[Any], Any], repeatable: bool = False) -> Any:
        """Calls `work(connection)`; drops the connection after an error that may have spoilt it.

        `repeatable` work is done once more on a new connection when the first one was lost under it.
        """
        try:
            return self._attempt(work)
        except Exception as error:
            if not (repeatable and _was_lost(error)):
                raise
        return self._attempt(work)

    def close(self) -> None:
        """Closes the connection, lost or not."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception:
                pass  # it is gone: that is what was wanted

    def _attempt(self, work: Callable[[Any], Any]) -> Any:
        connection = self.connection()
        try:
            result = work(connection)
        except BaseException as error:
            # The server may still be about to close a connection that it has just called lost.
            self.close() if _code(error) in _LOST else self._restore(connection)
            raise
        self._restore(connection)
        return result

    def _restore(self, connection: Any) -> None:
        """Ends a transaction that was left open and turns autocommit on again: the next call is another mod's."""
        if not connection.open:
            self.close()
            return
        try:
            if connection.server_status & 1:  # SERVER_STATUS_IN_TRANS
                connection.rollback()
            if not connection.get_autocommit():
                connection.autocommit(True)
        except Exception:
            self.close()

    def _alive(self) -> bool:
        """Whether a statement can be sent: a socket that can be read before that holds the server's farewell."""
        connection = self._connection
        if not connection.open:
            return False
        poll = select.poll()
        poll.register(connection._sock, select.POLLIN)
        endpoint = self._endpoint()
        if not endpoint.tls and poll.poll(0):
            return False
        if endpoint.tls or time.monotonic() - self._used_at > _IDLE_PING_SECONDS:
            try:
                connection.ping(reconnect=False)
            except Exception:
                return False
        return True

    def _connect(self) -> Any:
        pymysql = load_driver("pymysql", "PyMySQL")
        endpoint = self._endpoint()
        options: dict[str, Any] = {"unix_socket": endpoint.unix_socket} if endpoint.unix_socket else {}
        if endpoint.tls:
            # A context, because PyMySQL's own, without a file of authorities, would not check the server's certificate.
            options["ssl"] = ssl.create_default_context()
        try:
            return pymysql.connect(
                host=endpoint.host,
                port=endpoint.port,
                user=endpoint.user or None,
                password=endpoint.password,
                database=endpoint.database or None,
                charset=endpoint.charset,
                autocommit=True,
                connect_timeout=max(1, round(endpoint.connect_timeout)),
                read_timeout=endpoint.timeout,
                write_timeout=endpoint.timeout,
                **options,
            )
        except Exception as error:
            raise PoolError(f"cannot connect to {endpoint.address}: {error}") from error


class MysqlPool(Pool[MysqlSession]):
    """The functions of `apolloCommon.mysqlPool`, of one database."""

    kind = "mysql"

    def Init(self, host: str, port: int, user: str, password: str, database: str, poolSize: int = 8) -> None:
        """The older way to start: `InitDB` on a server named here instead of in deploy.json."""
        self.endpoint = Endpoint("mysql", str(host), int(port), str(user), str(password), str(database))
        self.InitDB(poolSize)

    @_aliases
    def AsyncExecuteWithOrderKey(
        self, orderKey: object, sql: str, params: Any = None, callback: Callback | None = None
    ) -> None:
        """Runs any statement. `callback(True)`, or None on error."""
        params, callback = _shifted(params, callback)

        def execute(connection: Any) -> bool:
            with connection.cursor() as cursor:
                cursor.execute(sql, _bound(params))
            return True

        self._submit("AsyncExecuteWithOrderKey", [orderKey], _said(orderKey, sql), lambda s: s.run(execute), callback)

    @_aliases
    def AsyncQueryWithOrderKey(
        self, orderKey: object, sql: str, params: Any = None, callback: Callback | None = None
    ) -> None:
        """Runs a query. `callback(rows)` with a tuple of row tuples, empty when nothing was found, or None on error."""
        params, callback = _shifted(params, callback)
        repeatable = _only_reads(sql)

        def query(session: MysqlSession) -> Any:
            return session.run(lambda connection: _fetch_all(connection, sql, params), repeatable)

        self._submit("AsyncQueryWithOrderKey", [orderKey], _said(orderKey, sql), query, callback)

    AsyncExecute = AsyncExecuteWithOrderKey
    AsyncQuery = AsyncQueryWithOrderKey

    @_aliases
    def AsyncInsertOneWithOrderKey(
        self, orderKey: object, sql: str, params: Any = None, callback: Callback | None = None
    ) -> None:
        """Inserts one row. `callback(id)` with its AUTO_INCREMENT key (0 if the table has none), or None on error."""
        params, callback = _shifted(params, callback)
        work = _inserting(sql, params)
        self._submit("AsyncInsertOneWithOrderKey", [orderKey], _said(orderKey, sql), lambda s: s.run(work), callback)

    @_many_aliases
    def AsyncExecutemanyWithOrderKey(
        self, orderKey: object, sql: str, paramsList: Iterable[Any] = (), callback: Callback | None = None
    ) -> None:
        """Runs the statement once for each of `paramsList`, all or nothing. `callback(count)` of the rows changed, or None.

        The list is taken over when this is called; a change of it later changes nothing.
        """
        rows: Sequence[Any] = [_bound(params) for params in paramsList]

        def execute_many(connection: Any) -> int:
            connection.begin()
            with connection.cursor() as cursor:
                count = cursor.executemany(sql, rows) or 0
            connection.commit()
            return int(count)

        self._submit(
            "AsyncExecutemanyWithOrderKey", [orderKey], _said(orderKey, sql), lambda s: s.run(execute_many), callback
        )

    def AsyncExecuteFunctionWithOrderKey(
        self, func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Calls `func(connection, *args)` on a thread of the pool. `callback(what it returned)`, or None if it raised.

        `connection.cursor()` and `autocommit`, `commit`, `rollback` are as the DB-API says. A transaction that is still open
        when `func` returns is rolled back, and autocommit is turned on again. `func` must not call the node's API.
        """
        _must_be_callable(self.name, "AsyncExecuteFunctionWithOrderKey", func)
        self._submit(
            "AsyncExecuteFunctionWithOrderKey",
            [orderKey],
            _said(orderKey, getattr(func, "__name__", func)),
            lambda session: session.run(lambda connection: func(connection, *args, **kwargs)),
            callback,
        )

    def SyncFetchAll(self, sql: str, params: Any = None) -> Any:
        """Runs a query and waits: rows, or None on error. It holds up the node, so only for a mod's start."""
        return self._wait_for("SyncFetchAll", sql, lambda connection: _fetch_all(connection, sql, params))

    def SyncInsert(self, sql: str, params: Any = None) -> Any:
        """Inserts a row and waits: its AUTO_INCREMENT key, or None on error. It holds up the node, so only for a mod's start."""
        return self._wait_for("SyncInsert", sql, _inserting(sql, params))

    def _wait_for(self, api: str, sql: str, work: Callable[[Any], Any]) -> Any:
        answer: list[Any] = []
        answered = threading.Event()

        def post(deliver: Callable[[], None]) -> None:
            deliver()
            answered.set()

        self._submit(api, (), repr(sql), lambda session: session.run(work), answer.append, post)
        if not answered.wait(self.limits.queue_seconds):
            log.error("%s.%s: no answer within %g s; it gets None", self.name, api, self.limits.queue_seconds)
        return answer[0] if answer else None

    def _open_session(self) -> MysqlSession:
        return MysqlSession(self.require_endpoint, lambda: self.stats.count("connections"))

    def _probe(self, session: MysqlSession) -> None:
        session.connection()


def _fetch_all(connection: Any, sql: str, params: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql, _bound(params))
        return tuple(cursor.fetchall())


def _inserting(sql: str, params: Any) -> Callable[[Any], int]:
    def insert(connection: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql, _bound(params))
            return int(cursor.lastrowid or 0)

    return insert


def _shifted(params: Any, callback: Callback | None) -> tuple[Any, Callback | None]:
    """A function in the place of `params` is the callback: real mods leave `params` out."""
    if callback is None and callable(params):
        return None, params
    return params, callback


def _bound(params: Any) -> Any:
    """Real mods write `(uid)` where they mean `(uid,)`."""
    return params if params is None or isinstance(params, (tuple, list, dict)) else (params,)


def _said(order_key: object, what: object) -> str:
    return f"{order_key!r}, {what!r}" if isinstance(what, str) else f"{order_key!r}, {what}"


def _only_reads(sql: str) -> bool:
    return sql.lstrip(" \t\r\n(").upper().startswith(_READS)


def _must_be_callable(pool: str, api: str, func: object) -> None:
    if not callable(func):
        raise TypeError(f"{pool}.{api}: func is a function, not {type(func).__name__}")


def _was_lost(error: Exception) -> bool:
    """Whether the connection went away, other than by our own time-out: a slow query is not asked twice."""
    return _code(error) in _LOST and not isinstance(error.__context__, TimeoutError)


def _code(error: BaseException) -> object:
    """The number of an error of the driver or the server; None for any other error."""
    return error.args[0] if error.args and type(error).__module__.startswith("pymysql") else None
