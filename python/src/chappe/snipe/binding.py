"""Which node, or which client, `server` and `client` stand for: the one of the process; in a cluster of a test, the one
whose code runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from chappe import _core
from chappe.snipe.errors import Refuse
from chappe.snipe.params import Params

if TYPE_CHECKING:
    from chappe.client.requests import BotRequests


class Bound:
    """A node's end of records and notifications."""

    def __init__(self, node: _core.Node) -> None:
        self.id, self.role = node.id, node.role
        self.thread = threading.get_ident()
        self.core = node.notifications(Params, Refuse, SlaveClient)


class SlaveClient:
    """A node, as the master sees it: what `Server.getRandomClient` finds, and what handlers on the master are given."""

    __slots__ = ("id",)

    def __init__(self, id: int) -> None:
        self.id = id
        """The serverid."""

    def notify(self, message: dict[str, Any]) -> None:
        """To that node, at once (mechanism 2): its handler is ``method(msg)``, or with ``_id`` ``method(player, msg)``."""
        current("SlaveClient.notify").core.notify_node(self.id, message)

    def __repr__(self) -> str:
        return f"<node {self.id}>"


_bound: list[Bound] = []
_client: list[BotRequests] = []


def enter(bound: Bound | None) -> None:
    """From here on it is that node's code that runs."""
    _bound[:] = [bound] if bound else []


def current(call: str) -> Bound:
    """The node whose code runs. Raises RuntimeError, which names the call, when there is none, or on another thread."""
    if not _bound:
        raise RuntimeError(f"server.{call}: no node runs here; a mod calls it on a node, a test with node.call(...)")
    bound = _bound[0]
    if bound.thread != threading.get_ident():
        raise RuntimeError(f"server.{call}: this is another thread than the node's; give what it finds to a pool's callback")
    return bound


def connect(client: BotRequests | None) -> None:
    """This is the client of the process."""
    _client[:] = [client] if client else []


def connected(call: str) -> BotRequests:
    """The client of the process. Raises RuntimeError, which names the call, when there is none."""
    if not _client:
        raise RuntimeError(f"client.{call}: no client runs here; on a node there is `server`")
    return _client[0]
