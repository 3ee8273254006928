# -*- coding: utf-8 -*-
from common.mod import Mod


@Mod.Binding(name="old", version="1.0.0")
class OldMod(object):

    @Mod.InitServer()
    def InitServer(self):
        from chappe.snipe import server
        import old
        server.registerModule("old", old.Old(), {"money": 7 / 2, "names": {}, "title": "新手"})
        print "模块已注册"
