# -*- coding: utf-8 -*-
import json
import server.extraMasterApi as masterApi
import master.masterHttp as masterHttp
import master.serverManager as serverManager

MasterSystem = masterApi.GetMasterSystemCls()


class BankMaster(MasterSystem):
    def __init__(self, namespace, systemName):
        MasterSystem.__init__(self, namespace, systemName)
        self.ListenForEvent('bank', 'bankServer', 'BankPlayerEvent', self, self.OnPlayer)
        masterHttp.RegisterMasterHttp('/close-bank', self, self.OnClose)

    def OnPlayer(self, data):
        print data['uid']

    def OnClose(self, clientId, requestBody):
        for serverId in serverManager.GetConnectedLobbyAndGameIds():
            self.NotifyToServerNode(serverId, 'BankClosedEvent', json.loads(requestBody))
        masterHttp.SendHttpResponse(clientId, json.dumps({'code': 1}))
