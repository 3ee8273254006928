"""Which node, or which client, `server` and `client` stand for: the one of the process; in a cluster of a test, the one
whose code runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chappe import _core
from chappe.snipe.errors import Refuse
from chappe.snipe.params import Params

if TYPE_CHECKING:
    from chappe.client.requests import BotRequests


class Bound:
    """A node's end of records and notifications."""

    def __init__(self, node: _core.Node) -> None:
        self.id, self.role = node.id, node.role
        self.core = node.notifications(Params, Refuse)


_bound: list[Bound] = []
_client: list[BotRequests] = []


def enter(bound: Bound | None) -> None:
    """From here on it is that node's code that runs."""
    _bound[:] = [bound] if bound else []


def current(call: str) -> Bound:
    """The node whose code runs. Raises RuntimeError, which names the call, when there is none."""
    if not _bound:
        raise RuntimeError(f"server.{call}: no node runs here; a mod calls it on a node, a test with node.call(...)")
    return _bound[0]


def connect(client: BotRequests | None) -> None:
    """This is the client of the process."""
    _client[:] = [client] if client else []


def connected(call: str) -> BotRequests:
    """The client of the process. Raises RuntimeError, which names the call, when there is none."""
    if not _client:
        raise RuntimeError(f"client.{call}: no client runs here; on a node there is `server`")
    return _client[0]
