# -*- coding: utf-8 -*-
"""Runs what a test asks for, on nodes of every role."""
from common.mod import Mod


@Mod.Binding(name="net", version="1.0.0")
class NetMod(object):
    @Mod.InitServer()
    def OnServer(self):
        import server.extraServerApi as api

        api.RegisterSystem("net", "lobbySystem", "NetScript.sides.LobbySystem")

    @Mod.InitService()
    def OnService(self):
        import server.extraServiceApi as api

        api.RegisterSystem("net", "serviceSystem", "NetScript.sides.ServiceSystem")

    @Mod.InitMaster()
    def OnMaster(self):
        import server.extraMasterApi as api

        api.RegisterSystem("net", "masterSystem", "NetScript.sides.MasterSystem")
