"""What is right, or cannot be known, is not called a mistake."""

from __future__ import annotations

from check_world import World

ENGINE = "api.GetEngineNamespace(), api.GetEngineSystemName()"
NOOP = "def On(self, args):\n    pass"


def test_an_event_that_is_no_constant_is_no_mistake(world: World) -> None:
    world.system("client", "", "def Go(self, name):\n    self.NotifyToServer(name, {})")
    world.system("server", "self.ListenForEvent('hello', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_sender_that_is_no_constant_is_no_mistake(world: World) -> None:
    world.system("client", "", "def Go(self, other):\n    other.NotifyToServer('Say', {})")
    world.system("server", "self.ListenForEvent('hello', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_sending_method_that_is_handed_on_may_send_anything(world: World) -> None:
    world.system("client", "self.send = self.NotifyToServer\nself.send('Say', {})")
    world.system("server", "self.ListenForEvent('hello', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""


def test_an_event_sent_by_a_timer_is_sent(world: World) -> None:
    world.system("client", "commonNetgameApi.AddTimer(1.0, self.NotifyToServer, 'Say', {})")
    world.system("server", "self.ListenForEvent('hello', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_system_that_is_registered_under_no_constant_may_be_the_one(world: World) -> None:
    file = world.script("client") + "/modMain.py"
    world.write(file, (world.root / file).read_text().replace('"HelloClient"', "api.Name()"))
    world.system("server", "self.ListenForEvent('hello', 'HeloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_constant_that_is_set_from_outside_is_none(world: World) -> None:
    world.write(world.script("server") + "/consts.py", "NAME = 'HeloClient'\n")
    world.write(world.script("server") + "/load.py", "import consts\nfor key in ('NAME',):\n    setattr(consts, key, input())\n")
    world.system("server", "self.ListenForEvent('hello', consts.NAME, 'Say', self, self.On)", NOOP, before="import consts\n")
    assert world.short() == ""


def test_an_event_of_the_game_itself_is_no_mistake(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'ServerChatEvent', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_client_that_is_not_among_the_folders_may_send(world: World) -> None:
    import shutil
    shutil.rmtree(world.root / "mods/hello/behavior_packs")
    world.system("server", "self.ListenForEvent('hello', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_service_that_is_not_among_the_folders_may_send(world: World) -> None:
    world.system("server", "self.ListenForEvent('hello', 'HelloService', 'Say', self, self.On)", NOOP)
    assert world.short("mods/hello") == ""


def test_a_program_that_is_no_python_may_send_and_answer(world: World) -> None:
    world.system("server", "self.ListenForEvent('arena', 'Arena', 'Over', self, self.On)\nself.RequestToService('ranks', 'Top', {})", NOOP)
    world.write("deploy.json", (world.root / "deploy.json").read_text().replace('"mods": "mods/service"', '"program": ["arena"]'))
    assert world.short() == ""


def test_a_file_that_cannot_be_read_may_register_anything(world: World) -> None:
    world.write(world.script("service") + "/more.py", "def x(:\n")
    world.system("server", "self.RequestToServiceMod('service_mail', 'Count', {})")
    assert world.short() == (
        "service/more.py:1:7: error: cannot be parsed: neither Python 2 nor Python 3: unexpected ':' [python-syntax]\n"
    )


def test_a_method_of_the_mods_own_with_a_name_of_the_api_is_not_the_apis(world: World) -> None:
    world.system("server", "self.NotifyToServerNode(1)", "def NotifyToServerNode(self, one):\n    pass")
    assert world.short() == ""


def test_a_system_that_is_registered_under_a_condition_is_no_second_one(world: World) -> None:
    file = world.script("server") + "/modMain.py"
    again = "        if api.Old():\n            api.RegisterSystem('hello', 'HelloServer', 'serverScript.system.HelloServer')\n"
    world.write(file, (world.root / file).read_text() + again)
    assert world.short() == ""


def test_a_variable_named_uid_that_is_turned_is_no_uid(world: World) -> None:
    world.system("server", "", "def Go(self, uid):\n    who = lobbyGameApi.GetPlayerIdByUid(uid)\n    self.NotifyToClient(who, 'X', {})")
    world.system("client", "self.ListenForEvent('hello', 'HelloServer', 'X', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_method_that_is_named_while_running_may_send_anything(world: World) -> None:
    world.system("client", "", "def Do(self, args):\n    getattr(self, args['call'])(*args['args'])")
    world.system("server", "self.ListenForEvent('hello', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""


def test_a_client_half_that_was_not_given_may_have_the_same_name(world: World) -> None:
    world.system("service", "self.ListenForEvent('hello', 'HelloService', 'Say', self, self.On)", NOOP)
    assert world.short("mods/service") == ""


def test_a_listening_method_that_is_handed_on_may_listen_for_anything(world: World) -> None:
    world.system("client", "self.NotifyToServer('Say', {})")
    world.system("server", "listen = self.ListenForEvent\nlisten('hello', 'HelloClient', 'Say', self, self.On)", NOOP)
    assert world.short() == ""
