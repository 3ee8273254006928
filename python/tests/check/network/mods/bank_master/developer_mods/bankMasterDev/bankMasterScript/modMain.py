# -*- coding: utf-8 -*-
from common.mod import Mod


@Mod.Binding(name="bankMaster", version="0.1")
class MasterMod(object):
    @Mod.InitMaster()
    def initMaster(self):
        import server.extraMasterApi as masterApi
        masterApi.RegisterSystem("bank", "bankMaster", "bankMasterScript.bankMaster.BankMaster")
