"""Who is where, as the master's mods ask for it at once: kept from the master's own events, so players who were
on a server when the master started again are in it from their next move on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chappe.apollo.players import FIRST

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime


class Online:
    """The players of the cluster, on the master; empty elsewhere."""

    def __init__(self, runtime: Runtime) -> None:
        self._server_of: dict[int, int] = {}
        if runtime.side == "Master":
            listen = runtime.engine_system.listen
            listen("Minecraft", "Engine", "PlayerLoginServerEvent", self._on_login, FIRST)
            listen("Minecraft", "Engine", "PlayerLogoutServerEvent", self._on_logout, FIRST)

    def server_of(self, uid: int) -> int | None:
        """The lobby or game that a player is on; None when offline."""
        return self._server_of.get(uid)

    def uids(self) -> list[int]:
        """The players, by uid."""
        return sorted(self._server_of)

    def _on_login(self, data: dict[str, Any]) -> None:
        self._server_of[data["uid"]] = data["serverId"]

    def _on_logout(self, data: dict[str, Any]) -> None:
        if self._server_of.get(data["uid"]) == data["serverId"]:
            del self._server_of[data["uid"]]
