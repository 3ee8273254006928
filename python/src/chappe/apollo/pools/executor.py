"""Threads that run tasks: tasks which share a key one after the other, all others side by side.

A task waits for every earlier task that shares one of its keys, and for a free thread, and for nothing else. So one slow
key never holds up another while a thread is free, which a fixed assignment of keys to threads could not promise.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, Protocol, TypeVar

log = logging.getLogger("chappe.apollo.pools")

IDLE_SECONDS = 300.0
"""A thread that had nothing to do for so long ends and closes its connection; the next task starts another."""


class Closable(Protocol):
    """What a thread keeps between tasks: usually one connection."""

    def close(self) -> None:
        """Lets it go. Must not raise for a connection that is already lost."""


Session = TypeVar("Session", bound=Closable)


class ExecutorClosed(Exception):
    """A task came after `KeyedExecutor.close` had begun."""


class Task(Generic[Session]):
    """Something to run on a thread. Exactly one of its two methods is called, once."""

    def run(self, session: Session) -> None:
        """Does the work with the thread's session. What it raises is logged and goes no further."""
        raise NotImplementedError

    def abandon(self, reason: str) -> None:
        """Called instead of `run` when the executor closes before the task's turn came."""
        raise NotImplementedError


class _Entry(Generic[Session]):
    """A task in the queues of its keys; `behind` counts those in which another stands before it."""

    __slots__ = ("task", "keys", "behind")

    def __init__(self, task: Task[Session], keys: tuple[Hashable, ...]) -> None:
        self.task = task
        self.keys = keys
        self.behind = 0


class KeyedExecutor(Generic[Session]):
    """Up to `threads` threads, started when there is work for them.

    Arguments: `name` for the threads; `threads`, at least 1; `open_session`, called on each new thread, must not block.
    The number of waiting tasks is bounded by the caller, who knows what to answer to the one too many.
    """

    def __init__(self, name: str, threads: int, open_session: Callable[[], Session]) -> None:
        self._name = name
        self._limit = max(1, threads)
        self._open_session = open_session
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._chains: dict[Hashable, deque[_Entry[Session]]] = {}
        self._ready: deque[_Entry[Session]] = deque()
        self._threads: set[threading.Thread] = set()
        self._started = 0
        self._idle = 0
        self._unfinished = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """The most threads there may be."""
        return self._limit

    @property
    def unfinished(self) -> int:
        """Tasks that wait or run."""
        return self._unfinished

    def grow(self, threads: int) -> None:
        """Allows more threads; a smaller number changes nothing."""
        with self._lock:
            self._limit = max(self._limit, threads)

    def submit(self, task: Task[Session], keys: Iterable[Hashable] = ()) -> None:
        """Queues a task behind all earlier tasks with one of its keys. No key: behind none. Raises `ExecutorClosed`."""
        entry = _Entry(task, tuple(dict.fromkeys(keys)))
        with self._lock:
            if self._closed:
                raise ExecutorClosed(self._name)
            self._unfinished += 1
            # All queues under one lock: any two tasks stand in the same order in each queue they share, so no cycle of waiting.
            for key in entry.keys:
                chain = self._chains.setdefault(key, deque())
                entry.behind += 1 if chain else 0
                chain.append(entry)
            if entry.behind == 0:
                self._make_ready(entry)

    def drain(self, timeout: float) -> bool:
        """Waits until every task has run, at most `timeout` seconds; True when none is left."""
        with self._lock:
            return self._settled.wait_for(lambda: self._unfinished == 0, timeout)

    def close(self, timeout: float) -> int:
        """Drains for at most `timeout` seconds, abandons what has not started by then, ends the threads.

        Returns how many tasks were abandoned. A task that is still running keeps its thread, which ends after it.
        """
        deadline = time.monotonic() + timeout
        self.drain(timeout)
        with self._lock:
            self._closed = True
            abandoned = {id(entry): entry for entry in self._ready}
            for chain in self._chains.values():
                # The head of a chain that waits for nothing is either ready, counted above, or running.
                abandoned.update((id(entry), entry) for entry in chain if entry.behind > 0)
            self._ready.clear()
            self._unfinished -= len(abandoned)
            self._work.notify_all()
            threads = list(self._threads)
        for entry in abandoned.values():
            entry.task.abandon("the pool was closed before its turn came")
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return len(abandoned)

    def _make_ready(self, entry: _Entry[Session]) -> None:
        self._ready.append(entry)
        if self._idle >= len(self._ready):
            self._work.notify()
        elif len(self._threads) < self._limit:
            self._started += 1
            thread = threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True)
            self._threads.add(thread)
            try:
                thread.start()
            except RuntimeError as error:
                # The system has no thread left for us: those that run take the task, or the next submit tries again.
                self._threads.discard(thread)
                log.error("%s: cannot start a thread: %s", self._name, error)
        else:
            self._work.notify()

    def _run(self) -> None:
        session = self._open_session()
        try:
            while (entry := self._next()) is not None:
                try:
                    entry.task.run(session)
                except Exception:
                    log.exception("%s: a task failed outside its own handling", self._name)
                finally:
                    self._done(entry)
                    del entry
        finally:
            session.close()

    def _next(self) -> _Entry[Session] | None:
        """The next entry, or None when this thread shall end; it is then out of the set already, so that none counts on it."""
        with self._lock:
            self._idle += 1
            try:
                self._work.wait_for(lambda: self._ready or self._closed, IDLE_SECONDS)
            finally:
                self._idle -= 1
            if self._ready:
                return self._ready.popleft()
            self._threads.discard(threading.current_thread())
            return None

    def _done(self, entry: _Entry[Session]) -> None:
        with self._lock:
            for key in entry.keys:
                chain = self._chains[key]
                chain.popleft()
                if not chain:
                    del self._chains[key]
                    continue
                following = chain[0]
                following.behind -= 1
                if following.behind == 0 and not self._closed:
                    self._make_ready(following)
            self._unfinished -= 1
            if self._unfinished == 0:
                self._settled.notify_all()
