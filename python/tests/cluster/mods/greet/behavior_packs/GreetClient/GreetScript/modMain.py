# -*- coding: utf-8 -*-
from common.mod import Mod


@Mod.Binding(name="greet", version="1.0.0")
class GreetClientMod(object):
    @Mod.InitClient()
    def OnClient(self):
        import client.extraClientApi as clientApi

        clientApi.RegisterSystem("greet", "greetClient", "GreetScript.greetClient.GreetClient")

    @Mod.DestroyClient()
    def OnGone(self):
        print "mod: gone"
