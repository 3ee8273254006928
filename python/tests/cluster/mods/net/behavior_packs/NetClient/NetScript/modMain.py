# -*- coding: utf-8 -*-
from common.mod import Mod
import client.extraClientApi as clientApi


@Mod.Binding(name="net", version="1.0.0")
class NetClient(object):
    @Mod.InitClient()
    def OnClient(self):
        clientApi.RegisterSystem("net", "netClient", "NetScript.netClient.NetClient")
