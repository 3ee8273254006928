# -*- coding: utf-8 -*-
import mod.client.extraClientApi as clientApi
from mod_log import logger

ClientSystem = clientApi.GetClientSystemCls()
ENGINE = (clientApi.GetEngineNamespace(), clientApi.GetEngineSystemName())


class GreetClient(ClientSystem):
    def __init__(self, namespace, systemName):
        ClientSystem.__init__(self, namespace, systemName)
        self.frames = 0
        self.ticks = 0
        self.ListenForEvent(ENGINE[0], ENGINE[1], "UiInitFinished", self, self.OnUi)
        self.ListenForEvent("greet", "greetServer", "Greeting", self, self.OnGreeting)
        self.ListenForEvent("greet", "greetService", "Answer", self, self.OnLast)
        self.ListenForEvent("greet", "greetService", "Answer", self, self.OnAnswer, 10)
        self.ListenForEvent("greet", "greetClient", "Own", self, self.OnOwn)

    def OnUi(self, data):
        self.NotifyToServer("Hello", {"name": "阿明", "__id__": "forged"})
        clientApi.GetEngineCompFactory().CreateItem(clientApi.GetLocalPlayerId()).GetPlayerItem()

    def OnGreeting(self, data):
        print "mod: greeting", data["text"].encode("utf-8"), data["n"]
        self.NotifyToServiceNode(30, "Ask", {"n": 2 ** 40})

    def OnAnswer(self, data):
        print "mod: first", data["twice"] / 2 == 2 ** 40, sorted(data)

    def OnLast(self, data):
        self.BroadcastEvent("Own", {"from": "last"})
        print "mod: last"
        raise KeyError("told, and the client goes on")

    def OnOwn(self, data):
        print "mod: own", data["from"]
        game = clientApi.GetEngineCompFactory().CreateGame(clientApi.GetLevelId())
        never = game.AddTimer(0.01, self.OnTimer, "never")
        game.CancelTimer(never)
        game.AddTimer(0.02, self.OnTimer, "once")
        self.repeated = game.AddRepeatedTimer(0.01, self.OnRepeated, game)

    def OnTimer(self, word):
        print "mod: timer", word

    def OnRepeated(self, game):
        self.ticks += 1
        if self.ticks == 3:
            game.CancelTimer(self.repeated)
            print "mod: repeated"
            self.UnListenForEvent("greet", "greetClient", "Own", self, self.OnOwn)
            self.frames = 0

    def Update(self):
        self.frames += 1
        if self.frames == 5 and self.ticks == 3:
            print "mod: frames"

    def Destroy(self):
        print "mod: destroyed"
