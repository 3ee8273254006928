"""``client``: requests in a player's client, for bots (spec/snipe.md section 1, "Player requests")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chappe.apollo.callables import check
from chappe.snipe import binding

Response = dict[str, Any]


class Requests:
    """The client that the mod runs in."""

    def request(
        self,
        type: str,
        params: dict[str, Any] | None = None,
        callback: Callable[[Response], object] | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Sends a request for ``type`` ("module.method") to the server that the player is on. ``callback(response)`` is called
        once, with the response to it; the request is sent again when a connection or a server is lost meanwhile, and
        runs once all the same. When none has come after ``timeout`` seconds, ``errorCode`` says why; whether it ran is
        not known then. Raises DataError for what cannot be sent, ConnectionError when the session is over."""
        if callback is not None:
            check("client.request", callback, ("response",))
        binding.connected("request").request(type, params or {}, callback, timeout)

    def onResponse(self, type: str, handler: Callable[[Response], object]) -> None:
        """Calls ``handler(response)`` for every response of that type that answers no request with a callback."""
        check("client.onResponse", handler, ("response",))
        binding.connected("onResponse").on_response(type, handler)

    def onNotify(self, handler: Callable[[Any], object]) -> None:
        """Calls ``handler(params)`` for each push (``client.notify`` on the server)."""
        check("client.onNotify", handler, ("params",))
        binding.connected("onNotify").on_notify(handler)


client = Requests()
"""The client that the mod runs in."""
