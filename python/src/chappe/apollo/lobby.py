"""``lobbyGame.netgameApi``: the players on a lobby or game."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe.apollo.callables import check
from chappe.apollo.extra import TransferServerFailReason as Why
from chappe.apollo.look import PROTOCOL, Look
from chappe.apollo.ops import OpCommands

if TYPE_CHECKING:
    from chappe.apollo.common import CommonNetgameApi
    from chappe.apollo.runtime import Runtime

Told = Callable[[Any, "tuple[str, str] | None"], None]
NOT_SILENT = 2
"""GetUidIsSilent of a player who may speak."""


class NetgameApi(Look, OpCommands):
    """Players, and where they go."""

    def __init__(self, runtime: Runtime, calls: CommonNetgameApi) -> None:
        super().__init__(runtime, calls)
        self.GetServerType = calls.GetServerType

    def GetPlayerUid(self, playerId: str) -> int | None:
        """The uid of a player on this server; None for one who is not."""
        player = self._player("GetPlayerUid", playerId)
        return player[1] if player else None

    def GetPlatformUid(self, playerId: str) -> int | None:
        """The same as GetPlayerUid: there is one account."""
        return self.GetPlayerUid(playerId)

    def GetPlayerIdByUid(self, uid: int) -> str:
        """The playerId of a player on this server; an empty text for one who is not."""
        player = self._runtime.node.player_by_uid(int(uid))
        return player[0] if player else ""

    def GetPlayerNickname(self, playerId: str) -> str | None:
        """The name of a player on this server; None for one who is not."""
        player = self._player("GetPlayerNickname", playerId)
        return player[3] if player else None

    def GetConnectingProxyIdOfPlayer(self, playerId: str) -> int | None:
        """The proxy that the client of a player on this server is connected to; None for one who is not."""
        player = self._player("GetConnectingProxyIdOfPlayer", playerId)
        return player[2] if player else None

    def GetOnlinePlayerNum(self) -> int:
        """How many players are on this server."""
        return len(self._runtime.node.players())

    def IsPlayerPeUser(self, playerId: str) -> bool | None:
        """False, or None for a player who is not on this server."""
        return False if self._player("IsPlayerPeUser", playerId) else None

    def GetUidIsSilent(self, uid: int) -> int:
        """Always 2, not silenced: there is no list of the silenced here."""
        return NOT_SILENT

    def GetServerProtocolVersion(self) -> int:
        """The version of the protocol that clients speak with this cluster."""
        return PROTOCOL

    def TransferToOtherServer(
        self,
        playerId: str,
        typeName: str = "",
        transferParam: str = "",
        callback: Callable[[bool, int, str], object] | None = None,
        **others: Any,
    ) -> None:
        """Moves a player to the emptiest server of a type; ``transferParam`` (also ``param``) arrives there.
        ``callback(isSuc, reasonCode, message)`` says what came of it, and so do the events
        MasterResponseTransferSucServerEvent{uid} and MasterResponseTransferFailServerEvent{uid, reason}."""
        name, param = str(others.get("type", typeName)), str(others.get("param", transferParam))
        told = self._moved("TransferToOtherServer", playerId, callback, (Why.TypeNotExist, Why.ServerIsFull))
        self._transfer("TransferToOtherServer", str(playerId), param, None, name, told)

    def TransferToOtherServerById(
        self,
        playerId: str,
        serverId: int,
        transferParam: str = "",
        callback: Callable[[bool, int, str], object] | None = None,
        **others: Any,
    ) -> None:
        """Moves a player to the server ``serverId``; the rest as for TransferToOtherServer."""
        param = str(others.get("param", transferParam))
        told = self._moved("TransferToOtherServerById", playerId, callback, (Why.TargetNotVaild, Why.TargetIsFull))
        self._transfer("TransferToOtherServerById", str(playerId), param, int(serverId), None, told)

    def TryToKickoutPlayer(self, playerId: str, message: str = "") -> bool:
        """Ends a player's session; the client is told the message. False for one who is not on this server."""
        player = self._player("TryToKickoutPlayer", playerId)
        if player is None:
            return False
        self._runtime.node.kick(player[1], str(message), self._told("TryToKickoutPlayer"))
        return True

    def GetPlayerLockResult(self, id: int, success: bool) -> None:
        """The outcome of ServerGetPlayerLockEvent, with its ``id``: a player whose lock was not to be had is kicked."""
        if not success:
            self._runtime.node.kick(int(id), "the player is on another server", self._told("GetPlayerLockResult"))

    def ReleasePlayerLockResult(self, id: int, success: bool) -> None:
        """The outcome of ServerReleasePlayerLockEvent; one that failed is told."""
        if not success:
            self._runtime.warn_of(f"ReleasePlayerLockResult: the lock of player {id} was not released")

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
        """Lets this node finish what it has, and end. `chappe up` does not start it again."""
        self._runtime.node.stop()

    def ResetServer(self) -> None:
        """Lets this node finish what it has, end, and be started again by `chappe up`."""
        self._runtime.restart()

    def SetShutdownOk(self) -> None:
        """Does nothing: a node leaves as soon as ServerWillShutDownEvent was heard."""

    def SetGracefulShutdownOk(self) -> None:
        """Does nothing: a node leaves as soon as ServerWillShutDownEvent was heard."""

    def _player(self, call: str, player: object) -> tuple[str, int, int, str] | None:
        """(playerId, uid, proxyId, nickname) of a player here; a uid in the place of a playerId is told."""
        found = self._runtime.node.player(str(player))
        if found is None and str(player).isdecimal() and self._runtime.node.player_by_uid(int(str(player))) is not None:
            hint = f"GetPlayerIdByUid({player}) turns it"
            self._runtime.warn_of(f"{call}: {player!r} is the uid of a player, and here a playerId is wanted: {hint}")
        return found

    def _transfer(
        self, call: str, player: str, param: str, server: int | None, kind: str | None, told: Told
    ) -> None:
        if self._player(call, player) is None:
            return told(None, ("PlayerOffline", f"{player!r} is no playerId of a player on this server"))
        self._runtime.node.transfer(player, param, server, kind, told)

    def _moved(
        self, call: str, player: str, callback: Callable[[bool, int, str], object] | None, why: tuple[int, int]
    ) -> Told:
        if callback is not None:
            check(call, callback, ("isSuc", "reasonCode", "message"))
        here = self._runtime.node.player(str(player))
        uid = here[1] if here else None

        def told(_: Any, failure: tuple[str, str] | None) -> None:
            node = self._runtime.node
            if failure is None:
                node.raise_event("MasterResponseTransferSucServerEvent", {"uid": uid})
                code, text = 0, ""
            else:
                self._runtime.log.warning("%s: %s: %s", call, *failure)
                code = {"PlayerOffline": Why.ApiInputFail, "StaleSession": Why.ApiInputFail, "ServerFull": why[1]}.get(
                    failure[0], why[0]
                )
                node.raise_event("MasterResponseTransferFailServerEvent", {"uid": uid, "reason": code})
                text = failure[1]
            if callback is not None:
                callback(failure is None, code, text)

        return told

    def _told(self, call: str) -> Told:
        def told(_: Any, failure: tuple[str, str] | None) -> None:
            if failure is not None:
                self._runtime.log.warning("%s: %s: %s", call, *failure)

        return told
