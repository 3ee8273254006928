"""``str`` and ``unicode`` are one type here: text. ``encode`` and ``decode`` on text give text.

Binary codecs (hex, base64, zlib) work on the utf-8 bytes of a text; bytes that are no utf-8 are shown as latin-1 characters.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import zlib
from typing import Any


def raw(value: Any) -> bytes:
    """The bytes that a text of Python 2 stood for: utf-8. Bytes stay as they are."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return bytes(value)


def of(data: bytes) -> str:
    """The text of bytes: utf-8, or latin-1 when it is no utf-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def or_bytes(data: bytes) -> Any:
    """The text of bytes that are utf-8, a `bytestr.ByteStr` of others: `raw` gives the same bytes back from either."""
    from .bytestr import ByteStr

    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return ByteStr(data)


def shown(value: Any) -> str:
    """What ``str(value)`` was: floats with 12 digits, bytes as their text, ``__unicode__`` where there is no ``__str__``."""
    if isinstance(value, float) and type(value).__str__ is float.__str__:
        digits = "%.12g" % value
        return digits if any(char in digits for char in ".einf") else digits + ".0"
    if isinstance(value, (bytes, bytearray)):
        return of(bytes(value))
    return str(value)


def to_str(kind: Any, *args: Any, **options: Any) -> Any:
    """A call of the name ``str``, which a program may have bound to something of its own (``kind``)."""
    if kind is not str or not args:
        return kind(*args, **options)
    return shown(args[0])


def to_unicode(kind: Any, *args: Any, **options: Any) -> Any:
    """A call of the name ``unicode``: with ``__unicode__``, and an encoding even for what is text already."""
    if kind is not str or not args:
        return kind(*args, **options)
    value = args[0]
    if len(args) > 1 or options:
        return decode(value, *args[1:], **options)
    method = getattr(type(value), "__unicode__", None)
    return method(value) if method is not None else shown(value)


def encode(value: Any, encoding: str = "utf-8", errors: str = "strict") -> str:
    """``value.encode(encoding)`` as text. Raises `UnicodeEncodeError` for what the encoding does not have, as Python 2 did."""
    name = _name(encoding)
    if name == "utf-8":
        return value if isinstance(value, str) else of(value)
    if name in _TO_BINARY:
        return or_bytes(_TO_BINARY[name](raw(value)))
    value = value if isinstance(value, str) else of(value)
    if name == "rot13":
        return codecs.encode(value, "rot13")
    if name in ("unicode-escape", "raw-unicode-escape", "string-escape", "idna", "punycode"):
        return value.encode(name.replace("string", "unicode"), errors).decode("latin-1")
    if name.startswith(("utf-16", "utf-32")):
        return value.encode(name, errors).decode("latin-1")
    return value.encode(name, errors).decode(name)


def decode(value: Any, encoding: str = "utf-8", errors: str = "strict") -> str:
    """``value.decode(encoding)`` of text or bytes. A text that is no row of bytes is what it was decoded to already."""
    name = _name(encoding)
    if name in _FROM_BINARY:
        return or_bytes(_FROM_BINARY[name](raw(value)))
    if name == "rot13":
        return codecs.decode(value if isinstance(value, str) else of(value), "rot13")
    if name in ("unicode-escape", "raw-unicode-escape", "string-escape"):
        data = value.encode("latin-1", "backslashreplace") if isinstance(value, str) else value
        return data.decode(name.replace("string", "unicode"), errors)
    if not isinstance(value, str):
        return bytes(value).decode(name, errors)
    if value.isascii() and not name.startswith(("utf-16", "utf-32", "idna", "punycode", "utf-7")):
        return value
    if name == "ascii":
        return raw(value).decode("ascii", errors)
    if any("\udc80" <= char <= "\udcff" for char in value):
        return raw(value).decode(name, errors)
    try:
        return value.encode("latin-1").decode(name)
    except UnicodeError:
        return value


def _name(encoding: str) -> str:
    name = encoding.lower().replace("_", "-")
    return {"utf8": "utf-8", "u8": "utf-8", "us-ascii": "ascii", "rot-13": "rot13"}.get(name, name)


_TO_BINARY = {
    "hex": binascii.hexlify, "hex-codec": binascii.hexlify, "base64": base64.encodebytes, "base64-codec": base64.encodebytes,
    "zlib": zlib.compress, "zip": zlib.compress,
}  # fmt: skip
_FROM_BINARY = {
    "hex": binascii.unhexlify, "hex-codec": binascii.unhexlify, "base64": base64.decodebytes, "base64-codec": base64.decodebytes,
    "zlib": zlib.decompress, "zip": zlib.decompress,
}  # fmt: skip
