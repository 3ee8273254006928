"""The builtins of translated modules: Python 2's names and meanings, in a dictionary that nothing else uses."""

from __future__ import annotations

import builtins
import functools
import importlib
import importlib.util
import io
import itertools
import os
import sys
import warnings
from typing import Any

from . import classes, runtime, stdlib, text
from .bytestr import ByteStr
from .semantics import to_tree
from .syntax import MARK


def map_(function: Any, *rows: Any) -> list[Any]:
    """Python 2's ``map``: a list; shorter rows are filled with None."""
    if len(rows) == 1:
        return list(rows[0]) if function is None else [function(item) for item in rows[0]]
    longest = itertools.zip_longest(*rows)
    return list(longest) if function is None else [function(*items) for items in longest]


def filter_(function: Any, items: Any) -> Any:
    """Python 2's ``filter``: text from text, a tuple from a tuple, else a list."""
    kept = builtins.filter(function, items)
    if isinstance(items, str):
        return "".join(kept)
    return tuple(kept) if isinstance(items, tuple) else list(kept)


def range_(*limits: Any) -> list[int]:
    return list(builtins.range(*(int(limit) for limit in limits)))


def xrange_(*limits: Any) -> builtins.range:
    return builtins.range(*(int(limit) for limit in limits))


def open_(name: Any, mode: str = "r", buffering: int = -1, *_: Any) -> Any:
    """Python 2's ``open``: text is utf-8 and its line ends stay, ``U`` takes any line end, ``b`` gives bytes and takes text."""
    kind = mode.replace("U", "") or "r"
    if not any(char in kind for char in "rwa"):
        kind = "r" + kind
    if "b" in kind:
        return BinaryFile(io.open(name, kind, buffering if buffering != 1 else -1))
    newline = None if "U" in mode else "\n"
    return io.open(name, kind, buffering if buffering > 0 else -1, encoding="utf-8", errors="surrogateescape", newline=newline)


class BinaryFile:
    """A binary file that takes text as its utf-8 and gives `ByteStr`."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def write(self, value: Any) -> int:
        return self._real.write(text.raw(value))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def read(self, *size: Any) -> ByteStr:
        return ByteStr(self._real.read(*size))

    def readline(self, *size: Any) -> ByteStr:
        return ByteStr(self._real.readline(*size))

    def readlines(self, *size: Any) -> list[ByteStr]:
        return [ByteStr(line) for line in self._real.readlines(*size)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __iter__(self) -> Any:
        return (ByteStr(line) for line in self._real)

    def __next__(self) -> ByteStr:
        return ByteStr(next(self._real))

    def __enter__(self) -> BinaryFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self._real.close()


class _FileKind(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, (io.IOBase, BinaryFile)) and not isinstance(value, io.StringIO)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        return open_(*args, **options)


class File(metaclass=_FileKind):
    """``file``: called it opens, and open files are instances of it."""


def apply_(function: Any, args: Any = (), options: Any = None) -> Any:
    return function(*args, **(options or {}))


def buffer_(value: Any, start: int = 0, size: int = -1) -> Any:
    """Python 2's ``buffer``: a part of what has bytes, to read."""
    raw = text.raw(value) if isinstance(value, str) else bytes(memoryview(value))
    return ByteStr(raw[start:] if size < 0 else raw[start : start + size])


def coerce_(a: Any, b: Any) -> tuple[Any, Any]:
    kind = complex if isinstance(a, complex) or isinstance(b, complex) else float if isinstance(a, float) or isinstance(b, float) else int
    return kind(a), kind(b)


def compile_(source: Any, filename: str, mode: str, flags: int = 0, dont_inherit: int = 0, *_: Any) -> Any:
    """``compile`` of Python 2 text (code objects and syntax trees as they are)."""
    if isinstance(source, bytes):
        source = text.of(source)
    if not isinstance(source, str):
        return builtins.compile(source, filename, mode)
    if mode == "single":
        return builtins.compile(_interactive(source, filename), filename, "single", dont_inherit=True)
    tree = to_tree(source + "\n" if mode == "exec" else source, filename, mode)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return builtins.compile(tree, filename, mode, dont_inherit=True)


def _interactive(source: str, filename: str) -> Any:
    import ast

    tree = to_tree(source + "\n", filename)
    body = tree.body if isinstance(tree.body, list) else []
    return ast.fix_missing_locations(ast.Interactive(body))


def exec_(code: Any, module: Any = None, local: Any = None) -> None:
    """The exec statement, of text, a file or a code object."""
    if isinstance(code, tuple) and module is None:
        code, module, local = (*code, None, None)[:3]
    if hasattr(code, "read"):
        code = code.read()
    if isinstance(code, (str, bytes)):
        code = compile_(code, "<string>", "exec")
    module = _prepared(module)
    builtins.exec(code, module, module if local is None else local)


def eval_(code: Any, module: Any = None, local: Any = None) -> Any:
    if isinstance(code, (str, bytes)):
        code = compile_(code, "<string>", "eval")
    module = _prepared(module)
    return builtins.eval(code, module, module if local is None else local)


def execfile_(name: str, module: Any = None, local: Any = None) -> None:
    from .source import decode

    with io.open(name, "rb") as file:
        source = decode(file.read())
    exec_(compile_(source, name, "exec"), module, local)


def _prepared(module: Any) -> dict[str, Any]:
    if module is None:
        module = sys._getframe(2).f_globals
    if module.get("__builtins__") in (None, builtins, vars(builtins)):
        module["__builtins__"] = BUILTINS
    return module


def reload_(module: Any) -> Any:
    return module if isinstance(module, stdlib.Shim) else importlib.reload(module)


def input_(prompt: str = "") -> Any:
    return eval_(builtins.input(prompt), sys._getframe(1).f_globals)


def reduce_(function: Any, items: Any, *initial: Any) -> Any:
    return functools.reduce(function, items, *initial)


def zip_(*rows: Any) -> list[Any]:
    return list(builtins.zip(*rows))


def oct_(value: int) -> str:
    shown = builtins.oct(value).replace("o", "")
    return "0" if value == 0 else shown


def import_(name: str, module: Any = None, local: Any = None, fromlist: Any = (), level: int = -1) -> Any:
    """Python 2's ``__import__``: the package's own module first, then old names of the standard library, then any other."""
    module = module if module is not None else {}
    if level > 0:
        return builtins.__import__(name, module, local, fromlist, level)
    if level == 0 and _is_absolute(module):
        package = ""
    else:
        package = _package(module)
    if package:
        found = _sibling(package, name, module, fromlist)
        if found is not None:
            return found
    return _absolute(name, module, local, fromlist)


def _is_absolute(module: Any) -> bool:
    return type(module.get("absolute_import")).__name__ == "_Feature"


def _package(module: Any) -> str:
    package = module.get("__package__")
    if package is None:
        package = module.get("__name__", "")
        if "__path__" not in module:
            package = package.rpartition(".")[0]
    return package if package in sys.modules else ""


_absent: set[tuple[str, str]] = set()


def _sibling(package: str, name: str, module: Any, fromlist: Any) -> Any:
    head = f"{package}.{name.partition('.')[0]}"
    if head == module.get("__name__") and "." not in name and head not in sys.modules:
        return None
    if head not in sys.modules:
        key = (head, os.pathsep.join(getattr(sys.modules[package], "__path__", ())))
        if key in _absent:
            return None
        if importlib.util.find_spec(head) is None:
            _absent.add(key)
            return None
    elif sys.modules[head] is None:
        return None
    found = builtins.__import__(f"{package}.{name}", module, None, fromlist or ("*none",) if "." not in name else fromlist, 0)
    return found if fromlist or "." not in name else sys.modules[head]


def _absolute(name: str, module: Any, local: Any, fromlist: Any) -> Any:
    head = name.partition(".")[0]
    if name in stdlib.RENAMED and not _is_program(head):
        shim = stdlib.shim(name)
        if shim is not None:
            if "." not in name or fromlist:
                return shim
            top = builtins.__import__(name.rpartition(".")[0], module, local, (), 0)
            above, _, last = name.rpartition(".")
            if not hasattr(sys.modules[above], last):
                setattr(sys.modules[above], last, shim)
            return stdlib.shim(head) or top
    result = builtins.__import__(name, module, local, fromlist, 0)
    if not fromlist and "." in name and head in stdlib.RENAMED and not _is_program(head):
        return stdlib.shim(head) or result
    return result


def _is_program(head: str) -> bool:
    """Whether a module of that name is the program's own rather than the standard library's."""
    loaded = sys.modules.get(head)
    if loaded is not None:
        return type(getattr(loaded, "__loader__", None)).__name__ == "Py2Loader" or (
            head not in sys.stdlib_module_names and not isinstance(loaded, stdlib.Shim) and head != "__main__"
        )
    if head in sys.stdlib_module_names and head not in ("test", "repr", "new", "md5"):
        return False
    return importlib.util.find_spec(head) is not None


BUILTINS: dict[str, Any] = {
    **vars(builtins),
    **{MARK + name: value for name, value in runtime.OPERATIONS.items()},
    MARK + "exec": exec_,
    "__build_class__": classes.build_class, "__import__": import_, "__name__": "__builtin__",
    "apply": apply_, "basestring": str, "buffer": buffer_, "cmp": runtime.cmp, "coerce": coerce_, "compile": compile_,
    "eval": eval_, "execfile": execfile_, "exec": exec_, "file": File, "filter": filter_, "input": input_, "intern": sys.intern,
    "long": int, "map": map_, "max": runtime.max_, "min": runtime.min_, "oct": oct_, "open": open_, "range": range_,
    "raw_input": builtins.input, "reduce": reduce_, "reload": reload_, "round": runtime.round_, "sorted": runtime.sorted_,
    "StandardError": Exception, "unichr": chr, "unicode": str, "xrange": xrange_, "zip": zip_,
    "__debug__": True,
}  # fmt: skip
