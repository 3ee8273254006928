# -*- coding: utf-8 -*-
from mod.common.mod import Mod
import mod.client.extraClientApi as clientApi


@Mod.Binding(name='bank', version='1.0.0')
class BankClientMod(object):
    @Mod.InitClient()
    def initClient(self):
        clientApi.RegisterSystem('bank', 'bankClient', 'bankScript.bankClient.BankClient')
