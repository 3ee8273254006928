"""A service's own HTTP port: the requests come in on threads of their own and are answered from the node's."""

from __future__ import annotations

import http.client
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

log = logging.getLogger("chappe.http")

ANSWER = 10.0
"""Seconds that a handler may take to answer."""
BODY = 1 << 20
"""The largest body of a request, in bytes."""
CONNECTIONS = 256
"""The most requests at once."""

Handler = Callable[[int, Any], object]


class HttpPort:
    """Urls that answer a POST. ``post`` runs a function on the node's thread."""

    def __init__(self, address: tuple[str, int], post: Callable[[Callable[[], object]], None]) -> None:
        self._handlers: dict[str, Handler] = {}
        self._waiting: dict[int, queue.SimpleQueue[bytes]] = {}
        self._ids = itertools.count(1)
        self._post = post
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        self._server = ThreadingHTTPServer(address, self._request_class())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="chappe-http", daemon=True).start()

    def register(self, url: str, handler: Handler) -> None:
        """Calls ``handler(clientId, body)`` for each POST to ``url``; what stood there is replaced."""
        self._handlers["/" + url.lstrip("/")] = handler

    def respond(self, client: int, body: bytes) -> bool:
        """Answers a request; False, with a warning, for a second or late answer."""
        waiting = self._waiting.pop(client, None)
        if waiting is None:
            log.warning("HTTP request %s has had its answer; a second or late one is dropped", client)
            return False
        waiting.put(body)
        return True

    def close(self) -> None:
        """Takes no more requests."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._server.server_close()

    def _ask(self, handler: Handler, body: bytes) -> tuple[int, bytes]:
        client, answer = next(self._ids), queue.SimpleQueue[bytes]()
        self._waiting[client] = answer
        try:
            text: str | bytes = body.decode("utf-8")
        except UnicodeDecodeError:
            text = body
        try:
            self._post(lambda: handler(client, text))
            return 200, answer.get(timeout=ANSWER)
        except queue.Empty:
            return 504, b"the handler of this url did not answer in time"
        except RuntimeError as error:
            return 503, str(error).encode()
        finally:
            self._waiting.pop(client, None)

    def _request_class(self) -> type[BaseHTTPRequestHandler]:
        port = self

        class Request(BaseHTTPRequestHandler):
            timeout = ANSWER

            def do_POST(self) -> None:
                """Answers one request."""
                status, body = self._outcome()
                self.send_response(status)
                is_json = body.lstrip()[:1] in (b"{", b"[")
                self.send_header("Content-Type", "application/json" if is_json else "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _outcome(self) -> tuple[int, bytes]:
                handler = port._handlers.get(self.path.partition("?")[0])
                if handler is None:
                    return 404, b"no mod has registered this url"
                length = self.headers.get("Content-Length", "")
                if not length.isdigit():
                    return 411, b"a Content-Length is needed"
                if int(length) > BODY:
                    return 413, b"the body is over 1 MiB"
                if not port._room.acquire(blocking=False):
                    return 503, b"too many requests at once"
                try:
                    return port._ask(handler, self.rfile.read(int(length)))
                finally:
                    port._room.release()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: requests are the mod's business."""

        return Request


def post(call: str, address: tuple[str, int], url: str, body: bytes, token: str | None = None) -> None:
    """POSTs ``body`` from a thread of its own; an error, and an answer that is none of 2xx, is logged under ``call``.
    ``token`` is shown as a bearer token."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"

    def run() -> None:
        connection = http.client.HTTPConnection(*address, timeout=ANSWER)
        try:
            connection.request("POST", "/" + url.lstrip("/"), body, headers)
            answer = connection.getresponse()
            if not 200 <= answer.status < 300:
                log.warning("%s: %s answers %s: %.200s", call, url, answer.status, answer.read(200).decode(errors="replace"))
        except (OSError, http.client.HTTPException) as error:
            log.warning("%s: %s at %s:%s: %s", call, url, *address, error)
        finally:
            connection.close()

    threading.Thread(target=run, name="chappe-http-post", daemon=True).start()
