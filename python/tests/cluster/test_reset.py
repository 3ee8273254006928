"""How nodes with mods end: started again when that was asked for, in order when it is asked for twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chappe import _core

from .cluster import Cluster
from .net import deploy, run, until

Start = Callable[[dict[str, Any]], Cluster]


def test_a_lobby_that_resets_itself_is_started_again(start: Start) -> None:
    cluster = start(deploy()).ready()
    run(cluster, 10, "lobbyApi.ResetServer()")
    cluster.line("ResetServer (", "sides.py")
    cluster.line("保存 0")
    cluster.line("完了")
    cluster.line("node 10 (lobby) died: it wants to be started again; it is started again")
    until(cluster, "service", "serviceManager.GetServersStatus()[10] == 1")
    assert run(cluster, 10, "1 + 1") == 2


def test_the_master_resets_a_lobby_and_hears_when_it_is_back(start: Start) -> None:
    cluster = start(deploy()).ready()
    run(cluster, "master", "heard.clear() or masterManager.ResetServer(11)")
    assert run(cluster, "master", "masterManager.GetAllResetingServers()") == [11]
    until(cluster, "master", "['ResetGamesEndEvent', {'serverId': 11, 'bSuccess': True}] in heard")
    assert run(cluster, "master", "[name for name, d in heard if d.get('serverId') == 11]") == [
        "ResetGamesBeginEvent", "ServerDisconnectEvent", "ServerConnectedEvent", "ResetGamesEndEvent",
    ]  # fmt: skip
    assert run(cluster, "master", "masterManager.GetAllResetingServers()") == []
    run(cluster, "service", "serviceManager.ResetServer(99)")
    cluster.line("ResetServer: ", "99")


def test_a_client_cannot_reset_a_lobby(start: Start) -> None:
    cluster = start(deploy()).ready()
    client = _core.Client(f"ws://127.0.0.1:{cluster.ws}", 7)
    here = client.server_id
    for data in ({}, [], None, {"from": 1}):
        client.notify_to_server("chappe", "apollo", "Reset", data)
        client.notify_to_service_node(30, "chappe", "apollo", "Ops", data)
    client.notify_to_server("net", "netClient", "Known", {"last": True})
    until(cluster, here, "any(one[0] == 'called' and one[1][0].get('last') for one in heard)")
    client.logout()
    cluster.stop()
    assert not any("ResetServer" in line or "a handler raised" in line for line in cluster.output)


def test_a_node_that_is_stopped_by_its_own_mod_is_not_started_again(start: Start) -> None:
    cluster = start(deploy()).ready()
    run(cluster, "master", "masterManager.StopServerByServerid(11, 2)")
    until(cluster, "service", "serviceManager.GetServersStatus()[11] == 4")
    assert "died" not in cluster.line("node 11 (lobby)")


def test_a_node_on_its_own_ends_in_order_on_the_signal_of_a_terminal(start: Start, tmp_path: Path) -> None:
    layout = deploy(game=[])
    layout["lobby"] = [{"serverid": 10, "mods": layout["lobby"][0]["mods"]}]
    cluster = start(layout).ready()
    run(cluster, "master", "masterManager.StopServerById(10)")
    cluster.line("node 10 (lobby)")
    node = _alone(cluster, 10)
    try:
        until(cluster, "service", "serviceManager.GetServersStatus()[10] == 1")
        node.send_signal(signal.SIGINT)
        said, _ = node.communicate(timeout=30)
    finally:
        node.kill()
    assert node.returncode == 0, said
    assert "完了" in said and "保存 0" in said and "KeyboardInterrupt" not in said and "Traceback" not in said


def test_a_second_signal_ends_a_node_at_once_and_without_a_traceback(start: Start, tmp_path: Path) -> None:
    main = (
        "from common.mod import Mod\nimport os, time\n\n\n@Mod.Binding(name='m', version='1')\nclass Main(object):\n"
        "    @Mod.InitService()\n    def init(self):\n        print('up')\n\n"
        "    @Mod.DestroyService()\n    def end(self):\n        print('leaving')\n        time.sleep(float(os.environ.get('SLOW', 0)))\n"
    )
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/modMain.py").write_text(main)
    cluster = start({"cluster": "slow", "master": {"serverid": 1}, "service": [{"serverid": 2, "mods": str(tmp_path / "slow")}]})
    cluster.ready()
    cluster.run("stop", "2")
    cluster.line("node 2 (service)")
    cluster.environ["SLOW"] = "60"
    node = _alone(cluster, 2)
    try:
        assert node.stdout
        for word in ("up", "leaving"):
            while word not in (line := node.stdout.readline()):
                assert line, "the node has ended"
            node.send_signal(signal.SIGINT)
        said, _ = node.communicate(timeout=30)
    finally:
        node.kill()
    assert node.returncode == 1, said
    assert "KeyboardInterrupt" not in said and "Traceback" not in said


def _alone(cluster: Cluster, id: int) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "chappe", "node", str(cluster.file), str(id)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        line, env=cluster.environ, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )
