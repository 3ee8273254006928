# -*- coding: utf-8 -*-
import client.extraClientApi as clientApi
ClientSystem = clientApi.GetClientSystemCls()


class BankClient(ClientSystem):
    def __init__(self, namespace, systemName):
        super(BankClient, self).__init__(namespace, systemName)
        for event, func in (('BalanceEvent', self.OnBalance), ('PushedEvent', self.OnBalance)):
            self.ListenForEvent('bank', 'bankServer', event, self, func)
        self.ListenForEvent('bank', 'bankServer', 'AlarmShown', self, self.OnAlarm)
        self.ListenForEvent(clientApi.GetEngineNamespace(), clientApi.GetEngineSystemName(), 'UiInitFinished', self, self.OnUi)

    def OnUi(self, args):
        data = self.CreateEventData()
        data['n'] = 1
        self.NotifyToServer('OpenBankEvent', data)

    def OnBalance(self, args):
        print args

    def OnAlarm(self, args):
        pass
