"""A client's requests, and what comes back: responses to them, others, and the pushes that ride in them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from chappe import _core

log = logging.getLogger("chappe.client")

PUSHES = "serverNotify"
"""The field of a response with the pushes that ride in it."""
PUSHED = "server.notify"
"""The type of a response that only carries pushes."""
MOST_OPEN = 10_000
"""The most requests with callbacks that may be open."""


class BotRequests:
    """Those of one client. ``guarded(about, call, *args)`` calls into a mod."""

    def __init__(self, core: _core.Client, guarded: Callable[..., None]) -> None:
        self._core, self._guarded = core, guarded
        self._open: dict[int, tuple[str, Callable[[Any], object]]] = {}
        self._handlers: dict[str, list[Callable[[Any], object]]] = {}
        self._pushes: list[Callable[[Any], object]] = []
        self._unheard: set[str] = set()

    def request(
        self, kind: str, params: dict[str, Any], callback: Callable[[Any], object] | None, timeout: float
    ) -> None:
        """Sends one; see `chappe.snipe.client`. Raises RuntimeError when too many are open."""
        if callback is None:
            return self._core.request(kind, params)
        if len(self._open) >= MOST_OPEN:
            raise RuntimeError(f"client.request({kind!r}): {MOST_OPEN} requests are open already")
        self._open[self._core.ask(kind, params, timeout)] = (kind, callback)
        return None

    def on_response(self, kind: str, handler: Callable[[Any], object]) -> None:
        """Calls ``handler`` for responses of that type."""
        self._handlers.setdefault(kind, []).append(handler)

    def on_notify(self, handler: Callable[[Any], object]) -> None:
        """Calls ``handler`` for pushes."""
        self._pushes.append(handler)

    def answered(self, told: dict[str, Any]) -> None:
        """The outcome of a request with a callback."""
        kind, callback = self._open.pop(told["number"])
        response = told["data"]
        if response is None:
            response = {"_type": kind, "errorCode": told["reason"], "message": told["text"]}
        self._guarded(f"the response to {kind}", callback, response)
        self._push(response)

    def heard(self, response: dict[str, Any]) -> None:
        """A response that nobody waits for by name."""
        kind = str(response.get("_type", ""))
        handlers = self._handlers.get(kind, ())
        for handler in handlers:
            self._guarded(f"a response of type {kind}", handler, response)
        if not handlers and kind != PUSHED and kind not in self._unheard and len(self._unheard) < 1000:
            self._unheard.add(kind)
            log.warning("a response of type %s arrived, and nobody waits for it: %s", kind, response)
        self._push(response)

    def _push(self, response: dict[str, Any]) -> None:
        for params in response.get(PUSHES) or ():
            for handler in self._pushes:
                self._guarded("a push", handler, params)
