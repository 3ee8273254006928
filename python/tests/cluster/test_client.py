"""``chappe client``: the client half of a mod and its other halves, over a real proxy."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chappe.scaffold import scaffold

from .cluster import MODS, PATIENCE, Cluster, command, free_ports

GREET = str(MODS / "greet")


class Player:
    """A running ``chappe client``."""

    def __init__(self, cluster: Cluster, *args: str) -> None:
        line = [*command(), "client", str(cluster.file), *args]
        self.process = subprocess.Popen(
            line, env=cluster.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, part: str) -> str:
        """The next line that holds ``part``; waits for it."""
        end = time.monotonic() + PATIENCE
        while (line := self._next(end)) is not None:
            if part in line:
                return line
        raise AssertionError("\n".join([f"no line with {part!r} came:", *self.output]))

    def _next(self, end: float) -> str | None:
        try:
            line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            return None
        if line is not None:
            self.output.append(line)
        return line

    def end(self) -> int:
        """Waits for its end, and for all that it said; the exit code."""
        code = self.process.wait(PATIENCE)
        while self._next(time.monotonic() + PATIENCE) is not None:
            pass
        return code


@pytest.fixture(scope="module")
def greeting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A lobby and a service that greet."""
    deploy: dict[str, Any] = {
        "cluster": "greeting",
        "master": {"serverid": 1},
        "proxy": [{"serverid": 5}],
        "lobby": [{"serverid": 10, "mods": GREET}],
        "service": [{"serverid": 30, "type": "greet_service", "mods": GREET}],
    }
    cluster = Cluster(tmp_path_factory.mktemp("greeting"), deploy).ready()
    yield cluster
    assert cluster.stop() == 0


@pytest.fixture
def login(greeting: Cluster) -> Iterator[Callable[..., Player]]:
    """Starts players; those that are left at the end are killed."""
    players: list[Player] = []

    def login(*args: str) -> Player:
        players.append(Player(greeting, *args))
        return players[-1]

    yield login
    for player in players:
        player.process.kill()
        player.process.wait()


def online(cluster: Cluster) -> str:
    return cluster.run("players").stdout


def test_a_client_mod_and_its_server_mods_talk(greeting: Cluster, login: Callable[..., Player]) -> None:
    player = login("--uid", "4000000007", "--mods", GREET, "--proxy", "5")
    assert "player 4000000007 is on server 10, through proxy 5" in player.until("is on server")
    assert "你好, 阿明 [1, {2: None}]" in player.until("mod: greeting")
    player.until("mod: first True ['twice']")
    player.until("mod: last")
    player.until("mod: own last")
    player.until("mod: frames")
    greeting.line("hello from 阿明")
    assert "4000000007" in online(greeting)
    player.process.send_signal(signal.SIGINT)
    player.until("mod: gone")
    player.until("mod: destroyed")
    assert player.end() == 0
    said = "\n".join(player.output)
    assert "4000000007" not in online(greeting)
    assert "mod: timer once" in said and "mod: timer never" not in said and said.count("mod: repeated") == 1
    assert "told, and the client goes on" in said and "greetClient.py" in said
    assert "NotifyOneMessage" in said and "welcome" in said
    assert said.count("event NobodyListens of greet.greetService arrived, and nobody listens") == 1
    assert "CreateItem" in said and "belongs to the game engine" in said


def test_a_second_login_ends_the_first_with_its_reason(login: Callable[..., Player]) -> None:
    first = login("--uid", "8", "--mods", GREET)
    first.until("is on server")
    login("--uid", "8", "--mods", GREET).until("is on server")
    assert "the session of player 8 is over: " in first.until("is over")
    assert first.end() == 1


def test_what_cannot_be_run_is_told(greeting: Cluster, login: Callable[..., Player], tmp_path: Path) -> None:
    (tmp_path / "only" / "developer_mods").mkdir(parents=True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/modMain.py").write_text("import nothing_of_this_name\n")
    rows = [
        (["--uid", "9", "--mods", str(tmp_path / "none")], "no such directory"),
        (["--uid", "9", "--mods", str(tmp_path / "only")], "no modMain.py: it is wanted in only/behavior_packs/"),
        (["--uid", "9", "--mods", str(tmp_path / "bad")], "bad/modMain.py:1: modMain cannot be imported"),
        (["--uid", "9", "--mods", GREET, "--proxy", "10"], "has no proxy 10; it has 5"),
    ]
    for args, text in rows:
        player = login(*args)
        assert player.end() == 2, player.output
        assert text in "\n".join(player.output), player.output
    assert "9 " not in online(greeting)


def test_a_cluster_that_does_not_run_is_told_apart(greeting: Cluster, tmp_path: Path) -> None:
    ports = free_ports(2)
    file = tmp_path / "deploy.json"
    file.write_text(f'{{"master": {{"serverid": 1, "port": {ports[0]}}}, "proxy": [{{"serverid": 5, "port": {ports[1]}}}]}}')
    line = [*command(), "client", str(file), "--uid", "7", "--mods", GREET]
    done = subprocess.run(line, env={**os.environ, **greeting.environ}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5, done
    assert f"at ws://127.0.0.1:{ports[1]}" in done.stderr


def test_a_new_mod_greets_its_first_player(start: Callable[..., Cluster], tmp_path: Path) -> None:
    scaffold("visits", tmp_path)
    deploy = json.loads((tmp_path / "visits/deploy.json").read_text())
    for entry in (deploy["master"], *deploy["proxy"]):
        del entry["port"]
    for entry in (*deploy["lobby"], *deploy["service"]):
        entry["mods"] = [str(tmp_path / "visits")]
    cluster = start(deploy).ready()
    player = Player(cluster, "--uid", "7", "--mods", str(tmp_path / "visits"), "--json", "--nickname=-x")
    try:
        ready = json.loads(player.until('"ready"'))
        assert (ready["uid"], ready["server"], ready["proxy"]) == (7, 20, 10)
        player.until("visit 1")
        assert cluster.stop() == 0
        closed = json.loads(player.until('"closed"'))
        assert closed["uid"] == 7 and closed["reason"], closed
        assert set(closed["counts"]) == {"sent", "lost", "received"} and closed["counts"]["sent"]["2"] >= 1, closed
        assert player.end() == 1
    finally:
        player.process.kill()


def test_what_mods_print_does_not_stand_among_the_objects(greeting: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "loud/behavior_packs/loudClient/loudScript"
    script.mkdir(parents=True)
    (script / "__init__.py").touch()
    (script / "modMain.py").write_text(
        "from common.mod import Mod\nprint 'loud: imported'\n\n@Mod.Binding(name='loud')\nclass Loud(object):\n"
        "    @Mod.InitClient()\n    def OnInit(self):\n        print 'loud: started'\n"
    )
    line = [*command(), "client", str(greeting.file), "--uid", "77", "--json", "--mods", str(tmp_path / "loud")]
    client = subprocess.Popen(line, env=greeting.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stdout
    assert json.loads(client.stdout.readline())["event"] == "ready"
    client.send_signal(signal.SIGINT)
    rest, said = client.communicate(timeout=PATIENCE)
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["ended"]
    assert "loud: imported\nloud: started" in said
