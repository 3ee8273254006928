"""What a lobby's or game's mods hear of its players beside the node's own events: their locks, and the end of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

FIRST = 10
"""The priority of what must run before a mod's listeners."""
LAST = -(1 << 31)
"""The priority of what must run after them."""


class Players:
    """Raises ServerGetPlayerLockEvent before AddServerPlayerEvent, ServerReleasePlayerLockEvent after
    DelServerPlayerEvent, and what a server says of its end. ``id`` in them is what the lock's result is told with."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        if runtime.side == "Server":
            listen = runtime.engine_system.listen
            listen("Minecraft", "Engine", "AddServerPlayerEvent", self._on_add, FIRST)
            listen("Minecraft", "Engine", "DelServerPlayerEvent", self._on_del, LAST)

    def shut_down(self) -> None:
        """The node leaves: the locks of those who are here are to be released, and then mods save what they have."""
        if self._runtime.side != "Server":
            return
        for _, uid, _, _ in self._runtime.node.players():
            self._runtime.raise_now("ServerReleasePlayerLockOnShutDownEvent", {"id": uid, "idx": uid, "uid": uid})
        self._runtime.raise_now("ServerWillShutDownEvent", {})

    def _on_add(self, data: dict[str, Any]) -> None:
        uid = data["uid"]
        lock = {"id": uid, "idx": uid, "uid": uid, "serverId": self._runtime.node.id, "proxyId": data["proxyId"]}
        self._runtime.raise_now("ServerGetPlayerLockEvent", lock)

    def _on_del(self, data: dict[str, Any]) -> None:
        uid = data["uid"]
        self._runtime.raise_now("ServerReleasePlayerLockEvent", {"id": uid, "idx": uid, "uid": uid})
