# -*- coding: utf-8 -*-
"""Records what it hears, and calls what it is told to: on nodes of every role. In the style of the field: old classes,
Chinese text, bare base classes."""
from common.mod import Mod


@Mod.Binding(name="recorder", version="1.0.0")
class RecMod(object):
    @Mod.InitServer()
    def OnServer(self):
        import mod.server.extraServerApi as api

        api.RegisterSystem("rec", "recSystem", "RecScript.serverSystem.RecServerSystem")

    @Mod.InitService()
    def OnService(self):
        import server.extraServiceApi as api

        api.RegisterSystem("rec", "recSystem", "RecScript.serviceSystem.RecServiceSystem")

    @Mod.InitMaster()
    def OnMaster(self):
        import server.extraMasterApi as api

        api.RegisterSystem("rec", "recSystem", "RecScript.masterSystem.RecMasterSystem")

    @Mod.DestroyService()
    def OnServiceGone(self):
        print("再见")
