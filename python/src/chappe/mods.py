"""Mods on disk: where their halves are, what their mod.json says, and their loading.

Layouts (spec/apollo.md section 4): ``<mod>/developer_mods/<X>Dev/<X>Script/modMain.py``,
``<mod>/behavior_packs/<X>Client/<X>Script/modMain.py`` for the client half, and plain folders with a ``modMain.py``
in them or in their sub-folders.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import linecache
import logging
import os
import re
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

log = logging.getLogger("chappe.mods")

MAIN = "modMain"


_OURS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


class ModError(Exception):
    """Why a mod cannot be loaded; the text says where."""

    @property
    def may_pass(self) -> bool:
        """Whether it may be otherwise the next time: what the mod needs from elsewhere (a connection, a port) was not
        there. Otherwise the mod itself is wrong, and the node is given up."""
        error: BaseException | None = self
        while error is not None:
            if isinstance(error, OSError) and not isinstance(error, _OURS):
                return True
            error = error.__cause__ or error.__context__
        return False


@dataclass(frozen=True)
class Script:
    """One package with a modMain: ``root`` goes onto sys.path, ``package`` is imported from there."""

    root: Path
    package: str
    manifest: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def main(self) -> str:
        """The name of its main module."""
        return f"{self.package}.{MAIN}" if self.package else MAIN


def scripts(mod: Path, side: str) -> list[Script]:
    """The scripts of the mod in ``mod`` for ``side``, "developer_mods" or "behavior_packs"; in order of their names."""
    found = []
    for group in _children(mod / side):
        found += _in(group)
    if not found and not (mod / "developer_mods").is_dir() and not (mod / "behavior_packs").is_dir():
        found = _in(mod)
    return found


def _in(group: Path) -> list[Script]:
    manifest = read_manifest(group)
    if (group / f"{MAIN}.py").is_file():
        if group.name.isidentifier() and (group / "__init__.py").is_file():
            return [Script(group.parent, group.name, manifest)]
        return [Script(group, "", manifest)]
    with_main = [child for child in _children(group) if (child / f"{MAIN}.py").is_file()]
    return [Script(group, child.name, manifest or read_manifest(child)) for child in with_main]


def _children(of: Path) -> list[Path]:
    if not of.is_dir():
        return []
    return sorted(child for child in of.iterdir() if child.is_dir() and not child.name.startswith((".", "__")))


def read_manifest(directory: Path) -> dict[str, Any]:
    """The mod.json in ``directory``, leniently: of repeated keys the last counts, a comma may trail, there may be
    comments and a byte order mark. An empty dict where there is none.

    Raises ModError with file and line when it is no JSON object all the same.
    """
    path = directory / "mod.json"
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ModError(f"{path}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("gbk", errors="replace")
    try:
        found = lenient_json(text)
    except json.JSONDecodeError as error:
        raise ModError(f"{path}:{error.lineno}: {error.msg}") from error
    if not isinstance(found, dict):
        raise ModError(f"{path}:1: must hold an object, found a {type(found).__name__}")
    return found


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.S)
_COMMENTS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.S)


def lenient_json(text: str) -> Any:
    """JSON with comments and trailing commas; lines stay where they are. Raises json.JSONDecodeError."""

    def blank(match: re.Match[str]) -> str:
        token = match.group()
        return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)

    return json.loads(_TOKENS.sub(blank, _COMMENTS.sub(blank, text)), strict=False)


def module_names(manifest: dict[str, Any]) -> list[str]:
    """The RPC modules that a mod.json declares: null, a text (with commas) or a list."""
    names = manifest.get("module_names")
    if isinstance(names, str):
        names = names.split(",")
    if not isinstance(names, list):
        return []
    return [name.strip() for name in names if isinstance(name, str) and name.strip()]


def declared_modules(mod: Path) -> list[str]:
    """The RPC modules that the mod in ``mod`` declares."""
    return [name for script in scripts(mod, "developer_mods") for name in module_names(script.manifest)]


def prepare(found: list[Script]) -> None:
    """Makes the scripts importable, and those in Python 2 translated when they are."""
    roots = list(dict.fromkeys(str(script.root) for script in found))
    for root in reversed(roots):
        if root not in sys.path:
            sys.path.insert(0, root)
    from chappe import py2

    try:
        py2.install(roots, os.environ.get("CHAPPE_PYTHON2", "auto"))  # type: ignore[arg-type]
    except ValueError as error:
        raise ModError(f"CHAPPE_PYTHON2: {error}") from error


def load(script: Script) -> Any:
    """Imports a script's modMain. Raises ModError with the mod's file and line."""
    try:
        return importlib.import_module(script.main)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise failed(script, f"{script.main} cannot be imported", error) from error


def failed(script: Script, what: str, error: BaseException) -> ModError:
    """What to say of an exception in a mod; the whole traceback goes to the log."""
    log.error("%s:\n%s", what, told(error))
    where = place(error, [script.root])
    return ModError(f"{where}: {what}: {type(error).__name__}: {error}")


_IMPORT = ("<frozen importlib", os.path.dirname(importlib.__file__) + os.sep)
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def told(error: BaseException) -> str:
    """An exception with its traceback, as a log has it: without the frames of the import machinery and of this package
    that stand between those of a mod. All of them when there are no others."""
    found = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    one: traceback.TracebackException | None = found
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        own = [frame for frame in one.stack if not frame.filename.startswith((*_IMPORT, _PACKAGE))]
        if own or isinstance(error, SyntaxError):
            one.stack = traceback.StackSummary.from_list(own)
        one = one.__cause__ or one.__context__
    return "".join(found.format()).rstrip()


def place(error: BaseException, roots: list[Path]) -> str:
    """``file:line`` of the innermost line below ``roots`` that an exception came through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if any(_below(frame.filename, root) for root in roots)]
    frame = (inside or frames)[-1] if frames else None
    return f"{frame.filename}:{frame.lineno}" if frame else str(roots[0] if roots else "?")


def _below(file: str, root: Path) -> bool:
    return os.path.abspath(file).startswith(str(root) + os.sep)


def source_line(file: str, line: int) -> str:
    """The text of a line, for messages."""
    return linecache.getline(file, line).strip()
