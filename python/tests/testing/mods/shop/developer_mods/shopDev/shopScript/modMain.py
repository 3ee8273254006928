# -*- coding: utf-8 -*-
from mod.common.mod import Mod


@Mod.Binding(name="shop", version="0.0.1")
class ShopMod(object):
    @Mod.InitServer()
    def OnServer(self):
        import mod.server.extraServerApi as serverApi

        serverApi.RegisterSystem("shop", "shopServer", "shopScript.shopServer.ShopServer")
