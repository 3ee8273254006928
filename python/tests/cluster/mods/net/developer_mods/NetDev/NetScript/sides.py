# -*- coding: utf-8 -*-
import json

import apolloCommon.commonNetgameApi as commonApi
import apolloCommon.launcherApi as launcherApi
import lobby.netgameApi as cityApi
import lobbyGame.netgameApi as lobbyApi
import logout
import master.masterHttp as masterHttp
import master.netgameApi as masterApi
import master.serverManager as masterManager
import server.extraMasterApi as extraMasterApi
import server.extraServerApi as serverApi
import server.extraServiceApi as extraServiceApi
import service.netgameApi as serviceApi
import service.serverManager as serviceManager
import service.serviceHttp as serviceHttp
import ujson
from master.masterConf import netgameConf
from mod.common.minecraftEnum import TransferServerFailReason
from mod.common.utils.mcmath import Vector3


class Side(object):
    """Is mixed into the systems of all roles."""

    def Start(self, api):
        self.heard = []
        self.api = api

    def Run(self, code):
        """Evaluates an expression, or runs statements; gives what it gave, or what it raised."""
        names = dict(globals(), self=self, heard=self.heard)
        try:
            try:
                return ["ok", eval(compile(code, __file__, "eval"), names)]
            except SyntaxError:
                exec(compile(code, __file__, "exec"), names)
                return ["ok", names.get("result")]
        except Exception as error:
            return ["raised", type(error).__name__, str(error)]

    def Hear(self, *events):
        for event in events:
            self.ListenForEvent(
                self.api.GetEngineNamespace(), self.api.GetEngineSystemName(), event, self, self.Heard(event)
            )

    def Heard(self, event):
        return lambda data: self.heard.append([event, data])

    def Called(self, *args):
        self.heard.append(["called", list(args)])


class LobbySystem(serverApi.GetServerSystemCls(), Side):
    def __init__(self, namespace, systemName):
        super(LobbySystem, self).__init__(namespace, systemName)
        self.Start(serverApi)
        self.ListenForEvent("net", "serviceSystem", "Run", self, self.OnRun)
        self.ListenForEvent("net", "netClient", "Known", self, self.Called)
        self.ListenForEvent("net", "serviceSistem", "Lost", self, self.Called)
        self.ListenForEvent("net", "nobodyAtAll", "Gone", self, self.Called)
        self.Hear(
            "ServerGetPlayerLockEvent", "AddServerPlayerEvent", "DelServerPlayerEvent", "ServerReleasePlayerLockEvent",
            "MasterResponseTransferSucServerEvent", "MasterResponseTransferFailServerEvent",
            "AddServerPlayrEvent", "ServerChatEvent", "savePlayerDataEvent", "PlayerLoginServerEvent",
        )
        self.ListenForEvent("Minecraft", "Engine", "ServerWillShutDownEvent", self, self.OnEnd)

    def OnRun(self, data):
        self.NotifyToServiceNode(data["answerTo"], "Ran", {"id": data["id"], "outcome": self.Run(data["code"])})

    def OnEnd(self, data):
        print("保存 %d" % len(serverApi.GetPlayerList()))

    def OnPos(self, data):
        comp = serverApi.GetEngineCompFactory().CreatePos("1")
        x, y, z = comp.GetPos()
        return x

    def Destroy(self):
        print("完了")


class ServiceSystem(extraServiceApi.GetServiceSystemCls(), Side):
    def __init__(self, namespace, systemName):
        super(ServiceSystem, self).__init__(namespace, systemName)
        self.Start(extraServiceApi)
        self.waiting = {}
        self.RegisterRpcMethodForMod("Run", self.OnRun)
        self.RegisterRpcMethodForMod("OnLobby", self.OnLobby)
        self.ListenForEvent("net", "lobbySystem", "Ran", self, self.OnRan)

    def OnRun(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.Run(args))

    def OnLobby(self, serverId, callbackId, args):
        id = len(self.waiting)
        self.waiting[id] = (serverId, callbackId)
        data = {"id": id, "code": args["code"], "answerTo": serviceApi.GetServerId()}
        self.NotifyToServerNode(args["lobby"], "Run", data)

    def OnRan(self, data):
        serverId, callbackId = self.waiting[data["id"]]
        self.ResponseToServer(serverId, callbackId, data["outcome"])


class MasterSystem(extraMasterApi.GetMasterSystemCls(), Side):
    def __init__(self, namespace, systemName):
        super(MasterSystem, self).__init__(namespace, systemName)
        self.Start(extraMasterApi)
        self.RegisterRpcMethod("net_master", "Run", self.OnRun)
        self.Hear("ResetGamesBeginEvent", "ResetGamesEndEvent", "ServerConnectedEvent", "ServerDisconnectEvent")
        masterHttp.RegisterMasterHttp("/net", self, self.OnHttp)

    def OnRun(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.Run(args))

    def OnHttp(self, clientId, requestBody):
        self.heard.append(["http", requestBody])
        masterHttp.SendHttpResponse(clientId, "{}")
