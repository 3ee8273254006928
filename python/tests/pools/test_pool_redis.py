"""`redisPool` on a real Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from chappe.apollo.pools import Pools, configure
from chappe.apollo.pools.redis_pool import RedisPool


@pytest.fixture
def pools(redis: Any, main: Any) -> Iterator[Pools]:
    pools = configure(post=main.post, settings={"redis": redis.settings}, environ={})
    yield pools
    pools.close()


@pytest.fixture
def pool(pools: Pools, main: Any) -> RedisPool:
    pools.redis.InitDB(4)
    assert main.answer(pools.redis.AsyncFuncWithKey, lambda client: client.flushdb(), "flush") is True
    return pools.redis


def with_client(pool: RedisPool, main: Any, func: Any, *args: Any) -> Any:
    return main.answer(lambda callback: pool.AsyncFuncWithKey(func, "key", callback, *args))


@pytest.mark.parametrize("value", ["text", "名字 §6 🎮", '{"uid": 5000000001}', ""])
def test_a_value_does_not_come_back_different(pool: RedisPool, main: Any, value: str) -> None:
    assert main.answer(pool.AsyncSet, "k", value) is True
    assert main.answer(pool.AsyncGet, "k") == value


def test_bytes_that_are_no_text_are_not_lost(pool: RedisPool, main: Any) -> None:
    assert main.answer(pool.AsyncSet, "k", b"\x80\x02\xff") is True
    got = main.answer(pool.AsyncGet, "k")
    assert got.encode("utf-8", "surrogateescape") == b"\x80\x02\xff"
    assert main.answer(pool.AsyncSet, "copy", got) is True
    assert main.answer(pool.AsyncGet, "copy") == got


def test_what_the_older_driver_stored_is_not_refused(pool: RedisPool, main: Any) -> None:
    for value, text in ((True, "True"), (None, "None"), ([1, "a"], "[1, 'a']"), (1.5, "1.5"), (7, "7")):
        assert main.answer(pool.AsyncSet, "k", value) is True
        assert main.answer(pool.AsyncGet, "k") == text

    def in_a_pipeline(client: Any) -> Any:
        with client.pipeline() as pipe:
            pipe.set("k", False)
            pipe.get("k")
            return pipe.execute()

    assert with_client(pool, main, in_a_pipeline) == [True, "False"]


def test_an_absent_key_is_not_an_error(pool: RedisPool, main: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert main.answer(pool.AsyncGet, "none") is None
    assert main.answer(pool.AsyncHgetall, "none") == {}
    assert main.answer(pool.AsyncDelete, "none") == 0
    assert main.answer(pool.AsyncMget, ("none", "neither")) == [None, None]
    assert caplog.text == ""


def test_deleted_keys_and_hashes_are_told_as_documented(pool: RedisPool, main: Any) -> None:
    with_client(pool, main, lambda client: client.hset("h", mapping={"name": "名", "lv": 2}))
    assert main.answer(pool.AsyncHgetall, "h") == {"name": "名", "lv": "2"}
    assert main.answer(pool.AsyncDelete, "h") == 1


def test_a_call_without_callback_or_by_keyword_is_not_refused(pool: RedisPool, main: Any) -> None:
    got: list[Any] = []
    pool.AsyncSet("k", 1)
    pool.AsyncSet(key="k", value="2", callback=got.append)
    pool.AsyncGet("k", cb=got.append)
    pool.AsyncMget(key=["k"], callback=got.append)
    pool.AsyncDelete("k")
    main.run(3)
    assert got == [True, "2", ["2"]]


def test_calls_on_one_key_are_not_reordered(pool: RedisPool, main: Any) -> None:
    got: list[Any] = []
    for number in range(300):
        for key in ("a", "b", "c"):
            pool.AsyncSet(f"order-{key}", number)
            pool.AsyncGet(f"order-{key}", got.append)
        pool.AsyncMget(["order-a", "order-c"], got.append)
    main.run(1200)
    for at, key in ((0, "a"), (1, "c")):
        assert [pair[at] for pair in got if isinstance(pair, list)] == [str(n) for n in range(300)], key
    assert sorted(int(value) for value in got if isinstance(value, str)) == sorted(list(range(300)) * 3)


def test_different_keys_do_not_wait_for_a_slow_one(pool: RedisPool, main: Any) -> None:
    let_go = threading.Event()
    got: list[Any] = []
    pool.AsyncFuncWithKey(lambda client: client.ping() and let_go.wait(60), "slow", got.append)
    for number in range(40):
        pool.AsyncFuncWithKey(lambda client, n: client.incrby(f"n{n}", n + 1), number, got.append, number)
    main.run(40)
    assert sorted(got) == list(range(1, 41))
    let_go.set()
    main.run()


def test_sorted_sets_of_older_mods_are_not_refused(pool: RedisPool, main: Any) -> None:
    assert with_client(pool, main, lambda client: client.zadd("rank", 3, "a", 1, "b")) == 2
    assert with_client(pool, main, lambda client: client.zadd("rank", {"c": 2})) == 1
    assert with_client(pool, main, lambda client: client.zincrby("rank", "a", 5)) == 8.0
    assert with_client(pool, main, lambda client: client.zincrby("rank", "a")) == 9.0
    assert with_client(pool, main, lambda client: client.zincrby("rank", -6, "a")) == 3.0
    assert with_client(pool, main, lambda client: client.zrange("rank", 0, -1, withscores=True)) == [("b", 1.0), ("c", 2.0), ("a", 3.0)]


def test_a_failing_function_is_not_silent(pool: RedisPool, main: Any, caplog: pytest.LogCaptureFixture) -> None:
    main.answer(pool.AsyncSet, "k", "text")
    assert with_client(pool, main, lambda client: client.hget("k", "field")) is None
    assert "WRONGTYPE" in caplog.text
    assert "redisPool.AsyncFuncWithKey(<lambda>, 'key')" in caplog.text
    assert "test_pool_redis.py:" in caplog.text
    with pytest.raises(TypeError, match="func is a function, not str"):
        pool.AsyncFuncWithKey("func", "key")  # type: ignore[arg-type]


def test_a_restarted_server_does_not_cost_a_call(pool: RedisPool, main: Any, redis: Any) -> None:
    main.answer(pool.AsyncGet, "k")
    redis.server.stop()
    redis.server.start()
    assert main.answer(pool.AsyncSet, "k", "after") is True
    assert pool.stats.failed == 0


def test_a_command_that_got_no_answer_is_not_sent_twice(pool: RedisPool, main: Any, redis: Any) -> None:
    busy = """redis.call('incr', KEYS[1])
              local function now() local t = redis.call('time'); return t[1] + t[2] / 1000000 end
              local till = now() + 0.5
              repeat until now() > till"""
    impatient = configure(post=main.post, settings={"redis": redis.settings | {"timeout": 0.1}}, environ={})
    impatient.redis.InitDB(1)
    assert with_client(impatient.redis, main, lambda client: client.eval(busy, 1, "once")) is None
    impatient.close()
    assert main.answer(pool.AsyncGet, "once") == "1"


def test_a_server_that_is_down_does_not_hang_or_raise(
    pool: RedisPool, main: Any, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    redis.server.stop()
    try:
        assert main.answer(pool.AsyncGet, "k") is None
        assert main.answer(pool.AsyncSet, "k", 1) is None
        assert main.answer(pool.AsyncDelete, "k") is None
        assert "ConnectionError" in caplog.text
    finally:
        redis.server.start()
    assert main.answer(pool.AsyncSet, "k", 1) is True


def test_a_silent_server_does_not_hold_the_thread(main: Any, redis: Any) -> None:
    pools = configure(post=main.post, settings={"redis": redis.settings | {"timeout": 0.2}}, environ={})
    pools.redis.InitDB(1)
    assert with_client(pools.redis, main, lambda client: client.blpop(["nothing"], 0)) is None
    assert with_client(pools.redis, main, lambda client: client.ping()) is True
    pools.close()


def test_a_password_of_the_environment_is_not_ignored(main: Any, redis: Any) -> None:
    settings = {"redis": redis.settings | {"password": "wrong"}}
    pools = configure(post=main.post, settings=settings, environ={"CHAPPE_REDIS_PASSWORD": redis.settings["password"]})
    pools.redis.InitDB(1)
    assert main.answer(pools.redis.AsyncSet, "k", "v") is True
    pools.close()
