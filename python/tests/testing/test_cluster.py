"""What tests of mods rely on: nodes that do not meet but through messages, time that only the test moves."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from chappe.mods import ModError
from chappe.testing import Cluster

MAIN = """
from common.mod import Mod

@Mod.Binding(name="it")
class ItMod(object):
    @Mod.InitServer()
    def OnServer(self):
        import server.extraServerApi as api
        api.RegisterSystem("it", "it", "itScript.it.It")

    @Mod.InitService()
    def OnService(self):
        import server.extraServiceApi as api
        api.RegisterSystem("it", "it", "itScript.it.It")

    @Mod.InitMaster()
    def OnMaster(self):
        import server.extraMasterApi as api
        api.RegisterSystem("it", "it", "itScript.it.It")
"""
SERVER = "import server.extraServerApi as api\nBase = api.GetServerSystemCls()\n"
SERVICE = "import server.extraServiceApi as api\nBase = api.GetServiceSystemCls()\n"
MASTER = "import server.extraMasterApi as api\nBase = api.GetMasterSystemCls()\n"


def mod(parent: Path, name: str, text: str) -> Path:
    """A mod with the package ``itScript``, whose system is the class ``It`` of ``text``."""
    package = parent / name / "developer_mods" / "itDev" / "itScript"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "modMain.py").write_text(MAIN)
    (package / "it.py").write_text(text)
    return parent / name


def test_mods_of_one_name_on_two_nodes_are_two(cluster: Cluster, tmp_path: Path) -> None:
    one = cluster.lobby(mods=[mod(tmp_path, "one", SERVER + "class It(Base):\n    name = 'one'\n")])
    # In Python 2, beside one that is not.
    two = cluster.service("two", mods=[mod(tmp_path, "two", SERVICE + "class It(Base):\n    name = `2`\n")])
    assert (one.system("it", "it").name, two.system("it", "it").name) == ("one", "2")
    assert one.module("itScript.it") is not two.module("itScript.it")
    assert one.module("apolloCommon.commonNetgameApi").GetServerId() == one.id
    assert two.module("apolloCommon.commonNetgameApi").GetServerId() == two.id


def test_the_tests_own_modules_stay_what_they_are(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = types.ModuleType("common")
    monkeypatch.setitem(sys.modules, "common", own)
    before = (list(sys.path), list(sys.meta_path))
    cluster.lobby(mods=[mod(tmp_path, "one", SERVER + "import colorsys\nclass It(Base):\n    pass\n")])
    cluster.start()
    cluster.advance(1.0)
    assert sys.modules["common"] is own
    assert (list(sys.path), list(sys.meta_path)) == before
    assert "itScript" not in sys.modules and "colorsys" in sys.modules, "libraries are everyone's"


def test_what_a_test_imports_of_a_mod_is_not_the_nodes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = mod(tmp_path, "one", SERVER + "from itScript import rules\nclass It(Base):\n    rules = rules\n")
    (made / "developer_mods/itDev/itScript/rules.py").write_text("seen = []\n")
    monkeypatch.syspath_prepend(made / "developer_mods/itDev")
    from itScript import rules  # type: ignore[import-not-found]

    nodes = [cluster.lobby(mods=[made]), cluster.lobby(mods=[made])]
    found = [node.system("it", "it").rules for node in nodes]
    assert len({id(rules), *map(id, found)}) == 3
    assert sys.modules["itScript.rules"] is rules and sys.modules["itScript"].rules is rules
    for name in [name for name in sys.modules if name.startswith("itScript")]:
        del sys.modules[name]


def test_update_runs_thirty_times_a_second_of_the_clusters_time(cluster: Cluster, tmp_path: Path) -> None:
    counts = "class It(Base):\n    n = 0\n    def Update(self):\n        self.n += 1\n"
    node = cluster.lobby(mods=[mod(tmp_path, "one", SERVER + counts)])
    cluster.start()
    system = node.system("it", "it")
    before = system.n
    cluster.advance(10.0)
    assert system.n - before in range(295, 302)


def test_runs_do_not_differ(tmp_path: Path) -> None:
    talks = """class It(Base):
    def __init__(self, *names):
        Base.__init__(self, *names)
        api2 = __import__("apolloCommon.commonNetgameApi", fromlist=["x"])
        api2.AddRepeatedTimer(0.25, lambda: self.BroadcastToService("Tick", {"a": [1]}))
"""
    loaded = mod(tmp_path, "one", SERVER + talks)

    def run(name: str) -> list[tuple[int, str, float]]:
        (tmp_path / name).mkdir()
        cluster = Cluster(tmp_path / name)
        cluster.lobby(mods=[loaded])
        cluster.lobby(mods=[loaded])
        cluster.start()
        cluster.advance(5.0)
        cluster.close()
        return [(sent.node, sent.call, sent.time) for sent in cluster.sent("BroadcastToService")]

    first = run("first")
    assert len(first) >= 38
    assert run("second") == first


def test_what_was_sent_is_kept_as_it_was(cluster: Cluster, tmp_path: Path) -> None:
    changes = """class It(Base):
    def Go(self):
        data = {"n": 1}
        self.NotifyToMaster("Go", data)
        data["n"] = 2
"""
    node = cluster.lobby(mods=[mod(tmp_path, "one", SERVER + changes)])
    node.system("it", "it").Go()
    [sent] = cluster.sent("NotifyToMaster", eventName="Go", system="it")
    assert sent.data == {"n": 1} and sent.node == node.id


def test_a_client_reaches_a_service_and_is_answered(cluster: Cluster, tmp_path: Path) -> None:
    answers = """class It(Base):
    def __init__(self, *names):
        Base.__init__(self, *names)
        self.ListenForEvent("it", "client", "Ask", self, self.OnAsk)
    def OnAsk(self, data):
        self.RemoteNotifyToClient(data["__uid__"], data["__neteaseProxyId__"], "Told", {"q": data["q"]})
"""
    cluster.lobby()
    service = cluster.service("it", mods=[mod(tmp_path, "one", SERVICE + answers)])
    ann, bob = cluster.login(7), cluster.login(8)
    ann.send_to_service(service.id, "it", "client", "Ask", {"q": 3, "__uid__": 8})
    assert [event.data for event in ann.received("Told")] == [{"q": 3}]
    assert bob.received() == []


def test_the_masters_mod_decides_where_logins_lead(cluster: Cluster, tmp_path: Path) -> None:
    decides = """import master.netgameApi as master
class It(Base):
    def __init__(self, *names):
        Base.__init__(self, *names)
        master.SetLoginStratege(lambda uid, choose: choose(1000 if uid < 10 else 1001))
"""
    cluster.master(mods=[mod(tmp_path, "one", MASTER + decides)])
    cluster.lobby()
    cluster.lobby()
    assert [cluster.login(uid).server for uid in (1, 2, 11, 12)] == [1000, 1000, 1001, 1001]


def test_players_of_a_lobby_that_crashes_stand_on_another(cluster: Cluster) -> None:
    cluster.lobby()
    cluster.lobby()
    ann = cluster.login(7)
    first = ann.server
    assert first is not None
    cluster.node(first).kill()
    cluster.advance(15.0)
    assert ann.server is not None and ann.server != first
    assert ann.moves == [(ann.server, False)] and ann.closed is None


def test_a_full_network_lets_nobody_in(cluster: Cluster) -> None:
    cluster.lobby(max_players=1)
    cluster.login(7)
    with pytest.raises(ConnectionError):
        cluster.login(8)
    assert cluster.login(7).server == 1000, "who is in takes no new place"


def test_time_is_not_moved_from_within_a_handler(cluster: Cluster) -> None:
    def nested() -> Any:
        with pytest.raises(RuntimeError, match="runs already"):
            cluster._running().advance(1.0)
        return "told"

    assert cluster.lobby().call(nested) == "told"


def test_a_node_that_could_not_start_can_be_mended_and_started(cluster: Cluster, tmp_path: Path) -> None:
    broken = mod(tmp_path, "one", "import nothingOfThatName\n")
    node = cluster.lobby(mods=[broken])
    with pytest.raises(Exception, match="nothingOfThatName"):
        cluster.start()
    [file] = broken.rglob("it.py")
    file.write_text(SERVER + "class It(Base):\n    is_mended = True\n")
    node.start()
    assert node.system("it", "it").is_mended


def test_a_mod_that_calls_exit_is_told_with_its_line(cluster: Cluster, tmp_path: Path) -> None:
    cluster.lobby(mods=[mod(tmp_path, "one", "import sys\nsys.exit('enough')\n")])
    with pytest.raises(ModError, match=r"itScript/it.py:2: ItMod cannot be started: SystemExit: enough"):
        cluster.start()


def test_a_handler_that_calls_exit_does_not_end_the_node(cluster: Cluster, tmp_path: Path) -> None:
    text = "import sys\nclass It(Base):\n    def Go(self, data):\n        sys.exit(3)\n    n = 1\n"
    node = cluster.lobby(mods=[mod(tmp_path, "one", SERVER + text)])
    system = node.system("it", "it")
    system.ListenForEvent("it", "client", "Go", node.runtime, node.runtime.systems["it", "it"].Go)
    cluster.login(7).send("it", "client", "Go", {})
    [error] = cluster.take_errors()
    assert isinstance(error.error, SystemExit) and system.n == 1 and node.is_up
