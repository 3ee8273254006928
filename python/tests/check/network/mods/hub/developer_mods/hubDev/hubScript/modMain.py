from common.mod import Mod
import server.extraServerApi as serverApi


@Mod.Binding(name="hub", version="0.1")
class HubMod(object):
    @Mod.InitServer()
    def init(self):
        serverApi.RegisterSystem("hub", "hubServer", "hubScript.hub.HubServer")
