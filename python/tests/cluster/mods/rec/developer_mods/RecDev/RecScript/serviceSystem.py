import server.extraServiceApi as serviceApi
import service.serverManager as serverManager
import service.serviceConf as serviceConf
import service.serviceHttp as serviceHttp
from service.asyncore_with_timer import CallLater
from RecScript.recorder import Recorder


class RecServiceSystem(serviceApi.GetServiceSystemCls(), Recorder):
    def __init__(self, namespace, systemName):
        super(RecServiceSystem, self).__init__(namespace, systemName)
        self.Start(serviceApi)
        self.RegisterRpcMethodForMod("Do", self.OnDo)
        self.RegisterRpcMethodForMod("Heard", self.OnHeard)
        self.RegisterRpcMethodForMod("Echo", self.OnEcho)
        self.RegisterRpcMethodForMod(func=self.OnLater, method="Later")
        self.RegisterRpcMethod("rec_extra", "Echo", self.OnEcho)
        self.RegisterRpcMethodForMod("Raises", self.OnRaises)
        self.RegisterRpcMethodForMod("Twice", self.OnTwice)
        self.RegisterRpcMethodForMod("Never", self.OnNever)

    def Update(self):
        self.updates += 1

    def OnDo(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.Do(args))

    def OnHeard(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.Heard())

    def OnEcho(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, args)

    def OnLater(self, serverId, callbackId, args):
        CallLater(0.01, self.ResponseToServer, serverId, callbackId, args)

    def OnRaises(self, serverId, callbackId, args):
        raise ValueError("no")

    def OnTwice(self, serverId, callbackId, args):
        first = self.ResponseToServer(serverId, callbackId, 1)
        self.heard.append(["twice", [first, self.ResponseToServer(serverId, callbackId, 2)]])

    def OnNever(self, serverId, callbackId, args):
        pass

    def OpenHttp(self):
        serviceHttp.RegisterServiceHttp("/echo", self, self.OnHttp)

    def OnHttp(self, clientId, requestBody):
        first = serviceHttp.SendHttpResponse(clientId, requestBody + "!")
        self.heard.append(["http", [first, serviceHttp.SendHttpResponse(clientId, "again")]])

    def Servers(self):
        return [
            serverManager.GetServerType(10),
            serverManager.GetServerIdsByServerType("lobby"),
            serverManager.GetServersStatus(),
            serverManager.IsConnectedServer(10),
            sorted(serverManager.serverListMap),
            serviceConf.get_module_names(),
        ]
