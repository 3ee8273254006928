"""Bytes that behave towards text as Python 2's ``str`` did: what binary files, struct and zlib give to translated code."""

from __future__ import annotations

from typing import Any

from . import text


class ByteStr(bytes):
    """Bytes equal to, and usable with, the text of the same bytes; an item is a `ByteStr` of length 1, not a number.

    Together with text it becomes text (`text.of`). To other code it is plain bytes.
    """

    __slots__ = ()

    def __eq__(self, other: Any) -> Any:
        return bytes.__eq__(self, text.raw(other) if isinstance(other, str) else other)

    def __ne__(self, other: Any) -> Any:
        return not self == other

    def __lt__(self, other: Any) -> Any:
        return bytes.__lt__(self, text.raw(other) if isinstance(other, str) else other)

    def __gt__(self, other: Any) -> Any:
        return bytes.__gt__(self, text.raw(other) if isinstance(other, str) else other)

    def __le__(self, other: Any) -> Any:
        return bytes.__le__(self, text.raw(other) if isinstance(other, str) else other)

    def __ge__(self, other: Any) -> Any:
        return bytes.__ge__(self, text.raw(other) if isinstance(other, str) else other)

    __hash__ = bytes.__hash__

    def __getitem__(self, key: Any) -> ByteStr:  # type: ignore[override]
        if isinstance(key, slice):
            return ByteStr(bytes.__getitem__(self, key))
        return ByteStr((bytes.__getitem__(self, key),))

    def __iter__(self) -> Any:
        return (ByteStr((number,)) for number in bytes.__iter__(self))

    def __contains__(self, part: Any) -> bool:
        return bytes.__contains__(self, text.raw(part) if isinstance(part, str) else part)

    def __add__(self, other: Any) -> Any:
        return text.of(self) + other if isinstance(other, str) else ByteStr(bytes.__add__(self, other))

    def __radd__(self, other: Any) -> Any:
        return other + text.of(self) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: Any) -> ByteStr:
        return ByteStr(bytes.__mul__(self, times))

    def __mod__(self, values: Any) -> Any:
        return text.of(self) % values

    def __str__(self) -> str:
        return text.of(self)

    def __format__(self, form: str) -> str:
        return format(text.of(self), form)


def _taking_text(name: str) -> Any:
    real = getattr(bytes, name)

    def method(self: ByteStr, *args: Any, **options: Any) -> Any:
        return wrapped(real(self, *(_plain(each) for each in args), **options))

    method.__name__ = name
    return method


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return text.raw(value)
    return tuple(text.raw(each) for each in value) if isinstance(value, tuple) else value


def wrapped(value: Any) -> Any:
    """``value`` with its bytes, also inside a list or tuple, as `ByteStr`."""
    if type(value) is bytes:
        return ByteStr(value)
    if type(value) in (list, tuple):
        return type(value)(wrapped(each) for each in value)
    return value


for _name in (
    "capitalize center count endswith expandtabs find index ljust lower lstrip partition replace rfind rindex rjust rpartition"
    " rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill"
).split():
    setattr(ByteStr, _name, _taking_text(_name))
