"""A stand-in for a MongoDB server: speaks its wire protocol (OP_MSG) as far as pymongo needs it to insert and to find.

It is no MongoDB: it knows equality and nothing else. It is there so that the real pymongo, with real sockets, is in the test.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from typing import Any

import bson

_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_HELLO = {"ok": 1, "ismaster": True, "isWritablePrimary": True, "helloOk": True, "minWireVersion": 0, "maxWireVersion": 21}
_LIMITS = {"maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48 << 20, "maxWriteBatchSize": 1000, "readOnly": False}


class MongoStandIn:
    """Listens on a port of its own while it is entered."""

    def __init__(self) -> None:
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.lock = threading.Lock()
        stand_in = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while header := _exactly(self.request, 16):
                    length, request, _, op = struct.unpack("<iiii", header)
                    body = _exactly(self.request, length - 16)
                    self.request.sendall(stand_in.reply(op, request, body))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> MongoStandIn:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, op: int, request: int, body: bytes) -> bytes:
        if op == _OP_QUERY:  # the first greeting
            payload = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(_HELLO | _LIMITS)
            return struct.pack("<iiii", len(payload) + 16, 0, request, _OP_REPLY) + payload
        assert op == _OP_MSG
        payload = struct.pack("<IB", 0, 0) + bson.encode(self.answer(_command(body)))
        return struct.pack("<iiii", len(payload) + 16, 0, request, _OP_MSG) + payload

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command))
        if name.lower() in ("hello", "ismaster"):
            return _HELLO | _LIMITS
        if name == "insert":
            with self.lock:
                self.collections.setdefault(command["insert"], []).extend(command["documents"])
            return {"ok": 1, "n": len(command["documents"])}
        if name == "find":
            wanted = command["filter"].items()
            with self.lock:
                found = [d for d in self.collections.get(command["find"], []) if all(d.get(key) == value for key, value in wanted)]
            return {"ok": 1, "cursor": {"id": bson.Int64(0), "ns": f"{command['$db']}.{command['find']}", "firstBatch": found}}
        if name in ("ping", "endSessions"):
            return {"ok": 1}
        return {"ok": 0, "code": 59, "codeName": "CommandNotFound", "errmsg": f"no such command: '{name}'"}


def _command(body: bytes) -> dict[str, Any]:
    """The sections of an OP_MSG as one document."""
    command: dict[str, Any] = {}
    at = 4
    while at < len(body):
        kind, (size,) = body[at], struct.unpack_from("<i", body, at + 1)
        section = body[at + 1 : at + 1 + size]
        if kind == 0:
            command = bson.decode(section) | command
        else:
            name, _, documents = section[4:].partition(b"\0")
            command[name.decode()] = bson.decode_all(documents)
        at += 1 + size
    return command


def _exactly(connection: Any, size: int) -> bytes:
    """That many bytes, or none when the peer has gone."""
    data = b""
    while len(data) < size:
        try:
            more = connection.recv(size - len(data))
        except OSError:
            return b""
        if not more:
            return b""
        data += more
    return data
