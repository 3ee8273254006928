"""The peer of `chappe bench --python`: answers requests with their own data, and counts events."""

from mod.common.mod import Mod
import server.extraServiceApi as api

ServiceSystem = api.GetServiceSystemCls()


@Mod.Binding(name="bench", version="1.0.0")
class BenchMod(object):
    @Mod.InitService()
    def start(self):
        api.RegisterSystem("bench", "bench", "modMain.BenchSystem")


class BenchSystem(ServiceSystem):
    def __init__(self, namespace, systemName):
        ServiceSystem.__init__(self, namespace, systemName)
        self.received = 0
        self.RegisterRpcMethodForMod("echo", self.echo)
        self.RegisterRpcMethodForMod("received", self.tell)
        self.ListenForEvent("bench", "bench", "event", self, self.count)

    def echo(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, args)

    def tell(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.received)

    def count(self, data):
        if data:
            self.received += 1
