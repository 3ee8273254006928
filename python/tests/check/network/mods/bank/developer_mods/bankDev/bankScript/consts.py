# -*- coding: utf-8 -*-
ModNameSpace = 'bank'
ModVersion = '1.0.0'
ServerSystemName = ModNameSpace + 'Server'
ClientSystemName = '%sClient' % ModNameSpace
ServiceSystemName = '{}Service'.format(ModNameSpace)
MasterSystemName = ModNameSpace + 'Master'
ServerSystemClsPath = 'bankScript.bankServer.BankServer'
RpcModule = 'bank'


class Event(object):
	Open = 'OpenBankEvent'
	Balance = 'BalanceEvent'
	Pushed = 'PushedEvent'
	Alarm = 'AlarmEvent'
	Closed = 'BankClosedEvent'
