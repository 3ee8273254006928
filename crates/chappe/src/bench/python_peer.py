"""The peer of `chappe bench --python`: answers requests with their own data, and counts events."""

import timeit
import types

from chappe import _core
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
        self.RegisterRpcMethodForMod("steps", self.steps)
        self.ListenForEvent("bench", "bench", "event", self, self.count)

    def echo(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, args)

    def tell(self, serverId, callbackId, args):
        self.ResponseToServer(serverId, callbackId, self.received)

    def count(self, data):
        if data:
            self.received += 1

    def steps(self, serverId, callbackId, args):
        """What the steps of one handler call take by themselves: [name, microseconds], in their order."""
        kind, size = args
        payload = b"x" * size
        packed = _core.encode(payload)
        alone = types.SimpleNamespace(received=0, ResponseToServer=lambda serverId, callbackId, data: None)
        handler = BenchSystem.echo if kind == "rpc" else BenchSystem.count
        given = (alone, 1, 2, payload) if kind == "rpc" else (alone, payload)
        found = [
            ["MessagePack to Python", best(lambda: _core.decode(packed)) - best(lambda: None)],
            ["the handler's own lines", best(lambda: handler(*given)) - best(lambda: None)],
        ]
        if kind == "rpc":
            node = types.SimpleNamespace(respond=lambda serverId, callbackId, data: "ok")
            system = types.SimpleNamespace(_runtime=types.SimpleNamespace(node=node))
            respond = best(lambda: ServiceSystem.ResponseToServer(system, 1, 2, payload))
            found.append(["ResponseToServer, its Python", respond - best(lambda: None)])
            found.append(["Python to MessagePack", best(lambda: _core.encode(payload)) - best(lambda: None)])
        self.ResponseToServer(serverId, callbackId, found)


def best(call):
    return min(timeit.repeat(call, number=20000, repeat=5)) / 20000 * 1e6
