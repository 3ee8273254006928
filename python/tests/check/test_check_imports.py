"""Imports that fail and names that are not there are found before a node is started; what may be there is let be."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_world import World

from chappe.check import check, surface


def more(world: World, text: str, role: str = "server") -> str:
    """What is found of one more file beside the system's."""
    world.write(world.script(role) + "/more.py", text)
    return world.short()


def test_a_module_that_nobody_has_is_found(world: World) -> None:
    assert more(world, "# -*- coding: utf-8 -*-\nprint '好'; import nothingAtAll\n") == (
        "server/more.py:2:12: error: there is no module `nothingAtAll`: neither the mods, nor Chappe, nor this interpreter have it "
        "[import-missing]\n"
    )


def test_a_slip_in_a_modules_name_is_named(world: World) -> None:
    world.write(world.script("server") + "/consts.py", "NAME = 'x'\n")
    assert "did you mean `serverScript.consts`? [import-missing]" in more(world, "import serverScript.cosnts as c\n")
    assert "did you mean `consts`? [import-missing]" in more(world, "from . import x\nfrom .cosnts import NAME\n".split("\n", 1)[1])
    assert "did you mean `lobbyGame.netgameApi`? As it stands" in more(world, "import lobbyGame.netgamApi as lobbyGameApi\n")
    assert "did you mean `apolloCommon.redisPool`?" in more(world, "from mod.apolloCommon.redispool import InitDB\n")


def test_a_name_that_a_module_of_the_mod_does_not_have_is_found(world: World) -> None:
    world.write(world.script("server") + "/consts.py", "if True:\n    NAME = 'x'\n")
    assert more(world, "from consts import NAME, NAEM\n") == (
        "server/more.py:1:1: error: `consts` has no `NAEM`; did you mean `NAME`? [import-name]\n")


def test_the_bare_name_of_a_neighbour_is_python_2(world: World) -> None:
    world.write(world.script("server") + "/consts.py", "NAME = 'x'\n")
    assert more(world, "import consts\nprint consts.NAME\n") == ""
    assert more(world, "import consts\n") == ""
    assert more(world, "import consts\nprint(f'{consts.NAME}')\n") == (
        "server/more.py:1:1: error: there is no module `consts` at the top, and a file of Python 3 looks nowhere else: its neighbour "
        "is `.consts` [import-missing]\n")


def test_a_mod_of_another_node_is_not_there(world: World) -> None:
    text = "import serviceScript.system\n"
    assert more(world, text).endswith("`serviceDev` has it, which is not on the nodes of this mod [import-missing]\n")
    world.write(world.script("server") + "/more.py", "")
    assert more(world, text, "service") == ""


def test_a_mod_that_was_not_given_may_have_it(world: World) -> None:
    world.write(world.script("server") + "/more.py", "import guildScript.api\n")
    assert "guildScript" in world.short() and "[import-missing]" in world.short()
    found = check([world.root / "mods/hello"])
    assert [one.code for one in found.findings] == ["import-unsure"] and found.ok


@pytest.mark.parametrize("text", [
    "try:\n    import nothingAtAll\nexcept ImportError:\n    nothingAtAll = None\n",
    "try:\n    import nothingAtAll\nexcept:\n    pass\n",
    "import sys\nif sys.version_info[0] == 2:\n    import nothingAtAll\n",
    "import urllib2, Queue, cPickle, ConfigParser, json, os.path, xml.etree.cElementTree as x\nprint x\n",
    "from email.mime.text import MIMEText\nimport logging.handlers, unittest.mock\n",
    "import mod.client.ui.screenNode, common.minecraftEnum\nfrom mod.common.utils.mcmath import Vector3\n",
    "from mod_log import logger\nfrom netgame.lobbyGame import netgameApi\nimport mod.server.extraServerApi as api\n",
    "import fissix.pygram\n",
    "import ujson, logout\nimport lobby.netgameApi as a\nfrom common.utils.mcmath import Vector3\na.GetPlayerUid('1')\n",
    "from serverScript import system, __name__ as n\nfrom serverScript.system import HelloServer, Base\n",
    "name = 'x'\n__import__(name)\n",
])  # fmt: skip
def test_what_can_be_imported_is_no_mistake(world: World, text: str) -> None:
    assert more(world, text) == ""


def test_names_that_are_made_while_running_are_no_mistake(world: World) -> None:
    world.write(world.script("server") + "/made.py", "for n in 'ab':\n    globals()[n] = n\n")
    world.write(world.script("server") + "/all.py", "from made import *\n")
    assert more(world, "from made import a\nfrom all import b\n") == ""


def test_two_mods_of_one_name_on_one_node_are_found(world: World) -> None:
    world.write("mods/copy/developer_mods/copyDev/serverScript/__init__.py", "")
    world.write("mods/copy/developer_mods/copyDev/serverScript/modMain.py", "")
    world.write("deploy.json", (world.root / "deploy.json").read_text().replace('"mods/hello"', '["mods/hello", "mods/copy"]'))
    assert "copyDev/serverScript/modMain.py:1:1: error: `serverScript.modMain` of lobby 20 is" in world.found()


@pytest.mark.parametrize(("call", "said"), [
    ("api.GetPlayerLst()", "`server.extraServerApi` has no `GetPlayerLst`; did you mean `GetPlayerList`? [api-name]"),
    ("api.GetServiceSystemCls()", "`server.extraServerApi` has no `GetServiceSystemCls`: `server.extraServiceApi` has it [api-name]"),
    ("lobbyGameApi.GetPlayrUid('1')", "`lobbyGame.netgameApi` has no `GetPlayrUid`; did you mean `GetPlayerUid`? [api-name]"),
    ("lobbyGameApi.CancelTimer(1)", "`lobbyGame.netgameApi` has no `CancelTimer`: `apolloCommon.commonNetgameApi` has it [api-name]"),
    ("lobbyGameApi.SummonTheDragon()", "`lobbyGame.netgameApi` has no `SummonTheDragon` here: it does nothing and gives None [api-missing]"),
    ("self.NotifyToClinet('1', 'E', {})", "`HelloServer` has no `NotifyToClinet`; did you mean `NotifyToClient`? [api-name]"),
])  # fmt: skip
def test_a_name_that_the_platform_does_not_have_is_found(world: World, call: str, said: str) -> None:
    world.system("server", call)
    assert world.short().startswith("server/system.py:10:") and world.short().endswith(f"{said}\n")


def test_a_decorator_that_the_platform_does_not_have_is_found(world: World) -> None:
    file = world.script("server") + "/modMain.py"
    world.write(file, (world.root / file).read_text().replace("InitServer", "InitSever"))
    assert "`common.mod.Mod` has no `InitSever`; did you mean `InitServer`? [api-name]" in world.short()


@pytest.mark.parametrize("call", [
    "api.GetEngineCompFactory().CreateGame(1).Anything()", "api.GetPlatform()", "api.StartMemProfile()", "api.AddSnowFall()",
    "api.spoken = 1\napi.spoken", "self.Helo()", "self.server.NotifyToClinet('1')", "getattr(self, 'NotifyToClinet')()",
])  # fmt: skip
def test_what_may_be_there_is_no_mistake(world: World, call: str) -> None:
    world.system("server", call, "def Helo(self):\n    pass")
    assert world.short() == ""


def test_the_platforms_names_are_those_of_the_package() -> None:
    known = surface.names()
    assert "GetPlayerList" in known["server.extraServerApi"] and "GetLocalPlayerId" in known["client.extraClientApi"]
    assert "AsyncQueryWithOrderKey" in known["apolloCommon.mysqlPool"] and "InitMaster" in known["common.mod.Mod"]
    assert {"NotifyToServer", "NotifyToClient", "RequestToService", "Destroy"} <= surface.of_systems()


REPOSITORY = Path(__file__).parents[3]


def every_mod() -> list[Path]:
    """The folders of mods in the repository, whose sources are right."""
    found = {main.parents[3] for part in ("python/tests", "examples") for main in (REPOSITORY / part).rglob("developer_mods/*/*/modMain.py")}
    return sorted(found)


@pytest.mark.parametrize("mod", every_mod(), ids=lambda mod: str(mod.relative_to(REPOSITORY)))
def test_no_mistake_is_found_in_a_mod_that_runs(mod: Path) -> None:
    # Some listen to what nobody sends, on purpose.
    found = [str(finding) for finding in check([mod]).findings if finding.code.startswith(("import", "api", "duplicate-p", "python"))]
    assert found == []
