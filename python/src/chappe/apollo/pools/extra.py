"""`apolloCommon.extraMysqlPool`, `extraRedisPool`, `extraMongoPool`: the same functions on more databases, named first.

`extraMysqlPool.InitDB("shop", 8)`, then `AsyncQueryWithOrderKey("shop", orderKey, sql, params, callback)`. The name is the one
under `extra_mysql` in deploy.json, or the `database` of exactly one entry there: published examples use both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .pool import Pool, PoolError
from .settings import Endpoint

_APIS = {
    "mysql": (
        "AsyncExecuteWithOrderKey",
        "AsyncQueryWithOrderKey",
        "AsyncInsertOneWithOrderKey",
        "AsyncExecutemanyWithOrderKey",
        "AsyncExecuteFunctionWithOrderKey",
        "SyncFetchAll",
        "SyncInsert",
    ),
    "redis": ("AsyncGet", "AsyncSet", "AsyncDelete", "AsyncHgetall", "AsyncMget", "AsyncFuncWithKey"),
    "mongo": ("AsyncExecute", "AsyncExecuteWithOrderKey"),
}


class ExtraPools:
    """The named pools of one kind of database."""

    def __init__(
        self, kind: str, endpoints: Mapping[str, Endpoint], open_pool: Callable[[str, str, Endpoint], Pool[Any]]
    ) -> None:
        self._kind = kind
        self._pools = {name: open_pool(kind, name, endpoint) for name, endpoint in endpoints.items()}
        for api in _APIS[kind]:
            setattr(self, api, self._named(api))

    def InitDB(self, dbName: str, poolSize: int = 8) -> None:
        """Starts the pool of that name. Raises `PoolError` when deploy.json has none."""
        self._pool(dbName).InitDB(poolSize)

    def Finish(self) -> None:
        """Finishes all of them: see `Pool.Finish`."""
        for pool in self._pools.values():
            pool.Finish()

    @property
    def pools(self) -> list[Pool[Any]]:
        """All of them, started or not."""
        return list(self._pools.values())

    def _named(self, api: str) -> Callable[..., Any]:
        def call(dbName: str, *args: Any, **kwargs: Any) -> Any:
            return getattr(self._pool(dbName), api)(*args, **kwargs)

        call.__name__ = api
        return call

    def _pool(self, name: str) -> Pool[Any]:
        if name in self._pools:
            return self._pools[name]
        by_database = [pool for pool in self._pools.values() if pool.endpoint is not None and pool.endpoint.database == name]
        if len(by_database) == 1:
            return by_database[0]
        known = ", ".join(sorted(self._pools)) or "none"
        raise PoolError(f"deploy.json has no {name!r} in extra_{self._kind}; there is: {known}")
