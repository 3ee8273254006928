"""Listeners that nobody sends to, and events that nobody hears."""

from __future__ import annotations

from check_world import World

ENGINE = "api.GetEngineNamespace(), api.GetEngineSystemName()"
NOOP = "def On(self, args):\n    pass"


def test_a_misspelt_system_is_told_with_the_right_one(world: World) -> None:
    world.system("client", "self.NotifyToServer('Say', {})")
    world.system("server", "self.ListenForEvent('hello', 'HeloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == (
        'client/system.py:10:9: warning: nobody on a lobby or game listens for `Say` of (`hello`, `HelloClient`); server/system.py:10 listens for it from (`hello`, `HeloClient`) [no-listener]\n'
        'server/system.py:10:9: error: no system is registered as (`hello`, `HeloClient`), so nobody can send `Say` to this listener; did you mean `HelloClient`? [unknown-system]\n'
    )


def test_a_misspelt_namespace_is_told_with_the_right_one(world: World) -> None:
    world.system("client", "self.NotifyToServer('Say', {})")
    world.system("server", "self.ListenForEvent('helo', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == (
        'client/system.py:10:9: warning: nobody on a lobby or game listens for `Say` of (`hello`, `HelloClient`); server/system.py:10 listens for it from (`helo`, `HelloClient`) [no-listener]\n'
        'server/system.py:10:9: error: no system is registered as (`helo`, `HelloClient`), so nobody can send `Say` to this listener; did you mean `hello`? [unknown-system]\n'
    )


def test_a_misspelt_event_is_told_with_the_right_one(world: World) -> None:
    world.system("client", "self.NotifyToServer('Say', {})")
    world.system("server", "self.ListenForEvent('hello', 'HelloClient', 'Sya', self, self.On)", NOOP)
    assert world.short() == (
        'client/system.py:10:9: warning: nobody on a lobby or game listens for `Say` of (`hello`, `HelloClient`); did you mean `Sya`? [no-listener]\n'
        'server/system.py:10:9: error: (`hello`, `HelloClient`) never sends `Sya`; did you mean `Say`? [no-sender]\n'
    )


def test_an_event_that_no_system_sends_is_told(world: World) -> None:
    world.system("service", "self.ListenForEvent('hello', 'HelloMaster', 'Never', self, self.On)", NOOP)
    assert world.short() == (
        'service/system.py:10:9: error: (`hello`, `HelloMaster`) never sends `Never` [no-sender]\n'
    )


def test_an_event_for_another_role_is_told_where_it_goes(world: World) -> None:
    world.system("server", "self.NotifyToMaster('Say', {})")
    world.system("service", "self.ListenForEvent('hello', 'HelloServer', 'Say', self, self.On)", NOOP)
    assert world.short() == (
        'server/system.py:10:9: warning: nobody on the master listens for `Say` of (`hello`, `HelloServer`) [no-listener]\n'
        'service/system.py:10:9: error: (`hello`, `HelloServer`) sends `Say` with NotifyToMaster (server/system.py:10), which goes to the master; this listener is on a service [no-sender]\n'
    )


def test_an_event_for_another_type_is_told_where_it_goes(world: World) -> None:
    world.system("service", "self.BroadcastToServerByType('bw4', 'Say', {})")
    world.system("server", "self.ListenForEvent('hello', 'HelloService', 'Say', self, self.On)", NOOP)
    assert world.short() == (
        'server/system.py:10:9: error: (`hello`, `HelloService`) sends `Say` with BroadcastToServerByType (service/system.py:10), which goes to nodes of type bw4; this listener is on a lobby or game [no-sender]\n'
    )


def test_an_event_that_stays_on_its_node_is_not_expected_elsewhere(world: World) -> None:
    world.system("server", "self.BroadcastEvent('Say', {})")
    world.system("service", "self.ListenForEvent('hello', 'HelloServer', 'Say', self, self.On)", NOOP)
    assert world.short() == (
        'server/system.py:10:9: warning: nobody on the same node listens for `Say` of (`hello`, `HelloServer`) [no-listener]\n'
        'service/system.py:10:9: error: (`hello`, `HelloServer`) sends `Say` with BroadcastEvent (server/system.py:10), which stays on its own node; a service does not hear it [no-sender]\n'
    )


def test_an_engine_event_of_another_role_is_told(world: World) -> None:
    world.system("service", f"self.ListenForEvent({ENGINE}, 'AddServerPlayerEvent', self, self.On)", NOOP)
    assert world.short() == (
        'service/system.py:10:9: error: `AddServerPlayerEvent` is raised on a lobby or game, never on a service: listen for it there [engine-event-role]\n'
    )


def test_a_misspelt_engine_event_is_told(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'AddServerPlayerEvnt', self, self.On)", NOOP)
    assert world.short() == (
        'server/system.py:10:9: warning: no engine event of the network is named `AddServerPlayerEvnt`; did you mean `AddServerPlayerEvent`? [engine-event-name]\n'
    )


def test_a_mods_event_is_not_listened_for_as_the_engines(world: World) -> None:
    world.system("client", "self.NotifyToServer('Say', {})")
    world.system("server", f"self.ListenForEvent({ENGINE}, 'Say', self, self.On)", NOOP)
    assert world.short() == (
        'client/system.py:10:9: warning: nobody on a lobby or game listens for `Say` of (`hello`, `HelloClient`); server/system.py:10 listens for it from (`Minecraft`, `Engine`) [no-listener]\n'
        'server/system.py:10:9: warning: `Say` is no engine event; (`hello`, `HelloClient`) sends it: listen for that system [engine-event-name]\n'
    )


def test_an_event_that_nobody_hears_is_told(world: World) -> None:
    world.system("server", "self.NotifyToMaster('Say', {})")
    assert world.short() == (
        'server/system.py:10:9: warning: nobody on the master listens for `Say` of (`hello`, `HelloServer`) [no-listener]\n'
    )


def test_an_event_in_a_constant_of_another_file_is_followed(world: World) -> None:
    world.write(world.script("client") + "/names.py", "PREFIX = 'Sa'\nclass Event(object):\n    SAY = PREFIX + 'y'\n    ALL = [SAY]\n")
    world.system("client", "self.event = c.Event.SAY\nself.NotifyToServer(self.event, {})", before="import clientScript.names as c\n")
    world.system("server", "self.ListenForEvent(NS, '%sClient' % 'Hello', 'Sai', self, self.On)", NOOP, before="NS = '{}'.format('hello')\n")
    assert world.short() == (
        'client/system.py:12:9: warning: nobody on a lobby or game listens for `Say` of (`hello`, `HelloClient`); did you mean `Sai`? [no-listener]\n'
        'server/system.py:11:9: error: (`hello`, `HelloClient`) never sends `Sai`; did you mean `Say`? [no-sender]\n'
    )
