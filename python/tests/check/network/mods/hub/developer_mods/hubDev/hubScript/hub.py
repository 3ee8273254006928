from __future__ import annotations

from typing import Any

import server.extraServerApi as serverApi
from lobbyGame import netgameApi

ServerSystem = serverApi.GetServerSystemCls()


class HubServer(ServerSystem):
    """The hub, in modern Python."""

    def __init__(self, namespace: str, systemName: str) -> None:
        super().__init__(namespace, systemName)
        engine = (serverApi.GetEngineNamespace(), serverApi.GetEngineSystemName())
        self.ListenForEvent(engine[0], engine[1], "DelServerPlayerEvent", self, self.on_gone)
        self.ListenForEvent("bank", "bankMaster", "BankClosedEvent", self, lambda data: print(data))

    def on_gone(self, args: dict[str, Any]) -> None:
        bank = serverApi.GetSystem("bank", "bankServer")
        bank.NotifyToMaster("BankPlayerEvent", {"uid": args["uid"]})
        netgameApi.TransferToOtherServer(args["id"], "bw4")
