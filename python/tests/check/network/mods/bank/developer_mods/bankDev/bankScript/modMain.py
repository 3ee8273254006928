# -*- coding: utf-8 -*-
from common.mod import Mod
import bankScript.consts as consts


@Mod.Binding(name=consts.ModNameSpace, version=consts.ModVersion)
class BankMod(object):
	def __init__(self):
		pass

	@Mod.InitServer()
	def initServer(self):
		print '=====银行 init====='
		import server.extraServerApi as serverApi
		self.server = serverApi.RegisterSystem(consts.ModNameSpace, consts.ServerSystemName,
			consts.ServerSystemClsPath)

	@Mod.DestroyServer()
	def destroyServer(self):
		print 'destroy'
