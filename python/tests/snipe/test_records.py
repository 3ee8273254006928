"""What handlers do to records, and what players are told of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from chappe.testing import Cluster, Node

MODS = Path(__file__).parent / "mods"
PROBE = MODS / "probe"


@pytest.fixture
def lobby(cluster: Cluster) -> Node:
    cluster.master(mods=[PROBE])
    cluster.game(mods=[PROBE])
    return cluster.lobby(mods=[PROBE])


def stored(cluster: Cluster, uid: int) -> dict[str, Any]:
    record = cluster.record(uid)
    assert record is not None
    return record


def seen(node: Node) -> list[Any]:
    return node.module("probeScript.probe").seen  # type: ignore[no-any-return]


def test_a_change_inside_of_a_list_or_dict_is_not_lost(cluster: Cluster, lobby: Node) -> None:
    ann = cluster.login(1)
    ann.request("probe/a.items", {"item": "sword"})
    ann.request("probe/a.items", {"item": "bow"})
    items = ["sword", 1, "bow", 3]
    assert [one["items"] for one in ann.responses()] == [items[:2], items]
    assert stored(cluster, 1) == {"money": 100, "items": items, "bag": {"n": [2]}, "any": None}


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ("type", "handlerFailed", "TypeError: player 1: the attribute \"money\" is declared as an int, not a string"),
        ("name", "handlerFailed", "AttributeError: player 1 has no attribute \"mony\"; did you mean \"money\"?"),
        ("set", "handlerFailed", "DataError: player 1: items[3]: a set cannot be sent"),
        ("return", "handlerFailed", "TypeError: a handler returns a dict or None, not list"),
        ("boom", "handlerFailed", "ValueError: boom"),
        ("refuse", "notNow", None),
        ("params", "badParams", None),
    ],
)
def test_a_handler_that_fails_leaves_no_trace(
    cluster: Cluster, lobby: Node, how: str, code: str, told: str | None
) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    ann.request("probe/a.items", {"item": "sword"})
    before = stored(cluster, 1)
    ann.request("probe/a.wrong", {"how": how})
    [response] = ann.responses("probe/a.wrong")
    assert response["errorCode"] == code
    assert (told is None) or response["message"] == "the handler failed"
    if how == "refuse":
        assert response["message"] == "come back later"
    cluster.advance(5)
    assert (stored(cluster, 1), ann.responses("probe/a.never"), seen(lobby), bob.responses()) == (before, [], [], [])
    errors = cluster.take_errors()
    assert [f"{type(one.error).__name__}: {one.error}" for one in errors] == ([told] if told else [])
    if errors:
        assert (errors[0].node, errors[0].about) == (lobby.id, "probe/a.wrong, player 1")


def test_a_player_who_is_kept_beyond_the_handler_says_so(cluster: Cluster, lobby: Node) -> None:
    ann = cluster.login(1)
    ann.request("probe/a.keep")
    assert ann.responses() == [{"own": 7, "none": "gone"}]
    [kept] = lobby.module("probeScript.probe").kept
    assert (repr(kept), kept.uid) == ("<player 1>", 1)
    for use in (lambda: kept.money, lambda: setattr(kept, "money", 1), lambda: kept.response("a.b"), lambda: kept.online):
        with pytest.raises(RuntimeError, match="the handler that was given it has ended"):
            use()
    with pytest.raises(AttributeError, match="is the player's own"):
        kept.uid = 3


def test_pushes_ride_in_the_next_response_or_go_by_themselves(cluster: Cluster, lobby: Node) -> None:
    ann = cluster.login(1)
    ann.request("probe/a.push")
    assert (ann.responses(), ann.pushes()) == ([{"n": 2}], [{"n": 1}])
    cluster.advance(3)
    assert (ann.pushes(), len(ann.responses("server.notify"))) == ([{"n": 1}, {"n": 3}], 1)


def test_what_a_master_answers_comes_in_a_run_of_its_own_and_answers_the_request(
    cluster: Cluster, lobby: Node
) -> None:
    ann = cluster.login(1)
    ann.request("probe/a.rate", {"of": "gold"}, id="r1")
    assert ann.responses("probe/a.rate") == [{"rate": 5, "money": 95}]
    assert ann._responses[-1]["_request"] == "r1"
    ann.request("probe/a.rate", {"of": "silver"}, id="r2")
    assert ann.responses("probe/a.rate")[1:] == [{"errorCode": "tooDear", "message": "tooDear"}]
    assert ann._responses[-1]["_request"] == "r2"
    assert stored(cluster, 1)["money"] == 85, "what was asked before is committed; what the callback did is not"
    ann.request("probe/a.rate", {"of": "gold"}, id="r1")
    assert (ann.responses("probe/a.rate")[2:], stored(cluster, 1)["money"]) == ([{"rate": 5, "money": 95}], 85)
    ann.request("probe/a.rate", {"of": "nothing"})
    assert ann.responses("probe/a.rate")[3:] == [{"errorCode": "handlerFailed", "message": "the handler failed"}]
    [error] = cluster.take_errors()
    assert isinstance(error.error, TypeError), "answer is None"
    ann.request("probe/a.rate")
    assert ann.responses("probe/a.rate")[4:] == [
        {"errorCode": "badParams", "message": 'params["of"] is missing; a string is needed'}
    ]


def test_callbacks_of_a_look_up_are_a_part_of_the_handler(cluster: Cluster, lobby: Node) -> None:
    ann = cluster.login(1)
    ann.request("probe/a.loop", id="l")
    assert ann.responses() == [{"exists": False}]
    assert lobby.module("probeScript.probe").steps == [("first", True), ("second", False)]
    assert stored(cluster, 1)["money"] == 101


def test_a_response_finds_a_player_anywhere_and_says_when_there_is_none(cluster: Cluster, lobby: Node) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    ann.request("probe/a.greet", {"to": 2})
    ann.request("probe/a.greet", {"to": 3})
    assert bob.responses() == [{"by": 1}]
    assert ann.responses() == [{"why": None}, {"why": "userNotOnline"}]


def test_the_master_and_its_nodes_notify_each_other(cluster: Cluster, lobby: Node) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    ann.request("probe/a.tell", {"to": 2, "n": 4})
    assert seen(lobby) == [(2, True, {"_type": "probe/a.plain", "n": 4})]
    cluster.advance(1.1)
    assert seen(cluster.node(1)) == [(lobby.id, 4)]
    assert seen(lobby)[1:] == [{"_type": "probe/a.event", "n": 4}, {"_type": "probe/a.event", "random": 4}]
    assert seen(cluster.node(2000)) == [{"_type": "probe/a.event", "all": 4}]
    assert stored(cluster, 2)["any"] == 4
    assert bob.responses() == []


def test_what_a_handler_sends_by_apollos_calls_waits_for_its_commit_too(cluster: Cluster, lobby: Node) -> None:
    ann, bob = cluster.login(1), cluster.login(2)
    ann.request("probe/a.shout", {"fails": True})
    ann.request("probe/a.shout", {"fails": False})
    assert [event.data for event in ann.received("Told")] == [{"money": 101}]
    cluster.node(1).freeze()
    ann.request("probe/a.shout", {"fails": False})
    bob.send("probe", "client", "Pay", {"uid": 2, "amount": 30})
    assert (len(ann.received("Told")), bob.received("Paid")) == (1, []), "nobody is told what may not be so"
    cluster.node(1).thaw()
    cluster.advance(1)
    assert [event.data for event in ann.received("Told")] == [{"money": 101}, {"money": 102}]
    assert [event.data for event in bob.received("Paid")] == [{"money": 70}]


@pytest.mark.parametrize("ask", [False, True])
def test_what_the_master_has_forgotten_runs_again_from_the_start(cluster: Cluster, lobby: Node, ask: bool) -> None:
    ann = cluster.login(1)
    cluster.node(1).freeze()
    ann.request("probe/a.again", {"list": [1], "ask": ask}, id="a")
    ann.request("probe/a.again", {"list": [3]}, id="b")
    assert ann.responses() == [], "nobody hears of what is not durable"
    cluster.node(1).kill()
    cluster.node(1).start()
    cluster.advance(30)
    items = [[1, 2], [3, 2]]
    assert (stored(cluster, 1)["items"], stored(cluster, 1)["money"]) == (items, 95 if ask else 100)
    steps = lobby.module("probeScript.probe").steps
    assert steps.count([[1, 2]]) == steps.count(items) == 2, steps
    first = {"rate": 5, "money": 95} if ask else {"items": [[1, 2]]}
    told = sorted((one["_request"], ann.responses()[at]) for at, one in enumerate(ann._responses))
    assert told == [("a", first), ("b", {"items": items})]


def test_a_record_is_upgraded_once_or_not_touched(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "mod").mkdir()
    main = tmp_path / "mod" / "modMain.py"
    main.write_text(MAIN.format(attributes={"gold": 7}, version=1))
    lobby = cluster.lobby(mods=[tmp_path / "mod"])
    cluster.login(1).request("m.get")
    lobby.stop()
    main.write_text(MAIN.format(attributes={"money": 0}, version=2))
    lobby.start()
    ann = cluster.login(1)
    ann.request("m.get")
    assert (ann.responses(), stored(cluster, 1)) == ([{"money": 700}], {"money": 700, "seen": 2})
    lobby.stop()
    main.write_text(MAIN.format(attributes={"money": 0}, version=3))
    lobby.start()
    with pytest.raises(ConnectionError, match="cannot be brought from version 2 to 3: ValueError: a bad record"):
        cluster.login(1)
    assert {one.about for one in cluster.take_errors()} == {"upgrade of m"}
    assert stored(cluster, 1) == {"money": 700, "seen": 2}


MAIN = '''
from common.mod import Mod

@Mod.Binding(name="m")
class M:
    @Mod.InitServer()
    def start(self):
        from chappe.snipe import server
        server.registerModule("m", Module(), {attributes}, {version}, upgrade)

def upgrade(version, record):
    if version == 2:
        record.clear()
        raise ValueError("a bad record")
    record["money"] = record.pop("gold") * 100

from chappe.snipe import request

class Module:
    @request
    def get(self, c, params):
        c.seen = c.get("seen", 0) + 1
        return {{"money": c.get("money")}}
'''


def test_timers_and_events_change_records_only_as_handlers(cluster: Cluster, lobby: Node) -> None:
    from chappe.snipe import server

    ann = cluster.login(1)

    def pay(c: Any) -> None:
        c.money += 1
        c.response("probe/a.paid", {"money": c.money})

    lobby.call(server.run, 1, pay)
    assert (ann.responses(), stored(cluster, 1)["money"]) == ([{"money": 101}], 101)
    asked: list[Any] = []
    lobby.call(server.userExists, 1, asked.append)
    lobby.call(server.userExists, 9, asked.append)
    lobby.call(server.cacheRequest, {"_type": "desk.rate", "of": "gold"}, lambda answer, why: asked.append(answer))
    lobby.call(server.cacheRequest, {"_type": "desk.nothing"}, lambda answer, why: asked.append(why))
    lobby.call(server.sendTo, 9, {"_type": "a.b"}, asked.append)
    cluster.advance(0.1)
    assert asked[:2] == [True, False]
    assert asked[2]["rate"] == 5
    assert "no module of the master" in asked[3]
    assert asked[4] == "userNotOnline"


def test_calls_that_cannot_be_are_refused_where_they_are_made(cluster: Cluster, lobby: Node) -> None:
    from chappe.snipe import server

    cluster.login(1)
    for call, error, text in [
        (lambda: server.notify(1, {"n": 1}), ValueError, "needs `_type`"),
        (lambda: server.notify(1, {"_type": "a.b", "x": {1}}), ValueError, r"message\['x'\]: a set cannot be sent"),
        (lambda: server.cacheNotify({"_type": "a.b", "_durable": True}), ValueError, "is for `server.notify` alone"),
        (lambda: server.notifyAll("game", {"_type": "a.b"}), RuntimeError, "only the master can do that"),
        (lambda: server.notify("1", {"_type": "a.b"}), TypeError, "uid"),
        (lambda: server.cacheRequest({"_type": "a.b"}, lambda answer: None), TypeError, "is called with 2 arguments"),
        (lambda: server.run(1, lambda: None), TypeError, "is called with 1 argument"),
        (lambda: server.registerModule("plain", Twice()), ValueError, "registered twice"),
        (lambda: server.registerModule("x", Twice), TypeError, "give an object of it"),
        (lambda: server.registerModule("x", Twice(), {"uid": 1}), ValueError, "the player's own"),
    ]:
        with pytest.raises(error, match=text):
            lobby.call(call)
    with ThreadPoolExecutor() as pool, pytest.raises(RuntimeError, match="another thread than the node's"):
        lobby.call(lambda: pool.submit(server.notify, 1, {"_type": "a.b"}).result())
    refused: list[str] = []

    def inside(c: Any) -> None:
        for uid in (1, 2):
            with pytest.raises(RuntimeError) as error:
                server.run(uid, inside)
            refused.append(str(error.value))

    lobby.call(server.run, 1, inside)
    assert [text[:13] for text in refused] == ["WouldDeadlock", "server.run(2,"]
    with pytest.raises(RuntimeError, match="no node runs here"):
        server.notify(1, {"_type": "a.b"})


class Twice:
    def hello(self, c: Any, params: Any) -> None: ...


def test_a_module_of_functions_gives_only_its_own_and_players_call_only_what_is_marked(
    cluster: Cluster, lobby: Node
) -> None:
    ann = cluster.login(1)
    for name in ("plain.hello", "plain.join", "plain._private", "probe/a.plain", "probe/a.helper", "plain.request"):
        ann.request(name, {"n": 1})
    codes = [one.get("errorCode") for one in ann.responses()]
    assert codes == [None, *["noHandler"] * 5]


def test_a_mod_in_python_2_runs_unchanged(cluster: Cluster) -> None:
    cluster.lobby(mods=[MODS / "old"])
    ann, bob = cluster.login(1), cluster.login(2)
    ann.request("old.give", {"id": 2, "amount": 3})
    ann.request("old.give", {"id": 2, "amount": 3})
    assert ann.responses() == [
        {"money": 0, "names": [["2", "礼物"]], "title": "新手"},
        {"errorCode": "notEnoughMoney"},
    ]
    cluster.advance(1)
    assert bob.responses() == []
    assert stored(cluster, 2) == {"money": 4, "names": {}, "title": "富翁"}
