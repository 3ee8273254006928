# -*- coding: utf-8 -*-
import server.extraServerApi as serverApi
import server.extraServiceApi as serviceApi

ServerSystem = serverApi.GetServerSystemCls()
ServiceSystem = serviceApi.GetServiceSystemCls()


class GreetServer(ServerSystem):
    def __init__(self, namespace, systemName):
        ServerSystem.__init__(self, namespace, systemName)
        self.ListenForEvent("greet", "greetClient", "Hello", self, self.OnHello)

    def OnHello(self, data):
        print "hello from", data["name"]
        self.NotifyToClient(data["__id__"], "Greeting", {"text": "你好, " + data["name"], "n": [1, {2: None}]})
        comp = serverApi.GetEngineCompFactory().CreateMsg(data["__id__"])
        comp.NotifyOneMessage(data["__id__"], "welcome")


class GreetService(ServiceSystem):
    def __init__(self, namespace, systemName):
        ServiceSystem.__init__(self, namespace, systemName)
        self.ListenForEvent("greet", "greetClient", "Ask", self, self.OnAsk)

    def OnAsk(self, data):
        self.RemoteNotifyToClient(data["__uid__"], data["__neteaseProxyId__"], "Answer", {"twice": data["n"] * 2})
        self.RemoteNotifyToClient(data["__uid__"], data["__neteaseProxyId__"], "NobodyListens", {})
