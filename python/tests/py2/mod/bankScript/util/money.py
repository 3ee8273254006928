# -*- coding: utf-8 -*-
class Money:
	def __init__(self, fen):
		self.fen = long(fen)

	def __cmp__(self, other):
		return cmp(self.fen, other.fen)

	def __nonzero__(self):
		return self.fen <> 0

	def __unicode__(self):
		return u'%d元%02d分' % (self.fen / 100, self.fen % 100)
