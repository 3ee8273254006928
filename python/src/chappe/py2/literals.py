"""Numbers and strings as Python 2 wrote them, in Python 3's notation.

A string of Python 2 is a text here, whether it had a ``u`` or not. Escapes above 127 in a string without ``u`` are bytes: they are
read as utf-8 when they are utf-8, as latin-1 otherwise.
"""

from __future__ import annotations

import re

_OCTAL = re.compile(r"^0[0-9]+$")
_STRING = re.compile(r"^([A-Za-z]*)('''|\"\"\"|'|\")(.*)\2$", re.S)
_ESCAPE = re.compile(r"\\(\n|[0-7]{1,3}|x[0-9A-Fa-f]{2}|N\{[^}]*\}|.)", re.S)
_UNICODE_ESCAPE = re.compile(r"(\\+)(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})?")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"', "\n": ""}


def number(value: str) -> str:
    """``0777`` is ``0o777``, ``10L`` is ``10``."""
    if value[-1] in "lL":
        value = value[:-1]
    if _OCTAL.match(value):
        return "0o" + (value.lstrip("0") or "0") if set(value) - {"0"} else "0"
    return value


def string(value: str, unicode_literals: bool) -> str:
    """One string literal of Python 2, of the same number of lines."""
    match = _STRING.match(value)
    if match is None:
        return value
    prefix, quote, body = match.group(1).lower(), match.group(2), match.group(3)
    if "f" in prefix:
        return value
    if "b" in prefix:
        return value
    if "r" in prefix:
        if "u" not in prefix:
            return "r" + quote + body + quote
        if "\\u" not in body and "\\U" not in body:
            return "r" + quote + body + quote
        return quote + _UNICODE_ESCAPE.sub(_raw_unicode, body) + quote
    if "\\" not in body or "u" in prefix or unicode_literals:
        return quote + body + quote
    if _has_bytes(body):
        return _evaluated(body)
    return quote + _ESCAPE.sub(_not_unicode, body) + quote


def _raw_unicode(match: re.Match[str]) -> str:
    slashes, code = match.group(1), match.group(2)
    if code and len(slashes) % 2:
        return "\\\\" * (len(slashes) - 1) + "\\" + code
    return "\\\\" * len(slashes) + (code or "")


def _not_unicode(match: re.Match[str]) -> str:
    return "\\" + match.group(0) if match.group(1)[0] in "uUN" else match.group(0)


def _has_bytes(body: str) -> bool:
    for match in _ESCAPE.finditer(body):
        code = match.group(1)
        if code[0] in "01234567" and int(code, 8) > 127 or code[0] == "x" and len(code) == 3 and int(code[1:], 16) > 127:
            return True
    return False


def _evaluated(body: str) -> str:
    data = bytearray()
    at = 0
    for match in _ESCAPE.finditer(body):
        data += body[at : match.start()].encode("utf-8", "surrogatepass")
        at = match.end()
        code = match.group(1)
        if code[0] in "01234567":
            data.append(int(code, 8) & 255)
        elif code[0] == "x" and len(code) == 3:
            data.append(int(code[1:], 16))
        else:
            data += _SIMPLE.get(code, "\\" + code).encode("utf-8", "surrogatepass")
    data += body[at:].encode("utf-8", "surrogatepass")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    shown = ascii(text)
    return shown[:-1] + "\\\n" * body.count("\n") + shown[-1]
