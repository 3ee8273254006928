# -*- coding: utf-8 -*-
from chappe.snipe import Refuse, request, server


class Base:

    @request
    def give(self, c, params):
        uid, amount = params.getInt("id"), params.getInt("amount")
        if c.money < amount:
            raise Refuse, "notEnoughMoney"
        c.money -= amount
        c.names[str(uid)] = u"礼物"
        server.notify(uid, {"_type": "old.take", "_durable": True, "amount": long(amount)})
        return {"money": c.money, "names": c.names.items(), "title": c.title}


class Old(Base):

    def take(self, c, msg):
        c.money += msg["amount"] / 2
        if msg.has_key("amount"):
            c.title = "富翁"
