"""The standard library as Python 2 named it: shims over today's modules, seen by translated code alone.

`RENAMED` says which modules stand for a name; the functions registered with `stdlib_extra.extra` add what those no longer have.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable
from typing import Any

RENAMED: dict[str, tuple[str, ...]] = {
    "BaseHTTPServer": ("http.server",), "CGIHTTPServer": ("http.server",), "SimpleHTTPServer": ("http.server",),
    "ConfigParser": ("configparser",), "Cookie": ("http.cookies",), "HTMLParser": ("html.parser",), "Queue": ("queue",),
    "SocketServer": ("socketserver",), "StringIO": ("io",), "cStringIO": ("io",), "cPickle": ("pickle",), "pickle": ("pickle",),
    "UserDict": ("collections",), "UserList": ("collections",), "UserString": ("collections",),
    "__builtin__": (), "anydbm": ("dbm",), "whichdb": ("dbm",), "dumbdbm": ("dbm.dumb",), "gdbm": ("dbm.gnu",), "dbm": ("dbm",),
    "commands": ("subprocess",), "cookielib": ("http.cookiejar",), "copy_reg": ("copyreg",), "dummy_thread": ("_thread",),
    "dummy_threading": ("threading",), "exceptions": ("builtins",), "htmlentitydefs": ("html.entities",),
    "httplib": ("http.client",), "md5": ("hashlib",), "sha": ("hashlib",), "new": ("types",), "repr": ("reprlib",),
    "robotparser": ("urllib.robotparser",), "sets": (), "thread": ("_thread",), "urllib": ("urllib.request", "urllib.parse", "urllib.error"),
    "urllib2": ("urllib.request", "urllib.error", "urllib.parse"), "urlparse": ("urllib.parse",), "xmlrpclib": ("xmlrpc.client",),
    "SimpleXMLRPCServer": ("xmlrpc.server",), "DocXMLRPCServer": ("xmlrpc.server",), "xml.etree.cElementTree": ("xml.etree.ElementTree",),
    "email.Utils": ("email.utils",), "email.MIMEText": ("email.mime.text",), "email.MIMEMultipart": ("email.mime.multipart",),
    "email.MIMEBase": ("email.mime.base",), "email.Header": ("email.header",), "email.Encoders": ("email.encoders",),
    "email.Message": ("email.message",), "email.Errors": ("email.errors",), "email.Parser": ("email.parser",),
    "imp": (), "future_builtins": ("builtins",), "Tkinter": ("tkinter",), "mimetools": (), "rfc822": (),
    "test.test_support": ("test.support",), "_winreg": ("winreg",),
    **{name: (name,) for name in (
        "base64", "binascii", "cgi", "codecs", "collections", "csv", "datetime", "doctest", "gettext", "hashlib", "hmac",
        "inspect", "itertools", "json", "locale", "math", "operator", "os", "platform", "random", "re", "string", "struct", "sys",
        "threading", "time", "types", "unittest", "zlib", "tempfile", "weakref", "array", "traceback", "warnings", "marshal",
        "socket", "logging", "copy", "pprint", "shelve", "optparse", "difflib", "calendar", "os.path", "heapq", "bisect",
    )},
}  # fmt: skip
"""Python 2 module -> the modules of today that stand for it, the first one that has a name wins."""

ONLY_IN_PYTHON2 = frozenset(name for name, real in RENAMED.items() if name not in real) - {"urllib", "repr", "imp", "dbm"}
"""Modules that Python 3 does not have: importing one shows that a file is Python 2."""


class Shim(types.ModuleType):
    """A module of the standard library as translated code sees it. What it sets on it is set on the real module."""

    def __init__(self, name: str, backing: list[types.ModuleType], extra: dict[str, Any]) -> None:
        super().__init__(name, backing[0].__doc__ if backing else None)
        state = self.__dict__
        state["_chappe_backing"] = backing
        state["_chappe_extra"] = extra
        state.update(extra)
        if "__all__" not in extra:
            public = [key for module in backing for key in getattr(module, "__all__", None) or vars(module) if key[:1] != "_"]
            state["__all__"] = list(dict.fromkeys([*(key for key in extra if key[:1] != "_"), *public]))
        for key in ("__path__", "__file__", "__version__"):
            if backing and hasattr(backing[0], key):
                state[key] = getattr(backing[0], key)

    def __getattr__(self, name: str) -> Any:
        for module in self.__dict__["_chappe_backing"]:
            try:
                return getattr(module, name)
            except AttributeError:
                continue
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if name in state["_chappe_extra"] or not state["_chappe_backing"]:
            state[name] = value
        else:
            setattr(state["_chappe_backing"][0], name, value)

    def __delattr__(self, name: str) -> None:
        state = self.__dict__
        if name in state["_chappe_extra"] or not state["_chappe_backing"]:
            del state[name]
        else:
            delattr(state["_chappe_backing"][0], name)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *(name for module in self.__dict__["_chappe_backing"] for name in dir(module))})


class Builtin(Shim):
    """``__builtin__``: what is set on it is known to all translated modules."""

    def __setattr__(self, name: str, value: Any) -> None:
        from .namespace import BUILTINS

        BUILTINS[name] = self.__dict__[name] = value

    def __delattr__(self, name: str) -> None:
        from .namespace import BUILTINS

        BUILTINS.pop(name, None)
        del self.__dict__[name]


_shims: dict[str, Shim | None] = {}


def shim(name: str) -> Shim | None:
    """The module that Python 2 called ``name``, None when it needs no shim or nothing of today can stand for it."""
    if name not in RENAMED:
        return None
    if name not in _shims:
        from . import stdlib_binary, stdlib_extra, stdlib_order  # noqa: F401

        backing = []
        for real in RENAMED[name]:
            try:
                backing.append(importlib.import_module(real))
            except ImportError:
                continue
        make: Callable[[], dict[str, Any]] | None = stdlib_extra.EXTRA.get(name)
        extra = make() if make is not None else {}
        kind = Builtin if name == "__builtin__" else Shim
        _shims[name] = kind(name, backing, extra) if backing or extra else None
    return _shims[name]
