# -*- coding: utf-8 -*-
from common.mod import Mod
import client.extraClientApi as clientApi


@Mod.Binding(name="quest", version="1.0.0")
class QuestClientMod(object):

    @Mod.InitClient()
    def InitClient(self):
        clientApi.RegisterSystem("arena", "client", "questScript.playerClient.PlayerClient")
        clientApi.RegisterSystem("quest", "questClient", "questScript.questClient.QuestClient")
