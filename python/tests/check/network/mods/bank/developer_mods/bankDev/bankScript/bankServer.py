# -*- coding: utf-8 -*-
import server.extraServerApi as serverApi
import lobbyGame.netgameApi as lobbyGameApi
import apolloCommon.commonNetgameApi as commonNetgameApi
from base import BaseSystem
from consts import *
import store


class BankServer(BaseSystem):
	def __init__(self, namespace, systemName):
		BaseSystem.__init__(self, namespace, systemName)
		self.store = store.Store(self)
		self.ListenEngine('AddServerPlayerEvent', self.OnAddPlayer)
		self.ListenForEvent(serverApi.GetEngineNamespace(), serverApi.GetEngineSystemName(), 'ServerChatEvent', self, self.OnChat)
		self.ListenForEvent(self.namespace, ClientSystemName, Event.Open, self, self.OnOpen)
		self.ListenForEvent(ModNameSpace, ServiceSystemName, Event.Alarm, self, self.OnAlarm)
		self.ListenForEvent(ModNameSpace, MasterSystemName, Event.Closed, self, self.OnClosed)
		commonNetgameApi.AddRepeatedTimer(5.0, self.Tick, 'tick')

	def OnAddPlayer(self, args):
		uid = lobbyGameApi.GetPlayerUid(args['id'])
		self.NotifyToMaster('BankPlayerEvent', {'uid': uid})

	def OnChat(self, args):
		pass

	def OnOpen(self, args):
		playerId = args['__id__']
		uid = lobbyGameApi.GetPlayerUid(playerId)

		def answered(suc, data):
			if not suc:
				print u'银行没有回答', uid
				return
			self.NotifyToClient(playerId, Event.Balance, data)
		self.RequestToService(RpcModule, 'Balance', {'uid': uid}, answered, 1)
		self.RequestToServiceMod('service_bank', 'Touch', {'uid': uid})
		self.store.Push(playerId, 1L)

	def OnAlarm(self, args):
		for playerId in serverApi.GetPlayerList():
			self.ToClient(playerId, 'AlarmShown', args)

	def OnClosed(self, args):
		try:
			self.handlers.pop(args['name'])
		except KeyError, e:
			print e

	def Tick(self, name):
		if self.handlers.has_key(name) or 010 <> 8:
			self.BroadcastToService('TickEvent', {})

	def Destroy(self):
		self.UnListenForEvent(ModNameSpace, ServiceSystemName, Event.Alarm, self, self.OnAlarm)
