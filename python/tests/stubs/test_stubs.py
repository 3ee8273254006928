"""What an author's editor and type checker know of the modules that mods import."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chappe.check import check
from chappe.scaffold import scaffold

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "python/src"
HALL = ROOT / "examples/arena/mods/hall/developer_mods/hallDev"
LENIENT = ("json-null", "json-lenient")
"""What the demo's mod.json has on purpose, as real ones do."""
CONFIG = "[mypy]\nplugins = chappe.mypy_plugin\nstrict = True\n"


@pytest.fixture(scope="module")
def stubs() -> ModuleType:
    """The script that writes them."""
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "scripts/stubs.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


Mypy = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> Mypy:
    """Runs mypy in a directory; what it knows of the package is kept from one run to the next."""
    cache = str(tmp_path_factory.mktemp("mypy"))

    def run(directory: Path, *args: str, config: str | None = CONFIG) -> subprocess.CompletedProcess[str]:
        if config is not None:
            (directory / "mypy.ini").write_text(config)
        line = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", cache, *args]
        return subprocess.run(line, cwd=directory, capture_output=True, text=True, timeout=300)

    return run


def names_in(text: str) -> dict[str, list[str]]:
    """The names of a stub, with the parameters of each that is a function."""
    found: dict[str, list[str]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            all_of = node.args
            found[node.name] = [one.arg for one in (*all_of.posonlyargs, *all_of.args, *all_of.kwonlyargs)]
        elif isinstance(node, ast.ClassDef):
            found[node.name] = []
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname: [] for alias in node.names if alias.asname}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = []
    return found


def parameters(function: Any) -> list[str]:
    """The names of a function's parameters, but for `*args` and `**others`."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, one in inspect.signature(function).parameters.items() if one.kind not in kinds]


def test_they_are_up_to_date(stubs: ModuleType) -> None:
    assert stubs.stale() == [], "run scripts/stubs.py"


def test_no_name_and_no_parameter_of_the_surface_is_missing(stubs: ModuleType) -> None:
    from chappe.check.surface import names

    parts = stubs.parts()
    for module, wanted in names().items():
        if module == "common.mod.Mod":
            continue
        path = SOURCES / stubs._path(module, "." not in module)
        there = names_in(path.read_text("utf-8"))
        assert set(wanted) - there.keys() == set(), module
        for name, found in stubs.public(parts[module]):
            if inspect.isroutine(found) and not name.endswith("SystemCls"):
                assert set(parameters(found)) <= set(there[name]), f"{module}.{name}"


def test_the_demos_mods_have_no_mistakes() -> None:
    report = check([ROOT / "examples/arena/deploy.json"])
    assert [one for one in report.findings if one.code not in LENIENT] == [], report.text()


def test_they_are_installed_with_the_package() -> None:
    installed = {str(file) for file in importlib.metadata.files("chappe") or ()}
    here = {str(path.relative_to(SOURCES)) for path in SOURCES.glob("*-stubs/**/*.pyi")}
    assert len(here) > 100 and here <= installed
    assert "chappe/py.typed" in installed


def test_a_mod_that_is_right_has_no_errors(mypy: Mypy, tmp_path: Path) -> None:
    (tmp_path / "hallScript").symlink_to(HALL / "hallScript")
    checked = mypy(tmp_path, "-p", "hallScript")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_new_mod_has_no_errors(mypy: Mypy, tmp_path: Path) -> None:
    scaffold("greeter", tmp_path)
    checked = mypy(tmp_path / "greeter", config=None)
    assert checked.returncode == 0 and "no issues found" in checked.stdout, checked.stdout + checked.stderr


WRONG = """\
import mod.server.extraServerApi as serverApi
import lobbyGame.netgameApi as netgameApi
import server.component.blocks  # the engine's
from common.mod import Mod
from mod_log import logger

ServerSystem = serverApi.GetServerSystemCls()


class Bank(ServerSystem):
    def open(self) -> None:
        self.NotifyToClient(1, "E", {})
        self.NotifyToClinet("a", "E", {})
        self.NotifyToServerNode(1, "E", {})
        self.RequestToService("bank", "Get", {}, lambda suc: None)
        netgameApi.GetPlayerUuid("a")
        netgameApi.GetPlayerUid(player="a")
        uid: str = netgameApi.GetPlayerUid(playerId="a")
        serverApi.GetEngineCompFactory().CreateItem(uid).Spawn()
        logger.info("opened %s", uid)


@Mod.Binding(name="bank", version="1")
class Main:
    @Mod.InitServer()
    def start(self) -> None: ...
    @Mod.InitServers()
    def wrong(self) -> None: ...
"""


def test_slips_are_found_with_their_lines(mypy: Mypy, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    checked = mypy(tmp_path, "wrong.py")
    said = [line for line in checked.stdout.splitlines() if ": error:" in line]
    wanted = {
        12: 'expected "str"',
        13: 'no attribute "NotifyToClinet"',
        14: 'no attribute "NotifyToServerNode"',
        15: "RequestToService",
        16: 'no attribute "GetPlayerUuid"; maybe "GetPlayerUid"',
        17: 'Unexpected keyword argument "player"',
        18: 'has type "int | None"',
        27: 'no attribute "InitServers"',
    }
    for line, text in wanted.items():
        assert any(one.startswith(f"wrong.py:{line}:") and text in one for one in said), (line, said)
    assert {int(one.split(":")[1]) for one in said} == set(wanted), said
