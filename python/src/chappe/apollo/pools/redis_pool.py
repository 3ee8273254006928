"""`apolloCommon.redisPool`: keys and values in Redis, over redis-py.

Values come as text (bytes that are no UTF-8 are kept by Python's `surrogateescape`). The key of a call is its order key too.
`callback` takes one argument and runs on the main thread; None on any error.

Mods were written for redis-py 2, so what that took, this takes: None, a bool or a list is stored as its text, and `zadd`
also accepts `score, member` pairs, `zincrby` the member before the amount unless both are numbers. A command whose
connection is lost is not sent again: it may have been done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .call import Callback
from .pool import Pool, keywords, load_driver
from .settings import Endpoint

_aliases = keywords(cb="callback", order_key="orderKey")
_key_aliases = keywords(cb="callback", key="keys")
_BYTES = (bytes, bytearray, memoryview)


class RedisSession:
    """One thread's client. It connects when first used; redis-py replaces a connection that the server has closed."""

    def __init__(self, endpoint: Callable[[], Endpoint], connected: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._connected = connected
        self._client: Any = None

    def client(self) -> Any:
        """The client. Raises `PoolError` when deploy.json or the driver is missing."""
        if self._client is None:
            self._client = _open_client(self._endpoint(), self._connected)
        return self._client

    def close(self) -> None:
        """Closes the connections, lost or not."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
            client.connection_pool.disconnect()


class RedisPool(Pool[RedisSession]):
    """The functions of `apolloCommon.redisPool`, of one database."""

    kind = "redis"

    @_aliases
    def AsyncGet(self, key: str, callback: Callback | None = None) -> None:
        """GET. `callback(text)`, or None when there is no such key and on error."""
        self._submit("AsyncGet", [key], repr(key), lambda session: session.client().get(key), callback)

    @_aliases
    def AsyncSet(self, key: str, value: Any, callback: Callback | None = None) -> None:
        """SET. `callback(True)`, or None on error."""
        self._submit("AsyncSet", [key], repr(key), lambda session: session.client().set(key, value), callback)

    @_aliases
    def AsyncDelete(self, key: str, callback: Callback | None = None) -> None:
        """DEL. `callback(number of keys removed)`, 0 or 1, or None on error."""
        self._submit("AsyncDelete", [key], repr(key), lambda session: session.client().delete(key), callback)

    @_aliases
    def AsyncHgetall(self, key: str, callback: Callback | None = None) -> None:
        """HGETALL. `callback(dict of texts)`, empty when there is no such key, or None on error."""
        self._submit("AsyncHgetall", [key], repr(key), lambda session: session.client().hgetall(key), callback)

    @_key_aliases
    def AsyncMget(self, keys: Iterable[str], callback: Callback | None = None) -> None:
        """MGET. `callback(list)` with a text or None for each key, or None on error. Runs after earlier calls on any of them."""
        wanted = [keys] if isinstance(keys, (str, bytes)) else list(keys)
        self._submit("AsyncMget", wanted, repr(wanted), lambda session: session.client().mget(wanted), callback)

    @_aliases
    def AsyncFuncWithKey(
        self, func: Callable[..., Any], orderKey: object, callback: Callback | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Calls `func(client, *args)` with a redis-py client on a thread of the pool.

        `callback(what it returned)`, or None if it raised. `func` must not call the node's API. Raises `TypeError` if
        `func` is none.
        """
        if not callable(func):
            raise TypeError(f"{self.name}.AsyncFuncWithKey: func is a function, not {type(func).__name__}")
        said = f"{getattr(func, '__name__', func)}, {orderKey!r}"

        def work(session: RedisSession) -> Any:
            return func(session.client(), *args, **kwargs)

        self._submit("AsyncFuncWithKey", [orderKey], said, work, callback)

    def _open_session(self) -> RedisSession:
        return RedisSession(self.require_endpoint, lambda: self.stats.count("connections"))

    def _probe(self, session: RedisSession) -> None:
        session.client().ping()


def _open_client(endpoint: Endpoint, connected: Callable[[], None]) -> Any:
    redis = load_driver("redis", "redis")
    no_retry = load_driver("redis.retry", "redis").Retry(load_driver("redis.backoff", "redis").NoBackoff(), 0)
    base = redis.UnixDomainSocketConnection if endpoint.unix_socket else redis.SSLConnection if endpoint.tls else redis.Connection

    class LenientConnection(base):  # type: ignore[misc, valid-type]
        """Sends as text what redis-py 3 and later refuse to guess, and text that hiredis cannot encode."""

        def connect(self, *args: Any, **kwargs: Any) -> Any:
            if self._sock is None:
                connected()
            return super().connect(*args, **kwargs)

        # Which of these a command goes through has changed from version to version of redis-py: bytes stay as they are in all.
        def send_command(self, *args: Any, **kwargs: Any) -> Any:
            return super().send_command(*_as_bytes(args), **kwargs)

        def pack_command(self, *args: Any) -> Any:
            return super().pack_command(*_as_bytes(args))

        def pack_commands(self, commands: Iterable[Iterable[Any]]) -> Any:
            return super().pack_commands([_as_bytes(command) for command in commands])

    class Client(redis.Redis):  # type: ignore[misc, name-defined]
        """redis-py with the older signatures of `zadd` and `zincrby` beside the present ones."""

        def zadd(self, name: Any, mapping: Any, *pairs: Any, **options: Any) -> Any:
            if not isinstance(mapping, Mapping):
                flat = (mapping, *pairs)
                mapping, pairs = dict(zip(flat[1::2], flat[0::2], strict=True)), ()
            return super().zadd(name, mapping, *pairs, **options)

        def zincrby(self, name: Any, amount: Any, value: Any = 1) -> Any:
            # redis-py 2 had (name, value, amount=1). Two numbers are read as redis-py 3 does: which is which cannot be known.
            if _is_number(value) and not _is_number(amount):
                amount, value = value, amount
            return super().zincrby(name, amount, value)

    place: dict[str, Any] = {"path": endpoint.unix_socket}
    if not endpoint.unix_socket:
        place = {"host": endpoint.host, "port": endpoint.port, "socket_connect_timeout": endpoint.connect_timeout}
    if endpoint.tls and not endpoint.unix_socket:
        place |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return Client(
        connection_pool=redis.ConnectionPool(
            connection_class=LenientConnection,
            db=int(endpoint.database or 0),
            username=endpoint.user or None,
            password=endpoint.password or None,
            socket_timeout=endpoint.timeout,
            decode_responses=True,
            encoding_errors="surrogateescape",
            protocol=2,
            retry=no_retry,
            **place,
        )
    )


def _as_bytes(command: Iterable[Any]) -> tuple[Any, ...]:
    """A command's arguments in the form in which no serializer changes them; its name stays."""
    name, *arguments = command
    return (name, *(value if isinstance(value, _BYTES) else str(value).encode("utf-8", "surrogateescape") for value in arguments))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))
