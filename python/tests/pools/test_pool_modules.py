"""The pools as mods import them."""

from __future__ import annotations

import queue
import sys
from types import ModuleType
from typing import Any

import pytest
from chappe.apollo.pools import Pools, configure
from chappe.apollo.pools.pool import PoolError

# The names that real mods call, and those that the public documentation of such networks lists beside them.
MYSQL = """InitDB Finish AsyncExecuteWithOrderKey AsyncQueryWithOrderKey AsyncInsertOneWithOrderKey SyncFetchAll SyncInsert
    AsyncExecutemanyWithOrderKey AsyncExecuteFunctionWithOrderKey AsyncExecute AsyncQuery Init Tick"""
REDIS = "InitDB Finish AsyncGet AsyncSet AsyncDelete AsyncHgetall AsyncMget AsyncFuncWithKey Tick"
MONGO = "InitDB Finish AsyncExecute AsyncExecuteWithOrderKey Init Tick"


@pytest.mark.parametrize(("name", "apis"), [("mysqlPool", MYSQL), ("redisPool", REDIS), ("mongoPool", MONGO)])
def test_no_name_that_mods_call_is_missing(name: str, apis: str) -> None:
    module = configure(environ={}).modules()[f"apolloCommon.{name}"]
    assert [api for api in apis.split() if not callable(getattr(module, api, None))] == []
    assert module.__doc__


def test_a_mod_is_not_kept_from_its_imports(redis: Any, main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = configure(post=main.post, settings={"redis": redis.settings}, environ={})
    monkeypatch.setitem(sys.modules, "apolloCommon", ModuleType("apolloCommon"))
    for name, module in pools.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(sys.modules["apolloCommon"], name.rpartition(".")[2], module, raising=False)
    mod: dict[str, Any] = {"got": []}
    exec(
        "import apolloCommon.redisPool as redisPool\n"
        "from apolloCommon import mysqlPool\n"
        "redisPool.InitDB(30)\n"
        "redisPool.AsyncSet('mod', '1')\n"
        "redisPool.AsyncGet('mod', got.append)\n"
        "redisPool.Finish()\n",
        mod,
    )
    main.run()
    assert mod["got"] == ["1"]
    pools.close()


def test_two_nodes_in_one_process_do_not_share_a_pool(redis: Any) -> None:
    nodes: list[tuple[Pools, queue.SimpleQueue[Any]]] = []
    for _ in range(2):
        posted: queue.SimpleQueue[Any] = queue.SimpleQueue()
        nodes.append((configure(post=posted.put, settings={"redis": redis.settings}, environ={}), posted))
    for pools, _ in nodes:
        pools.redis.InitDB(1)
    nodes[0][0].close()
    got: list[Any] = []
    nodes[1][0].redis.AsyncSet("node", "1", got.append)
    nodes[1][1].get(timeout=60)()
    assert got == [True]
    assert nodes[0][1].empty()
    nodes[1][0].close()


def test_callbacks_are_not_lost_without_a_node(redis: Any) -> None:
    pools = configure(settings={"redis": redis.settings}, environ={})
    pools.redis.InitDB(1)
    got: list[Any] = []
    pools.redis.AsyncSet("k", "v", got.append)
    pools.redis.Finish()
    assert got == []
    pools.modules()["apolloCommon.redisPool"].Tick()
    assert got == [True]


def test_another_database_is_not_taken_for_the_first(redis: Any, main: Any) -> None:
    settings = {"redis": redis.settings, "extra_redis": {"shop": redis.settings | {"database": 5}}}
    pools = configure(post=main.post, settings=settings, environ={})
    pools.redis.InitDB(1)
    extra = pools.modules()["apolloCommon.extraRedisPool"]
    extra.InitDB("shop", 3)
    assert main.answer(pools.redis.AsyncSet, "which", "main") is True
    assert main.answer(extra.AsyncSet, "shop", "which", "extra") is True
    assert main.answer(pools.redis.AsyncGet, "which") == "main"
    assert main.answer(extra.AsyncGet, "5", "which") == "extra"
    with pytest.raises(PoolError, match="no 'mail' in extra_redis; there is: shop"):
        extra.InitDB("mail", 3)
    extra.Finish()
    pools.close()


def test_a_slow_limit_for_no_database_is_not_taken() -> None:
    pools = configure(environ={})
    assert pools.ChangeDatabaseSlowLogLimit("mysql", 0.1) is True
    assert pools.limits.slow_seconds["mysql"] == 0.1
    assert pools.ChangeDatabaseSlowLogLimit("oracle", 0.1) is False
