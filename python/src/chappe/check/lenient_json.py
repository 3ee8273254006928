"""JSON as mods have it: comments, trailing commas, keys twice. Every value keeps its place, every leniency is told."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 64


class JsonError(ValueError):
    """Not even leniently JSON. `offset` is where, in characters."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True)
class Node:
    """A value and where it begins. An object's is a dict of `Node`, a list's a list of `Node`."""

    value: Any
    offset: int

    def plain(self) -> Any:
        """The value alone."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass
class Read:
    """A text that was read, with notes of (code, offset, message) on what was let pass."""

    root: Node
    notes: list[tuple[str, int, str]] = field(default_factory=list)


def parse(text: str) -> Read:
    """Reads a text. Raises `JsonError` with the place of what cannot be understood."""
    reader = _Reader(text)
    root = reader.value("", 0)
    reader.space()
    if reader.at < len(text):
        raise JsonError(reader.at, "nothing may follow the closing bracket")
    return Read(root, reader.notes)


_SPACE = re.compile(r"[\s\ufeff]+")
_COMMENT = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.S)
_WORD = re.compile(r"-?[0-9][0-9.eE+\-]*|[A-Za-z_]+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_WORDS = {"true": True, "false": False, "null": None}


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.notes: list[tuple[str, int, str]] = []

    def space(self) -> None:
        while self.at < len(self.text):
            if found := _SPACE.match(self.text, self.at):
                self.at = found.end()
            elif found := _COMMENT.match(self.text, self.at):
                self.notes.append(("json-lenient", self.at, "a comment; JSON has none: take it out"))
                self.at = found.end()
            else:
                return

    def peek(self) -> str:
        self.space()
        return self.text[self.at : self.at + 1]

    def value(self, path: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise JsonError(self.at, f"nested deeper than {MAX_DEPTH}")
        mark, start = self.peek(), self.at
        if mark == "{":
            return Node(self.object(path, depth), start)
        if mark == "[":
            return Node(self.list(path, depth), start)
        if mark == '"':
            return Node(self.string(), start)
        found = _WORD.match(self.text, self.at)
        if not found:
            raise JsonError(start, "a value is missing here" if mark in ("", ",", "}", "]") else f"`{mark}` does not begin a value")
        self.at = found.end()
        word = found.group()
        if word in _WORDS:
            if word == "null":
                self.notes.append(("json-null", start, f"`{path}` is null, which counts as not given: write a value or take the key out"))
            return Node(_WORDS[word], start)
        try:
            return Node(json.loads(word), start)
        except ValueError:
            raise JsonError(start, f"`{word}` is no value; a text stands in double quotes") from None

    def string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            raise JsonError(self.at, 'a closing `"` is missing')
        start, self.at = self.at, found.end()
        try:
            return str(json.loads(found.group(), strict=False))
        except ValueError:
            raise JsonError(start, "a `\\` in this text begins no escape; write `\\\\`") from None

    def object(self, path: str, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        self.at += 1
        while self.more("}"):
            if self.peek() != '"':
                raise JsonError(self.at, "a key in double quotes must stand here")
            start = self.at
            key = self.string()
            if key in found:
                self.notes.append(("json-duplicate-key", start, f"the key `{key}` is here twice and the last one counts: take one out"))
            if self.peek() != ":":
                raise JsonError(self.at, f"a `:` is missing after `{key}`")
            self.at += 1
            found[key] = self.value(f"{path}.{key}" if path else key, depth + 1)
            self.comma("}")
        return found

    def list(self, path: str, depth: int) -> list[Node]:
        found: list[Node] = []
        self.at += 1
        while self.more("]"):
            found.append(self.value(f"{path}[{len(found)}]", depth + 1))
            self.comma("]")
        return found

    def more(self, end: str) -> bool:
        if self.peek() != end:
            return True
        self.at += 1
        return False

    def comma(self, end: str) -> None:
        if self.peek() == ",":
            start = self.at
            self.at += 1
            if self.peek() == end:
                self.notes.append(("json-lenient", start, f"a comma before `{end}`; JSON has none there: take it out"))
        elif self.peek() != end:
            raise JsonError(self.at, f"a `,` or `{end}` is missing here")
