# -*- coding: utf-8 -*-
import server.extraServiceApi as serviceApi
import apolloCommon.commonNetgameApi as netgameApi
from bankScript import state

START = 10


class BankService(serviceApi.GetServiceSystemCls()):
    def __init__(self, namespace, systemName):
        super(BankService, self).__init__(namespace, systemName)
        self.silent = False
        self.RegisterRpcMethod("bank", "Pay", self.OnPay)
        netgameApi.AddRepeatedTimer(60.0, self.PayInterest)

    def OnPay(self, serverId, callbackId, args):
        # Not at the head of the file on purpose: a handler may import, too.
        from bankScript.rules import isEnough

        if self.silent:
            return
        uid, price = args["uid"], args["price"]
        had = state.coins.setdefault(uid, START)
        if isEnough(had, price):
            state.coins[uid] = had - price
        self.ResponseToServer(serverId, callbackId, {"paid": isEnough(had, price), "left": state.coins[uid]})

    def PayInterest(self):
        for uid in state.coins:
            state.coins[uid] += 1
        self.BroadcastToServerByType("lobby", "Interest", {"coins": 1})
