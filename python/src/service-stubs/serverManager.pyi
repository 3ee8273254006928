# Written by scripts/stubs.py from the package's sources.
"""The lobbies and games that a service sees."""

from typing import Any

def GetServerIdsByServerType(serverType: str) -> list[int]:
    """The lobbies and games of a type that are connected."""

def GetServerProtocolVersion(serverId: int) -> int:
    """The version of the protocol that clients speak, the same everywhere."""

def GetServerType(serverId: int) -> str:
    """The type of a node; an empty text for one that deploy.json does not have."""

def GetServersStatus() -> dict[int, int]:
    """The status of each lobby and game by serverid: 1 serves, 2 is leaving, 3 is starting, 4 is not connected."""

def IsConnectedServer(serverId: int) -> bool:
    """Whether that lobby, game or proxy is connected."""

def ResetServer(serverId: int) -> None:
    """Lets a lobby or game with Python mods finish what it has, end, and be started again by `chappe up`."""

serverListMap: dict[int, dict[str, Any]]
"""The lobbies and games that are connected, by serverid: their entries of ``serverlist``, and their status."""
