"""Duels: rock, paper, scissors for a stake. The challenge waits in the challenged player's record until they answer, days
later if need be; each stake is in exactly one place all the time."""

from __future__ import annotations

from typing import Any

from chappe.snipe import Client, Params, Refuse, request, server
from giftsScript.purse import amount, take

HANDS = ("rock", "paper", "scissors")


class Duels:
    @request
    def challenge(self, c: Client, params: Params) -> None:
        """The stake leaves the challenger now: they cannot spend it twice."""
        opponent, hand, stake = params.getInt("id"), _hand(params), amount(params)
        if opponent == c.uid:
            raise Refuse("notYourself")
        take(c, "money", stake)
        server.notify(
            opponent,
            {
                "_type": "duel.challenged",
                "_validate": {
                    "func": "duel.mayChallenge",
                    "onSuccess": "duel.waiting",
                    "onFail": "duel.notChallenged",
                    "id": c.uid,
                },
                "from": c.uid,
                "stake": stake,
                "hand": hand,
            },
        )

    def mayChallenge(self, c: Client, msg: Params) -> dict[str, Any]:
        """One challenge at a time. The opponent need not be online, and need not exist: then this is not even asked."""
        return {"errorCode": "ok" if c.challenge is None else "hasChallenge"}

    def challenged(self, c: Client, msg: Params) -> None:
        c.challenge = {"from": msg["from"], "stake": msg["stake"], "hand": msg["hand"]}
        # Waits for the next login where the player is offline.
        c.notify({"what": "challenge", "from": msg["from"], "stake": msg["stake"]}, durable=True)

    def waiting(self, c: Client, msg: Params) -> None:
        c.response("duel.challenge", {"errorCode": "ok"})

    def notChallenged(self, c: Client, msg: Params) -> None:
        c.money += msg["stake"]
        c.response("duel.challenge", {"errorCode": msg["errorCode"]})

    @request
    def accept(self, c: Client, params: Params) -> dict[str, Any]:
        """The duel is decided here, in one commit: the challenge is gone, the own stake taken, the prize given or sent."""
        challenge, ours = _open_challenge(c), _hand(params)
        stake = challenge["stake"]
        take(c, "money", stake)
        result, share = (("draw", stake), ("won", 2 * stake), ("lost", 0))[(3 + ours - challenge["hand"]) % 3]
        if result == "won":
            c.duelsWon += 1
        c.money += share
        c.challenge = None
        _settle(challenge["from"], c.uid, 2 * stake - share)
        return {"errorCode": "ok", "result": result}

    @request
    def decline(self, c: Client, params: Params) -> dict[str, Any]:
        challenge = _open_challenge(c)
        c.challenge = None
        _settle(challenge["from"], c.uid, challenge["stake"])
        return {"errorCode": "ok"}

    def settled(self, c: Client, msg: Params) -> None:
        c.money += msg["prize"]
        c.notify({"what": "duel", "with": msg["by"], "prize": msg["prize"]}, durable=True)


def _settle(challenger: int, by: int, prize: int) -> None:
    """Nothing is to be validated: the money is theirs. ``_durable`` sees to it that it comes, once."""
    server.notify(challenger, {"_type": "duel.settled", "_durable": True, "by": by, "prize": prize})


def _hand(params: Params) -> int:
    named = params.getString("hand")
    if named not in HANDS:
        raise Refuse("badHand")
    return HANDS.index(named)


def _open_challenge(c: Client) -> dict[str, Any]:
    if c.challenge is None:
        raise Refuse("noChallenge")
    found: dict[str, Any] = c.challenge
    return found
