"""From a file to its syntax tree, whatever Python it is written in, with the places of the file as it is on the disk."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from . import old_python

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


@dataclass(frozen=True)
class Source:
    """A parsed file. `tree` may have the lines of a translation; `place` leads back."""

    path: Path
    tree: ast.Module
    original: tuple[str, ...]
    translated: tuple[str, ...]
    line_map: tuple[int, ...] | None

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Line and column (from 1, in characters) of the original file."""
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        text = self.translated[line - 1] if line <= len(self.translated) else ""
        column = len(text.encode()[:offset].decode("utf-8", "ignore"))
        old = self.line_map[line - 1] if self.line_map and line <= len(self.line_map) else line
        before = self.original[old - 1] if old <= len(self.original) else ""
        return old, _same_column(text, before, column) + 1


class Unreadable(Exception):
    """Neither Python 3 nor Python 2; with the place and what is wrong there."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


def parse(path: Path) -> Source:
    """Parses a file: as Python 3, else as Python 2.7. Raises `Unreadable`."""
    text = decode(path.read_bytes())
    lines = tuple(text.splitlines())
    try:
        return Source(path, ast.parse(text), lines, lines, None)
    except (SyntaxError, ValueError) as error:
        first = error
    try:
        new, line_map = old_python.translate(text)
        return Source(path, ast.parse(new), lines, tuple(new.splitlines()), line_map)
    except old_python.NotPython2 as error:
        raise Unreadable(error.line, error.column, error.message) from None
    except (SyntaxError, ValueError):
        line = first.lineno or 1 if isinstance(first, SyntaxError) else 1
        column = first.offset or 1 if isinstance(first, SyntaxError) else 1
        raise Unreadable(line, column, f"cannot be parsed: {first.msg if isinstance(first, SyntaxError) else first}") from None


def decode(data: bytes) -> str:
    """The text of a source file: by its coding line, else utf-8, else gbk."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    named = [found.group(1).decode() for line in data.split(b"\n")[:2] if (found := _CODING.match(line))]
    for encoding in (*named[:1], "utf-8", "gbk"):
        try:
            return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def _same_column(text: str, before: str, column: int) -> int:
    """The column in the line before its translation: counted from the start where that is unchanged, else from the end."""
    if text == before:
        return column
    same = 0
    while same < min(len(text), len(before)) and text[same] == before[same]:
        same += 1
    if column <= same:
        return column
    return max(0, min(len(before), column + len(before) - len(text)))
