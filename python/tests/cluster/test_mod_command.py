"""``chappe mod``: the Rust command hands over to the package, and the package runs it itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .cluster import command

COMMANDS = {"rust": command(), "python": [sys.executable, "-m", "chappe"]}


def run(by: str, *args: str, interpreter: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """``chappe ARGS`` by one of the two commands."""
    environ = {**os.environ, "CHAPPE_PYTHON": interpreter, "PYTHONDONTWRITEBYTECODE": "1"}
    environ.pop("CHAPPE_HANDED_OVER", None)
    return subprocess.run([*COMMANDS[by], *args], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("by", COMMANDS)
def test_a_new_mod_is_found_right_until_it_is_not(by: str, tmp_path: Path) -> None:
    made = run(by, "mod", "new", "bank", "--dir", str(tmp_path))
    assert made.returncode == 0, made
    deploy = str(tmp_path / "bank/deploy.json")
    assert f"chappe mod check {deploy}" in made.stdout
    checked = run(by, "mod", "check", deploy)
    assert checked.returncode == 0, checked
    again = run(by, "mod", "new", "bank", "--dir", str(tmp_path))
    assert again.returncode == 1 and "is there already" in again.stderr
    main = tmp_path / "bank/developer_mods/bankDev/bankScript/lobby.py"
    main.write_text(main.read_text() + "\n    def f(self):\n        self.NotifyToServerNode(1, 'E', {})\n")
    wrong = run(by, "mod", "check", "--json", deploy)
    assert wrong.returncode == 1, wrong
    found = json.loads(wrong.stdout)
    assert any(one["file"].endswith("lobby.py") for one in found["findings"]), found


@pytest.mark.parametrize("by", COMMANDS)
def test_wrong_arguments_are_told(by: str, tmp_path: Path) -> None:
    assert run(by, "mod").returncode == 2
    assert run(by, "mod", "check").returncode == 2
    missing = run(by, "mod", "check", str(tmp_path / "-none"))
    assert missing.returncode == 2 and "-none" in missing.stderr


def test_without_the_package_it_is_named() -> None:
    if command()[0] == sys.executable:
        pytest.skip("there is no Rust command")
    done = run("rust", "mod", "new", "bank", interpreter="no-such-python")
    assert done.returncode == 2 and "`chappe mod` needs the Python package `chappe`" in done.stderr
    assert "pip install ." in done.stderr and "CHAPPE_PYTHON=" in done.stderr
