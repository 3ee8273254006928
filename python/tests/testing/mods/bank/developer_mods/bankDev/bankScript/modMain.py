# -*- coding: utf-8 -*-
from common.mod import Mod


@Mod.Binding(name="bank", version="0.0.1")
class BankMod(object):
    @Mod.InitService()
    def OnService(self):
        import server.extraServiceApi as serviceApi

        serviceApi.RegisterSystem("bank", "bankService", "bankScript.bankService.BankService")

    @Mod.DestroyService()
    def OnServiceGone(self):
        from bankScript import state

        state.closed.append(True)
