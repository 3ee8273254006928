"""What every role's ``netgameApi`` and ``serverManager`` have in common: the configuration, and who is connected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chappe.apollo.common import CommonNetgameApi
    from chappe.apollo.runtime import Runtime

PROTOCOL = 1
"""The version of the protocol that clients speak."""


class Look:
    """The configuration, on every node."""

    def __init__(self, runtime: Runtime, calls: CommonNetgameApi) -> None:
        self._runtime = runtime
        self.GetCommonConfig = calls.GetCommonConfig
        self.GetOnlineServerInfoOfPlayer = calls.GetOnlineServerInfoOfPlayer
        self.GetOnlineServerInfoOfMultiPlayers = calls.GetOnlineServerInfoOfMultiPlayers

    def GetServerId(self) -> int:
        """The serverid of this node."""
        return self._runtime.node.id

    def GetMysqlConfig(self) -> tuple[bool, str, str, str, str, int]:
        """(exist, host, user, password, database, port) of ``mysql`` in deploy.json."""
        return self._database("mysql")

    def GetMongoConfig(self) -> tuple[bool, str, str, str, str, int]:
        """(exist, host, user, password, database, port) of ``mongo`` in deploy.json."""
        return self._database("mongo")

    def GetRedisConfig(self) -> tuple[bool, str, int, str]:
        """(exist, host, port, password) of ``redis`` in deploy.json."""
        exist, host, _, password, _, port = self._database("redis")
        return (exist, host, port, password)

    def IsShowDebugLog(self) -> bool:
        """``log_debug_level`` of this node's entry, or of deploy.json."""
        config = self._runtime.config
        return bool(config.entries.get(self._runtime.node.id, {}).get("log_debug_level") or config.written.get("log_debug_level"))

    def GetServerLoadedModsById(self, serverId: int) -> list[str]:
        """The names of the mods that a node loads; 0 is the master. An empty list for no such node."""
        return self._runtime.config.loaded_mods(int(serverId) or self._runtime.node.master_id)

    def GetServerLoadedModsByType(self, serverType: str) -> list[str]:
        """The names of the mods that the first node of a type loads. An empty list for no such type."""
        of_type = [id for id, _, kind in self._runtime.node.declared_nodes if kind == serverType]
        return self._runtime.config.loaded_mods(min(of_type)) if of_type else []

    def _database(self, kind: str) -> tuple[bool, str, str, str, str, int]:
        found = self._runtime.pools.settings.main.get(kind)
        if found is None:
            return (False, "", "", "", "", 0)
        return (True, found.host, found.user, found.password, found.database, found.port)


class Servers:
    """The other nodes, on services and the master."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def GetServerType(self, serverId: int) -> str:
        """The type of a node; an empty text for one that deploy.json does not have."""
        return self._type(serverId) or ""

    def GetServerProtocolVersion(self, serverId: int) -> int:
        """The version of the protocol that clients speak, the same everywhere."""
        return PROTOCOL

    def ResetServer(self, serverId: int) -> None:
        """Lets a lobby or game with Python mods finish what it has, end, and be started again by `chappe up`."""
        self._runtime.peers.reset(int(serverId))

    def _type(self, server: int) -> str | None:
        for id, _, kind, *_ in self._runtime.node.members():
            if id == server:
                return kind
        return next((kind for id, _, kind in self._runtime.node.declared_nodes if id == server), None)

    def _role(self, server: int) -> str | None:
        return next((role for id, role, _ in self._runtime.node.declared_nodes if id == server), None)

    def _states(self) -> dict[int, tuple[str, Any]]:
        """(role, state or None) of every node that deploy.json has or that is connected."""
        found: dict[int, tuple[str, Any]] = {id: (role, None) for id, role, _ in self._runtime.node.declared_nodes}
        found |= {id: (role, state) for id, role, _, state, _ in self._runtime.node.members()}
        return found
