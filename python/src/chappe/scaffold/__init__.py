"""A new mod to start from: lobby, service and client half in typed Python, with tests and a deploy.json that runs it."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from . import templates

__all__ = ["ScaffoldError", "scaffold"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class ScaffoldError(Exception):
    """Why there is no new mod; the text says what to do."""


def scaffold(name: str, directory: Path) -> list[Path]:
    """Writes the mod `name` into `directory/name` and answers its files, in the order in which to read them.

    `name`: letters, digits and underscores, a letter first: it becomes the namespace of events and the Python package.

    Raises `ScaffoldError` for another name and where something of that name is there already: nothing is overwritten.
    """
    if not _NAME.fullmatch(name):
        raise ScaffoldError(f"`{name}` cannot be a mod's name: letters (a-z, A-Z), digits and underscores only, a letter first")
    root = directory / name
    if root.exists():
        raise ScaffoldError(f"{root} is there already: take another name, or remove it")
    words = {"name": name, "Name": name[0].upper() + name[1:]}
    written = []
    for path, text in templates.FILES.items():
        file = root / Template(path).substitute(words)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Template(text).substitute(words), encoding="utf-8")
        written.append(file)
    return written

