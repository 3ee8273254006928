"""The modules of the standard library that want bytes today and took any ``str`` in Python 2."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from . import text
from .bytestr import ByteStr, wrapped
from .stdlib_extra import extra


@extra("hashlib", "md5", "sha")
def _hashlib() -> dict[str, Any]:
    import hashlib

    class Hash:
        """A hash that takes text (its utf-8)."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def update(self, value: Any) -> None:
            self._real.update(text.raw(value))

        def copy(self) -> Hash:
            return Hash(self._real.copy())

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    def make(name: str) -> Callable[..., Hash]:
        return lambda value=b"": Hash(hashlib.new(name, text.raw(value)))

    found: dict[str, Any] = {name: make(name) for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}
    found["new"] = lambda name=b"", value=b"": make(name)(value) if name in hashlib.algorithms_available else make("md5")(name)
    found["sha"] = found["sha1"]
    return found


@extra("hmac")
def _hmac() -> dict[str, Any]:
    import hashlib
    import hmac

    def new(key: Any, message: Any = None, digestmod: Any = None) -> Any:
        name = digestmod if isinstance(digestmod, str) else getattr(digestmod() if callable(digestmod) else digestmod, "name", "md5")
        return hmac.new(text.raw(key), None if message is None else text.raw(message), getattr(hashlib, name))

    return {"new": new}


def _text_in(module: types.ModuleType, names: str, text_out: bool) -> dict[str, Any]:
    def wrap(function: Any) -> Callable[..., Any]:
        def call(value: Any, *args: Any, **options: Any) -> Any:
            result = function(text.raw(value), *args, **options)
            return text.or_bytes(result) if text_out and isinstance(result, bytes) else wrapped(result)

        return call

    return {name: wrap(getattr(module, name)) for name in names.split() if hasattr(module, name)}


@extra("base64")
def _base64() -> dict[str, Any]:
    import base64

    names = "b64encode b64decode standard_b64encode standard_b64decode urlsafe_b64encode urlsafe_b64decode"
    found = _text_in(base64, names + " b32encode b32decode b16encode b16decode encodebytes decodebytes", True)
    return {**found, "encodestring": found["encodebytes"], "decodestring": found["decodebytes"]}


@extra("binascii")
def _binascii() -> dict[str, Any]:
    import binascii

    return _text_in(binascii, "hexlify unhexlify b2a_hex a2b_hex b2a_base64 a2b_base64 crc32", True)


@extra("zlib")
def _zlib() -> dict[str, Any]:
    import zlib

    return {**_text_in(zlib, "compress crc32 adler32", False), "decompress": lambda data, *a: ByteStr(zlib.decompress(data, *a))}


@extra("struct")
def _struct() -> dict[str, Any]:
    import struct

    def pack(form: str, *values: Any) -> ByteStr:
        return ByteStr(struct.pack(form, *(text.raw(value) if isinstance(value, str) else value for value in values)))

    def unpack(form: str, data: Any) -> Any:
        if isinstance(data, str):
            data = data.encode("latin-1") if len(data) == struct.calcsize(form) and max(data, default="") < "\u0100" else text.raw(data)
        return wrapped(struct.unpack(form, data))

    return {"pack": pack, "unpack": unpack}


@extra("pickle", "cPickle")
def _pickle() -> dict[str, Any]:
    import pickle

    def loads(data: Any, **options: Any) -> Any:
        return pickle.loads(data.encode("latin-1") if isinstance(data, str) else data, **options)

    return {"loads": loads, "dumps": lambda value, protocol=0: ByteStr(pickle.dumps(value, protocol))}


@extra("urllib", "urllib2", "urlparse")
def _urllib() -> dict[str, Any]:
    import urllib.parse
    import urllib.request

    def urlopen(url: Any, data: Any = None, *args: Any, **options: Any) -> Any:
        return urllib.request.urlopen(url, None if data is None else text.raw(data), *args, **options)

    class Request(urllib.request.Request):
        def __init__(self, url: str, data: Any = None, *args: Any, **options: Any) -> None:
            super().__init__(url, None if data is None else text.raw(data), *args, **options)

        def add_data(self, data: Any) -> None:
            self.data = text.raw(data)

        def get_data(self) -> Any:
            return self.data

    return {"urlopen": urlopen, "Request": Request, "splitquery": urllib.parse._splitquery}  # type: ignore[attr-defined]
