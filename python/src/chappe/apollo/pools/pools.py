"""All pools of one node, and the modules under which its mods import them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from .call import Limits, Post
from .extra import ExtraPools
from .mongo_pool import MongoPool
from .mysql_pool import MysqlPool
from .pool import Pool
from .redis_pool import RedisPool
from .settings import Endpoint, parse
from .worker_pool import WorkerPools

_CLASSES: dict[str, type[Pool[Any]]] = {"mysql": MysqlPool, "redis": RedisPool, "mongo": MongoPool}


class Pools:
    """The pools of one node. Keep one for each node: nothing here is shared between two.

    Arguments: `post`, see `call.Post`, or None to keep callbacks until `Tick`; `settings`, a whole deploy.json;
    `limits` for each pool. Raises `SettingsError`, which names every problem.
    """

    def __init__(
        self,
        post: Post | None = None,
        settings: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = parse(settings or {}, environ)
        self.limits = limits or Limits()
        self._kept: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._post: Post = post or self._kept.put
        self.mysql = MysqlPool("mysqlPool", self.settings.main.get("mysql"), self._post, self.limits)
        self.redis = RedisPool("redisPool", self.settings.main.get("redis"), self._post, self.limits)
        self.mongo = MongoPool("mongoPool", self.settings.main.get("mongo"), self._post, self.limits)
        self.workers = WorkerPools(self._post, self.limits)
        self.extra = {kind: ExtraPools(kind, self.settings.extra[kind], self._open_extra) for kind in _CLASSES}

    def surface(self) -> dict[str, Any]:
        """What stands behind each module name: an object whose methods are the module's functions."""
        found: dict[str, Any] = {"apolloCommon.workerPool": self.workers}
        for kind, pool in (("mysql", self.mysql), ("redis", self.redis), ("mongo", self.mongo)):
            found[f"apolloCommon.{kind}Pool"] = pool
            found[f"apolloCommon.extra{kind.capitalize()}Pool"] = self.extra[kind]
        return found

    def modules(self) -> dict[str, ModuleType]:
        """New modules by the names mods import: `apolloCommon.mysqlPool`, `.extraMysqlPool` and so on."""
        made: dict[str, ModuleType] = {}
        for name, source in self.surface().items():
            made[name] = ModuleType(name, type(source).__doc__)
            functions = {api: getattr(source, api) for api in dir(source) if api[0].isupper()}
            vars(made[name]).update(functions, Tick=self.Tick)
        return made

    def Tick(self) -> None:
        """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
        while True:
            try:
                callback = self._kept.get_nowait()
            except queue.Empty:
                return
            callback()

    def ChangeDatabaseSlowLogLimit(self, db: str, interval: float) -> bool:
        """From now on calls on `db` (mysql, redis, mongo) that take longer than `interval` seconds are logged as slow.

        `commonNetgameApi` has it. False when there is no such database or the interval is none.
        """
        if db not in _CLASSES or isinstance(interval, bool) or not isinstance(interval, (int, float)) or interval < 0:
            return False
        self.limits.slow_seconds[db] = float(interval)
        return True

    def close(self) -> None:
        """Finishes every pool, whoever uses it: for a node that goes down. Waits at most `limits.finish_seconds` for all."""
        deadline = time.monotonic() + self.limits.finish_seconds
        for pool in self.all():
            pool.close(max(0.0, deadline - time.monotonic()))

    def all(self) -> list[Pool[Any]]:
        """Every pool that there is, also those that were never started."""
        pools: list[Pool[Any]] = [self.mysql, self.redis, self.mongo, *self.workers.pools]
        pools.extend(pool for group in self.extra.values() for pool in group.pools)
        return pools

    def _open_extra(self, kind: str, name: str, endpoint: Endpoint) -> Pool[Any]:
        return _CLASSES[kind](f"extra{kind.capitalize()}Pool[{name!r}]", endpoint, self._post, self.limits)


def configure(
    *,
    post: Post | None = None,
    settings: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    environ: Mapping[str, str] | None = None,
) -> Pools:
    """The pools of a node: see `Pools`. Starts nothing: the mods do, with `InitDB`."""
    return Pools(post, settings, limits, environ)
