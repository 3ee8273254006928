# -*- coding: utf-8 -*-
import lobbyGame.netgameApi as lobbyApi
import mod.server.extraServerApi as serverApi

ServerSystem = serverApi.GetServerSystemCls()
PRICES = {"sword": 7}
present = []


class ShopServer(ServerSystem):
    def __init__(self, namespace, systemName):
        ServerSystem.__init__(self, namespace, systemName)
        engine = (serverApi.GetEngineNamespace(), serverApi.GetEngineSystemName())
        self.ListenForEvent(engine[0], engine[1], "AddServerPlayerEvent", self, self.OnPlayer)
        self.ListenForEvent("shop", "shopClient", "Buy", self, self.OnBuy)
        self.ListenForEvent("bank", "bankService", "Interest", self, self.OnInterest)

    def OnPlayer(self, data):
        present.append(data["uid"])

    def OnBuy(self, data):
        player, item = data["__id__"], data["item"]
        args = {"uid": lobbyApi.GetPlayerUid(player), "price": PRICES[item]}

        def onPaid(suc, answer):
            if not suc:
                self.NotifyToClient(player, "NotBought", {"item": item, "why": "no answer"})
            elif not answer["paid"]:
                self.NotifyToClient(player, "NotBought", {"item": item, "why": "too dear"})
            else:
                self.NotifyToClient(player, "Bought", {"item": item, "left": answer["left"]})

        self.RequestToService("bank", "Pay", args, onPaid, 2)

    def OnInterest(self, data):
        self.BroadcastToAllClient("Interest", data)
