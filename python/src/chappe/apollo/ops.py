"""Operation commands: a lobby, game or service registers a url, a POST to it on the master's control port asks every
node that has it, and one answer holds what they all said. It needs a master with Python mods.

``{"code": 1, "message": "", "entity": {"4000": {"code": 1, "message": "", "entity": ...}}}``; code 2 is a failure.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from chappe.apollo.callables import check

if TYPE_CHECKING:
    from chappe import _core
    from chappe.apollo.peers import Peers
    from chappe.apollo.runtime import Runtime

OK, FAILED = 1, 2
"""The codes of an answer."""
ANSWER = 8.0
"""Seconds that nodes may take to answer, less than the master's HTTP port gives."""
AGAIN = 1.0
"""Seconds until a node tells its urls again, while the master is not there."""


@dataclass
class Asked:
    """A request on the master, and what has been answered."""

    client: int
    waiting: set[int]
    timer: _core.Timer
    answers: dict[str, Any] = field(default_factory=dict)


class Ops:
    """The operation commands of one node, and on the master those of all."""

    def __init__(self, runtime: Runtime, peers: Peers) -> None:
        self._runtime, self._peers = runtime, peers
        self._handlers: dict[str, Callable[[int, Any], object]] = {}
        self._open: set[int] = set()
        self._timer: _core.Timer | None = None
        self._nodes: dict[str, set[int]] = {}
        self._asked: dict[int, Asked] = {}
        self._ids = itertools.count(1)
        if runtime.side == "Master":
            peers.listen("Ops", lambda data: self.has(data["from"], data["urls"]))
            peers.listen("OpDone", self._done)
        else:
            peers.listen("Op", self._run)

    @property
    def urls(self) -> list[str]:
        """The urls that this node answers."""
        return sorted(self._handlers)

    def register(self, url: str, callback: Callable[[int, Any], object]) -> None:
        """Calls ``callback(clientId, requestData)`` for each request to ``url``. It answers with `answer`."""
        check(f"RegisterOpCommand({url!r})", callback, ("clientId", "requestData"))
        runtime = self._runtime
        mods = runtime.config.mods
        if any(mods.values()) and not mods.get(runtime.node.master_id):
            runtime.engine.warn_once(f"RegisterOpCommand: {url} will not be asked for: `master` in deploy.json has no mods")
        self._handlers["/" + url.lstrip("/")] = callback
        self._announce()

    def unregister(self, url: str) -> None:
        """Undoes `register`."""
        self._handlers.pop("/" + url.lstrip("/"), None)
        self._announce()

    def answer(self, client: int, code: int, message: str, entity: Any) -> None:
        """Answers a request, at once or later; a second answer is dropped with a warning. Raises DataError for an
        ``entity`` that cannot be sent."""
        if client not in self._open:
            return self._runtime.warn_of(f"the operation command {client!r} has had its answer, or there was none")
        data = {"from": self._runtime.node.id, "id": client, "code": code, "message": message, "entity": entity}
        self._peers.send(self._runtime.node.master_id, "OpDone", data)
        self._open.discard(client)

    def has(self, node: int, urls: list[str]) -> None:
        """On the master: a node answers these urls, and no others."""
        for nodes in self._nodes.values():
            nodes.discard(node)
        for url in urls:
            if url not in self._nodes:
                self._runtime.node.register_http(url, partial(self._ask, url))
            self._nodes.setdefault(url, set()).add(node)

    def _announce(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._runtime.node.add_timer(0.0, self._tell_urls, ())

    def _tell_urls(self) -> None:
        runtime = self._runtime
        if not self._peers.send(runtime.node.master_id, "Ops", {"from": runtime.node.id, "urls": self.urls}, quietly=True):
            self._timer = runtime.node.add_timer(AGAIN, self._tell_urls, ())

    def _run(self, data: dict[str, Any]) -> None:
        handler = self._handlers.get(data["url"])
        self._open.add(data["id"])
        self._runtime.node.add_timer(ANSWER, self._open.discard, (data["id"],))
        if handler is None:
            return self.answer(data["id"], FAILED, f"no operation command {data['url']} here", None)
        try:
            handler(data["id"], data["data"])
        except Exception as error:
            self.answer(data["id"], FAILED, f"the handler raised {type(error).__name__}", None)
            raise

    def _ask(self, url: str, client: int, body: Any) -> None:
        try:
            data = json.loads(body or "{}")
        except ValueError as error:
            return self._respond(client, FAILED, f"the body is no JSON: {error}", None)
        wanted = self._wanted(url, data if isinstance(data, dict) else {})
        id = next(self._ids)
        timer = self._runtime.node.add_timer(ANSWER, self._late, (id,))
        asked = self._asked[id] = Asked(client, set(wanted), timer)
        for node in wanted:
            if not self._peers.send(node, "Op", {"id": id, "url": url, "data": data}):
                self._keep(asked, node, FAILED, "the node cannot be reached", None)
        self._finish(id)

    def _wanted(self, url: str, data: dict[str, Any]) -> list[int]:
        members = {id: kind for id, _, kind, *_ in self._runtime.node.members()}
        found = {node for node in self._nodes.get(url, ()) if node in members}
        if "opUid" in data:
            found &= {self._runtime.online.server_of(data["opUid"])}
        if isinstance(data.get("opServerIds"), list):
            found &= {id for id in data["opServerIds"] if isinstance(id, int)}
        if "opServerType" in data:
            found = {id for id in found if members[id] == data["opServerType"]}
        return sorted(found)

    def _done(self, data: dict[str, Any]) -> None:
        asked = self._asked.get(data["id"])
        if asked is not None and data["from"] in asked.waiting:
            self._keep(asked, data["from"], data["code"], data["message"], data["entity"])
            self._finish(data["id"])

    def _late(self, id: int) -> None:
        asked = self._asked.get(id)
        if asked is not None:
            for node in sorted(asked.waiting):
                self._keep(asked, node, FAILED, "the node did not answer in time", None)
            self._finish(id)

    def _keep(self, asked: Asked, node: int, code: int, message: str, entity: Any) -> None:
        asked.waiting.discard(node)
        asked.answers[str(node)] = {"code": code, "message": message, "entity": entity}

    def _finish(self, id: int) -> None:
        asked = self._asked[id]
        if asked.waiting:
            return
        del self._asked[id]
        asked.timer.cancel()
        failed = [node for node, answer in asked.answers.items() if answer["code"] != OK]
        message = f"failed on {', '.join(failed)}" if failed else "" if asked.answers else "no node has this command"
        self._respond(asked.client, FAILED if message else OK, message, asked.answers)

    def _respond(self, client: int, code: int, message: str, entity: Any) -> None:
        text = json.dumps({"code": code, "message": message, "entity": entity}, ensure_ascii=False, default=str)
        self._runtime.node.send_http_response(client, text.encode())


class OpCommands:
    """The calls that mods have for it."""

    _runtime: Runtime

    def RegisterOpCommand(self, url: str, callback: Callable[[int, Any], object]) -> None:
        """Calls ``callback(clientId, requestData)`` for each POST to ``url`` on the master's control port; with several
        nodes that have the url, on each of them. ``opUid``, ``opServerIds`` and ``opServerType`` in the body choose."""
        self._runtime.peers.ops.register(url, callback)

    def UnRegisterOpCommand(self, url: str) -> None:
        """Undoes RegisterOpCommand."""
        self._runtime.peers.ops.unregister(url)

    def ResponseOpCommandSuccess(self, clientId: int, entity: Any) -> None:
        """Answers a request, at once or within 8 s: code 1 and ``entity``."""
        self._runtime.peers.ops.answer(clientId, OK, "", entity)

    def ResponseOpCommandFail(self, clientId: int, code: int, message: str) -> None:
        """Answers a request, at once or within 8 s: it failed, with a text. The code 1 means success, so that 2 is sent
        instead of it."""
        self._runtime.peers.ops.answer(clientId, FAILED if code == OK else code, str(message), None)
