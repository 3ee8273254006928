"""The example `examples/gifts/python`: money that is given, staked and put away is never made and never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chappe.testing import Client, Cluster, Node

GIFTS = Path(__file__).resolve().parents[3] / "examples/gifts/python/mods/gifts"


@pytest.fixture
def games(cluster: Cluster) -> tuple[Node, Node]:
    # Logins lead to the lobby: the first server has the players; the second has who is moved there.
    return cluster.lobby(mods=[GIFTS]), cluster.game(mods=[GIFTS])


def move(client: Client, to: Node) -> None:
    home = client.server
    assert home is not None
    cluster = client._cluster
    core = cluster.node(home).runtime.node  # type: ignore[union-attr]
    cluster.node(home).call(core.transfer, client.player_id, "", to.id)
    cluster.advance(0.1)
    assert client.server == to.id


def money(cluster: Cluster, *uids: int) -> list[int | None]:
    records: list[dict[str, Any] | None] = [cluster.record(uid) for uid in uids]
    return [record and record["money"] for record in records]


def test_a_gift_across_two_servers_arrives_once_and_both_are_told(cluster: Cluster, games: tuple[Node, Node]) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    move(bob, games[1])
    ann.request("user.giveMoney", {"id": 2}, id="g1")
    assert ann.responses("user.giveMoney") == [{"errorCode": "ok"}]
    assert ann._responses[-1]["_request"] == "g1", "the response is that of the request"
    assert bob.responses("user.receiveMoney") == [{"amount": 500, "networkid": ann.player_id}]
    assert money(cluster, 1, 2) == [9500, 10500]
    assert cluster.record(2) == {**cluster.record(1), "money": 10500, "moneyReceived": 1}  # type: ignore[dict-item]
    ann.request("user.giveMoney", {"id": 2}, id="g1")
    assert ann.responses("user.giveMoney") == [{"errorCode": "ok"}] * 2, "sent again, it is answered again"
    assert money(cluster, 1, 2) == [9500, 10500], "and runs once"


def test_a_gift_that_is_refused_goes_back(cluster: Cluster, games: tuple[Node, Node]) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    move(bob, games[1])
    for _ in range(7):
        ann.request("user.giveMoney", {"id": 2})
    assert ann.responses("user.giveMoney") == [{"errorCode": "ok"}] * 6 + [{"errorCode": "moneyReceivedMax"}]
    assert money(cluster, 1, 2) == [7000, 13000]


def test_a_gift_to_nobody_or_of_nothing_changes_nothing(cluster: Cluster, games: tuple[Node, Node]) -> None:
    ann = cluster.login(1)
    cluster.login(2)
    ann.request("user.giveMoney", {"id": 99})
    ann.request("user.giveMoney", {"id": "2"})
    ann.request("user.giveMoney2", {"amount": 10**6})
    found = ann.responses()
    assert [one["errorCode"] for one in found] == ["userNotFound", "badParams", "noHandler"]
    assert found[1]["message"] == 'params["id"] is a string, not an int'
    assert money(cluster, 1) == [10000]
    for _ in range(20):
        ann.request("duel.challenge", {"id": 2, "hand": "rock", "amount": 11000})
    assert ann.responses("duel.challenge") == [{"errorCode": "notEnoughMoney"}] * 20


def test_a_player_who_is_offline_is_given_money_all_the_same(cluster: Cluster, games: tuple[Node, Node]) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    bob.logout()
    ann.request("user.giveMoney", {"id": 2})
    cluster.advance(1)
    assert ann.responses("user.giveMoney") == [{"errorCode": "ok"}]
    assert money(cluster, 1, 2) == [9500, 10500]


@pytest.mark.parametrize("dies", ["server", "master"])
def test_a_gift_survives_whatever_dies_on_the_way(cluster: Cluster, games: tuple[Node, Node], dies: str) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    move(bob, games[1])
    games[1].freeze()
    ann.request("user.giveMoney", {"id": 2})
    assert money(cluster, 1, 2) == [9500, 10000], "it is on the way"
    if dies == "server":
        games[1].kill()
    else:
        cluster.node(1).kill()
        games[1].thaw()
        cluster.node(1).start()
    cluster.advance(60)
    assert money(cluster, 1, 2) == [9500, 10500]
    assert ann.responses("user.giveMoney") == [{"errorCode": "ok"}]


def test_a_stake_is_in_one_place_until_the_duel_is_over(cluster: Cluster, games: tuple[Node, Node]) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    ann.request("duel.challenge", {"id": 2, "hand": "rock", "amount": 1000})
    assert ann.responses("duel.challenge") == [{"errorCode": "ok"}]
    ann.request("duel.challenge", {"id": 2, "hand": "rock", "amount": 1000})
    assert ann.responses("duel.challenge")[1:] == [{"errorCode": "hasChallenge"}]
    assert money(cluster, 1, 2) == [9000, 10000]
    cluster.advance(3)
    assert bob.pushes() == [{"what": "challenge", "from": 1, "stake": 1000}]
    ann.logout()
    bob.request("duel.accept", {"hand": "paper"})
    assert bob.responses("duel.accept") == [{"errorCode": "ok", "result": "won"}]
    cluster.advance(1)
    assert money(cluster, 1, 2) == [9000, 11000]
    back = cluster.login(1)
    cluster.advance(3)
    assert back.pushes() == [{"what": "duel", "with": 2, "prize": 0}]


def test_an_account_takes_transfers_to_players_who_are_away(cluster: Cluster, games: tuple[Node, Node]) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    ann.request("bank.deposit", {"amount": 2000})
    assert ann.responses("bank.deposit") == [{"errorCode": "ok", "money": 8000, "account": 2000}]
    bob.logout()
    ann.request("bank.transfer", {"to": 2, "amount": 1500})
    cluster.advance(1)
    assert ann.responses("bank.transfer") == [{"errorCode": "ok", "account": 500}]
    ann.request("bank.transfer", {"to": 99, "amount": 100})
    cluster.advance(1)
    assert ann.responses("bank.transfer")[1:] == [{"errorCode": "userNotFound"}]
    back = cluster.login(2)
    cluster.advance(3)
    assert back.pushes() == [{"what": "transfer", "from": 1, "amount": 1500}]
    back.request("bank.withdraw", {"amount": 1500})
    assert back.responses("bank.withdraw") == [{"errorCode": "ok", "money": 11500, "account": 0}]
