"""What the modules of the standard library had in Python 2 and no longer have, module by module."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Callable
from typing import Any

from . import text

EXTRA: dict[str, Callable[[], dict[str, Any]]] = {}


def extra(*names: str) -> Callable[[Callable[[], dict[str, Any]]], Callable[[], dict[str, Any]]]:
    """Registers a function that makes what the modules ``names`` had."""

    def register(make: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        for name in names:
            EXTRA[name] = make
        return make

    return register


def _nothing(*_args: Any, **_options: Any) -> None:
    return None


@extra("sys")
def _sys() -> dict[str, Any]:
    return {
        "maxint": sys.maxsize, "setdefaultencoding": _nothing, "getdefaultencoding": lambda: "utf-8", "exc_clear": _nothing,
        "exc_type": None, "exc_value": None, "exc_traceback": None, "subversion": ("CPython", "", ""), "py3kwarning": False,
        "setcheckinterval": _nothing, "getcheckinterval": lambda: 100, "version_info": (2, 7, 18, "final", 0),
        "hexversion": 0x020712F0, "version": "2.7.18 (chappe.py2)",
    }  # fmt: skip


@extra("__builtin__")
def _builtin() -> dict[str, Any]:
    from .namespace import BUILTINS

    return {name: value for name, value in BUILTINS.items() if not name.startswith("_chappe")}


@extra("string")
def _string() -> dict[str, Any]:
    import string

    def method(name: str) -> Callable[..., Any]:
        return lambda value, *args: getattr(value, name)(*args)

    names = "capitalize count expandtabs find index ljust lower lstrip replace rfind rindex rjust rstrip split strip swapcase"
    found: dict[str, Any] = {name: method(name) for name in names.split() + ["translate", "upper", "zfill", "center"]}
    return {
        **found, "join": lambda words, sep=" ": sep.join(words), "joinfields": lambda words, sep=" ": sep.join(words),
        "splitfields": found["split"], "atoi": int, "atol": int, "atof": float, "maketrans": str.maketrans,
        "letters": string.ascii_letters, "lowercase": string.ascii_lowercase, "uppercase": string.ascii_uppercase,
    }  # fmt: skip


@extra("types")
def _types() -> dict[str, Any]:
    from .namespace import BUILTINS, File

    return {
        "StringType": str, "UnicodeType": str, "StringTypes": (str,), "IntType": int, "LongType": int, "FloatType": float,
        "BooleanType": bool, "ComplexType": complex, "ListType": list, "TupleType": tuple, "DictType": dict, "DictionaryType": dict,
        "NoneType": type(None), "TypeType": type, "ClassType": type, "ObjectType": object, "InstanceType": _OldInstance,
        "FileType": File, "SliceType": slice, "EllipsisType": type(...), "XRangeType": range, "UnboundMethodType": types.FunctionType,
        "BufferType": memoryview, "NotImplementedType": type(NotImplemented), "BuiltinsType": type(BUILTINS),
        "StringIOType": io.StringIO,
    }  # fmt: skip


class _OldInstance:
    """The type of instances of classic classes: nothing is one any more."""


@extra("new")
def _new() -> dict[str, Any]:
    return {
        "instancemethod": lambda function, instance, cls=None: function if instance is None else types.MethodType(function, instance),
        "classobj": type, "module": types.ModuleType, "function": types.FunctionType, "code": types.CodeType,
        "instance": lambda cls, state=None: _instance(cls, state),
    }  # fmt: skip


def _instance(cls: Any, state: Any) -> Any:
    made = cls.__new__(cls)
    made.__dict__.update(state or {})
    return made


class _StringIO(io.StringIO):
    """Takes bytes too, counts ``softspace``, starts at the beginning."""

    def __new__(cls, value: Any = "") -> Any:
        if isinstance(value, bytes) and cls is _StringIO:
            from .namespace import BinaryFile

            return BinaryFile(io.BytesIO(value))
        return super().__new__(cls)

    def __init__(self, value: Any = "") -> None:
        super().__init__(text.of(value) if isinstance(value, bytes) else str(value or ""), newline="\n")

    def write(self, value: Any) -> int:
        return super().write(text.shown(value) if not isinstance(value, str) else value)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def getvalue(self, *_use_pos: Any) -> str:
        return super().getvalue()

    reset = lambda self: self.seek(0)  # noqa: E731
    next = io.StringIO.__next__


@extra("StringIO", "cStringIO")
def _stringio() -> dict[str, Any]:
    return {"StringIO": _StringIO, "InputType": _StringIO, "OutputType": _StringIO, "__all__": ["StringIO"]}


@extra("itertools")
def _itertools() -> dict[str, Any]:
    import itertools

    return {
        "izip": zip, "imap": lambda function, *rows: zip(*rows) if function is None else map(function, *rows),
        "ifilter": filter, "ifilterfalse": itertools.filterfalse, "izip_longest": itertools.zip_longest,
    }  # fmt: skip


@extra("math")
def _math() -> dict[str, Any]:
    import math

    # They gave floats: math.floor(5.5) / 2 was 2.5.
    return {"floor": lambda number: float(math.floor(number)), "ceil": lambda number: float(math.ceil(number))}


@extra("json")
def _json() -> dict[str, Any]:
    import json

    def loads(value: Any, encoding: Any = None, **options: Any) -> Any:
        return json.loads(value, **options)

    def load(file: Any, encoding: Any = None, **options: Any) -> Any:
        return json.loads(file.read(), **options)

    def dumps(value: Any, *args: Any, encoding: Any = None, **options: Any) -> str:
        if options.get("indent") is not None and options.get("separators") is None:
            options["separators"] = (", ", ": ")
        return json.dumps(value, *args, default=options.pop("default", None) or _bytes_as_text, **options)

    def dump(value: Any, file: Any, *args: Any, **options: Any) -> None:
        file.write(dumps(value, *args, **options))

    return {"loads": loads, "load": load, "dumps": dumps, "dump": dump}


def _bytes_as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return text.of(value)
    raise TypeError(f"{value!r} is not JSON serializable")


@extra("os")
def _os() -> dict[str, Any]:
    import errno
    import os

    from .namespace import open_
    from .stdlib import shim

    return {"path": shim("os.path"), "fdopen": open_, "getcwdu": os.getcwd, "errno": errno, "tmpnam": lambda: __import__("tempfile").mktemp()}


@extra("tempfile")
def _tempfile() -> dict[str, Any]:
    import tempfile

    from .namespace import BinaryFile

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **options: BinaryFile(real(*args, **options))

    return {name: wrap(getattr(tempfile, name)) for name in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile")}


@extra("os.path")
def _os_path() -> dict[str, Any]:
    import os

    def walk(top: str, visit: Callable[..., Any], argument: Any) -> None:
        for folder, folders, files in os.walk(top):
            names = folders + files
            visit(argument, folder, names)
            folders[:] = [name for name in folders if name in names]

    return {"walk": walk}


@extra("calendar")
def _calendar() -> dict[str, Any]:
    import calendar

    days = "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY"
    return {name: int(getattr(calendar, name)) for name in days.split()}


@extra("time")
def _time() -> dict[str, Any]:
    import time

    return {"clock": time.process_time}


@extra("operator")
def _operator() -> dict[str, Any]:
    import operator

    from . import runtime

    return {
        "div": runtime.div, "isCallable": callable, "isSequenceType": lambda value: hasattr(value, "__getitem__"),
        "isMappingType": lambda value: hasattr(value, "__getitem__") and hasattr(value, "keys"),
        "isNumberType": lambda value: isinstance(value, (int, float, complex)), "sequenceIncludes": operator.contains,
        "lt": runtime.lt, "gt": runtime.gt, "le": runtime.le, "ge": runtime.ge, "idiv": runtime.div,
    }  # fmt: skip


@extra("collections", "UserDict", "UserList", "UserString")
def _collections() -> dict[str, Any]:
    import collections
    import collections.abc

    from . import runtime  # noqa: F401

    class DictMixin(collections.abc.MutableMapping):  # type: ignore[type-arg]
        """`UserDict.DictMixin`: needs ``keys`` rather than ``__iter__`` and ``__len__``."""

        def __iter__(self) -> Any:
            return iter(self.keys())

        def __len__(self) -> int:
            return len(self.keys())

        def has_key(self, key: Any) -> bool:
            return key in self

        def iteritems(self) -> Any:
            return ((key, self[key]) for key in self)

    names = [name for name in collections.abc.__all__ if not hasattr(collections, name)]
    return {**{name: getattr(collections.abc, name) for name in names}, "DictMixin": DictMixin, "IterableUserDict": collections.UserDict}


@extra("sets")
def _sets() -> dict[str, Any]:
    return {"Set": set, "ImmutableSet": frozenset, "BaseSet": set}


@extra("commands")
def _commands() -> dict[str, Any]:
    import subprocess

    return {"getoutput": subprocess.getoutput, "getstatusoutput": subprocess.getstatusoutput}


@extra("imp")
def _imp() -> dict[str, Any]:
    from .namespace import BUILTINS

    return {"new_module": types.ModuleType, "acquire_lock": _nothing, "release_lock": _nothing, "reload": BUILTINS["reload"]}


@extra("threading")
def _threading() -> dict[str, Any]:
    import threading

    class Thread(threading.Thread):
        isAlive = threading.Thread.is_alive

    return {"Thread": Thread, "_sleep": __import__("time").sleep}


@extra("unittest")
def _unittest() -> dict[str, Any]:
    import unittest

    class TestCase(unittest.TestCase):
        """With the names that were removed in Python 3.12 and before."""

        def assertItemsEqual(self, first: Any, second: Any, msg: Any = None) -> None:
            from . import runtime

            self.assertEqual(runtime.sorted_(first), runtime.sorted_(second), msg)

    aliases = {
        "assertEquals": "assertEqual", "assertNotEquals": "assertNotEqual", "failUnlessEqual": "assertEqual", "failIfEqual": "assertNotEqual",
        "failUnless": "assertTrue", "assert_": "assertTrue", "failIf": "assertFalse", "failUnlessRaises": "assertRaises",
        "assertAlmostEquals": "assertAlmostEqual", "assertNotAlmostEquals": "assertNotAlmostEqual",
        "failUnlessAlmostEqual": "assertAlmostEqual", "assertRegexpMatches": "assertRegex", "assertRaisesRegexp": "assertRaisesRegex",
        "assertDictContainsSubset": "assertLessEqual",
    }  # fmt: skip
    for old, new in aliases.items():
        setattr(TestCase, old, getattr(unittest.TestCase, new))

    def make_suite(case: Any, prefix: str = "test", sortUsing: Any = None, suiteClass: Any = unittest.TestSuite) -> Any:
        loader = unittest.TestLoader()
        loader.testMethodPrefix = prefix
        return loader.loadTestsFromTestCase(case)

    return {"TestCase": TestCase, "makeSuite": make_suite, "_TextTestResult": unittest.TextTestResult,
            "_WritelnDecorator": unittest.runner._WritelnDecorator}  # type: ignore[attr-defined]  # fmt: skip


@extra("inspect")
def _inspect() -> dict[str, Any]:
    import collections
    import inspect

    spec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
    return {"getargspec": lambda function: spec(*inspect.getfullargspec(function)[:4])}


@extra("ConfigParser")
def _configparser() -> dict[str, Any]:
    import configparser

    def kind(name: str, interpolation: Any) -> Any:
        class Parser(configparser.RawConfigParser):
            def __init__(self, defaults: Any = None, dict_type: Any = dict, allow_no_value: bool = False) -> None:
                super().__init__(
                    defaults, dict_type, allow_no_value, strict=False, interpolation=interpolation and interpolation(),
                    inline_comment_prefixes=(";",), empty_lines_in_values=False,
                )  # fmt: skip

            def readfp(self, file: Any, filename: Any = None) -> None:
                self.read_file(file, filename)

        Parser.__name__ = Parser.__qualname__ = name
        return Parser

    class basic(configparser.BasicInterpolation):
        def before_set(self, parser: Any, section: Any, option: Any, value: Any) -> Any:
            return value

    return {"RawConfigParser": kind("RawConfigParser", None), "ConfigParser": kind("ConfigParser", basic),
            "SafeConfigParser": kind("SafeConfigParser", basic)}  # fmt: skip


@extra("cgi")
def _cgi() -> dict[str, Any]:
    import html
    import urllib.parse

    return {
        "escape": lambda value, quote=False: html.escape(value, bool(quote)).replace("&#x27;", "'"),
        "parse_qs": urllib.parse.parse_qs, "parse_qsl": urllib.parse.parse_qsl,
    }  # fmt: skip


@extra("HTMLParser")
def _htmlparser() -> dict[str, Any]:
    return {"HTMLParseError": type("HTMLParseError", (Exception,), {})}


@extra("re")
def _re() -> dict[str, Any]:
    import re

    late_flag = re.compile(r"\(\?([aiLmsux]+)\)")

    def pattern_of(pattern: Any) -> Any:
        if isinstance(pattern, str):
            late = late_flag.search(pattern)
            if late and late.start() > 0 and pattern[late.start() - 1] not in "\\[":
                pattern = late.group(0).replace("L", "") + pattern[: late.start()] + pattern[late.end() :]
        return pattern

    def flags_of(pattern: Any, flags: int) -> int:
        return int(flags) & ~int(re.LOCALE) if isinstance(pattern, str) else flags

    def compile_(pattern: Any, flags: int = 0) -> Any:
        return re.compile(pattern_of(pattern), flags_of(pattern, flags)) if isinstance(pattern, str) else re.compile(pattern, flags)

    def simple(name: str) -> Callable[..., Any]:
        return lambda pattern, value, flags=0: getattr(compile_(pattern, flags), name)(value)

    return {"compile": compile_, "_pattern_type": re.Pattern, **{name: simple(name) for name in ("match", "search", "findall", "finditer")}}


@extra("csv")
def _csv() -> dict[str, Any]:
    import csv

    def reader(rows: Any, *args: Any, **options: Any) -> Any:
        return csv.reader((text.of(row) if isinstance(row, bytes) else row for row in rows), *args, **options)

    return {"reader": reader}


@extra("random")
def _random() -> dict[str, Any]:
    import random

    from . import runtime

    return {"shuffle": lambda items, rng=None: random.shuffle(items), "div": runtime.div}


@extra("locale")
def _locale() -> dict[str, Any]:
    import locale

    return {"format": locale.format_string}


@extra("platform")
def _platform() -> dict[str, Any]:
    return {"dist": lambda *a, **k: ("", "", ""), "linux_distribution": lambda *a, **k: ("", "", ""), "python_version": lambda: "2.7.18"}


@extra("gettext")
def _gettext() -> dict[str, Any]:
    import gettext

    return {"ugettext": gettext.gettext, "lgettext": gettext.gettext}


@extra("array")
def _array() -> dict[str, Any]:
    import array

    class Array(array.array):  # type: ignore[type-arg]
        tostring = array.array.tobytes
        fromstring = array.array.frombytes

        def __new__(cls, code: str, *values: Any) -> Any:
            return super().__new__(cls, {"c": "b"}.get(code, code), *values)

    return {"array": Array, "ArrayType": Array}


@extra("exceptions")
def _exceptions() -> dict[str, Any]:
    return {"StandardError": Exception}


@extra("traceback")
def _traceback() -> dict[str, Any]:
    import traceback

    return {"format_exc": lambda limit=None: traceback.format_exc(limit)}
