# -*- coding: utf-8 -*-
# 服务的一半：记下谁赢了几场
import server.extraServiceApi as serviceApi
import questConsts as consts

ServiceSystem = serviceApi.GetServiceSystemCls()


class QuestService(ServiceSystem):

    def __init__(self, namespace, systemName):
        ServiceSystem.__init__(self, namespace, systemName)
        self.wins = {}
        self.where = {}     # uid -> (大厅, 代理)
        self.cheers = 0L
        self.RegisterRpcMethodForMod("Today", self.OnToday)
        self.RegisterRpcMethod(consts.MODULE, "Board", self.OnBoard)
        self.ListenForEvent("arena", "game", "RoundOver", self, self.OnRoundOver)
        self.ListenForEvent("arena", "season", "Season", self, self.OnSeason)
        self.ListenForEvent(consts.NAMESPACE, consts.SERVER, "LeftEvent", self, self.OnLeft)
        self.ListenForEvent(consts.NAMESPACE, consts.CLIENT, "CheerEvent", self, self.OnCheer)
        print "任务服务启动，", consts.TODAY % consts.GOAL

    def OnToday(self, serverId, callbackId, args):
        uid = args["uid"]
        self.where[uid] = (serverId, args["proxyId"])
        self.ResponseToServer(serverId, callbackId, {"text": consts.TODAY % consts.GOAL, "wins": self.wins.get(uid, 0)})

    def OnBoard(self, serverId, callbackId, args):
        best = sorted(self.wins.items(), cmp=lambda a, b: cmp(b[1], a[1]))[:10]
        self.ResponseToServer(serverId, callbackId, dict(best))

    def OnRoundOver(self, args):
        if not args["standings"]:
            return
        uid = args["standings"][0]["uid"]
        if not self.where.has_key(uid):
            return
        self.wins[uid] = self.wins.get(uid, 0) + 1
        lobby, proxy = self.where[uid]
        self.RemoteNotifyToClient(uid, proxy, "ProgressEvent", {"wins": self.wins[uid], "percent": self.wins[uid] * 100 / consts.GOAL})
        if self.wins[uid] % consts.GOAL == 0:
            self.NotifyToServerNode(lobby, "HeroEvent", {"uid": uid, "text": consts.DONE % self.wins[uid]})

    def OnSeason(self, args):
        def OnChampion(suc, champion):
            print "新赛季", args["number"], "上届冠军", champion if suc else "不明"
        self.RequestToService("season", "Champion", args["number"], OnChampion)

    def OnLeft(self, args):
        self.where.pop(args["uid"], None)

    def OnCheer(self, args):
        self.cheers += 1
        # __uid__ 和 __neteaseProxyId__ 是代理加上的，客户端伪造不了
        self.RemoteNotifyToClient(args["__uid__"], args["__neteaseProxyId__"], "CheeredEvent", {"cheers": self.cheers})
