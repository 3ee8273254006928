"""A bank: an account beside the purse, and transfers to players who may be offline."""

from __future__ import annotations

from typing import Any

from chappe.snipe import Client, Params, Refuse, request, server
from giftsScript.purse import amount, take

MOST = 1_000_000
"""What an account may hold."""


class Bank:
    @request
    def balance(self, c: Client, params: Params) -> dict[str, Any]:
        return {"errorCode": "ok", "money": c.money, "account": c.account}

    @request
    def deposit(self, c: Client, params: Params) -> dict[str, Any]:
        """One player's own money: one record, one commit, no notification."""
        much = amount(params)
        if c.account + much > MOST:
            raise Refuse("accountFull")
        take(c, "money", much)
        c.account += much
        return self.balance(c, params)

    @request
    def withdraw(self, c: Client, params: Params) -> dict[str, Any]:
        much = amount(params)
        take(c, "account", much)
        c.money += much
        return self.balance(c, params)

    @request
    def transfer(self, c: Client, params: Params) -> None:
        """Whether the receiver exists need not be asked: what goes to nobody fails with ``userNotFound``."""
        to, much = params.getInt("to"), amount(params)
        take(c, "account", much)
        server.notify(
            to,
            {
                "_type": "bank.receive",
                "_validate": {
                    "func": "bank.mayReceive",
                    "onSuccess": "bank.sent",
                    "onFail": "bank.returned",
                    "id": c.uid,
                },
                "from": c.uid,
                "amount": much,
            },
        )

    def mayReceive(self, c: Client, msg: Params) -> dict[str, Any]:
        return {"errorCode": "ok" if c.account + msg["amount"] <= MOST else "accountFull"}

    def receive(self, c: Client, msg: Params) -> None:
        """Runs on the record, whether the player is there or not; an offline one hears of it at the next login."""
        c.account += msg["amount"]
        c.notify({"what": "transfer", "from": msg["from"], "amount": msg["amount"]}, durable=True)

    def sent(self, c: Client, msg: Params) -> None:
        c.response("bank.transfer", {"errorCode": "ok", "account": c.account})

    def returned(self, c: Client, msg: Params) -> None:
        c.account += msg["amount"]
        c.response("bank.transfer", {"errorCode": msg["errorCode"]})
