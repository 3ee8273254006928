"""What all pools share, on one without a database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from chappe.apollo.pools.call import Limits
from chappe.apollo.pools.pool import Pool
from chappe.apollo.pools.settings import Endpoint

SECONDS = 60.0


class NoSession:
    def close(self) -> None:
        pass


class PlainPool(Pool[NoSession]):
    kind = "plain"

    def Do(self, work: Callable[[], Any], callback: Any = None, key: object = "k") -> None:
        self._submit("Do", [key], "a statement", lambda _: work(), callback)

    def _open_session(self) -> NoSession:
        return NoSession()

    def _probe(self, session: NoSession) -> None:
        pass


def pool_of(main: Any, **limits: Any) -> PlainPool:
    return PlainPool("plainPool", Endpoint("plain"), main.post, Limits(**limits))


def test_a_callback_does_not_run_on_a_thread_of_the_pool(main: Any) -> None:
    pool = pool_of(main)
    pool.InitDB(2)
    threads: list[threading.Thread] = []
    pool.Do(threading.current_thread, lambda worker: threads.extend((worker, threading.current_thread())))
    main.run()
    assert threads[0] is not threads[1]
    assert threads[1] is threading.current_thread()
    pool.Finish()


def test_an_error_is_not_silent_and_its_line_is_found(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(main)
    pool.InitDB(1)

    def broken() -> None:
        raise KeyError("uid")

    assert main.answer(pool.Do, broken) is None
    assert "plainPool.Do(a statement), called at " in caplog.text
    assert "KeyError: 'uid' (at " in caplog.text
    assert caplog.text.count(__file__.rpartition("/")[2]) >= 2
    pool.Finish()


def test_a_function_that_ends_its_thread_does_not_lose_the_callback(main: Any) -> None:
    pool = pool_of(main)
    pool.InitDB(1)

    def leave() -> None:
        raise SystemExit(1)

    assert main.answer(pool.Do, leave) is None
    assert main.answer(pool.Do, lambda: "next") == "next"
    pool.Finish()


def test_a_call_before_initdb_is_not_left_without_an_answer(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(main)
    assert main.answer(pool.Do, lambda: 1) is None
    assert "plainPool.InitDB(n) first" in caplog.text
    assert pool.stats.refused == 1


def test_a_full_pool_does_not_grow_but_answers_none(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(main, outstanding=10)
    pool.InitDB(1)
    let_go = threading.Event()
    got: list[Any] = []
    pool.Do(lambda: let_go.wait(SECONDS), got.append)
    for number in range(99):
        pool.Do(lambda n=number: n, got.append)
    let_go.set()
    main.run(100)
    assert len(got) == 100
    assert pool.stats.refused >= 89
    assert "refused, 10 calls are under way already" in caplog.text
    assert caplog.text.count("refused, ") < 89
    assert pool.outstanding == 0
    pool.Finish()


def test_a_call_that_waited_too_long_is_not_begun(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(main, queue_seconds=-1.0)
    pool.InitDB(1)
    ran: list[int] = []
    assert main.answer(pool.Do, lambda: ran.append(1)) is None
    assert ran == []
    assert "for its turn" in caplog.text
    pool.Finish()


def test_a_callback_that_is_none_is_said_at_the_call(main: Any) -> None:
    pool = pool_of(main)
    with pytest.raises(TypeError, match=r"plainPool\.Do: callback is a function or None, not str"):
        pool.Do(lambda: 1, "OnDone")
    assert pool.outstanding == 0


def test_a_callback_that_raises_does_not_stop_the_main_thread(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(main)
    pool.InitDB(1)
    pool.Do(lambda: 1, lambda result: result["no"])
    main.run()
    assert "the callback of plainPool.Do(a statement)" in caplog.text
    assert "Traceback" in caplog.text
    assert pool.stats.callbacks_failed == 1
    pool.Finish()


def test_a_node_that_takes_no_more_does_not_end_the_threads(caplog: pytest.LogCaptureFixture) -> None:
    def gone(_: Callable[[], None]) -> None:
        raise RuntimeError("the node is down")

    pool = PlainPool("plainPool", Endpoint("plain"), gone)
    pool.InitDB(1)
    pool.Do(lambda: 1, print)
    pool.Finish()
    assert pool.stats.undeliverable == 1
    assert pool.outstanding == 0


def test_finish_does_not_return_before_the_calls_have_run(main: Any) -> None:
    pool = pool_of(main)
    pool.InitDB(3)
    done: list[int] = []
    for number in range(500):
        pool.Do(lambda n=number: done.append(n), None, number % 5)
    pool.Finish()
    assert sorted(done) == list(range(500))


def test_a_mod_that_finishes_does_not_take_the_pool_from_another(main: Any) -> None:
    pool = pool_of(main)
    pool.InitDB(3)
    pool.InitDB(5)
    pool.Finish()
    assert main.answer(pool.Do, lambda: 1) == 1
    pool.Finish()
    assert main.answer(pool.Do, lambda: 1) is None
    pool.InitDB(1)
    assert main.answer(pool.Do, lambda: 2) == 2
    pool.close()


def test_close_does_not_leave_a_call_without_its_one_callback(main: Any) -> None:
    pool = pool_of(main, finish_seconds=0.0)
    pool.InitDB(1)
    let_go, running = threading.Event(), threading.Event()
    got: list[Any] = []
    pool.Do(lambda: (running.set(), let_go.wait(SECONDS)), got.append)
    assert running.wait(SECONDS)
    for _ in range(20):
        pool.Do(lambda: 1, got.append)
    pool.close()
    let_go.set()
    main.run(21)
    assert len(got) == 21
    assert main.empty
    assert pool.outstanding == 0


def test_a_list_as_order_key_does_not_fail_the_call(main: Any) -> None:
    pool = pool_of(main)
    pool.InitDB(1)
    assert main.answer(lambda callback: pool.Do(lambda: 1, callback, ["a", 1])) == 1
    pool.Finish()


@pytest.mark.parametrize("size", [0, 257, -3])
def test_a_size_that_makes_no_sense_is_said_at_initdb(main: Any, size: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 256"):
        pool_of(main).InitDB(size)
    with pytest.raises(TypeError, match="not str"):
        pool_of(main).InitDB("8")  # type: ignore[arg-type]


def test_a_slow_call_is_not_left_unnoticed(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = pool_of(main, slow_seconds={"plain": -1.0})
    pool.InitDB(1)
    with caplog.at_level(logging.WARNING):
        assert main.answer(pool.Do, lambda: 1) == 1
    assert "plainPool.Do(a statement)" in caplog.text
    assert "slow" in caplog.text
    pool.Finish()
