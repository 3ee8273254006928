# -*- coding: utf-8 -*-
# 客户端的一半：显示任务
import client.extraClientApi as clientApi

ClientSystem = clientApi.GetClientSystemCls()
QUEST_SERVICE = 44


class QuestClient(ClientSystem):

    def __init__(self, namespace, systemName):
        ClientSystem.__init__(self, namespace, systemName)
        self.ListenForEvent("quest", "questServer", "TodayEvent", self, self.OnToday)
        self.ListenForEvent("quest", "questServer", "BoardEvent", self, self.OnBoard)
        self.ListenForEvent("quest", "questServer", "HeroEvent", self, self.OnHero)
        self.ListenForEvent("quest", "questService", "ProgressEvent", self, self.OnProgress)
        self.ListenForEvent("quest", "questService", "CheeredEvent", self, self.OnCheered)
        game = clientApi.GetEngineCompFactory().CreateGame(clientApi.GetLevelId())
        game.AddRepeatedTimer(1.5, self.Cheer)

    def OnToday(self, args):
        print args["text"], "已赢", args["wins"]

    def OnBoard(self, args):
        print "排行榜：最多%(best)d场，你%(wins)d场" % args

    def OnHero(self, args):
        print args["uid"], args["text"]

    def OnProgress(self, args):
        print "任务进度 %d%%" % args["percent"]

    def OnCheered(self, args):
        self.cheers = args["cheers"]

    def Cheer(self):
        self.NotifyToServiceNode(QUEST_SERVICE, "CheerEvent", {})

    def Destroy(self):
        print "再见"
