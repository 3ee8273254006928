"""Every row of the message table, with Python on both ends; each test would fail if its row did not arrive."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chappe import _core

from .cluster import PATIENCE, Cluster

DATA = {"n": 1, "text": "你好", "list": [1, None, {"x": 2.5}]}


def on_lobby(network: Cluster, call: str, *args: Any, lobby: int = 10) -> Any:
    """Lets the recorder of a lobby make a call, asked through the service 30; gives its outcome."""
    network.heard("rec_a")
    data = {"call": call, "args": list(args), "answerTo": 30}
    assert network.do("rec_a", "NotifyToServerNode", lobby, "Do", data) is True
    return next(data for name, data in network.heard("rec_a", "Own") if name == "Own")


def lobby_heard(network: Cluster, name: str, lobby: int = 10) -> list[Any]:
    """What the recorder of a lobby has heard under that name; waits for it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = [data for what, data in on_lobby(network, "Heard", lobby=lobby) if what == name]
        if found:
            return found
    raise AssertionError(f"lobby {lobby} never heard {name}")


@pytest.fixture
def player(network: Cluster) -> Iterator[_core.Client]:
    """A player on lobby 10, where the login strategy of the recorder leads."""
    client = _core.Client(f"ws://127.0.0.1:{network.ws}", 4_000_000_007, "阿明")
    yield client
    client.logout()


def client_event(client: _core.Client, name: str) -> Any:
    """The data of the next event of that name."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        event = client.next_event(1.0)
        if event and event.get("event") == name:
            return event["data"]
    raise AssertionError(f"the client never heard {name}")


def test_row_1_reaches_the_one_client(network: Cluster, player: _core.Client) -> None:
    assert on_lobby(network, "NotifyToClient", player.player_id, "Row1", DATA) == ["ok", True]
    assert client_event(player, "Row1") == DATA


def test_row_2_arrives_with_the_senders_id_whatever_the_client_says(network: Cluster, player: _core.Client) -> None:
    player.notify_to_server("rec", "recSystem", "Row2", {**DATA, "__id__": "forged", "__x": 1})
    assert lobby_heard(network, "Row2") == [{**DATA, "__id__": player.player_id}]


def test_row_2_data_that_is_no_dict_arrives_as_it_is(network: Cluster, player: _core.Client) -> None:
    player.notify_to_server("rec", "recSystem", "Row2", [1, "a"])
    assert lobby_heard(network, "Row2") == [[1, "a"]]


def test_row_3_from_lobby_to_master(network: Cluster) -> None:
    assert on_lobby(network, "NotifyToMaster", "Row3", DATA) == ["ok", True]
    assert ["Row3", DATA] in network.heard("rec_master", "Row3")


def test_row_4_from_master_to_one_lobby(network: Cluster) -> None:
    assert network.do("rec_master", "NotifyToServerNode", targetId=11, eventName="Row4", eventData=DATA) is True
    assert lobby_heard(network, "Row4", lobby=11) == [DATA]


def test_row_5_from_master_to_all_services(network: Cluster) -> None:
    network.do("rec_master", "BroadcastToService", "Row5", DATA)
    for module in ("rec_a", "rec_b"):
        assert ["Row5", DATA] in network.heard(module, "Row5")


def test_row_6_from_master_to_one_service(network: Cluster) -> None:
    network.do("rec_master", "NotifyToServiceNode", 31, "Row6", DATA)
    assert ["Row6", DATA] in network.heard("rec_b", "Row6")


def test_row_7_from_service_to_master(network: Cluster) -> None:
    network.do("rec_a", "NotifyToMaster", "Row7", DATA)
    assert ["Row7", DATA] in network.heard("rec_master", "Row7")


def test_row_8_from_service_to_all_of_a_type(network: Cluster) -> None:
    network.do("rec_a", "BroadcastToServerByType", serverType="lobby", eventName="Row8", eventData=DATA)
    assert lobby_heard(network, "Row8", lobby=10) == lobby_heard(network, "Row8", lobby=11) == [DATA]


def test_row_9_includes_the_sending_service(network: Cluster) -> None:
    network.do("rec_a", "BroadcastToService", "Row9", DATA)
    for module in ("rec_a", "rec_b"):
        assert ["Row9", DATA] in network.heard(module, "Row9")


def test_row_9_from_a_lobby(network: Cluster) -> None:
    on_lobby(network, "BroadcastToService", "Row9", [])
    assert ["Row9", []] in network.heard("rec_b", "Row9")


def test_row_10_to_a_node_that_is_no_lobby_is_told_and_not_raised(network: Cluster) -> None:
    assert network.do("rec_a", "NotifyToServerNode", 31, "Row10", DATA) is False
    network.line("NotifyToServerNode to node 31: WrongRole")


def test_row_11_from_service_and_lobby(network: Cluster) -> None:
    network.do("rec_a", "NotifyToServiceNode", 31, "Row11", 1)
    on_lobby(network, "NotifyToServiceNode", 31, "Row11", 2)
    end, heard = time.monotonic() + PATIENCE, []
    while len(heard) < 2 and time.monotonic() < end:
        heard += [data for name, data in network.heard("rec_b") if name == "Row11"]
    assert heard == [1, 2]


def test_row_12_arrives_with_uid_and_proxy(network: Cluster, player: _core.Client) -> None:
    player.notify_to_service_node(31, "rec", "recSystem", "Row12", {"a": 1, "__uid__": 1})
    assert ["Row12", {"a": 1, "__uid__": player.uid, "__neteaseProxyId__": 5}] in network.heard("rec_b", "Row12")


def test_row_13_from_service_to_a_client(network: Cluster, player: _core.Client) -> None:
    assert network.do("rec_a", "RemoteNotifyToClient", player.uid, 5, "Row13", DATA) is True
    assert client_event(player, "Row13") == DATA


def test_rows_14_to_18_from_service_to_service(network: Cluster) -> None:
    network.do("rec_a", "Request", "RequestToService", "rec_extra", "Echo", DATA)
    network.do("rec_a", "Request", "RequestToServiceMod", "rec_b", "Later", {"later": True})
    network.do("rec_a", "RequestByKeyword", "rec_b", "Echo", 5)
    answers: list[Any] = []
    while len(answers) < 3:
        answers += [data for name, data in network.heard("rec_a", "answer") if name == "answer"]
    assert sorted(answers, key=str) == sorted([[True, DATA], [True, {"later": True}], [True, 5]], key=str)


def test_rows_16_and_17_from_lobby_and_master(network: Cluster) -> None:
    for call in ("RequestToService", "RequestToServiceMod"):
        assert on_lobby(network, "Request", call, "rec_b", "Echo", call) == ["ok", None]
        assert lobby_heard(network, "answer") == [[True, call]]
        network.do("rec_master", "Request", call, "rec_b", "Echo", call)
        assert ["answer", [True, call]] in network.heard("rec_master", "answer")


def test_a_service_asks_a_method_of_the_master(network: Cluster) -> None:
    network.do("rec_a", "Request", "RequestToService", "rec_master", "Heard", None)
    (answer,) = [data for name, data in network.heard("rec_a", "answer") if name == "answer"]
    assert answer[0] is True


@pytest.mark.parametrize(
    ("module", "method"), [("rec_b", "Raises"), ("rec_b", "NoSuchMethod"), ("nobody", "Echo"), ("rec_b", "Never")]
)
def test_each_request_ends_in_exactly_one_callback(network: Cluster, module: str, method: str) -> None:
    network.heard("rec_a")
    network.do("rec_a", "Request", "RequestToService", module, method, {}, 0.3)
    heard = network.heard("rec_a", "answer")
    network.do("rec_a", "Request", "RequestToService", "rec_b", "Echo", "last")
    heard += network.heard("rec_a", "answer")
    assert [data for name, data in heard if name == "answer"] == [[False, None], [True, "last"]]


def test_a_second_answer_is_dropped_with_a_warning(network: Cluster) -> None:
    network.do("rec_a", "Request", "RequestToService", "rec_b", "Twice", {})
    assert ["answer", [True, 1]] in network.heard("rec_a", "answer")
    assert ["twice", [True, False]] in network.heard("rec_b", "twice")
    network.line("ResponseToServer: node 30 has no request")


def test_several_clients_and_all_clients(network: Cluster, player: _core.Client) -> None:
    other = _core.Client(f"ws://127.0.0.1:{network.ws}", 9)
    on_lobby(network, "NotifyToMultiClients", [player.player_id, other.player_id], "Multi", 1)
    on_lobby(network, "BroadcastToAllClient", "All", 2)
    for client in (player, other):
        assert (client_event(client, "Multi"), client_event(client, "All")) == (1, 2)
    other.logout()


def test_the_same_key_asks_the_same_provider(network: Cluster) -> None:
    network.do("rec_a", "RequestToHashService", "rec_b", "key", "Echo", 1)


def test_broadcast_event_reaches_this_node_alone_and_priority_decides(network: Cluster) -> None:
    network.heard("rec_b")
    network.do("rec_a", "BroadcastEvent", "Order", "o")
    assert [name for name, _ in network.heard("rec_a", "Order")] == ["OrderFirst", "Order"]
    assert "Order" not in [name for name, _ in network.heard("rec_b")]


def test_players_come_go_move_and_are_found(network: Cluster) -> None:
    network.heard("rec_master")
    client = _core.Client(f"ws://127.0.0.1:{network.ws}", 77, "小红")
    assert client.server_id == 10
    assert ["ok", [client.player_id, 77, "小红"]] == [
        (found := on_lobby(network, "Players"))[0],
        next(one for one in found[1] if one[1] == 77),
    ]
    (entered,) = [data for data in lobby_heard(network, "AddServerPlayerEvent") if data["uid"] == 77]
    assert entered["id"] == client.player_id and entered["proxyId"] == 5 and entered["isTransfer"] is False
    assert any(data["uid"] == 77 for name, data in network.heard("rec_master", "PlayerLoginServerEvent") if "uid" in data)
    logins, connected, _ = network.do("rec_master", "Logins")
    assert 77 in logins and connected == [10, 11]

    network.do("rec_a", "Where", 77)
    (where,) = [data for name, data in network.heard("rec_a", "where") if name == "where"]
    assert (where["serverId"], where["proxyId"]) == (10, 5)

    assert on_lobby(network, "Chat", client.player_id) == ["ok", [None, False]]
    assert client_event(client, "NotifyOneMessage")["msg"] == "hello"

    client.logout()
    assert any(data["uid"] == 77 for data in lobby_heard(network, "DelServerPlayerEvent"))


def test_the_network_is_seen_by_its_names(network: Cluster) -> None:
    assert on_lobby(network, "Connected") == ["ok", [True, True, 10]]
    kind, ids, status, connected, known, modules = network.do("rec_a", "Servers")
    assert (kind, ids, connected, known) == ("lobby", [10, 11], True, [10, 11])
    assert status == {"$map": [[10, 1], [11, 1]]}, "the ids are numbers"
    assert modules == ["rec_a", "rec_extra", "rec_more"], "what mod.json declares counts"


def test_timers_run_in_time_and_stop_when_cancelled(network: Cluster) -> None:
    network.do("rec_a", "Timers")
    heard = network.heard("rec_a", "timer")
    while ["repeated", 0] not in heard:
        heard += network.heard("rec_a")
    assert [data for name, data in heard if name == "timer"] == ["一次"]
    assert [data for name, data in heard if name == "repeated"] == [2, 1, 0]


def test_update_runs(network: Cluster) -> None:
    first = network.do("rec_a", "Updates")
    end = time.monotonic() + PATIENCE
    while network.do("rec_a", "Updates") <= first:
        assert time.monotonic() < end


def test_mod_json_is_read_leniently(network: Cluster) -> None:
    manifest = network.do("rec_a", "Manifest")
    assert manifest["netgame_mod_name"] == "recorder" and manifest["min_app_version"] is None
    assert manifest["words"] == ["你好", "b"]


def test_an_unlistened_handler_is_gone_once(network: Cluster) -> None:
    assert network.do("rec_a", "UnListenOwn") == [True, False]


def test_a_url_of_the_master_answers(network: Cluster) -> None:
    got = json.loads(network.post("/rec/echo", "正文".encode()))
    assert got == {"got": "正文", "cluster": "rows"}


def test_a_url_of_a_service_answers_once(network: Cluster) -> None:
    assert network.outcome("rec_a", "OpenHttp")[2] == "node 30 has no `http_port` in deploy.json"
    network.do("rec_b", "OpenHttp")
    assert network.post("/echo", "正文".encode(), network.service_http).decode() == "正文!"
    assert ["http", [True, False]] in network.heard("rec_b", "http")
    with pytest.raises(OSError, match="404"):
        network.post("/nothing", b"", network.service_http)


def test_the_log_of_a_mod_stands_in_the_nodes_log(network: Cluster) -> None:
    network.do("rec_b", "Log", "日志 100%")
    assert "日志 100%" in network.line("日志")


def test_a_transfer_takes_its_parameter_along_and_a_kick_its_message(network: Cluster) -> None:
    client = _core.Client(f"ws://127.0.0.1:{network.ws}", 88)
    assert on_lobby(network, "Transfer", client.player_id, "lobby")[0] == "ok"
    while (event := client.next_event(PATIENCE)) and event["kind"] != "moved":
        pass
    assert event == {"kind": "moved", "server": 11, "isTransfer": True}
    (entered,) = [one for one in lobby_heard(network, "AddServerPlayerEvent", lobby=11) if one["uid"] == 88]
    assert (entered["isTransfer"], entered["transferParam"]) == (True, "p=1")
    assert on_lobby(network, "Kick", client.player_id, "再见", lobby=11) == ["ok", True]
    while (event := client.next_event(PATIENCE)) and event["kind"] != "closed":
        pass
    assert event == {"kind": "closed", "reason": "Kicked", "text": "再见"}
