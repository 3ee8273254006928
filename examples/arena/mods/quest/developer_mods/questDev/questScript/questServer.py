# -*- coding: utf-8 -*-
# 大厅的一半：向任务服务要今天的任务，告诉玩家
import server.extraServerApi as serverApi
import lobbyGame.netgameApi as netgameApi
import apolloCommon.commonNetgameApi as commonApi
import questConsts as consts

ServerSystem = serverApi.GetServerSystemCls()


class QuestServer(ServerSystem):

    def __init__(self, namespace, systemName):
        ServerSystem.__init__(self, namespace, systemName)
        engine = serverApi.GetEngineNamespace(), serverApi.GetEngineSystemName()
        self.ListenForEvent(engine[0], engine[1], "AddServerPlayerEvent", self, self.OnAddPlayer)
        self.ListenForEvent(engine[0], engine[1], "DelServerPlayerEvent", self, self.OnDelPlayer)
        self.ListenForEvent(consts.NAMESPACE, consts.SERVICE, "HeroEvent", self, self.OnHero)
        self.service = [s["serverid"] for s in commonApi.GetCommonConfig()["service"] if s["type"] == consts.SERVICE_TYPE][0]
        commonApi.AddRepeatedTimer(1.0, self.AskForBoard)
        print "任务大厅开放，服务器", netgameApi.GetServerId()

    def OnAddPlayer(self, args):
        playerId, uid = args["id"], args["uid"]

        def OnToday(suc, data):
            if not suc or not netgameApi.GetPlayerUid(playerId):
                return
            eventData = self.CreateEventData()
            eventData["text"] = data["text"]
            eventData["wins"] = data["wins"]
            self.NotifyToClient(playerId, "TodayEvent", eventData)

        self.RequestToServiceMod(consts.SERVICE_TYPE, "Today", {"uid": uid, "proxyId": args["proxyId"]}, OnToday, 2)

    def OnDelPlayer(self, args):
        if not args["isTransfer"]:
            self.NotifyToServiceNode(self.service, "LeftEvent", {"uid": args["uid"]})

    def AskForBoard(self):
        self.RequestToService(consts.MODULE, "Board", None, self.OnBoard)

    def OnBoard(self, suc, data):
        if suc:
            for uid, wins in data.iteritems():
                playerId = netgameApi.GetPlayerIdByUid(uid)
                if playerId:
                    self.NotifyToClient(playerId, "BoardEvent", {"wins": wins, "best": max(data.values())})

    def OnHero(self, args):
        self.BroadcastToAllClient("HeroEvent", args)
