"""Requests to what nobody registers."""

from __future__ import annotations

from check_world import World


def test_a_misspelt_module_is_told(world: World) -> None:
    world.system("server", "self.RequestToService('mial', 'Count', {})")
    assert world.short() == (
        'server/system.py:10:9: error: no service or master has the module or type `mial`; did you mean `mail`? [rpc-unknown-module]\n'
    )


def test_a_misspelt_method_is_told(world: World) -> None:
    world.system("service", "self.RegisterRpcMethodForMod('Count', self.On)", "def On(self, serverId, callbackId, args):\n    pass")
    world.system("server", "self.RequestToServiceMod('service_mail', 'Cuont', {})")
    assert world.short() == (
        'server/system.py:10:9: error: nobody registers the method `Cuont` of `service_mail`; did you mean `Count`? [rpc-unknown-method]\n'
    )


def test_a_method_of_another_module_is_told_where_it_is(world: World) -> None:
    world.system("service", "self.RegisterRpcMethod('bank', 'Count', self.On)", "def On(self, serverId, callbackId, args):\n    pass")
    world.system("server", "self.RequestToService('mail', 'Count', {})")
    assert world.short() == (
        'server/system.py:10:9: error: nobody registers the method `Count` of `mail`; `bank` has it [rpc-unknown-method]\n'
    )


def test_a_request_to_a_lobby_is_told_to_be_none(world: World) -> None:
    world.system("service", "self.RequestToServiceMod('lobby', 'Count', {})")
    assert world.short() == (
        'service/system.py:10:9: error: no service or master has the module or type `lobby`; that is the type of lobby 20, and a lobby or game answers no requests: send it an event [rpc-unknown-module]\n'
    )


def test_a_misspelt_module_is_told_without_a_deploy_file(world: World) -> None:
    world.system("service", "self.RegisterRpcMethod('bank', 'Count', self.On)\nself.RequestToService('bnak', 'Count', {})", "def On(self, serverId, callbackId, args):\n    pass")
    assert world.short("mods/service") == (
        'service/system.py:11:9: error: no service or master has the module or type `bnak`; did you mean `bank`? [rpc-unknown-module]\n'
    )


def test_a_module_that_only_a_mod_json_declares_is_known(world: World) -> None:
    world.system("server", "self.RequestToService('guild', 'Count', {})")
    world.write(world.script("service").rsplit("/", 1)[0] + "/mod.json", '{"module_names": ["guild"]}')
    assert world.short().endswith("nobody registers the method `Count` of `guild`; it registers none at all [rpc-unknown-method]\n")
