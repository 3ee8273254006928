"""One node's mods: their systems, what they share, and their life."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chappe import _core, mods
from chappe.apollo import install, systems
from chappe.apollo.base import BaseRuntime
from chappe.apollo.pools import configure

if TYPE_CHECKING:
    from chappe.apollo.http import HttpPort

ENGINE = ("Minecraft", "Engine")
"""The namespace and the system name of what a node raises itself."""
SIDES = {"lobby": "Server", "game": "Server", "service": "Service", "master": "Master"}


class Runtime(BaseRuntime):
    """The mods of one node, and what the API modules are bound to."""

    def __init__(self, node: _core.Node, deploy: Path, http: tuple[str, int] | None = None) -> None:
        super().__init__(node, SIDES[node.role], self._chat)
        self.node = node
        self.deploy = deploy
        self.post = node.poster()
        self.pools = configure(post=self.post, settings=self.common_config())
        self.engine_system = node.system(*ENGINE)
        self.bases = {
            side: type(f"{side}System", (getattr(systems, f"{side}System"),), {"_runtime": self})
            for side in ("Server", "Service", "Master")
        }
        self._http = http
        self._http_port: HttpPort | None = None

    def install(self) -> None:
        """Makes the API modules importable."""
        install.install(self)

    def _nothing(self, directory: Path) -> str:
        if mods.scripts(directory, "behavior_packs"):
            return (
                f"{directory}: is a client mod: it has behavior_packs and no developer_mods, so there is nothing in it "
                f"for node {self.node.id} ({self.node.role})"
            )
        return (
            f"{directory}: no modMain.py: it is wanted in {directory.name}/developer_mods/<X>Dev/<X>Script, "
            f"or in {directory.name} itself or a folder of it"
        )

    def leave(self) -> None:
        """The node leaves: what is marked Destroy runs, then each system's Destroy."""
        super().leave()
        self.pools.close()
        if self._http_port is not None:
            self._http_port.close()

    def http_port(self) -> HttpPort:
        """The node's own HTTP port, opened when it is first asked for. Raises RuntimeError when it has none."""
        if self._http is None:
            raise RuntimeError(f"node {self.node.id} has no `http_port` in deploy.json")
        if self._http_port is None:
            from chappe.apollo.http import HttpPort

            self._http_port = HttpPort(self._http, self.post)
        return self._http_port

    def common_config(self) -> dict[str, Any]:
        """The whole of deploy.json."""
        found = mods.lenient_json(self.deploy.read_text("utf-8-sig"))
        return found if isinstance(found, dict) else {}

    def _chat(self, player: str | None, event: str, data: dict[str, Any]) -> None:
        send = self.engine_system
        try:
            if player is None:
                send.to_all_players(event, data)
            else:
                send.to_player(str(player), event, data)
        except _core.RouteError as error:
            self.warn_of(str(error))
