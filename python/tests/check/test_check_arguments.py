"""What goes through functions of the mods' own."""

from __future__ import annotations

from check_world import World

NOOP = "def On(self, args):\n    pass"
HELPER = """\
class Helper(object):
    def __init__(self, system):
        self.system = system
    def Say(self, who, event):
        self.system.NotifyToClient(who, event, {})
"""
SAY = "self.helper = helper.Helper(self)\nself.helper.Say('1', 'Said')\nself.helper.Say('1', 'Sung')"


def listen(world: World, role: str, system: str, event: str) -> None:
    world.system(role, f"self.ListenForEvent('hello', '{system}', '{event}', self, self.On)", NOOP)


def test_what_a_helper_sends_is_known_by_its_callers(world: World) -> None:
    world.write(world.script("server") + "/helper.py", HELPER)
    world.system("server", SAY, before="import helper\n")
    listen(world, "client", "HelloServer", "Sung")
    assert world.short() == ""
    listen(world, "client", "HelloServer", "Siad")
    assert world.short() == (
        "client/system.py:10:9: error: (`hello`, `HelloServer`) never sends `Siad`; did you mean `Said`? [no-sender]\n"
    )


def test_a_helper_that_is_handed_on_may_send_anything(world: World) -> None:
    world.write(world.script("server") + "/helper.py", HELPER)
    world.system("server", SAY + "\nself.say = self.helper.Say", before="import helper\n")
    listen(world, "client", "HelloServer", "Siad")
    assert world.short() == ""


def test_a_call_of_another_role_is_told_in_a_helper_too(world: World) -> None:
    world.write(world.script("server") + "/helper.py", HELPER.replace("NotifyToClient(who, event", "NotifyToServer(event"))
    world.system("server", SAY, before="import helper\n")
    assert world.short() == (
        "server/helper.py:5:9: error: ServerSystem has no NotifyToServer, it is a call of ClientSystem; to one lobby or game: "
        "NotifyToServerNode(serverId, eventName, eventData) of a service or the master [role-call]\n"
    )


def test_what_a_method_of_the_system_sends_is_known_by_its_callers(world: World) -> None:
    world.system("client", "self.Tell('Said')", "def Tell(self, event, data=None):\n    self.NotifyToServer(event, data)")
    listen(world, "server", "HelloClient", "Siad")
    assert world.short() == (
        "client/system.py:12:9: warning: nobody on a lobby or game listens for `Said` of (`hello`, `HelloClient`); did you mean `Siad`? "
        "[no-listener]\n"
        "server/system.py:10:9: error: (`hello`, `HelloClient`) never sends `Siad`; did you mean `Said`? [no-sender]\n"
    )


def test_a_default_and_a_keyword_are_followed(world: World) -> None:
    world.system("client", "self.Tell()\nself.Tell(event='Sung')", "def Tell(self, event='Said'):\n    self.NotifyToServer(event, {})")
    for event in ("Said", "Sung"):
        listen(world, "server", "HelloClient", event)
        assert world.short() == ""


def test_files_that_import_each_other_come_to_an_end(world: World) -> None:
    folder = world.script("server")
    world.write(f"{folder}/one.py", "from two import *\nNAME = OTHER\n")
    world.write(f"{folder}/two.py", "from one import *\nimport one\nOTHER = one.NAME\nclass A(one.A):\n    pass\n")
    world.system("server", "self.ListenForEvent('hello', one.NAME, one.Missing, self, self.On)", NOOP, before="import one\n")
    assert world.short() == ""
