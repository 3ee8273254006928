"""What all three have to do with money."""

from __future__ import annotations

from chappe.snipe import Client, Params, Refuse


def amount(params: Params) -> int:
    """How much a request is about."""
    found = params.getInt("amount")
    if found <= 0:
        raise Refuse("badAmount")
    return found


def take(c: Client, name: str, much: int) -> None:
    """Takes money from the purse ("money") or the account, if it is there."""
    if c.get(name) < much:
        raise Refuse("notEnoughMoney")
    c.set(name, c.get(name) - much)
