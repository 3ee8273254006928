import mod.server.extraServerApi as serverApi

ServerSystem = serverApi.GetServerSystemCls()


class BaseSystem(ServerSystem):
	def __init__(self, namespace, systemName):
		ServerSystem.__init__(self, namespace, systemName)
		self.namespace = namespace
		self.handlers = {}

	def ListenEngine(self, eventName, func):
		self.ListenForEvent(serverApi.GetEngineNamespace(), serverApi.GetEngineSystemName(), eventName, self, func)

	def ToClient(self, playerId, eventName, data):
		self.NotifyToClient(playerId, eventName, data)
