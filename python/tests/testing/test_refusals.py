"""What cannot be sent is refused at the call, with the way to it written as Python would: `args['items'][3]['owner']`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chappe import _core
from chappe.testing import Cluster

from .test_cluster import MASTER, SERVER, SERVICE, mod


class Item:
    owner = "an attribute: never looked at, for an object is no data"


BASES = {"lobby": SERVER, "service": SERVICE, "master": MASTER}
EVENTS: dict[str, list[tuple[str, tuple[Any, ...]]]] = {
    "lobby": [
        ("NotifyToClient", ("PLAYER",)), ("NotifyToMultiClients", (["PLAYER"],)), ("BroadcastToAllClient", ()), ("NotifyToMaster", ()),
        ("BroadcastToService", ()), ("NotifyToServiceNode", (3000,)), ("BroadcastEvent", ()),
    ],
    "service": [
        ("NotifyToMaster", ()), ("BroadcastToServerByType", ("lobby",)), ("NotifyToServerNode", (1000,)), ("RemoteNotifyToClient", (7, 2)),
        ("NotifyToServiceNode", (3000,)), ("BroadcastToService", ()),
    ],
    "master": [("NotifyToServerNode", (1000,)), ("BroadcastToService", ()), ("NotifyToServiceNode", (3000,))],
}  # fmt: skip
REQUESTS = [("RequestToService", ("it", "m")), ("RequestToServiceMod", ("it", "m")), ("RequestToHashService", ("it", "k", "m"))]
BAD: list[tuple[Any, str]] = [
    ({"items": [0, 0, 0, {"owner": len}]}, "['items'][3]['owner']: a function cannot be sent"),
    ({"items": [{"owner": Item()}]}, "['items'][0]['owner']: an object of the class Item cannot be sent"),
    (Item(), ": an object of the class Item cannot be sent"),
    ({7: {"it's": Item}}, "[7]['it\\'s']: a class cannot be sent"),
    ({(1, 2): 3}, ": a list cannot be a key"),
]


@pytest.fixture
def nodes(cluster: Cluster, tmp_path: Path) -> dict[str, Any]:
    text = "class It(Base):\n    pass\n"
    found = {
        "lobby": cluster.lobby(mods=[mod(tmp_path, "a", SERVER + text)]),
        "service": cluster.service("it", mods=[mod(tmp_path, "b", SERVICE + text)]),
        "master": cluster.master(mods=[mod(tmp_path, "c", MASTER + text)]),
    }
    cluster.start()
    return {role: node.system("it", "it") for role, node in found.items()}


def test_each_call_that_sends_names_itself_and_the_place(cluster: Cluster, nodes: dict[str, Any]) -> None:
    ann = cluster.login(7)
    for role, calls in EVENTS.items():
        for call, args in calls:
            first = [ann.player_id if one == "PLAYER" else [ann.player_id] if one == ["PLAYER"] else one for one in args]
            for data, said in BAD:
                with pytest.raises(_core.DataError) as refused:
                    getattr(nodes[role], call)(*first, "E", data)
                assert str(refused.value) == f"{call}: data{said}"
    assert ann.received() == [] and cluster.sent() == []


def test_a_request_is_refused_before_anybody_is_asked(cluster: Cluster, nodes: dict[str, Any]) -> None:
    for role in EVENTS:
        for call, args in REQUESTS:
            for callback in (None, lambda suc, data: None):
                for data, said in BAD:
                    with pytest.raises(_core.DataError) as refused:
                        getattr(nodes[role], call)(*args, data, callback)
                    assert str(refused.value) == f"args{said}"


def test_an_answer_that_cannot_be_sent_is_refused_and_ends_the_request(cluster: Cluster, nodes: dict[str, Any]) -> None:
    service, refused, answers = nodes["service"], [], []

    def handler(server: int, callback: int, args: Any) -> None:
        try:
            service.ResponseToServer(server, callback, {"items": [len]})
        except _core.DataError as error:
            refused.append(str(error))
            raise

    service.RegisterRpcMethodForMod("m", handler)
    nodes["lobby"].RequestToServiceMod("it", "m", {}, lambda suc, data: answers.append((suc, data)))
    cluster.advance(1.0)
    assert refused == ["data['items'][0]: a function cannot be sent"]
    assert answers == [(False, None)]
    assert [str(error.error) for error in cluster.take_errors()] == refused


def test_a_client_is_refused_at_its_own_call(cluster: Cluster, nodes: dict[str, Any]) -> None:
    with pytest.raises(_core.DataError, match=r"^data\['items'\]\[0\]: a function cannot be sent$"):
        cluster.login(7).send("it", "client", "E", {"items": [len]})
