"""Gifts: one player gives another 500, wherever both are."""

from __future__ import annotations

from typing import Any

from chappe.snipe import Client, Params, Refuse, request, server
from giftsScript.purse import take

AMOUNT = 500
MOST = 6
"""How many gifts a player may receive."""


class User:
    @request
    def money(self, c: Client, params: Params) -> dict[str, Any]:
        return {"money": c.money}

    @request
    def giveMoney(self, c: Client, params: Params) -> None:
        """The money leaves the giver at once, in the same commit as the notification: it cannot be spent twice."""
        receiver = params.getInt("id")

        def known(exists: bool) -> None:
            if not exists:
                raise Refuse("userNotFound")
            take(c, "money", AMOUNT)
            server.notify(
                receiver,
                {
                    "_type": "user.giveMoney2",
                    "_validate": {
                        "func": "user.giveMoneyValidate",
                        "onSuccess": "user.giveMoney3",
                        "onFail": "user.giveMoneyFail",
                        "id": c.uid,
                    },
                    "from": c.uid,
                    "fromNetworkID": c.networkID,
                    "amount": AMOUNT,
                },
            )

        server.userExists(receiver, known)

    def giveMoneyValidate(self, c: Client, msg: Params) -> dict[str, Any]:
        """On the receiver: may they have it?"""
        return {"errorCode": "moneyReceivedMax" if c.moneyReceived >= MOST else "ok"}

    def giveMoney2(self, c: Client, msg: Params) -> dict[str, Any]:
        """On the receiver, online or not."""
        c.money += msg["amount"]
        c.moneyReceived += 1
        c.response("user.receiveMoney", {"amount": msg["amount"], "networkid": msg["fromNetworkID"]})
        return {"moneyReceived": c.moneyReceived}

    def giveMoney3(self, c: Client, msg: Params) -> None:
        """On the giver: it has arrived."""
        c.response("user.giveMoney", {"errorCode": "ok"})

    def giveMoneyFail(self, c: Client, msg: Params) -> None:
        """On the giver: it has not, and never will."""
        c.money += msg["amount"]
        c.response("user.giveMoney", {"errorCode": msg["errorCode"]})
