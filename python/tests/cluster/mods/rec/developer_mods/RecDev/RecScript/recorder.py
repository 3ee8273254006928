# -*- coding: utf-8 -*-
import apolloCommon.commonNetgameApi as commonApi
from mod_log import logger

OWN = ["Row1", "Row2", "Row3", "Row4", "Row5", "Row6", "Row7", "Row8", "Row9", "Row10", "Row11", "Row12", "Own", "Order"]
ENGINE = [
    "AddServerPlayerEvent",
    "DelServerPlayerEvent",
    "MasterConnectStatusEvent",
    "ServiceConnectEvent",
    "ServerConnectedEvent",
    "PlayerLoginServerEvent",
    "UpdateServerStatusEvent",
]


class Recorder:
    """Is mixed into the systems of all roles."""

    def Start(self, api):
        self.heard = []
        self.api = api
        for name in OWN:
            self.ListenForEvent("rec", "recSystem", name, self, self.Hear(name))
        for name in ENGINE:
            self.ListenForEvent(api.GetEngineNamespace(), api.GetEngineSystemName(), name, self, self.Hear(name))
        self.ListenForEvent("rec", "recSystem", "Order", self, self.OnFirst, 10)
        self.ListenForEvent("rec", "recSystem", "Raise", self, self.OnRaise)
        self.ListenForEvent("rec", "recSystem", "Spin", self, self.OnSpin)
        self.updates = 0

    def Update(self):
        self.updates += 1

    def Hear(self, name):
        return lambda data: self.heard.append([name, data])

    def OnFirst(self, data):
        self.heard.append(["OrderFirst", data])

    def OnRaise(self, data):
        raise KeyError(data)

    def OnSpin(self, data):
        import time

        end = time.time() + data["seconds"]
        while time.time() < end:
            pass

    # What a test asks for.

    def Do(self, args):
        """Makes one call: {"call": name, "args": [...], "kwargs": {...}}; gives what it gave, or what it raised."""
        try:
            call = getattr(self, args["call"])
            return ["ok", call(*args.get("args", ()), **args.get("kwargs", {}))]
        except Exception as error:
            return ["raised", type(error).__name__, str(error)]

    def Heard(self):
        heard, self.heard = self.heard, []
        return heard

    def Request(self, call, target, method, args, timeout=2):
        getattr(self, call)(target, method, args, self.Answered, timeout)

    def RequestByKeyword(self, target, method, args):
        self.RequestToService(module=target, event=method, eventData=args, callback=self.Answered, timeout=1.5)

    def Answered(self, suc, data):
        self.heard.append(["answer", [suc, data]])

    def SendWhatCannotBeSent(self, kind):
        data = {"function": len, "nan key": {float("nan"): 1}, "big": 2**64, "object": self, "set": {1}}[kind]
        self.BroadcastEvent("Own", {"items": [0, {"owner": data}]})

    def SendCycle(self):
        data = []
        data.append(data)
        self.BroadcastEvent("Own", data)

    def Listen(self, kind):
        func = {"none": None, "two": lambda a, b: None, "method": self.OnRaise}[kind]
        self.ListenForEvent("rec", "recSystem", "Nothing", self, func)

    def Twice(self):
        self.api.RegisterSystem("rec", "recSystem", "RecScript.serviceSystem.RecServiceSystem")

    def Timers(self):
        commonApi.AddTimer(0.01, self.Hear("timer"), u"一次")
        never = commonApi.AddTimer(0.02, self.Hear("timer"), "never")
        commonApi.CancelTimer(never)
        self.left = 3
        self.repeated = commonApi.AddRepeatedTimer(0.01, self.OnRepeated)

    def OnRepeated(self):
        self.left -= 1
        self.heard.append(["repeated", self.left])
        if not self.left:
            commonApi.CancelTimer(self.repeated)

    def Manifest(self):
        return commonApi.GetModJsonConfig("RecScript")

    def Where(self, uid):
        commonApi.GetOnlineServerInfoOfPlayer(uid, self.Hear("where"))

    def Updates(self):
        return self.updates

    def Log(self, text):
        logger.info(text)

    def EchoClients(self, module, proxy):
        """What clients send as EchoMe goes to ``module`` and back, and then to the client."""

        def OnEchoMe(data):
            def OnEcho(suc, value):
                self.RemoteNotifyToClient(data["__uid__"], proxy, "Echoed", value)

            self.RequestToService(module, "Echo", data["value"], OnEcho)

        self.ListenForEvent("rec", "recSystem", "EchoMe", self, OnEchoMe)

    def UnListenOwn(self):
        hear = self.Hear("Un")
        self.ListenForEvent("rec", "recSystem", "Own", self, hear)
        return [
            self.UnListenForEvent("rec", "recSystem", "Own", self, hear),
            self.UnListenForEvent("rec", "recSystem", "Own", self, hear),
        ]
