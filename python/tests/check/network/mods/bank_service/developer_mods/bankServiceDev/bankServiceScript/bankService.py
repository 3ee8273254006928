# -*- coding: utf-8 -*-
import server.extraServiceApi as serviceApi
import service.serverManager as serverManager

ServerSystem = serviceApi.GetServiceSystemCls()


class BankService(ServerSystem):
    def __init__(self, namespace, systemName):
        ServerSystem.__init__(self, namespace, systemName)
        self.RegisterRpcMethod("bank", 'Balance', self.OnBalance)
        self.RegisterRpcMethodForMod('Touch', self.OnTouch)
        self.ListenForEvent("bank", "bankServer", "TickEvent", self, self.OnTick)
        self.ListenForEvent(serviceApi.GetEngineNamespace(), serviceApi.GetEngineSystemName(), "ServerConnectedEvent", self, self.OnServer)

    def OnBalance(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, {'gold': 3})
        self.NotifyToServerNode(serverId, 'AlarmEvent', args)

    def OnTouch(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, None)

    def OnTick(self, args=None):
        for sid in serverManager.GetServerIdsByServerType('bw4'):
            self.NotifyToServerNode(sid, 'AlarmEvent', {})

    def OnServer(self, args):
        print serverManager.GetServerType(args['serverId'])
