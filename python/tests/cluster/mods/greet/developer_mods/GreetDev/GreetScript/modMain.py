# -*- coding: utf-8 -*-
from common.mod import Mod


@Mod.Binding(name="greet", version="1.0.0")
class GreetMod(object):
    @Mod.InitServer()
    def OnServer(self):
        import server.extraServerApi as api

        api.RegisterSystem("greet", "greetServer", "GreetScript.halves.GreetServer")

    @Mod.InitService()
    def OnService(self):
        import server.extraServiceApi as api

        api.RegisterSystem("greet", "greetService", "GreetScript.halves.GreetService")
