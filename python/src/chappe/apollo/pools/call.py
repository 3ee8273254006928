"""One call of a mod: from its arguments to its one callback on the main thread."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("chappe.apollo.pools")

Callback = Callable[[Any], Any]
Post = Callable[[Callable[[], None]], None]
"""Hands a function without arguments to the node's main thread; called from any thread, must not block.

It may raise when the node is going away; the callback is then dropped and counted."""

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STATEMENT_CHARACTERS = 160


@dataclass
class Limits:
    """What bounds a pool. Times are in seconds."""

    outstanding: int = 10_000
    """Calls of one pool whose callback has not run yet; one more is answered None at once."""
    queue_seconds: float = 60.0
    """A call that has waited so long for its turn is not begun any more but answered None."""
    finish_seconds: float = 30.0
    """How long `Finish` waits for the calls that are under way."""
    slow_seconds: dict[str, float] = field(default_factory=lambda: {"mysql": 1.0, "mongo": 1.0, "redis": 0.1})
    """A call that took longer is logged as slow."""


@dataclass
class Stats:
    """What became of a pool's calls. `submitted` = `succeeded` + `failed` + those under way; `refused` came on top."""

    submitted: int = 0
    succeeded: int = 0
    failed: int = 0
    refused: int = 0
    undeliverable: int = 0
    callbacks_failed: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        """Adds one to the counter of that name; from any thread."""
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)


def caller() -> str:
    """The mod's `file:line` from which a pool was called: the nearest frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def is_ours(filename: str) -> bool:
    """Whether a source file belongs to this package."""
    return filename.startswith(_HERE)


def shortened(statement: object) -> str:
    """A statement on one line and cut, for the log. Parameters are never logged: they may be private."""
    text = " ".join(str(statement).split())
    return text if len(text) <= _STATEMENT_CHARACTERS else text[:_STATEMENT_CHARACTERS] + "..."


class Call:
    """Who called what, and who hears of it. `settle` is called exactly once, on any thread."""

    __slots__ = ("name", "statement", "where", "callback", "begun", "_post", "_stats", "_settled")

    def __init__(
        self, name: str, statement: object, callback: Callback | None, post: Post, stats: Stats, settled: Callable[[], None]
    ) -> None:
        self.name = name
        self.statement = shortened(statement)
        self.where = caller()
        self.callback = callback
        self.begun = time.monotonic()
        self._post = post
        self._stats = stats
        self._settled = settled

    def __str__(self) -> str:
        return f"{self.name}({self.statement}), called at {self.where}"

    def settle(self, result: Any) -> None:
        """Sends the result to the callback on the main thread."""
        callback = self.callback
        if callback is None:
            self._settled()
            return
        try:
            self._post(lambda: self._deliver(callback, result))
        except Exception as error:
            self._stats.count("undeliverable")
            self._settled()
            log.error("%s: its callback was dropped, the node takes no more: %s", self, error)

    def _deliver(self, callback: Callback, result: Any) -> None:
        self._settled()
        try:
            callback(result)
        except Exception:
            self._stats.count("callbacks_failed")
            log.exception("the callback of %s failed", self)
