"""Handlers that cannot be called."""

from __future__ import annotations

from check_world import World

ENGINE = "api.GetEngineNamespace(), api.GetEngineSystemName()"


def test_a_misspelt_handler_is_told(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'DelServerPlayerEvent', self, self.OnGnoe)", "def OnGone(self, args):\n    pass")
    assert world.short() == (
        'server/system.py:10:112: error: `HelloServer` has no `OnGnoe`; did you mean `OnGone`? [handler-missing]\n'
    )


def test_a_handler_that_is_called_at_once_is_told(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'DelServerPlayerEvent', self, self.On())", "def On(self):\n    pass")
    assert world.short() == (
        'server/system.py:10:112: error: `self.On()` calls the function here and hands over its None: leave out the parentheses [handler-not-callable]\n'
    )


def test_a_text_is_no_handler(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'DelServerPlayerEvent', self, \"On\")")
    assert world.short() == (
        "server/system.py:10:112: error: 'On' is no function: hand over the function itself, such as `self.OnEvent` [handler-not-callable]\n"
    )


def test_an_event_handler_takes_one_argument(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'DelServerPlayerEvent', self, self.On)", "def On(self):\n    pass")
    assert world.short() == (
        'server/system.py:10:112: error: ListenForEvent calls it with 1 argument (args), and `On` takes none [handler-arguments]\n'
    )


def test_a_method_without_self_is_told(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'DelServerPlayerEvent', self, self.On)", "def On():\n    pass")
    assert world.short() == (
        'server/system.py:10:112: error: ListenForEvent calls it with 1 argument (args), and `On` has no `self`: add it [handler-arguments]\n'
    )


def test_a_function_of_another_file_is_followed(world: World) -> None:
    world.write(world.script("server") + "/tools.py", "def gone(one, two):\n    pass\n")
    world.system("server", f"self.ListenForEvent({ENGINE}, 'DelServerPlayerEvent', self, tools.gone)", before="import tools\n")
    assert world.short() == (
        'server/system.py:11:112: error: ListenForEvent calls it with 1 argument (args), and `gone` takes 2 (one, two) [handler-arguments]\n'
    )


def test_a_request_handler_takes_three_arguments(world: World) -> None:
    world.system("service", "self.RegisterRpcMethod('mail', 'C', self.On)", "def On(self, args):\n    pass")
    assert world.short() == (
        'service/system.py:10:45: error: RegisterRpcMethod calls it with 3 arguments (serverId, callbackId, args), and `On` takes 1 (args) [handler-arguments]\n'
    )


def test_a_callback_takes_two_arguments(world: World) -> None:
    world.system("service", "self.RegisterRpcMethod('mail', 'C', self.On)\nself.RequestToService('mail', 'C', {}, lambda data: None)", "def On(self, a, b, c):\n    pass")
    assert world.short() == (
        'service/system.py:11:48: error: RequestToService calls it with 2 arguments (suc, data), and `the lambda` takes 1 (data) [handler-arguments]\n'
    )


def test_a_timer_gives_what_it_was_given(world: World) -> None:
    world.system("server", "commonNetgameApi.AddTimer(1.0, self.On, 1)", "def On(self):\n    pass")
    assert world.short() == (
        'server/system.py:10:40: error: AddTimer calls it with 1 argument (1), and `On` takes none [handler-arguments]\n'
    )


def test_handlers_with_defaults_and_stars_are_right(world: World) -> None:
    world.system("server", f"self.ListenForEvent({ENGINE}, 'DelServerPlayerEvent', self, self.On)", "def On(self, args=None, *more):\n    pass")
    assert world.short() == ""
