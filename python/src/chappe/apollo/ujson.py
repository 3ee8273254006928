"""``ujson`` for machines that have none: the same calls, on the standard library's json."""

from __future__ import annotations

import json
from typing import IO, Any

JSONDecodeError = json.JSONDecodeError


def dumps(
    obj: Any, ensure_ascii: bool = True, escape_forward_slashes: bool = True, sort_keys: bool = False, indent: int = 0, **others: Any
) -> str:
    """``obj`` as JSON, without blanks, ``/`` written as ``\\/``. Other options of ujson change nothing."""
    separators = None if indent else (",", ":")
    text = json.dumps(obj, ensure_ascii=ensure_ascii, sort_keys=sort_keys, indent=indent or None, separators=separators)
    return text.replace("/", "\\/") if escape_forward_slashes else text


def loads(text: str | bytes, precise_float: bool = False, **others: Any) -> Any:
    """What a JSON text holds. Raises JSONDecodeError, a ValueError."""
    return json.loads(text)


def dump(obj: Any, file: IO[str], **options: Any) -> None:
    """Writes ``obj`` as JSON."""
    file.write(dumps(obj, **options))


def load(file: IO[Any], **options: Any) -> Any:
    """Reads a file's JSON. Raises JSONDecodeError."""
    return loads(file.read(), **options)


encode, decode = dumps, loads
