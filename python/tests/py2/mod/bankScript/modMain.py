# -*- coding: utf-8 -*-
import sys
reload(sys)
sys.setdefaultencoding('utf8')
import json, Queue
import consts, texts
from util import Money
from modern import share

class Bank(object):
    """银行系统"""
    def __init__(self):
        self.accounts = {}
        self.queue = Queue.Queue()

    def OnDeposit(self, args):
	uid = args["uid"]
        if not self.accounts.has_key(uid):
	    self.accounts[uid] = Money(0)
	try:
            self.accounts[uid].fen += args["fen"]
	except (KeyError, TypeError), e:
	    print >>sys.stderr, "存款失败:", e
	    return False
        print '玩家', texts.NAMES.get(uid, u'无名').encode('utf8'), '存入', unicode(self.accounts[uid])
        return True

    def Richest(self):
        items = self.accounts.items()
        items.sort(lambda (a, x), (b, y): cmp(y, x))
        return items[0][0]

    def Save(self):
        rows = [(uid, m.fen) for uid, m in self.accounts.iteritems() if m]
        rows.sort()
        return json.dumps({'rows': rows, 'name': consts.SERVICE_NAME}, ensure_ascii=False)
