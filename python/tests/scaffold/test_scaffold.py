"""A new mod is right from the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chappe.check import check
from chappe.scaffold import ScaffoldError, scaffold
from chappe.scaffold.__main__ import main


@pytest.mark.parametrize("name", ["greeter", "My_Mod2"])
def test_the_check_finds_no_mistake_in_a_new_mod(tmp_path: Path, name: str) -> None:
    scaffold(name, tmp_path)
    for path in (tmp_path / name / "deploy.json", tmp_path / name):
        report = check([path])
        assert report.findings == ()
        assert report.summary.unknown == 0


def test_the_tests_of_a_new_mod_pass(tmp_path: Path) -> None:
    scaffold("greeter", tmp_path)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", str(tmp_path / "greeter")], env=environment, cwd=tmp_path,
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "../up", "名字"])
def test_a_name_that_is_no_package_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScaffoldError):
        scaffold(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "greeter").mkdir()
    assert main(["greeter", "--dir", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_what_to_do_next_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["greeter", "--dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"chappe up {tmp_path / 'greeter' / 'deploy.json'}" in said
    assert f"{tmp_path / 'greeter' / 'developer_mods/greeterDev/greeterScript/modMain.py'}\n" in said
