"""A lobby of the arena: what `src/lobby.rs` does, in Apollo's calls. Players cannot tell which of them they stand in."""

from __future__ import annotations

from typing import Any

import apolloCommon.commonNetgameApi as commonApi
import lobbyGame.netgameApi as netgameApi
import server.extraServerApi as serverApi
from mod_log import logger

ServerSystem = serverApi.GetServerSystemCls()

ATTEMPTS = 8
"""How often a lobby tries to find a game for a player whose game is gone."""
RETRY = 0.25
"""Seconds between two attempts."""
CHANNELS = 8
"""Of so many players one reads what another says."""


class Hall(ServerSystem):
    """Greets who comes, queues who wants to play, and takes the players of a match to their game."""

    def __init__(self, namespace: str, systemName: str) -> None:
        super().__init__(namespace, systemName)
        self.chat = service_of_type("service_chat")
        self.matches = service_of_type("service_match")
        engine = (serverApi.GetEngineNamespace(), serverApi.GetEngineSystemName())
        self.ListenForEvent(*engine, "AddServerPlayerEvent", self, self.on_enter)
        self.ListenForEvent(*engine, "DelServerPlayerEvent", self, self.on_leave)
        self.ListenForEvent("arena", "client", "Queue", self, self.on_queue)
        self.ListenForEvent("arena", "match", "MatchFound", self, self.on_match)
        self.ListenForEvent("arena", "chat", "Chat", self, self.on_chat)
        self.ListenForEvent("arena", "season", "Leader", self, self.on_leader)

    def on_enter(self, player: dict[str, Any]) -> None:
        """Somebody has come: they are told where they are, what mail they have, and how they are rated."""
        id, uid = player["id"], player["uid"]
        self.NotifyToClient(id, "Welcome", {"server": netgameApi.GetServerId(), "mode": None, "chat": self.chat})

        def counted(suc: bool, unread: int | None) -> None:
            if suc and is_here(id):
                self.NotifyToClient(id, "Letters", {"unread": unread})

        def rated(suc: bool, rating: int | None) -> None:
            if suc and is_here(id):
                self.NotifyToClient(id, "Rating", rating)

        letters = {"uid": uid, "proxy": player["proxyId"]}
        self.RequestToServiceMod("service_mail", "Count", letters, counted, 2.0)
        self.RequestToHashService("service_match", uid, "Rating", uid, rated, 2.0)

    def on_leave(self, player: dict[str, Any]) -> None:
        """Who leaves for a game was taken out of the queue when the match was found."""
        if not player["isTransfer"] and self.matches is not None:
            self.NotifyToServiceNode(self.matches, "Unqueue", {"uid": player["uid"]})

    def on_queue(self, data: dict[str, Any]) -> None:
        """A client wants to play. `__id__`, its playerId, was put there by the proxy."""
        id: str = data["__id__"]
        uid = netgameApi.GetPlayerUid(id)
        if uid is None:
            return

        def queued(suc: bool, place: int | None) -> None:
            # Who was matched at once may be on the way already.
            if suc and is_here(id):
                self.NotifyToClient(id, "Queued", {"place": place})
            elif not suc:
                logger.warning("player %s could not be queued", uid)

        enqueue = {"uid": uid, "player": id, "lobby": netgameApi.GetServerId(), "mode": data["mode"]}
        self.RequestToService("match", "Enqueue", enqueue, queued, 2.0)

    def on_match(self, found: dict[str, Any]) -> None:
        """A match is found: these players go to the game that was chosen."""
        ticket = found["ticket"]
        for player in found["players"]:
            journey = Journey(player, found["mode"], f"{ticket['id']}/{ticket['size']}")
            journey.to(found["server"])

    def on_chat(self, chat: dict[str, Any]) -> None:
        """Chat of all servers, passed on to those of the channel."""
        channel = chat["uid"] % CHANNELS
        readers = [id for id in serverApi.GetPlayerList() if (netgameApi.GetPlayerUid(id) or 0) % CHANNELS == channel]
        if readers:
            self.NotifyToMultiClients(readers, "Chat", chat)

    def on_leader(self, leader: dict[str, Any]) -> None:
        """The season has a new leader."""
        self.BroadcastToAllClient("Leader", leader)


class Journey:
    """A player's way to a game: to the one that was chosen, else to any of its mode, for a while."""

    def __init__(self, player: str, mode: str, param: str) -> None:
        self.player, self.mode, self.param = player, mode, param
        self.left = ATTEMPTS

    def to(self, server: int | None) -> None:
        """Begins it."""
        if server is None:
            self.anywhere()
        else:
            netgameApi.TransferToOtherServerById(self.player, server, self.param, self.arrived)

    def anywhere(self) -> None:
        """To any game of the mode."""
        if self.left > 0 and is_here(self.player):
            self.left -= 1
            netgameApi.TransferToOtherServer(self.player, self.mode, self.param, self.arrived)

    def arrived(self, suc: bool, reason: int, message: str) -> None:
        """A game that has died is started again."""
        if not suc:
            commonApi.AddTimer(RETRY, self.anywhere)


def is_here(player: str) -> bool:
    """Whether a player still is on this server."""
    return netgameApi.GetPlayerUid(player) is not None


def service_of_type(kind: str) -> int | None:
    """The serverid of the service of that type, as deploy.json has it."""
    services = commonApi.GetCommonConfig()["service"]
    return next((entry["serverid"] for entry in services if entry["type"] == kind), None)
