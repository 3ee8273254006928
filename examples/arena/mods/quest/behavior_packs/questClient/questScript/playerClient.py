# -*- coding: utf-8 -*-
# 竞技场的玩家：排队，打，说话
import client.extraClientApi as clientApi
import random

ClientSystem = clientApi.GetClientSystemCls()


class PlayerClient(ClientSystem):

    def __init__(self, namespace, systemName):
        ClientSystem.__init__(self, namespace, systemName)
        self.chat = None
        self.mode = None
        self.foes = []
        for name, func in (("Welcome", self.OnWelcome), ("Begin", self.OnBegin), ("State", self.OnState), ("End", self.OnEnd)):
            for system in "lobby", "game":
                self.ListenForEvent("arena", system, name, self, func)
        game = clientApi.GetEngineCompFactory().CreateGame(clientApi.GetLevelId())
        game.AddRepeatedTimer(0.3, self.Hit)
        game.AddRepeatedTimer(2.0, self.Queue)
        game.AddRepeatedTimer(2.5, self.Say)

    def OnWelcome(self, args):
        self.chat, self.mode, self.foes = args["chat"], args["mode"], []

    def OnBegin(self, args):
        self.foes = args["players"]

    def OnState(self, args):
        if args["left"] == 0 and args["uid"] in self.foes:
            self.foes.remove(args["uid"])

    def OnEnd(self, args):
        self.foes = []

    def Queue(self):
        if self.mode is None:
            self.NotifyToServer("Queue", {"mode": random.choice(("duel", "brawl"))})

    def Hit(self):
        if self.foes:
            self.NotifyToServer("Hit", {"uid": random.choice(self.foes)})

    def Say(self):
        if self.chat:
            self.NotifyToServiceNode(self.chat, "Say", {"text": u"大家好"})
