import json

import master.masterHttp as masterHttp
import master.netgameApi as netgameApi
import master.serverManager as serverManager
import server.extraMasterApi as masterApi
from master.masterConf import netgameConf
from RecScript.recorder import Recorder

MasterSystem = masterApi.GetMasterSystemCls()


class RecMasterSystem(MasterSystem, Recorder):
    def __init__(self, namespace, systemName):
        MasterSystem.__init__(self, namespace, systemName)
        self.Start(masterApi)
        self.logins = []
        self.RegisterRpcMethod("rec_master", "Do", self.OnDo)
        self.RegisterRpcMethod("rec_master", "Heard", self.OnHeard)
        masterHttp.RegisterMasterHttp("/rec/echo", self, self.OnHttp)
        netgameApi.SetLoginStratege(self.OnLogin)

    def Update(self):
        self.updates += 1

    def OnDo(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.Do(args))

    def OnHeard(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.Heard())

    def OnHttp(self, clientId, requestBody):
        masterHttp.SendHttpResponse(clientId, json.dumps({"got": requestBody, "cluster": netgameConf.get("cluster")}))

    def OnLogin(self, uid, callback):
        self.logins.append(uid)
        callback(10)

    def Logins(self):
        return [self.logins, serverManager.GetConnectedLobbyAndGameIds(), serverManager.GetOnlineNumByServerType()]
