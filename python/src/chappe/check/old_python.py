"""Python 2.7 text made readable for `ast`, for looking at it only: the syntax is changed, what it means is not.

Running needs far more (`chappe.py2`); a check needs names, calls and constants, and lines that can be led back.
"""

from __future__ import annotations

import difflib
import warnings
from typing import Any

TAB = 8
_FIXES = ("print", "except", "exec", "repr", "ne", "raise", "numliterals", "tuple_params")


class NotPython2(Exception):
    """It is no Python 2 either."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


def translate(text: str) -> tuple[str, tuple[int, ...] | None]:
    """The text as Python 3 syntax, and for each of its lines the line of the original (None: the same).

    Raises `NotPython2`.
    """
    spaced = "".join(_spaced(line) for line in text.splitlines(keepends=True))
    spaced += "" if spaced.endswith("\n") else "\n"
    new = _refactor(spaced)
    old_lines, new_lines = spaced.splitlines(), new.splitlines()
    if len(old_lines) == len(new_lines):
        return new, None
    return new, _line_map(old_lines, new_lines)


def _spaced(line: str) -> str:
    """Python 2 takes a tab at the start of a line for spaces up to the next eighth column; Python 3 wants one of the two."""
    rest = line.lstrip(" \t\f")
    return line[: len(line) - len(rest)].replace("\f", "").expandtabs(TAB) + rest


def _refactor(text: str) -> str:
    refactor, prefix = _parser()
    tool: Any = refactor.RefactoringTool([f"{prefix}.fixes.fix_{name}" for name in _FIXES])
    try:
        return str(tool.refactor_string(text, "<mod>"))
    except Exception as error:  # the parser's own kinds of error have no common class
        line, column = getattr(error, "context", (None, (1, 0)))[1] if hasattr(error, "context") else (1, 0)
        raise NotPython2(line, column + 1, "cannot be parsed, neither as Python 3 nor as Python 2") from None


def _parser() -> tuple[Any, str]:
    try:
        from fissix import refactor

        return refactor, "fissix"
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                from lib2to3 import refactor  # type: ignore[import-not-found,no-redef,unused-ignore]
            except ImportError:
                raise NotPython2(1, 1, "looks like Python 2; install `fissix` to have it checked") from None
        return refactor, "lib2to3"


def _line_map(old: list[str], new: list[str]) -> tuple[int, ...]:
    lines: list[int] = []
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for index in range(new_end - new_start):
            inside = min(start + index, max(start, end - 1))
            lines.append((start + index if tag == "equal" else inside) + 1)
    return tuple(lines)
