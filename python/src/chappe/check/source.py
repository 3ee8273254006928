"""From a file to its syntax tree, whatever Python it is written in, with the places of the file as it is on the disk."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from pathlib import Path

from ..py2.source import decode


@dataclass(frozen=True)
class Source:
    """A parsed file. The tree of Python 2 is one of its translation, which keeps the lines; `place` leads back."""

    path: Path
    tree: ast.Module
    original: tuple[str, ...]
    translated: tuple[str, ...]

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Line and column (from 1, in characters) of the original file."""
        line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        text = self.translated[line - 1] if line <= len(self.translated) else ""
        column = len(text.encode()[:offset].decode("utf-8", "ignore"))
        before = self.original[line - 1] if line <= len(self.original) else ""
        return line, _same_column(text, before, column) + 1


class Unreadable(Exception):
    """Neither Python 3 nor Python 2; with the place and what is wrong there."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


def parse(path: Path) -> Source:
    """Parses a file: as Python 3, else as Python 2.7. Raises `Unreadable`."""
    text = decode(path.read_bytes())
    lines = tuple(text.split("\n"))
    try:
        return Source(path, _tree(text), lines, lines)
    except (SyntaxError, ValueError, RecursionError):
        pass
    try:
        new = _python3_syntax(text, str(path))
        return Source(path, _tree(new), lines, tuple(new.split("\n")))
    except SyntaxError as error:
        raise Unreadable(error.lineno or 1, error.offset or 1, f"cannot be parsed: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(1, 1, f"cannot be parsed: {error}") from None


def _tree(text: str) -> ast.Module:
    with warnings.catch_warnings():
        # A `\\d` in a string is a matter of style here.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _python3_syntax(text: str, filename: str) -> str:
    """The syntax of Python 2 changed, line for line, and not what it means: names, calls and constants are what is looked at."""
    from ..py2.syntax import to_python3

    return to_python3(text, filename)


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
