# -*- coding: utf-8 -*-
from common.mod import Mod


@Mod.Binding(name="bankService", version="0.1")
class ServiceMod(object):
    @Mod.InitService()
    def initService(self):
        print '#### bank UP ####'
        import server.extraServiceApi as serviceApi
        self.system = serviceApi.RegisterSystem("bank", "bankService", "bankServiceScript.bankService.BankService")
