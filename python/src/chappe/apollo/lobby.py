"""``lobbyGame.netgameApi``: the players on a lobby or game."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chappe.apollo.common import CommonNetgameApi
    from chappe.apollo.runtime import Runtime


class NetgameApi:
    """Players, and where they go."""

    def __init__(self, runtime: Runtime, calls: CommonNetgameApi) -> None:
        self._runtime = runtime
        self.GetCommonConfig = calls.GetCommonConfig
        self.GetOnlineServerInfoOfPlayer = calls.GetOnlineServerInfoOfPlayer
        self.GetOnlineServerInfoOfMultiPlayers = calls.GetOnlineServerInfoOfMultiPlayers
        self.GetServerType = calls.GetServerType

    def GetServerId(self) -> int:
        """The serverid of this node."""
        return self._runtime.node.id

    def GetPlayerUid(self, playerId: str) -> int | None:
        """The uid of a player on this server; None for one who is not."""
        player = self._runtime.node.player(str(playerId))
        return player[1] if player else None

    def GetPlayerIdByUid(self, uid: int) -> str | None:
        """The playerId of a player on this server; None for one who is not."""
        player = self._runtime.node.player_by_uid(int(uid))
        return player[0] if player else None

    def GetPlayerNickname(self, playerId: str) -> str | None:
        """The name of a player on this server; None for one who is not."""
        player = self._runtime.node.player(str(playerId))
        return player[3] if player else None

    def GetOnlinePlayerNum(self) -> int:
        """How many players are on this server."""
        return len(self._runtime.node.players())

    def IsPlayerPeUser(self, playerId: str) -> bool:
        """Always false."""
        return False

    def TransferToOtherServer(self, playerId: str, typeName: str, transferParam: str = "", **others: Any) -> None:
        """Moves a player to the emptiest server of a type; ``transferParam`` (also ``param``) arrives there."""
        typeName, param = others.get("type", typeName), others.get("param", transferParam)
        self._runtime.node.transfer(str(playerId), str(param), None, str(typeName), self._told("TransferToOtherServer"))

    def TransferToOtherServerById(self, playerId: str, serverId: int, transferParam: str = "", **others: Any) -> None:
        """Moves a player to the server ``serverId``."""
        param = str(others.get("param", transferParam))
        self._runtime.node.transfer(str(playerId), param, int(serverId), None, self._told("TransferToOtherServerById"))

    def TryToKickoutPlayer(self, playerId: str, message: str = "") -> bool:
        """Ends a player's session; the client is told the message. False for one who is not on this server."""
        player = self._runtime.node.player(str(playerId))
        if player is None:
            return False
        self._runtime.node.kick(player[1], str(message), self._told("TryToKickoutPlayer"))
        return True

    def CheckMasterExist(self) -> bool:
        """Whether the master is connected."""
        return any(role == "master" for _, role, *_ in self._runtime.node.members())

    def IsServiceConnected(self, serviceId: int) -> bool:
        """Whether that service is connected."""
        return any(id == serviceId and role == "service" for id, role, *_ in self._runtime.node.members())

    def ShieldPlayerJoinText(self, bShield: bool = True) -> bool:
        """Does nothing: there is no text."""
        return True

    def ShutdownServer(self) -> None:
        """Lets this node finish what it has, and end."""
        self._runtime.node.stop()

    def ResetServer(self) -> None:
        """As ShutdownServer; the supervisor starts it again only when it dies."""
        self._runtime.node.stop()

    def _told(self, call: str) -> Callable[[Any, tuple[str, str] | None], None]:
        def told(_: Any, failure: tuple[str, str] | None) -> None:
            if failure is not None:
                self._runtime.log.warning("%s: %s: %s", call, *failure)

        return told
