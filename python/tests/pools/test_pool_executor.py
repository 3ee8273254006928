"""Order and parallelism, without any database."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from chappe.apollo.pools.executor import ExecutorClosed, KeyedExecutor, Task

SECONDS = 60.0


class NoSession:
    def close(self) -> None:
        pass


class Do(Task[NoSession]):
    def __init__(self, run: Callable[[], object], abandoned: list[str] | None = None) -> None:
        self._run = run
        self.abandoned: list[str] = [] if abandoned is None else abandoned

    def run(self, session: NoSession) -> None:
        self._run()

    def abandon(self, reason: str) -> None:
        self.abandoned.append(reason)


def executor(threads: int) -> KeyedExecutor[NoSession]:
    return KeyedExecutor("test", threads, NoSession)


def test_tasks_of_one_key_are_not_reordered_by_many_threads() -> None:
    pool = executor(8)
    seen: dict[int, list[int]] = {key: [] for key in range(7)}
    for number in range(7000):
        pool.submit(Do(lambda n=number: seen[n % 7].append(n)), [number % 7])
    assert pool.drain(SECONDS)
    assert all(numbers == list(range(key, 7000, 7)) for key, numbers in seen.items())
    pool.close(SECONDS)


def test_a_slow_key_does_not_hold_up_others_while_a_thread_is_free() -> None:
    pool = executor(2)
    let_go, others = threading.Event(), threading.Semaphore(0)
    pool.submit(Do(lambda: let_go.wait(SECONDS)), ["slow"])
    for key in range(50):
        pool.submit(Do(others.release), [key])
    assert all(others.acquire(timeout=SECONDS) for _ in range(50))
    let_go.set()
    assert pool.close(SECONDS) == 0


def test_different_keys_are_not_run_one_after_the_other() -> None:
    pool = executor(4)
    together = threading.Barrier(4, timeout=SECONDS)
    met: list[int] = []
    for key in range(4):
        pool.submit(Do(lambda: met.append(together.wait())), [key])
    assert pool.drain(SECONDS)
    assert sorted(met) == [0, 1, 2, 3]
    pool.close(SECONDS)


def test_a_task_of_two_keys_does_not_overtake_an_earlier_task_of_either() -> None:
    pool = executor(4)
    first, second = threading.Event(), threading.Event()
    seen: list[str] = []
    pool.submit(Do(lambda: (first.wait(SECONDS), seen.append("a"))), ["a"])
    pool.submit(Do(lambda: (second.wait(SECONDS), seen.append("b"))), ["b"])
    pool.submit(Do(lambda: seen.append("both")), ["a", "b", "a"])
    pool.submit(Do(lambda: seen.append("after")), ["b"])
    second.set()
    first.set()
    assert pool.drain(SECONDS)
    assert seen[2:] == ["both", "after"]
    pool.close(SECONDS)


def test_no_thread_is_started_before_there_is_work_for_it() -> None:
    before = threading.active_count()
    pool = executor(30)
    assert threading.active_count() == before
    done = threading.Event()
    pool.submit(Do(done.set))
    assert done.wait(SECONDS)
    assert threading.active_count() <= before + 1
    pool.close(SECONDS)


def test_close_neither_loses_nor_runs_what_had_no_turn() -> None:
    pool = executor(1)
    let_go, running = threading.Event(), threading.Event()
    abandoned: list[str] = []
    ran: list[int] = []
    pool.submit(Do(lambda: (running.set(), let_go.wait(SECONDS))), ["slow"])
    assert running.wait(SECONDS)
    for number in range(5):
        pool.submit(Do(lambda n=number: ran.append(n), abandoned), ["slow" if number % 2 else number])
    assert pool.close(0.0) == 5
    let_go.set()
    assert len(abandoned) == 5
    assert pool.drain(SECONDS)
    assert ran == []
    with pytest.raises(ExecutorClosed):
        pool.submit(Do(lambda: None))


def test_a_task_that_raises_does_not_end_its_thread() -> None:
    pool = executor(1)
    done = threading.Event()
    pool.submit(Do(lambda: 1 / 0))
    pool.submit(Do(done.set))
    assert done.wait(SECONDS)
    pool.close(SECONDS)
