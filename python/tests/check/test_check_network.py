"""A whole network of 20 files, in Python 2 and 3: nothing wrong is said of it, and what is broken in it is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from chappe.check import CODES, check
from chappe.check.__main__ import main

NETWORK = Path(__file__).parent / "network"
SCRIPT = "mods/bank/developer_mods/bankDev/bankScript"


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A copy of the network to break."""
    shutil.copytree(NETWORK, tmp_path / "network")
    return tmp_path / "network"


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def found(path: Path) -> list[str]:
    return [str(one).replace(f"{path}/", "") for one in check([path / "deploy.json"]).findings if one.code != "json-null"]


def test_a_right_network_is_left_alone() -> None:
    text = check([NETWORK / "deploy.json"]).text().replace(f"{NETWORK}/", "")
    assert text == (
        "mods/bank/developer_mods/bankDev/mod.json:1:120: warning: `module_names` is null, which counts as not given: write a value or take "
        "the key out [json-null]\n"
        "0 errors, 1 warning; looked at 18 files, 4 mods, 5 nodes; 2 listeners for the game's own events, which nobody raises outside it; "
        "unknown: 1 place that could not be followed\n"
    )


@pytest.mark.parametrize("mod", ["bank", "hub", "bank_service", "bank_master"])
def test_a_part_of_a_right_network_is_left_alone(mod: str) -> None:
    assert check([NETWORK / "mods" / mod]).ok


def test_one_wrong_constant_is_found_at_every_place_that_uses_it(bank: Path) -> None:
    replace(bank / SCRIPT / "consts.py", "ModNameSpace + 'Master'", "ModNameSpace + 'Mastr'")
    assert found(bank) == [
        f"{SCRIPT}/bankServer.py:18:3: error: no system is registered as (`bank`, `bankMastr`), so nobody can send `BankClosedEvent` to this "
        "listener; did you mean `bankMaster`? [unknown-system]"
    ]


def test_a_handler_in_a_class_of_python_2_is_found(bank: Path) -> None:
    replace(bank / SCRIPT / "bankServer.py", "def OnAlarm(self, args):", "def OnAlarm(self):")
    assert found(bank) == [
        f"{SCRIPT}/bankServer.py:17:75: error: ListenForEvent calls it with 1 argument (args), and `OnAlarm` takes none [handler-arguments]"
    ]


def test_a_method_that_a_service_lost_is_found_at_its_callers(bank: Path) -> None:
    replace(bank / "mods/bank_service/developer_mods/bankServiceDev/bankServiceScript/bankService.py", "'Touch'", "'Touched'")
    assert found(bank) == [
        f"{SCRIPT}/bankServer.py:38:3: error: nobody registers the method `Touch` of `service_bank`; it has `Touched` [rpc-unknown-method]"
    ]


def test_json_has_all_that_the_text_has(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace(bank / SCRIPT / "bankServer.py", "self.RequestToService(RpcModule, 'Balance'", "self.RequestToService('bnak', 'Balance'")
    assert main([str(bank / "deploy.json"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["summary"] == {"errors": 1, "warnings": 1, "files": 18, "mods": 4, "nodes": 5, "unknown": 1, "game_events": 2}
    assert report["findings"][0] == {
        "file": str(bank / SCRIPT / "bankServer.py"),
        "line": 37,
        "column": 3,
        "code": "rpc-unknown-module",
        "message": "no service or master has the module or type `bnak`; did you mean `bank`?",
        "severity": "error",
    }


def test_warnings_alone_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(NETWORK / "deploy.json")]) == 0
    assert main([str(NETWORK / "deploy.json"), "--no-warnings"]) == 0
    assert "json-null" in capsys.readouterr().out


def test_a_path_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere"]) == 2
    assert capsys.readouterr().err == "nowhere: no such file or directory\n"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_stands_in_the_docs(language: str) -> None:
    page = Path(__file__).parents[3] / "docs" / language / "mod-check.md"
    text = page.read_text(encoding="utf-8")
    assert [code for code in CODES if f"| `{code}` |" not in text] == []
