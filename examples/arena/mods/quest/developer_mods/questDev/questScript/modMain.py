# -*- coding: utf-8 -*-
from common.mod import Mod
import questConsts as consts


@Mod.Binding(name="quest", version="1.0.0")
class QuestMod(object):

    @Mod.InitServer()
    def InitServer(self):
        import server.extraServerApi as serverApi
        serverApi.RegisterSystem(consts.NAMESPACE, consts.SERVER, "questScript.questServer.QuestServer")

    @Mod.InitService()
    def InitService(self):
        import server.extraServiceApi as serviceApi
        serviceApi.RegisterSystem(consts.NAMESPACE, consts.SERVICE, "questScript.questService.QuestService")

    @Mod.DestroyService()
    def DestroyService(self):
        print "任务服务关闭"
