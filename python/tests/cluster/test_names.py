"""What mods of the field call beside messages: the configuration, the nodes, the players, and names that are not here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chappe import _core

from .cluster import PATIENCE, Cluster
from .net import deploy, ran, run, until


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("net"), deploy()).ready()
    yield cluster
    code = cluster.stop()
    print(*cluster.output, sep="\n")
    assert code == 0


@pytest.fixture
def player(net: Cluster) -> Iterator[_core.Client]:
    client = _core.Client(f"ws://127.0.0.1:{net.ws}", 4_000_000_007, "阿明")
    until(net, "master", "masterApi.GetServerIdByUid(4000000007)")
    yield client
    client.logout()
    until(net, "master", "masterApi.GetServerIdByUid(4000000007) is None")


def test_the_common_configuration_has_the_lists_that_mods_read(net: Cluster) -> None:
    for api, where in (("masterApi", "master"), ("serviceApi", "service"), ("lobbyApi", 10), ("commonApi", 11)):
        conf = run(net, where, f"{api}.GetCommonConfig()")
        servers = [(one["app_type"], one["serverid"], one["type"]) for one in conf["serverlist"]]
        assert servers == [("proxy", 5, "proxy"), ("lobby", 10, "lobby"), ("lobby", 11, "lobby"), ("game", 20, "bw4")]
        assert [one["serverid"] for one in conf["proxylist"]] == [5]
        assert conf["log_debug_level"] is False and conf["game_key"] == "k" and conf["mongo"] is None
        lobby = conf["serverlist"][1]
        assert (lobby["mods"], lobby["max_players"], lobby["ip"]) == ("net", 50, "127.0.0.1")
        (service,) = conf["servicelist"]
        assert (service["app_type"], service["module_names"]) == ("service", ["net_more"])
        assert conf["master"]["app_type"] == "master" and conf["master"]["port"] == net.http
        assert conf["cluster"] == "net" and len(conf["lobby"]) == 1, "what is written stands"
    assert run(net, "service", "serviceApi.GetServiceConfig()")["serverid"] == 30
    assert run(net, "master", "netgameConf['serverlist'][0]['app_type']") == "proxy"


def test_a_mod_that_changes_its_configuration_changes_nobody_elses(net: Cluster) -> None:
    run(net, "service", "serviceApi.GetCommonConfig()['serverlist'].pop()")
    assert len(run(net, "service", "serviceApi.GetCommonConfig()['serverlist']")) == 4


def test_the_modules_that_mods_import_are_there(net: Cluster) -> None:
    assert run(net, "service", "ujson.loads(ujson.dumps({'a': [1, '好', None]}))") == {"a": [1, "好", None]}
    run(net, "service", "logout.info('出 %d', 7)")
    assert "INFO mod: 出 7" in net.line("出 7"), "not mod: mod:"
    run(net, 10, "cityApi.SetCityMode(True)")
    net.line("lobbyGame.netgameApi.SetCityMode belongs to the game engine")
    assert run(net, 10, "(Vector3(3, 0, 4) - (0, 0, 0)).Length()") == 5.0
    assert run(net, 10, "TransferServerFailReason.ServerIsFull") == 12
    assert run(net, 10, "serverApi.GetMinecraftEnum().TransferServerFailReason.ApiInputFail") == 16


def test_databases_are_told_as_published(net: Cluster) -> None:
    mysql = [True, "10.0.0.9", "u", "p", "d", 3306]
    assert run(net, 10, "list(lobbyApi.GetMysqlConfig())") == mysql
    assert run(net, 10, "list(lobbyApi.GetMongoConfig())") == [False, "", "", "", "", 0]
    assert run(net, 10, "list(lobbyApi.GetRedisConfig())") == [False, "", 0, ""]


def test_nodes_are_known_by_the_published_values(net: Cluster) -> None:
    status = "sorted(serviceManager.GetServersStatus().items())"
    assert run(net, "service", status) == [[10, 1], [11, 1], [20, 1]]
    assert run(net, "master", "sorted(masterManager.GetAllServerStatus().items())") == [[5, 2], [10, 2], [11, 2], [20, 2]]
    assert run(net, "master", "[masterManager.GetOneServerStatus(10), masterManager.GetOneServerStatus(99)]") == [2, 1]
    assert run(net, "service", "[serviceManager.GetServerType(20), serviceManager.GetServerType(99)]") == ["bw4", ""]
    assert run(net, "master", "[masterApi.GetGameTypeByServerId(20), masterApi.GetGameTypeByServerId(99)]") == ["bw4", None]
    assert run(net, "master", "masterApi.GetServerIdsByGameType('lobby')") == [10, 11]
    assert run(net, "master", "[masterApi.IsService(30), masterApi.IsService(10)]") == [True, False]
    assert run(net, "master", "[masterManager.IsValidServer(10), masterManager.IsValidServer(99)]") == [True, False]
    assert run(net, "master", "masterApi.GetServerLoadedModsById(0)") == ["net"]
    assert run(net, "service", "serviceApi.GetServerLoadedModsByType('lobby')") == ["net"]
    assert run(net, "service", "serviceApi.GetServerLoadedModsByType('nothing')") == []
    assert run(net, "service", "serviceManager.serverListMap[10]['status']") == 1
    assert run(net, "service", "[serviceManager.IsConnectedServer(id) for id in (5, 10, 30, 99)]") == [True, True, False, False]


def test_states_of_servers_are_told_in_the_published_words(net: Cluster) -> None:
    run(net, "service", "self.Hear('UpdateServerStatusEvent')")
    run(net, "master", "heard.clear() or masterManager.ResetServer(11)")
    until(net, "master", "any(name == 'ResetGamesEndEvent' for name, _ in heard)")
    until(net, "service", "any(d == {'10': '1', '11': '1', '20': '1'} for n, d in heard if n == 'UpdateServerStatusEvent')")
    told = run(net, "service", "[d.get('11') for n, d in heard if n == 'UpdateServerStatusEvent']")
    assert set(told) <= {"1", "2", "3", None}


def test_players_are_known_to_the_master_at_once(net: Cluster, player: _core.Client) -> None:
    here = player.server_id
    assert run(net, "master", "masterApi.GetServerIdByUid(4000000007)") == here
    assert run(net, "master", "[masterApi.GetOnlineUidList(), masterApi.GetServerIdByUid(8)]") == [[4000000007], None]
    assert run(net, "master", f"masterManager.GetOnlineNumByServerId({here})") == 1
    assert run(net, "master", "masterManager.GetTotalOnlineNum()") == 1
    assert run(net, "master", "masterApi.GetProtocolVersionByUID(4000000007)") == 1
    all_of_them = run(net, "master", "sorted(masterManager.GetAllServersOnlineNum().items())")
    assert all_of_them == [[id, int(id in (5, here))] for id in (5, 10, 11, 20)]


def test_a_player_is_known_to_its_lobby_by_the_published_values(net: Cluster, player: _core.Client) -> None:
    here, who = player.server_id, player.player_id
    assert run(net, here, f"lobbyApi.GetConnectingProxyIdOfPlayer('{who}')") == 5
    assert run(net, here, "[lobbyApi.GetPlayerIdByUid(4000000007), lobbyApi.GetPlayerIdByUid(8)]") == [who, ""]
    assert run(net, here, f"[lobbyApi.IsPlayerPeUser('{who}'), lobbyApi.IsPlayerPeUser('1')]") == [False, None]
    assert run(net, here, f"[lobbyApi.GetPlatformUid('{who}'), lobbyApi.GetUidIsSilent(7)]") == [4000000007, 2]


def test_locks_are_asked_for_before_a_player_comes_and_given_back_after_it_went(net: Cluster) -> None:
    client = _core.Client(f"ws://127.0.0.1:{net.ws}", 21)
    here = client.server_id
    mine = "[[name, d['uid']] for name, d in heard if d.get('uid') == 21]"
    until(net, here, f"len({mine}) == 2")
    lock = run(net, here, "[d for name, d in heard if name == 'ServerGetPlayerLockEvent' and d['uid'] == 21]")
    assert lock == [{"id": 21, "idx": 21, "uid": 21, "serverId": here, "proxyId": 5}]
    client.logout()
    until(net, here, f"len({mine}) == 4")
    names = ["ServerGetPlayerLockEvent", "AddServerPlayerEvent", "DelServerPlayerEvent", "ServerReleasePlayerLockEvent"]
    assert run(net, here, mine) == [[name, 21] for name in names]


def test_a_player_whose_lock_is_not_to_be_had_is_sent_away(net: Cluster) -> None:
    client = _core.Client(f"ws://127.0.0.1:{net.ws}", 22)
    run(net, client.server_id, "lobbyApi.GetPlayerLockResult(22, False)")
    while (event := client.next_event(PATIENCE)) and event["kind"] != "closed":
        pass
    assert event and event["reason"] == "Kicked"


def test_what_comes_of_a_transfer_is_told(net: Cluster, player: _core.Client) -> None:
    here, who = player.server_id, player.player_id
    run(net, here, f"heard.clear() or lobbyApi.TransferToOtherServer('{who}', 'nothing', '', self.Called)")
    until(net, here, "len(heard) == 2")
    called, event = sorted(run(net, here, "heard"), reverse=True)
    assert called[0] == "called" and called[1][:2] == [False, 10] and called[1][2]
    assert event == ["MasterResponseTransferFailServerEvent", {"uid": 4000000007, "reason": 10}]
    run(net, here, "heard.clear() or lobbyApi.TransferToOtherServerById('5', 11, callback=self.Called)")
    until(net, here, "len(heard) == 2")
    assert ["MasterResponseTransferFailServerEvent", {"uid": None, "reason": 16}] in run(net, here, "heard")
    there = 21 - here
    run(net, here, f"heard.clear() or lobbyApi.TransferToOtherServerById('{who}', {there}, 'p', self.Called)")
    until(net, here, "['MasterResponseTransferSucServerEvent', {'uid': 4000000007}] in heard")
    assert ["called", [True, 0, ""]] in run(net, here, "heard")


def test_services_and_the_master_post_to_each_other(net: Cluster) -> None:
    run(net, "service", "serviceHttp.SendHttpRequestToMaster('/net', '{\"a\": 1}')")
    until(net, "master", "['http', '{\"a\": 1}'] in heard")
    run(net, "service", "serviceHttp.RegisterServiceHttp('/in', self, lambda client, body: (heard.append(body), "
                        "serviceHttp.SendHttpResponse(client, '{}')))")
    run(net, "master", "masterHttp.SendHttpRequestToService(30, '/in', '[2]')")
    until(net, "service", "'[2]' in heard")
    run(net, "master", "masterHttp.SendHttpRequestToService(10, '/in', '')")
    net.line("SendHttpRequestToService: node 10 has no `http_port` in deploy.json")
    run(net, "master", "masterHttp.SendHttpRequestToService(30, '/out', '')")
    net.line("SendHttpRequestToService: /out answers 404")


def test_files_of_a_mod_are_found_where_they_are(net: Cluster) -> None:
    root = run(net, 10, "commonApi.GetModScriptRootDir('NetScript')")
    assert root.endswith("/mods/net/developer_mods/NetDev/") and run(net, 10, "commonApi.GetModScriptRootDir()") == root
    assert run(net, 10, "commonApi.GetModJsonConfigByName('NetScript', 'mod.json')")["netgame_mod_name"] == "net"
    assert run(net, 10, "commonApi.GetModJsonConfigByName('NetScript', 'none.json')") is None
    net.line("GetModJsonConfigByName:", "has no file none.json")
    assert "did you mean `NetScript`?" in ran(net, 10, "commonApi.GetModJsonConfig('NetSkript')")[2]


def test_the_platforms_constants_come_from_deploy_json(net: Cluster) -> None:
    names = ("GetApolloGameId", "GetApolloGameKey", "GetApolloUniqueId", "GetApolloReviewStage")
    assert run(net, "service", f"[getattr(commonApi, name)() for name in {names}]") == [7, "k", 0, 0]
    assert run(net, 10, "[commonApi.GetOnlineKey(5), commonApi.ToPcUid(5)]") == ["user:online:5", 5]


OP = "%s.RegisterOpCommand('/api/x', lambda client, data: %s.ResponseOpCommandSuccess(client, [data.get('n'), %s]))"


def test_an_operation_command_asks_every_node_that_has_it(net: Cluster, player: _core.Client) -> None:
    for lobby in (10, 11):
        run(net, lobby, OP % ("lobbyApi", "lobbyApi", lobby))
    run(net, "service", OP % ("serviceApi", "serviceApi", 30))
    until(net, "master", "len(self._runtime.peers.ops._nodes.get('/api/x', ())) == 3")

    def ask(**data: Any) -> dict[str, Any]:
        return json.loads(net.post("/api/x", json.dumps(data).encode()))

    def ok(entity: Any) -> dict[str, Any]:
        return {"code": 1, "message": "", "entity": entity}

    assert ask(n=5) == ok({str(id): ok([5, id]) for id in (10, 11, 30)})
    assert ask(opServerIds=[11, 30], opServerType="lobby") == ok({"11": ok([None, 11])})
    assert list(ask(opUid=4000000007)["entity"]) == [str(player.server_id)]
    assert ask(opUid=8) == {"code": 2, "message": "no node has this command", "entity": {}}
    run(net, 11, "lobbyApi.RegisterOpCommand('/api/x', lambda client, data: lobbyApi.ResponseOpCommandFail(client, 1, '不行'))")
    failed = ask(opServerIds=[11])
    assert failed == {"code": 2, "message": "failed on 11", "entity": {"11": {"code": 2, "message": "不行", "entity": None}}}
    run(net, 11, "lobbyApi.UnRegisterOpCommand('/api/x')")
    until(net, "master", "len(self._runtime.peers.ops._nodes['/api/x']) == 2")
    assert sorted(ask()["entity"]) == ["10", "30"]
    assert json.loads(net.post("/api/x", b"{"))["code"] == 2


def test_a_call_of_the_network_that_is_not_here_is_told_with_its_place(net: Cluster) -> None:
    assert run(net, 10, "lobbyApi.SetUseDatabaseSave(True, 'test', 30)") is None
    line = net.line("lobbyGame.netgameApi.SetUseDatabaseSave is of the network and is not there")
    assert "WARN" in line and "sides.py:" in line
    run(net, 10, "lobbyApi.SetUseDatabaseSave(True, 'test', 30)")
    assert run(net, "master", "masterApi.BanUser(7, 60, '作弊', True)") is False
    assert "WARN" in net.line("BanUser: there is no list of banned")
    run(net, "master", "masterApi.GetBanUserInfo(7, self.Called)")
    until(net, "master", "['called', [7, None]] in heard")
    run(net, "service", "launcherApi.GetUserFriend(7, self.Called)")
    until(net, "service", "any(one[0] == 'called' and one[1][0]['code'] == 1 for one in heard)")
    assert len([one for one in net.output if "SetUseDatabaseSave is of the network" in one]) == 1


def test_a_slip_in_a_name_is_told_with_what_was_meant(net: Cluster) -> None:
    assert run(net, 10, "lobbyApi.GetPlayerUidd('7')") is None
    assert "WARN" in net.line("lobbyGame.netgameApi has no `GetPlayerUidd`; did you mean `GetPlayerUid`?")
    run(net, 10, "__import__('apolloCommon.mysqlPol') and None")
    net.line("there is no module apolloCommon.mysqlPol; did you mean `apolloCommon.mysqlPool`?")
    run(net, 10, "bool(serverApi.GetEngineCompFactory().CreateItem('1'))")
    assert "INFO" in net.line("GetEngineCompFactory().CreateItem belongs to the game engine")


def test_chat_is_delivered_and_not_called_inert(net: Cluster, player: _core.Client) -> None:
    code = f"serverApi.GetEngineCompFactory().CreateMsg('1').NotifyOneMessage('{player.player_id}', '好')"
    assert run(net, player.server_id, code) is True
    while (event := player.next_event(PATIENCE)) and event.get("event") != "NotifyOneMessage":
        pass
    assert event and event["data"]["msg"] == "好"
    assert not any("CreateMsg" in line for line in net.output)


def test_an_error_that_comes_of_the_absent_engine_says_so(net: Cluster) -> None:
    run(net, 10, "commonApi.AddTimer(0, self.OnPos, {}) and None")
    line = net.line("node 10: timer: a handler raised;")
    assert "GetEngineCompFactory().CreatePos().GetPos belongs to the game engine, which is not here" in line
    net.line("TypeError: cannot unpack non-iterable NoneType object")


def test_a_call_of_another_role_is_told(net: Cluster) -> None:
    kind, error, text = ran(net, "service", "self.NotifyToClient('1', 'E', {})")
    assert (kind, error) == ("raised", "AttributeError")
    assert "NotifyToClient is a call of lobbies and games, and this is a system of services" in text
    assert "RemoteNotifyToClient(uid, proxyId, eventName, eventData)" in text
    assert "did you mean `NotifyToMaster`?" in ran(net, 10, "self.NotifyToMastr('E', {})")[2]
    assert run(net, 10, "[hasattr(self, 'nothing'), getattr(self, 'nothing', 5)]") == [False, 5]
    run(net, "service", "lobbyApi.GetOnlinePlayerNum()")
    net.line("lobbyGame.netgameApi.GetOnlinePlayerNum is a call of lobbies and games, and this node is none of them")


def test_a_uid_where_a_serverid_is_wanted_is_told(net: Cluster, player: _core.Client) -> None:
    assert run(net, player.server_id, "self.NotifyToServiceNode(4000000007, 'E', {})") is False
    net.line("4000000007 is the uid of a player, and here a serverid is wanted")
    assert run(net, player.server_id, "lobbyApi.GetPlayerNickname(4000000007)") is None
    net.line("GetPlayerNickname: 4000000007 is the uid of a player, and here a playerId is wanted")
    assert run(net, "service", "self.NotifyToServerNode(4000000009, 'E', {})") is False
    net.line("deploy.json has no node 4000000009: it may be a uid")
    assert "a uid is wanted" in ran(net, "service", f"self.RemoteNotifyToClient('{player.player_id}', 5, 'E', {{}})")[2]


def test_a_request_that_nobody_answers_is_told_with_what_was_meant(net: Cluster) -> None:
    net.line("no node that reaches this one has a system ('net', 'serviceSistem')")
    run(net, 10, "self.RequestToService('net_servise', 'Run', 1, self.Called)")
    line = net.line("RequestToService('net_servise', 'Run'): NoProvider")
    assert "WARN" in line and "did you mean `net_service`?" in line and "sides.py:" in line
    run(net, 10, "self.RequestToServiceMod('net_service', 'OnLoby', 1, self.Called)")
    assert "did you mean `OnLobby`?" in net.line("RequestToServiceMod('net_service', 'OnLoby'): NoMethod")
    run(net, 10, "self.RequestToService('net_mastr', 'Run', 1)")
    assert "did you mean `net_master`?" in net.line("RequestToService('net_mastr', 'Run'): no node serves")


def test_a_method_is_looked_for_where_it_should_be_at_the_first_failure(start: Callable[..., Cluster]) -> None:
    cluster = start(deploy()).ready()
    run(cluster, 10, "self.RequestToServiceMod('net_service', 'Rum', 1, self.Called)")
    assert "did you mean `Run`?" in cluster.line("RequestToServiceMod('net_service', 'Rum'): NoMethod")
    run(cluster, 10, "self.RequestToServiceMod('net_service', 'Xyz', 1, self.Called)")
    assert "did you mean" not in cluster.line("RequestToServiceMod('net_service', 'Xyz'): NoMethod")


def test_a_listener_that_nobody_can_send_to_is_told_once_all_are_up(net: Cluster) -> None:
    line = net.line("[10 lobby", "ListenForEvent('net', 'serviceSistem', 'Lost')")
    assert "WARN" in line and "did you mean `serviceSystem`?" in line and "sides.py:" in line
    net.line("[10 lobby", "has a system ('net', 'nobodyAtAll'), and no client mod names it: nobody can send it")
    assert not any("netClient" in one or "'Run')" in one for one in net.output if "nobody can send" in one)


def test_a_listener_of_an_engine_event_that_never_comes_is_told(net: Cluster) -> None:
    net.line("[10 lobby", "nobody raises an engine event AddServerPlayrEvent; did you mean `AddServerPlayerEvent`?")
    net.line("[10 lobby", "INFO", "the engine event ServerChatEvent belongs to the game engine")
    net.line("[10 lobby", "WARN", "the engine event savePlayerDataEvent is of the network and is never raised here")
    net.line("[10 lobby", "WARN", "the engine event PlayerLoginServerEvent is raised on nodes of other roles only")


def test_an_event_that_nobody_listens_to_is_told_once(net: Cluster) -> None:
    for _ in range(2):
        run(net, "service", "self.NotifyToServerNode(10, 'Nobody', {})")
    net.line("[10 lobby", "nobody listens to this event", "net.serviceSystem.Nobody")
    run(net, 10, "1")
    assert len([one for one in net.output if "nobody listens" in one and "Nobody" in one]) == 1
