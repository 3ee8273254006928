"""`workerPool`."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from chappe.apollo.pools import configure


def test_what_a_function_returns_does_not_reach_the_callback_as_one_tuple(main: Any) -> None:
    pools = configure(post=main.post, environ={})
    pool = pools.modules()["apolloCommon.workerPool"].ForkNewPool(4)
    got: list[Any] = []
    for number in range(4):
        pool.EmitOrder(number % 2, lambda n: (n, n + 5), lambda *args: got.append(args), number)
    pool.EmitOrder("k", lambda: (), lambda *args: got.append(args))
    pool.EmitOrder("k", lambda: None, lambda *args: got.append(args))
    pool.EmitOrder("k", lambda: 7, lambda *args: got.append(args))
    main.run(7)
    assert sorted(got) == [(), (), (0, 5), (1, 6), (2, 7), (3, 8), (7,)]
    pool.Finish(None)
    pools.close()


def test_a_failure_does_not_call_back_with_made_up_arguments(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pools = configure(post=main.post, environ={})
    pool = pools.workers.ForkNewPool(1)
    got: list[Any] = []
    pool.EmitOrder("k", lambda: 1 / 0, lambda *args: got.append(args))
    pool.EmitOrder("k", threading.current_thread, lambda *args: got.append(args))
    main.run(2)
    assert len(got) == 1
    assert got[0][0] is not threading.current_thread()
    assert "workerPool.EmitOrder('k', <lambda>)" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(TypeError, match="func is a function, not None"):
        pool.EmitOrder("k", None)
    pools.close()
