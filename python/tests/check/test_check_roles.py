"""Calls that a role does not have, and wrong arguments."""

from __future__ import annotations

from check_world import World


def test_a_call_of_another_role_is_told_with_the_right_one(world: World) -> None:
    world.system("service", "self.NotifyToClient('1', 'X', {})")
    assert world.short() == (
        'service/system.py:10:9: error: ServiceSystem has no NotifyToClient, it is a call of ServerSystem; a service pushes with RemoteNotifyToClient(uid, proxyId, eventName, eventData) [role-call]\n'
    )


def test_a_client_has_no_requests(world: World) -> None:
    world.system("client", "self.RequestToService('mail', 'Count', {})")
    assert world.short() == (
        'client/system.py:10:9: error: ClientSystem has no RequestToService, it is a call of ServerSystem, ServiceSystem, MasterSystem; a client asks with NotifyToServer and hears the answer as an event [role-call]\n'
    )


def test_a_lobby_answers_no_requests(world: World) -> None:
    world.system("server", "self.RegisterRpcMethod('mail', 'Count', self.On)", "def On(self, serverId, callbackId, args):\n    pass")
    assert world.short() == (
        'server/system.py:10:9: error: ServerSystem has no RegisterRpcMethod, it is a call of ServiceSystem, MasterSystem; a lobby or game cannot answer requests; let it listen for an event [role-call]\n'
    )


def test_a_module_of_another_role_is_told(world: World) -> None:
    world.system("service", "lobbyGameApi.GetPlayerUid('1')")
    assert world.short() == (
        'service/system.py:10:9: error: `lobbyGame.netgameApi.GetPlayerUid` is for a lobby or game, and this runs on a service [role-module]\n'
    )


def test_a_missing_argument_is_told(world: World) -> None:
    world.system("server", "self.NotifyToClient('X', {})")
    assert world.short() == (
        'server/system.py:10:9: error: NotifyToClient(targetId, eventName, eventData): `eventData` is missing [call-arguments]\n'
    )


def test_a_misspelt_keyword_is_told(world: World) -> None:
    world.system("server", "self.NotifyToClient('1', eventNam='X', eventData={})")
    assert world.short() == (
        'server/system.py:10:9: error: NotifyToClient(targetId, eventName, eventData): there is no parameter `eventNam`; did you mean `eventName`? [call-arguments]\n'
    )


def test_one_argument_too_many_is_told(world: World) -> None:
    world.system("server", "self.NotifyToMaster(1, 'X', {})")
    assert world.short() == (
        'server/system.py:10:9: error: NotifyToMaster(eventName, eventData): it takes 2 arguments and gets 3 [call-arguments]\n'
    )


def test_a_base_class_of_another_role_is_told(world: World) -> None:
    file = world.script("service") + "/modMain.py"
    world.write(file, (world.root / file).read_text().replace("InitService", "InitMaster"))
    assert world.short("mods/service") == (
        'service/modMain.py:9:9: error: `HelloService` derives from ServiceSystem and is registered on the master: derive it from MasterSystem [role-base]\n'
    )
