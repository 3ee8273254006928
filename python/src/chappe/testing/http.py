"""HTTP without sockets: what a master's or a service's mods answer at their urls."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chappe.apollo.http import ANSWER, BODY

if TYPE_CHECKING:
    from chappe._core import Node as Core

log = logging.getLogger("chappe.http")

Handler = Callable[[int, Any], object]


@dataclass
class Reply:
    """What a POST came to, or will: an answer may take until `Cluster.advance` lets its time come."""

    url: str
    _now: Callable[[], float] = field(repr=False)
    _due: float
    _answer: tuple[int, bytes] | None = None

    @property
    def status(self) -> int | None:
        """The status: 200; 404 for a url that nobody has registered, 413 for a body over 1 MiB, 504 when ten seconds
        have passed without an answer. None while the answer is open."""
        if self._answer is None and self._now() >= self._due:
            self._answer = (504, b"the handler of this url did not answer in time")
        return self._answer[0] if self._answer else None

    @property
    def body(self) -> bytes:
        """The answer's body; empty while it is open."""
        return self._answer[1] if self.status is not None and self._answer else b""

    @property
    def text(self) -> str:
        """The body as utf-8."""
        return self.body.decode("utf-8")

    def json(self) -> Any:
        """What the body says as JSON. Raises json.JSONDecodeError when it is none."""
        return json.loads(self.body)

    def end(self, status: int, body: bytes) -> bool:
        """Gives it its answer; False when it has one."""
        if self.status is not None:
            return False
        self._answer = (status, body)
        return True


class Urls:
    """The urls of one life of a node; stands where its port would (`chappe.apollo.http.HttpPort`)."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._handlers: dict[str, Handler] = {}
        self._open: dict[int, Reply] = {}
        self._ids = itertools.count(1)

    def register(self, url: str, handler: Handler) -> None:
        """Calls ``handler(clientId, body)`` for each POST to ``url``; what stood there is replaced."""
        self._handlers["/" + url.lstrip("/")] = handler

    def respond(self, client: int, body: bytes) -> bool:
        """Answers a request; False, with a warning, for a second or late answer."""
        reply = self._open.pop(client, None)
        if reply is not None and reply.end(200, bytes(body)):
            return True
        log.warning("HTTP request %s has had its answer; a second or late one is dropped", client)
        return False

    def close(self) -> None:
        """The node has left: what is open ends."""
        for reply in self._open.values():
            reply.end(503, b"the node is leaving")
        self._open.clear()
        self._handlers.clear()

    def post(self, url: str, body: bytes) -> tuple[Reply, Callable[[], object] | None]:
        """A POST: its reply, and the call of its handler if there is one."""
        path = "/" + url.partition("?")[0].lstrip("/")
        reply, handler = Reply(path, self._now, self._now() + ANSWER), self._handlers.get(path)
        if handler is None:
            reply.end(404, b"no mod has registered this url")
            return reply, None
        if len(body) > BODY:
            reply.end(413, b"the body is over 1 MiB")
            return reply, None
        client = next(self._ids)
        self._open[client] = reply
        try:
            text: str | bytes = body.decode("utf-8")
        except UnicodeDecodeError:
            text = body
        return reply, lambda: handler(client, text)


class MasterNode:
    """The master's node, with the urls of a test in the place of its control port."""

    def __init__(self, core: Core, urls: Urls) -> None:
        self._core, self._urls = core, urls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def register_http(self, url: str, handler: Handler) -> None:
        """As the node's own."""
        self._urls.register(url, handler)

    def send_http_response(self, client: int, body: bytes) -> bool:
        """As the node's own."""
        return self._urls.respond(client, body)
