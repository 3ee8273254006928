import server.extraServerApi as serverApi
import lobbyGame.netgameApi as netgameApi
from RecScript.recorder import Recorder

ServerSystem = serverApi.GetServerSystemCls()


class RecServerSystem(ServerSystem, Recorder):
    def __init__(self, namespace, systemName):
        ServerSystem.__init__(self, namespace, systemName)
        self.Start(serverApi)
        # A lobby registers no methods: what a test wants comes as an event, from a service.
        self.ListenForEvent("rec", "recSystem", "Do", self, self.OnDo)

    def Update(self):
        Recorder.Update(self)

    def OnDo(self, data):
        result = self.Heard() if data["call"] == "Heard" else self.Do(data)
        self.NotifyToServiceNode(data["answerTo"], "Own", result)

    def Players(self):
        ids = serverApi.GetPlayerList()
        return [[id, netgameApi.GetPlayerUid(id), netgameApi.GetPlayerNickname(id)] for id in ids]

    def Chat(self, playerId):
        comp = serverApi.GetEngineCompFactory().CreateMsg(serverApi.GetLevelId())
        comp.NotifyOneMessage(playerId, "hello", serverApi.GenerateColor("RED"))
        pos = serverApi.GetEngineCompFactory().CreatePos(playerId).GetPos()
        from common.minecraftEnum import Thing  # a module of the engine

        return [pos, bool(Thing)]

    def Transfer(self, playerId, serverType):
        netgameApi.TransferToOtherServer(playerId, serverType, "p=1")

    def Kick(self, playerId, message):
        return netgameApi.TryToKickoutPlayer(playerId, message)

    def Connected(self):
        return [netgameApi.CheckMasterExist(), netgameApi.IsServiceConnected(30), netgameApi.GetServerId()]
