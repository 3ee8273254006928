# -*- coding: utf-8 -*-
import apolloCommon.mysqlPool as mysqlPool
import consts


class Store(object):
    def __init__(self, system):
        self.system = system
        mysqlPool.InitDB(5)

    def Load(self, uid, callback):
        def done(rows):
            if rows is None:
                print u'没有数据', uid
                return
            callback(rows[0][0])
        mysqlPool.AsyncQueryWithOrderKey('bank_%d' % uid, 'select gold from bank where uid=%s', (uid,), done)

    def Push(self, playerId, gold):
        self.system.NotifyToClient(playerId, consts.Event.Pushed, {'gold': gold})
