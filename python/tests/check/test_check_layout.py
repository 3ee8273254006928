"""Mods, their files and their nodes."""

from __future__ import annotations

import pytest
from check_world import World


def test_a_key_twice_a_null_and_a_trailing_comma_are_told(world: World) -> None:
    world.write("mods/hello/developer_mods/helloDev/mod.json", '{"a": 1, "a": null,\n "support_server_type": ["Lobby"],}')
    assert world.short() == (
        'mods/hello/developer_mods/helloDev/mod.json:1:10: warning: the key `a` is here twice and the last one counts: take one out [json-duplicate-key]\n'
        'mods/hello/developer_mods/helloDev/mod.json:1:15: warning: `a` is null, which counts as not given: write a value or take the key out [json-null]\n'
        'mods/hello/developer_mods/helloDev/mod.json:2:34: warning: a comma before `}`; JSON has none there: take it out [json-lenient]\n'
    )


def test_a_mod_json_that_is_no_json_is_told_with_its_place(world: World) -> None:
    world.write("mods/hello/developer_mods/helloDev/mod.json", '{"a": 1\n "b": 2}')
    assert world.short() == (
        'mods/hello/developer_mods/helloDev/mod.json:2:2: error: a `,` or `}` is missing here [json-syntax]\n'
    )


def test_a_missing_mod_main_is_told(world: World) -> None:
    (world.root / world.script("server") / "modMain.py").unlink()
    assert world.short() == (
        'server/modMain.py:1:1: error: there is no modMain.py; nothing of this mod is started: add a class under @Mod.Binding there [missing-modmain]\n'
    )


def test_a_client_mod_on_a_server_node_is_told(world: World) -> None:
    world.write("mods/ui/behavior_packs/uiClient/uiScript/modMain.py", "")
    world.write("deploy.json", (world.root / "deploy.json").read_text().replace("mods/hello", "mods/hello,mods/ui"))
    assert world.short() == (
        'deploy.json:1:104: error: the mod `mods/ui` has a client half only (behavior_packs), so nothing of it runs on a lobby: take it out here and give it to the clients [client-mod-on-server]\n'
    )


def test_a_client_half_among_the_networks_mods_is_told(world: World) -> None:
    world.write(world.script("server") + "/modMain.py", (world.root / world.script("client") / "modMain.py").read_text())
    assert world.short() == (
        "server/modMain.py:6:6: error: this mod has @Mod.InitClient() only and is among the network's mods: move it to behavior_packs [client-mod-on-server]\n"
    )


def test_a_mod_that_is_not_there_is_told(world: World) -> None:
    world.write("deploy.json", (world.root / "deploy.json").read_text().replace("mods/hello", "mods/hello,mods/servcie"))
    assert world.short() == (
        'deploy.json:1:104: error: no directory `mods/servcie` beside this file; did you mean `service`? [missing-mod]\n'
    )


def test_a_mod_without_anything_for_the_node_is_told(world: World) -> None:
    world.write("deploy.json", (world.root / "deploy.json").read_text().replace("mods/hello", "mods/hello,mods/service"))
    assert world.short() == (
        'deploy.json:1:104: warning: the mod `serviceDev` has @Mod.InitService() and no @Mod.InitServer(): nothing of it runs on lobby 20 [nothing-for-node]\n'
    )


def test_a_mod_on_a_node_that_it_does_not_support_is_told(world: World) -> None:
    world.write("mods/hello/developer_mods/helloDev/mod.json", '{"support_server_type": ["game"]}')
    assert world.short() == (
        'deploy.json:1:104: warning: the mod.json of `helloDev` supports game, and lobby 20 loads it [unsupported-node]\n'
    )


def test_two_systems_under_one_name_are_told(world: World) -> None:
    file = world.script("server") + "/modMain.py"
    again = "        api.RegisterSystem('hello', 'HelloServer', 'serverScript.system.HelloServer')\n"
    world.write(file, (world.root / file).read_text() + again)
    assert world.short() == (
        'server/modMain.py:10:9: error: a system is registered as (`hello`, `HelloServer`) on the same node (lobby 20) at server/modMain.py:9: give one of the two another name [duplicate-system]\n'
    )


def test_a_class_that_is_not_there_is_told(world: World) -> None:
    file = world.script("server") + "/modMain.py"
    world.write(file, (world.root / file).read_text().replace(".HelloServer", ".HeloServer"))
    assert world.short() == (
        'server/modMain.py:9:9: error: `serverScript.system` has no class `HeloServer`; did you mean `HelloServer`? [no-class]\n'
    )


def test_a_file_of_a_class_that_is_not_there_is_told(world: World) -> None:
    file = world.script("server") + "/modMain.py"
    world.write(file, (world.root / file).read_text().replace("Script.system", "Script.sytem"))
    assert world.short() == (
        'server/modMain.py:9:9: error: there is no module `serverScript.sytem`; did you mean `serverScript.system`? [no-class]\n'
    )


def test_a_file_that_is_no_python_is_told_with_its_place(world: World) -> None:
    world.write(world.script("server") + "/more.py", "def x(:\n    print 1\n")
    assert world.short() == (
        "server/more.py:1:7: error: cannot be parsed: neither Python 2 nor Python 3: unexpected ':' [python-syntax]\n"
    )


def test_columns_are_those_of_the_file_with_tabs_and_chinese(world: World) -> None:
    world.write(world.script("server") + "/system.py", "import server.extraServerApi as api\nclass HelloServer(api.GetServerSystemCls()):\n\tdef Go(self):\n\t\tprint '中文'; self.NotifyToServer('X', {})\n")
    assert world.short() == (
        'server/system.py:4:15: error: ServerSystem has no NotifyToServer, it is a call of ClientSystem; to one lobby or game: NotifyToServerNode(serverId, eventName, eventData) of a service or the master [role-call]\n'
    )


def test_a_folder_of_mods_is_all_of_them(world: World) -> None:
    world.system("server", "self.NotifyToMaster('Said', {})")
    world.system("master", "self.ListenForEvent('hello', 'HelloServer', 'Siad', self, self.On)", "def On(self, args):\n    pass")
    one_by_one = world.found("mods/hello", "mods/master", "mods/service")
    assert "did you mean `Said`?" in one_by_one
    assert world.found("mods") == one_by_one
    assert world.check("mods/hello/developer_mods").summary == world.check("mods/hello").summary


def test_a_file_of_a_mod_is_no_network(world: World) -> None:
    with pytest.raises(FileNotFoundError, match="a mod's directory or a deploy.json is wanted"):
        world.check(world.script("server") + "/system.py")


def test_a_deploy_file_that_is_no_object_is_told(world: World) -> None:
    world.write("deploy.json", "[]")
    assert world.found() == "deploy.json:1:1: error: a deploy.json holds an object: {...} [json-syntax]\n"
