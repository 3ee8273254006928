"""What mods do wrong: it is said, with the place, and the node goes on or says why it does not start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .cluster import MODS, Cluster

Start = Callable[[dict[str, Any]], Cluster]

HEAD = "from common.mod import Mod\nimport server.extraServerApi as api\n"
MAIN = "@Mod.Binding(name='m', version='1')\nclass Main(object):\n    @Mod.InitServer()\n    def init(self):\n        "


def deploy(**lobby: Any) -> dict[str, Any]:
    """A master and one lobby."""
    return {"cluster": "faults", "master": {"serverid": 1}, "lobby": [{"serverid": 10, **lobby}]}


def write(directory: Path, files: dict[str, str]) -> str:
    """A mod with those files."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(directory)


def refusal(start: Start, mod: str) -> tuple[Cluster, str]:
    """Starts a lobby with a mod that cannot be loaded; the line that says why it does not start."""
    cluster = start(deploy(mods=mod))
    return cluster, cluster.line("cannot start:")


def test_a_handler_that_raises_is_told_with_its_sender_and_the_node_goes_on(network: Cluster) -> None:
    network.do("rec_a", "NotifyToServiceNode", 31, "Raise", "键")
    network.line("node 31: event rec.recSystem.Raise from 30: a handler raised")
    network.line("recorder.py", "in OnRaise")
    network.line("KeyError: '键'")
    assert network.do("rec_b", "Updates") >= 0


def test_a_method_that_raises_is_told(network: Cluster) -> None:
    network.do("rec_a", "Request", "RequestToService", "rec_b", "Raises", {})
    network.line("request rec_b.Raises from node 30: a handler raised")


def test_an_endless_handler_is_reported_with_its_stack(network: Cluster) -> None:
    network.do("rec_a", "NotifyToServiceNode", 31, "Spin", {"seconds": 2.0})
    network.line("node 31: a handler has run for")
    network.line("recorder.py", "in OnSpin")


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        ("none", "TypeError", "ListenForEvent('rec', 'recSystem', 'Nothing'): None cannot be called"),
        ("two", "TypeError", "is called with 1 argument (data)"),
    ],
)
def test_a_wrong_handler_is_refused_at_its_registration(network: Cluster, kind: str, error: str, text: str) -> None:
    outcome = network.outcome("rec_a", "Listen", kind)
    assert outcome[:2] == ["raised", error] and text in outcome[2]


def test_two_systems_under_one_name_are_refused(network: Cluster) -> None:
    outcome = network.outcome("rec_a", "Twice")
    assert outcome[:2] == ["raised", "ValueError"]
    assert "('rec', 'recSystem') is a RecServiceSystem of" in outcome[2]


def test_a_playerId_of_another_kind_is_refused_by_name(network: Cluster) -> None:
    outcome = network.outcome("rec_a", "RemoteNotifyToClient", "x", 5, "E", 1)
    assert outcome[0] == "raised"


def test_a_mod_that_does_not_import_says_where(start: Start, tmp_path: Path) -> None:
    mod = write(tmp_path / "bad", {"BadScript/modMain.py": HEAD + "import no_such_module\n"})
    _, line = refusal(start, mod)
    assert "BadScript/modMain.py:3: BadScript.modMain cannot be imported: ModuleNotFoundError" in line


def test_a_node_with_a_broken_mod_is_given_up_and_the_last_line_says_where(start: Start, tmp_path: Path) -> None:
    mod = write(tmp_path / "bad", {"BadScript/modMain.py": HEAD + "import no_such_module\n"})
    cluster = start(deploy(mods=mod))
    cluster.line("node 10 (lobby) is given up after 1 try", "BadScript/modMain.py:3:", "no_such_module")
    assert "without 10" in cluster.line("is ready: 1 nodes")
    assert cluster.stop() == 6
    last = cluster.output[-1]
    assert "could not be started: node 10 (lobby)" in last and "BadScript/modMain.py:3:" in last
    assert not any("is started again" in line for line in cluster.output)


def test_a_master_with_a_broken_mod_ends_the_cluster(start: Start, tmp_path: Path) -> None:
    mod = write(tmp_path / "bad", {"BadScript/modMain.py": "def f(:\n"})
    cluster = start({"cluster": "headless", "master": {"serverid": 1, "mods": mod}, "lobby": [{"serverid": 10}]})
    assert cluster.process.wait(30) == 6
    cluster.line("could not be started: node 1 (master)", "BadScript/modMain.py:1:", "SyntaxError")


def test_a_mod_that_waits_for_something_elsewhere_is_tried_again(start: Start, tmp_path: Path) -> None:
    marker = tmp_path / "there"
    main = HEAD + MAIN + (
        f"import os\n        if not os.path.exists({str(marker)!r}):\n"
        f"            open({str(marker)!r}, 'w').close()\n            raise ConnectionError('not yet')\n"
    )
    cluster = start(deploy(mods=write(tmp_path / "late", {"LateScript/modMain.py": main})))
    cluster.line("node 10 (lobby) died", "is started again")
    cluster.ready()
    assert cluster.stop() == 0


def test_a_mod_with_a_slip_in_its_text_says_where(start: Start, tmp_path: Path) -> None:
    mod = write(tmp_path / "bad", {"BadScript/modMain.py": HEAD + "def f(:\n    pass\n"})
    _, line = refusal(start, mod)
    assert "BadScript/modMain.py:3:" in line and "SyntaxError" in line


def test_an_init_that_raises_says_where(start: Start, tmp_path: Path) -> None:
    main = HEAD + MAIN + "api.RegisterSystem('a', 'b', 'BadScript.modMain.Nothing')\n"
    _, line = refusal(start, write(tmp_path / "bad", {"BadScript/modMain.py": main}))
    assert "modMain.py:7: Main cannot be started: AttributeError: RegisterSystem:" in line
    assert "has no class Nothing" in line


def test_a_folder_without_a_modMain_says_where_it_is_wanted(start: Start, tmp_path: Path) -> None:
    _, line = refusal(start, write(tmp_path / "bad", {"readme.txt": ""}))
    assert "no modMain.py: it is wanted in bad/developer_mods/<X>Dev/<X>Script" in line


def test_a_client_mod_on_a_lobby_is_refused_by_name(start: Start, tmp_path: Path) -> None:
    files = {"behavior_packs/BadClient/BadScript/modMain.py": ""}
    _, line = refusal(start, write(tmp_path / "bad", files))
    assert "is a client mod" in line and "node 10 (lobby)" in line


def test_a_mod_json_that_is_no_json_says_where(start: Start, tmp_path: Path) -> None:
    files = {"developer_mods/BadDev/BadScript/modMain.py": "", "developer_mods/BadDev/mod.json": '{\n"a": ]}'}
    cluster = start(deploy(mods=write(tmp_path / "bad", files)))
    assert "mod.json:2:" in cluster.line("mod.json")


def test_a_modMain_that_binds_nothing_is_refused(start: Start, tmp_path: Path) -> None:
    _, line = refusal(start, write(tmp_path / "bad", {"BadScript/modMain.py": "x = 1\n"}))
    assert "no class is bound with @Mod.Binding" in line


def test_a_system_of_another_role_is_refused_by_name(start: Start, tmp_path: Path) -> None:
    main = HEAD.replace("extraServerApi", "extraServiceApi") + MAIN + "api.RegisterSystem('a', 'b', 'x.Y')\n"
    _, line = refusal(start, write(tmp_path / "bad", {"BadScript/modMain.py": main}))
    assert "use server.extraServerApi" in line


def test_one_process_with_mods_is_refused_by_name(network: Cluster) -> None:
    done = network.run("up", "--one-process", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 2 and "node 10 (lobby" in found["message"] and "--one-process" in found["message"]


def test_a_plain_folder_in_python_2_runs(start: Start, tmp_path: Path) -> None:
    main = (
        "# -*- coding: utf-8 -*-\n" + HEAD + "class Old(api.GetServerSystemCls()):\n    pass\n" + MAIN
        + "print u'启动', {'a': 1}.has_key('a'), 7 / 2\n        api.RegisterSystem('a', 'b', 'OldScript.modMain.Old')\n"
    )
    cluster = start(deploy(mods=write(tmp_path / "old", {"OldScript/modMain.py": main, "OldScript/__init__.py": ""})))
    cluster.ready()
    cluster.line("启动 True 3")


def test_ctrl_c_ends_a_cluster_of_the_packages_own_command_in_order(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAPPE", "/no/rust/command")
    cluster = start({"cluster": "own", "master": {"serverid": 1}}).ready()
    assert cluster.stop() == 0
    assert not any("KeyboardInterrupt" in line for line in cluster.output)


def test_destroy_runs_when_the_node_leaves(start: Start) -> None:
    layout = {"cluster": "leave", "master": {"serverid": 1}, "service": [{"serverid": 2, "mods": str(MODS / "rec")}]}
    cluster = start(layout).ready()
    assert cluster.stop() == 0
    assert any("再见" in line for line in cluster.output)


def test_a_stuck_node_is_known_to_the_master(start: Start) -> None:
    layout = {
        "cluster": "stuck",
        "master": {"serverid": 1},
        "service": [{"serverid": 2, "type": "rec_a", "mods": str(MODS / "rec")}],
        "heartbeat_seconds": 0.2,
        "stuck_seconds": 0.5,
    }
    cluster = start(layout).ready()
    cluster.run("send", "2", "rec", "recSystem", "Spin", '{"seconds": 3.0}')
    cluster.line("stuck: its handlers make no progress", "node=2")
    cluster.line("no longer stuck", "node=2")
    assert cluster.call("rec_a", "Echo", "again") == "again"


def test_a_traceback_of_a_mod_has_the_mods_lines_and_no_others(start: Start, tmp_path: Path) -> None:
    files = {"BadScript/modMain.py": HEAD + "import BadScript.parts\n", "BadScript/parts.py": "import no_such_module\n"}
    cluster, _ = refusal(start, write(tmp_path / "bad", {**files, "BadScript/__init__.py": ""}))
    said = "\n".join(cluster.output)
    assert "modMain.py\", line 3" in said and "parts.py\", line 1" in said
    assert "importlib" not in said and "chappe/mods.py" not in said
