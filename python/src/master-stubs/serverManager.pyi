# Written by scripts/stubs.py from the package's sources.
"""The nodes that the master knows."""

from typing import Any

def GetAllResetingServers() -> list[int]:
    """The servers that ResetServer has reset and that are not back."""

def GetAllServerStatus() -> dict[int, int]:
    """The status of each proxy, lobby and game by serverid: 1 not connected, 2 connected, 4 leaving."""

def GetAllServersOnlineNum() -> dict[int, int]:
    """How many players are on each lobby and game, and connected to each proxy."""

def GetConnectedLobbyAndGameIds() -> list[int]:
    """The lobbies and games that are up, by serverid."""

def GetOneServerStatus(serverId: int) -> int:
    """The status of a node, as in GetAllServerStatus."""

def GetOnlineNumByServerId(serverId: int) -> int:
    """How many players are on a lobby or game, or connected to a proxy."""

def GetOnlineNumByServerType(serverType: str | None = None) -> Any:
    """How many players stand on the lobbies and games of a type; by type when none is named."""

def GetServerIdsByServerType(serverType: str) -> list[int]:
    """The nodes of a type that are connected."""

def GetServerProtocolVersion(serverId: int) -> int:
    """The version of the protocol that clients speak, the same everywhere."""

def GetServerType(serverId: int) -> str:
    """The type of a node; an empty text for one that deploy.json does not have."""

def GetTotalOnlineNum() -> int:
    """How many players stand on lobbies and games."""

def IsConnectedServer(serverId: int) -> bool:
    """Whether that node is connected."""

def IsValidServer(serverId: int) -> bool:
    """Whether that node is connected, serves, and is not about to leave."""

def ResetServer(serverId: int) -> None:
    """Lets a lobby or game with Python mods finish what it has, end, and be started again by `chappe up`."""

def RollingCloseServers(serverIds: list[int]) -> None:
    """As StopServerById, for each of them."""

def StopServerById(serverId: int) -> None:
    """Asks a node to finish what it has and end."""

def StopServerByServerid(serverId: int, actType: int = 2) -> None:
    """As StopServerById; players of the server go to the emptiest lobby, whatever ``actType`` is."""
