"""A shop and its bank, tested as a team would test its own mods."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from chappe.mods import ModError
from chappe.testing import Cluster, Node

MODS = Path(__file__).parent / "mods"


@pytest.fixture
def bank(cluster: Cluster) -> Node:
    cluster.lobby(mods=[MODS / "shop"])
    return cluster.service("service_bank", mods=[MODS / "bank"])


def test_a_purchase_is_paid_and_told(cluster: Cluster, bank: Node) -> None:
    ann = cluster.login(7, "Ann")
    ann.send("shop", "shopClient", "Buy", {"item": "sword"})
    ann.send("shop", "shopClient", "Buy", {"item": "sword"})
    assert [event.data for event in ann.received("Bought")] == [{"item": "sword", "left": 3}]
    assert [event.data for event in ann.received("NotBought")] == [{"item": "sword", "why": "too dear"}]
    [paid, _] = cluster.sent("RequestToService", module="bank", event="Pay")
    assert (paid.node, paid.data) == (1000, {"uid": 7, "price": 7})
    assert len(cluster.sent("ResponseToServer", node=bank.id)) == 2
    assert len(cluster.sent("NotifyToClient", targetId=ann.player_id)) == 2
    assert not cluster.sent("NotifyToClient", eventName="NoSuchEvent")


def test_a_bank_that_does_not_answer_is_told_after_the_time_out(cluster: Cluster, bank: Node) -> None:
    ann = cluster.login(7)
    bank.system("bank", "bankService").silent = True
    ann.send("shop", "shopClient", "Buy", {"item": "sword"})
    cluster.advance(1.9)
    assert ann.received() == []
    cluster.advance(0.1)
    [failed] = ann.received("NotBought")
    assert failed.data == {"item": "sword", "why": "no answer"}


def test_an_hour_of_timers_passes_at_once(cluster: Cluster, bank: Node) -> None:
    ann, bob = cluster.login(7), cluster.login(8)
    ann.send("shop", "shopClient", "Buy", {"item": "sword"})
    cluster.advance(3600)
    assert bank.module("bankScript.state").coins == {7: 3 + 60}
    assert len(ann.received("Interest")) == len(bob.received("Interest")) == 60
    bob.logout()
    cluster.advance(60)
    assert (len(ann.received("Interest")), len(bob.received("Interest"))) == (61, 60)


def test_each_node_has_modules_of_its_own(cluster: Cluster) -> None:
    shops = [cluster.lobby(mods=[MODS / "shop"]), cluster.lobby(mods=[MODS / "shop"])]
    ann, bob = cluster.login(7), cluster.login(8)
    assert {ann.server, bob.server} == {shop.id for shop in shops}
    present = {shop.id: shop.module("shopScript.shopServer").present for shop in shops}
    assert present == {ann.server: [7], bob.server: [8]}
    assert not [name for name in sys.modules if name.startswith(("shopScript", "lobbyGame"))]


def test_a_service_that_crashes_is_started_anew(cluster: Cluster, bank: Node) -> None:
    ann = cluster.login(7)
    ann.send("shop", "shopClient", "Buy", {"item": "sword"})
    bank.kill()
    ann.send("shop", "shopClient", "Buy", {"item": "sword"})
    cluster.advance(3.0)
    bank.start()
    ann.send("shop", "shopClient", "Buy", {"item": "sword"})
    told = [(event.event, event.data.get("why")) for event in ann.received()]
    assert told == [("Bought", None), ("NotBought", "no answer"), ("Bought", None)]


def test_a_node_that_leaves_runs_its_destroy_methods(cluster: Cluster, bank: Node) -> None:
    closed = bank.module("bankScript.state").closed
    bank.stop()
    assert closed == [True]


def test_a_second_login_ends_the_first(cluster: Cluster, bank: Node) -> None:
    first, second = cluster.login(7), cluster.login(7)
    assert (first.closed or ("", ""))[0] == "Replaced" and first.server is None
    second.send("shop", "shopClient", "Buy", {"item": "sword"})
    assert (len(first.received()), len(second.received())) == (0, 1)


def test_what_a_handler_raises_is_not_lost(cluster: Cluster, bank: Node) -> None:
    ann = cluster.login(7)
    ann.send("shop", "shopClient", "Buy", {"item": "shield"})
    [error] = cluster.take_errors()
    assert error.node == ann.server and isinstance(error.error, KeyError)


def test_a_mod_that_cannot_be_loaded_says_why(cluster: Cluster, tmp_path: Path) -> None:
    mod = tmp_path / "broken" / "developer_mods" / "brokenDev" / "brokenScript"
    mod.mkdir(parents=True)
    (mod / "__init__.py").touch()
    (mod / "modMain.py").write_text("import nothingOfThatName\n")
    cluster.lobby(mods=[tmp_path / "broken"])
    with pytest.raises(ModError, match=r"modMain\.py:1: .*nothingOfThatName"):
        cluster.start()


def test_a_player_moves_to_a_game_and_hears_of_it(cluster: Cluster) -> None:
    cluster.lobby(mods=[MODS / "shop"])
    duel = cluster.game("duel", mods=[MODS / "shop"])
    ann = cluster.login(7)
    lobby = cluster.node(1000)
    api = lobby.module("lobbyGame.netgameApi")
    lobby.call(api.TransferToOtherServer, ann.player_id, "duel", "param")
    assert (ann.server, ann.moves) == (duel.id, [(duel.id, True)])
    assert duel.module("shopScript.shopServer").present == [7]
