"""Ids in the place of others."""

from __future__ import annotations

from check_world import World


def test_a_uid_is_no_server_id(world: World) -> None:
    world.system("server", "", "def On(self, who):\n    uid = lobbyGameApi.GetPlayerUid(who)\n    self.NotifyToServiceNode(uid, self.Name(), {})")
    assert world.short() == (
        'server/system.py:13:34: error: `uid` is a uid, and `serverId` of NotifyToServiceNode is a server id: ask GetOnlineServerInfoOfPlayer(uid, callback) where the player is [id-kind]\n'
    )


def test_a_parameter_named_uid_is_no_server_id(world: World) -> None:
    world.system("service", "", "def On(self, uid):\n    self.NotifyToServerNode(uid, self.Name(), {})")
    assert world.short() == (
        'service/system.py:12:33: warning: `uid` is a uid, and `serverId` of NotifyToServerNode is a server id: ask GetOnlineServerInfoOfPlayer(uid, callback) where the player is [id-name]\n'
    )


def test_a_uid_in_the_data_is_no_server_id(world: World) -> None:
    world.system("service", "", "def On(self, data):\n    self.NotifyToServerNode(int(data['uid']), self.Name(), {})")
    assert world.short() == (
        "service/system.py:12:33: warning: `int(data['uid'])` is a uid, and `serverId` of NotifyToServerNode is a server id: ask GetOnlineServerInfoOfPlayer(uid, callback) where the player is [id-name]\n"
    )


def test_a_uid_is_no_player_id(world: World) -> None:
    world.system("server", "", "def On(self, uid):\n    self.NotifyToClient(uid, self.Name(), {})")
    assert world.short() == (
        'server/system.py:12:29: warning: `uid` is a uid, and `playerId` of NotifyToClient is a playerId: turn it with GetPlayerIdByUid(uid) [id-name]\n'
    )


def test_a_player_id_is_no_uid(world: World) -> None:
    world.system("service", "", "def On(self, data):\n    self.RemoteNotifyToClient(data['playerId'], data['proxyId'], self.Name(), {})")
    assert world.short() == (
        "service/system.py:12:35: warning: `data['playerId']` is a playerId, and `uid` of RemoteNotifyToClient is a uid: turn it with GetPlayerUid(playerId) [id-name]\n"
    )


def test_a_server_id_is_no_proxy_id(world: World) -> None:
    world.system("service", "", "def On(self, serverId, callbackId, args):\n    self.RemoteNotifyToClient(args['uid'], serverId, self.Name(), {})")
    assert world.short() == (
        'service/system.py:12:48: warning: `serverId` is a server id, and `proxyId` of RemoteNotifyToClient is a proxy id [id-name]\n'
    )


def test_the_player_id_that_the_node_adds_is_no_uid(world: World) -> None:
    world.system("server", "", "def On(self, args):\n    return lobbyGameApi.GetPlayerIdByUid(args['__id__'])")
    assert world.short() == (
        "server/system.py:12:46: error: `args['__id__']` is a playerId, and `uid` of GetPlayerIdByUid is a uid: turn it with GetPlayerUid(playerId) [id-kind]\n"
    )
