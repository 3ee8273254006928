"""A player, without a socket: what the client sends, and what it hears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chappe.testing.cluster import Cluster


RESPONSE = ("Snipe", "Snipe", "response")
"""The names under which responses travel (protocol/clients.md, "Requests")."""


@dataclass(frozen=True)
class Received:
    """An event that a client has heard. ``time`` is in seconds since the cluster's start."""

    namespace: str
    system: str
    event: str
    data: Any
    time: float


class Client:
    """One session of a player, made by `Cluster.login`."""

    def __init__(self, cluster: Cluster, uid: int) -> None:
        self._cluster = cluster
        self._session = 0
        self._received: list[Received] = []
        self._responses: list[dict[str, Any]] = []
        self.uid = uid
        self.player_id = ""
        """The playerId, as mods see it."""
        self.moves: list[tuple[int, bool]] = []
        """The servers that the player was moved to: (serverid, whether by a transfer)."""
        self.announcements: list[str] = []
        """The texts that were announced to all clients."""
        self.closed: tuple[str, str] | None = None
        """Why the session is over (the stable code, and a text); None while it is not."""

    @property
    def server(self) -> int | None:
        """The lobby or game that the player is on; None while between two, and when the session is over."""
        return self._cluster._running().server_of(self._session)

    def send(self, namespace: str, system: str, event: str, data: Any) -> None:
        """Row 2: NotifyToServer, as the client's system (``namespace``, ``system``); what it brings about at once has
        happened when this returns. Raises RouteError when the session is over."""
        self._cluster._running().send(self._session, None, namespace, system, event, data)
        self._cluster.settle()

    def send_to_service(self, service: int, namespace: str, system: str, event: str, data: Any) -> None:
        """Row 12: NotifyToServiceNode, as `send`; to the service ``service``."""
        self._cluster._running().send(self._session, service, namespace, system, event, data)
        self._cluster.settle()

    def request(self, type: str, params: dict[str, Any] | None = None, id: str | None = None) -> None:
        """A request (spec/snipe.md section 1) for ``type``, "module.method". The same ``id`` again is the same request again:
        it runs once. Raises RouteError when the session is over."""
        fields = {**(params or {}), "_type": type, **({"_request": id} if id is not None else {})}
        self._cluster._running().request(self._session, fields)
        self._cluster.settle()

    def responses(self, type: str | None = None) -> list[dict[str, Any]]:
        """The responses that were heard, or those of that type, in their order; each without ``_type``, ``_request`` and the
        pushes that rode in it."""
        hidden = ("_type", "_request", "serverNotify")
        found = [one for one in self._responses if type is None or one["_type"] == type]
        return [{name: value for name, value in one.items() if name not in hidden} for one in found]

    def pushes(self) -> list[Any]:
        """The pushes (``client.notify``) that were heard, in their order."""
        return [push for one in self._responses for push in one.get("serverNotify", ())]

    def received(self, event: str | None = None) -> list[Received]:
        """The events that were heard, or those of that name, in their order."""
        return [one for one in self._received if event is None or one.event == event]

    def forget(self) -> None:
        """Forgets what was heard until now."""
        self._received.clear()
        self._responses.clear()

    def logout(self) -> None:
        """Ends the session."""
        self._cluster._running().log_out(self._session)
        self._cluster.settle()

    def _hear(self, told: tuple[Any, ...]) -> None:
        kind, *what = told
        if kind == "event":
            namespace, system, event, data = what
            if (namespace, system, event) == RESPONSE:
                self._responses.append(data)
                return
            self._received.append(Received(namespace, system, event, data, self._cluster.now))
        elif kind == "moved":
            self.moves.append((what[0], what[1]))
        elif kind == "announce":
            self.announcements.append(what[0])
        elif kind == "closed":
            self.closed = (what[0], what[1])
