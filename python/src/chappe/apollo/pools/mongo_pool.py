"""`apolloCommon.mongoPool`: functions on MongoDB collections, over pymongo.

`func(collection, *args)` runs on a thread of the pool with pymongo's collection; `callback` takes what it returned and
runs on the main thread; None on any error. A cursor that it returns is read out on the thread and arrives as a list.
What pymongo 4 no longer has (`insert`, `save`, `update`, `remove`, `count` of a cursor) fails, and the log names it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from .call import Callback
from .pool import Pool, PoolError, keywords, load_driver
from .settings import Endpoint

_aliases = keywords(cb="callback", order_key="orderKey")


class MongoSession:
    """A thread's way to the one client of the pool: pymongo keeps the connections, one for each busy thread."""

    def __init__(self, client: Callable[[], tuple[Any, str]]) -> None:
        self._client = client

    def collection(self, name: str) -> Any:
        """A collection of the configured database. Raises `PoolError` when deploy.json or the driver is missing."""
        client, database = self._client()
        return client[database][name]

    def ping(self) -> None:
        """Asks the server, or raises."""
        self._client()[0].admin.command("ping")

    def close(self) -> None:
        """Nothing: the pool closes the client."""


class MongoPool(Pool[MongoSession]):
    """The functions of `apolloCommon.mongoPool`, of one database."""

    kind = "mongo"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shared: Any = None
        self._opening = threading.Lock()

    def Init(self, host: str, port: int, user: str, password: str, database: str, poolSize: int = 8) -> None:
        """The older way to start: `InitDB` on a server named here instead of in deploy.json."""
        self.endpoint = Endpoint("mongo", str(host), int(port), str(user), str(password), str(database))
        self.InitDB(poolSize)

    @_aliases
    def AsyncExecute(
        self, collection: str, func: Callable[..., Any], callback: Callback | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """`func(collection, *args)`; calls on the same collection run in order. Raises `TypeError` if `func` is none."""
        self._call("AsyncExecute", collection, func, collection, callback, args, kwargs)

    @_aliases
    def AsyncExecuteWithOrderKey(
        self,
        collection: str,
        func: Callable[..., Any],
        orderKey: object,
        callback: Callback | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """`func(collection, *args)`; calls with the same `orderKey` run in order. Raises `TypeError` if `func` is none."""
        self._call("AsyncExecuteWithOrderKey", collection, func, orderKey, callback, args, kwargs)

    def _call(
        self,
        api: str,
        collection: str,
        func: Callable[..., Any],
        order_key: object,
        callback: Callback | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        if not callable(func):
            raise TypeError(f"{self.name}.{api}: func is a function, not {type(func).__name__}")

        def work(session: MongoSession) -> Any:
            return _read_out(func(session.collection(collection), *args, **kwargs))

        said = f"{collection!r}, {getattr(func, '__name__', func)}, {order_key!r}"
        self._submit(api, [order_key], said, work, callback)

    def _open_session(self) -> MongoSession:
        return MongoSession(self._client)

    def _client(self) -> tuple[Any, str]:
        endpoint = self.require_endpoint()
        if not endpoint.database:
            raise PoolError('deploy.json: the "mongo" object needs a database')
        with self._opening:
            if self._shared is None:
                self._shared = _open_client(endpoint, self._executor.threads if self._executor else 8)
                self.stats.count("connections")
            return self._shared, endpoint.database

    def _probe(self, session: MongoSession) -> None:
        session.ping()

    def _release(self) -> None:
        with self._opening:
            client, self._shared = self._shared, None
        if client is not None:
            client.close()


def _open_client(endpoint: Endpoint, threads: int) -> Any:
    pymongo = load_driver("pymongo", "pymongo")
    login: dict[str, Any] = {}
    if endpoint.user:
        login = {"username": endpoint.user, "password": endpoint.password, "authSource": endpoint.database}
    connect_ms = int(endpoint.connect_timeout * 1000)
    return pymongo.MongoClient(
        endpoint.host,
        endpoint.port,
        # A pool that grows later waits for these connections rather than opening more.
        maxPoolSize=max(threads, 8),
        tls=endpoint.tls,
        serverSelectionTimeoutMS=connect_ms,
        connectTimeoutMS=connect_ms,
        socketTimeoutMS=int(endpoint.timeout * 1000),
        waitQueueTimeoutMS=int(endpoint.timeout * 1000),
        retryWrites=False,
        **login,
    )


def _read_out(result: Any) -> Any:
    if type(result).__module__.startswith("pymongo") and type(result).__name__ in ("Cursor", "CommandCursor"):
        return list(result)
    return result


def convert_bson_to_int(value: Any) -> Any:
    """A copy in which each `bson.Int64` is a plain int, in dicts, lists and tuples: `commonNetgameApi.ConvertBsonToInt`."""
    if isinstance(value, int) and type(value).__name__ == "Int64":
        return int(value)
    if isinstance(value, Mapping):
        return {convert_bson_to_int(key): convert_bson_to_int(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(convert_bson_to_int, value))
    return value
