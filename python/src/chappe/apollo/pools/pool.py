"""What the pools of all databases share: starting, admitting a call, running it, answering it, finishing."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from types import ModuleType
from typing import Any, Generic, TypeVar

from .call import Call, Callback, Limits, Post, Stats, is_ours
from .executor import Closable, ExecutorClosed, KeyedExecutor, Task
from .settings import Endpoint

log = logging.getLogger("chappe.apollo.pools")

S = TypeVar("S", bound=Closable)
Work = Callable[[S], Any]
_DRIVERS = frozenset({"pymysql", "redis", "pymongo", "bson"})


class PoolError(Exception):
    """A call that cannot be done, with the reason to log. The callback gets None."""


def load_driver(module: str, package: str) -> ModuleType:
    """Imports a database driver on first use. Raises `PoolError` that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PoolError(f"the Python package {package} is missing ({error}); install it with: pip install {package}") from error


class Pool(Generic[S]):
    """A pool of threads with a connection each; the base of the MySQL, Redis and MongoDB pools.

    Arguments: `name`, as mods import it, for messages; `endpoint`, None when deploy.json has none; `post`, see `call.Post`.

    The mods of a node share it. Each `InitDB` is one user, each `Finish` one less; the last one closes it, so that a mod
    that goes does not take the database from the others. Every call ends in exactly one callback on the main thread (if
    it gave one), with None on any error; the error is logged with the call and the mod's file and line.
    """

    kind = ""

    def __init__(self, name: str, endpoint: Endpoint | None, post: Post, limits: Limits | None = None) -> None:
        self.name = name
        self.endpoint = endpoint
        self.limits = limits or Limits()
        self.stats = Stats()
        self._post = post
        self._executor: KeyedExecutor[S] | None = None
        self._users = 0
        self._lock = threading.Lock()
        self._outstanding = 0
        self._refusals_logged_at = float("-inf")

    def InitDB(self, poolSize: int = 8) -> None:
        """Starts the pool with up to `poolSize` threads and connections (from 1 to 256), and tries the database once.

        Does not wait and does not raise when the database cannot be reached: that is logged, and calls get None until it can
        be. Called again, by another mod, it only allows more threads if `poolSize` is larger. Section 4 of the Apollo
        specification. Raises `TypeError` or `ValueError` for a size that is none.
        """
        if isinstance(poolSize, bool) or not isinstance(poolSize, int):
            raise TypeError(f"{self.name}.InitDB: poolSize is a number of connections, not {type(poolSize).__name__}")
        if not 1 <= poolSize <= 256:
            raise ValueError(f"{self.name}.InitDB: poolSize is from 1 to 256, not {poolSize}")
        self._users += 1
        if self._executor is None:
            self._executor = KeyedExecutor(f"chappe-{self.name}", poolSize, self._open_session)
            self._submit("InitDB", (), f"poolSize={poolSize}", self._probe, None)
        else:
            self._executor.grow(poolSize)

    def Finish(self) -> None:
        """Waits until all calls have run, at most `limits.finish_seconds`; the last user's call closes the pool.

        Callbacks are not waited for: they run on the main thread, which stands in this call. Calls that could not be begun in
        time get None. Does nothing on a pool that was never started.
        """
        self._users = max(0, self._users - 1)
        if self._users == 0:
            self.close()
        elif self._executor is not None and not self._executor.drain(self.limits.finish_seconds):
            log.error("%s.Finish: calls are still under way after %g s", self.name, self.limits.finish_seconds)

    def close(self, timeout: float | None = None) -> None:
        """`Finish` for all users at once, within `timeout` seconds (None: `limits.finish_seconds`): for a node that goes down."""
        executor, self._executor, self._users = self._executor, None, 0
        if executor is None:
            return
        seconds = self.limits.finish_seconds if timeout is None else timeout
        abandoned = executor.close(seconds)
        self._release()
        if abandoned:
            log.error("%s.Finish: %d calls were not begun within %g s", self.name, abandoned, seconds)

    @property
    def outstanding(self) -> int:
        """Calls whose callback has not run yet."""
        return self._outstanding

    @property
    def working(self) -> bool:
        """Whether a thread has something to do, or will; then `drain` waits for it."""
        return self._executor is not None and self._executor.unfinished > 0

    def drain(self, timeout: float) -> bool:
        """Waits until no thread has anything to do, at most `timeout` seconds; False when one still has."""
        return self._executor is None or self._executor.drain(timeout)

    def require_endpoint(self) -> Endpoint:
        """The endpoint. Raises `PoolError` that says what deploy.json lacks."""
        if self.endpoint is None:
            raise PoolError(f'deploy.json has no "{self.kind}" object with host, port, user, password and database for {self.name}')
        return self.endpoint

    def _open_session(self) -> S:
        raise NotImplementedError

    def _probe(self, session: S) -> Any:
        """Reaches the database once, or raises."""
        raise NotImplementedError

    def _release(self) -> None:
        """Lets go of what the threads shared."""

    def _submit(
        self,
        api: str,
        keys: Iterable[Hashable],
        statement: object,
        work: Work[S],
        callback: Callback | None,
        post: Post | None = None,
    ) -> None:
        """Queues `work` behind all earlier calls with one of `keys`. Raises `TypeError` for a callback that is none."""
        if callback is not None and not callable(callback):
            raise TypeError(f"{self.name}.{api}: callback is a function or None, not {type(callback).__name__}")
        call = Call(f"{self.name}.{api}", statement, callback, post or self._post, self.stats, self._settled)
        with self._lock:
            self._outstanding += 1
            full = self._outstanding > self.limits.outstanding
        executor = self._executor
        if executor is None:
            self._refuse(call, f"{self.name} is not started; call {self.name}.InitDB(n) first, and nothing after Finish")
        elif full:
            self._refuse(call, f"{self.limits.outstanding} calls are under way already, and no more may be")
        else:
            self.stats.count("submitted")
            try:
                executor.submit(_PoolTask(self, call, work), [hashable(key) for key in keys])
            except ExecutorClosed:
                self._fail(call, f"{self.name} is closing")

    def _settled(self) -> None:
        with self._lock:
            self._outstanding -= 1

    def _fail(self, call: Call, reason: object) -> None:
        self.stats.count("failed")
        log.error("%s: %s%s", call, reason, "; its callback gets None" if call.callback else "")
        call.settle(None)

    def _refuse(self, call: Call, reason: str) -> None:
        self.stats.count("refused")
        # One line a second: a full pool is refused thousands of times, and the log must stay readable just then.
        now = time.monotonic()
        if now - self._refusals_logged_at >= 1.0:
            self._refusals_logged_at = now
            log.error("%s: refused, %s (%d refused so far)", call, reason, self.stats.refused)
        call.settle(None)


class _PoolTask(Task[S]):
    """A call in the executor's queues."""

    __slots__ = ("_pool", "_call", "_work")

    def __init__(self, pool: Pool[S], call: Call, work: Work[S]) -> None:
        self._pool = pool
        self._call = call
        self._work = work

    def run(self, session: S) -> None:
        begun = time.monotonic()
        waited = begun - self._call.begun
        if waited > self._pool.limits.queue_seconds:
            self._pool._fail(self._call, f"not begun: it waited {waited:.1f} s for its turn")
            return
        connections = self._pool.stats.connections
        try:
            result = self._work(session)
        except BaseException as error:
            # Also what a mod's function should not raise on a thread, such as SystemExit: the call still needs its callback.
            self._pool._fail(self._call, _describe(error))
            return
        took = time.monotonic() - begun
        limit = self._pool.limits.slow_seconds.get(self._pool.kind)
        # While connections are being made, time says nothing about statements.
        if limit is not None and took > limit and self._pool.stats.connections == connections:
            log.warning("%s: slow, it took %.3f s after %.3f s in the queue", self._call, took, waited)
        self._pool.stats.count("succeeded")
        self._call.settle(result)

    def abandon(self, reason: str) -> None:
        self._pool._fail(self._call, f"not begun: {reason}")


def _describe(error: BaseException) -> str:
    if isinstance(error, PoolError):
        return str(error)
    return f"{type(error).__name__}: {error}{_raised_in(error)}"


def _raised_in(error: BaseException) -> str:
    """The line of the mod's own function under which it was raised, if there is one: after our frames, before the driver's."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in _DRIVERS:
            break
        if not is_ours(trace.tb_frame.f_code.co_filename):
            place = f" (at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def hashable(key: object) -> Hashable:
    """An order key as it is, or its text when it cannot be hashed (a list, say)."""
    try:
        hash(key)
    except TypeError:
        return repr(key)
    return key


def keywords(**aliases: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets callers use other names for keyword arguments: `@keywords(cb="callback")`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if kwargs:
                kwargs = {aliases.get(name, name): value for name, value in kwargs.items()}
            return function(self, *args, **kwargs)

        method.__name__ = function.__name__
        method.__qualname__ = function.__qualname__
        method.__doc__ = function.__doc__
        method.__wrapped__ = function  # type: ignore[attr-defined]
        return method

    return decorate
