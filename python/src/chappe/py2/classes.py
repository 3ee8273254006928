"""Class statements of translated modules: special methods under their old names, ``__metaclass__``, ``__hash__`` kept beside ``__eq__``."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Callable
from typing import Any

_ORDER: dict[str, Callable[[int], bool]] = {
    "__eq__": lambda order: order == 0, "__ne__": lambda order: order != 0, "__lt__": lambda order: order < 0,
    "__le__": lambda order: order <= 0, "__gt__": lambda order: order > 0, "__ge__": lambda order: order >= 0,
}  # fmt: skip
_RENAMED = {"__div__": "__truediv__", "__rdiv__": "__rtruediv__", "__idiv__": "__itruediv__"}


def build_class(body: Callable[..., Any], name: str, *bases: Any, **options: Any) -> Any:
    """Stands in the builtins of translated modules for ``__build_class__``."""
    options.setdefault("metaclass", _Metaclass(body.__globals__))
    return builtins.__build_class__(body, name, *bases, **options)


class _Metaclass:
    """Python 3 calls this to create the class; it finds out what Python 2 would have called."""

    def __init__(self, module: dict[str, Any]) -> None:
        self._module = module

    def __prepare__(self, name: str, bases: tuple[Any, ...], **options: Any) -> Any:
        prepare = getattr(_of_bases(type, bases), "__prepare__", None)
        return prepare(name, bases, **options) if prepare is not None else {}

    def __call__(self, name: str, bases: tuple[Any, ...], namespace: dict[str, Any], **options: Any) -> Any:
        meta = namespace.get("__metaclass__")
        if meta is None and not bases:
            meta = self._module.get("__metaclass__")
        adapt(namespace, bases)
        if object in bases[:-1]:
            bases = (*(base for base in bases if base is not object), object)
        if meta is None or isinstance(meta, type):
            meta = _of_bases(meta or type, bases)
        return meta(name, bases, namespace, **options)


def _of_bases(meta: Any, bases: tuple[Any, ...]) -> Any:
    for base in bases:
        if issubclass(type(base), meta):
            meta = type(base)
    return meta


def adapt(namespace: dict[str, Any], bases: tuple[Any, ...]) -> None:
    """Adds Python 3's special methods beside those of Python 2 in the namespace of a class to be."""
    has = namespace.__contains__
    if has("__cmp__"):
        for name, verdict in _ORDER.items():
            if not has(name):
                namespace[name] = _from_cmp(verdict)
    if has("__eq__") and not has("__hash__"):
        inherited = [base.__hash__ for base in bases if getattr(base, "__hash__", None) is not None]
        if inherited or not bases:
            own = [each for each in inherited if each is not object.__hash__]
            namespace["__hash__"] = (own or [object.__hash__])[0]
    if has("__nonzero__") and not has("__bool__"):
        namespace["__bool__"] = lambda self: bool(self.__nonzero__())
    if has("next") and isinstance(namespace["next"], types.FunctionType) and not has("__next__"):
        namespace["__next__"] = lambda self: self.next()
    if has("__unicode__") and not has("__str__"):
        namespace["__str__"] = lambda self: self.__unicode__()
    if not has("__getitem__") and any(isinstance(base, type) and issubclass(base, BaseException) for base in bases):
        if not any(hasattr(base, "__getitem__") for base in bases):
            namespace["__getitem__"] = lambda self, key: self.args[key]
    for old, new in _RENAMED.items():
        if has(old) and not has(new):
            namespace[new] = namespace[old]
    if has("__getslice__"):
        _slices(namespace, bases, "__getitem__", "__getslice__")
    if has("__setslice__"):
        _slices(namespace, bases, "__setitem__", "__setslice__")
    if has("__delslice__"):
        _slices(namespace, bases, "__delitem__", "__delslice__")


def _from_cmp(verdict: Callable[[int], bool]) -> Callable[[Any, Any], Any]:
    def compare(self: Any, other: Any) -> Any:
        order = self.__cmp__(other)
        return order if order is NotImplemented else verdict(order)

    return compare


def _slices(namespace: dict[str, Any], bases: tuple[Any, ...], item: str, part: str) -> None:
    own = namespace.get(item)
    inherited = next((getattr(base, item) for base in bases if hasattr(base, item)), None)
    whole = own or inherited

    def access(self: Any, key: Any, *value: Any) -> Any:
        if isinstance(key, slice) and key.step is None:
            start = 0 if key.start is None else key.start
            stop = sys.maxsize if key.stop is None else key.stop
            length = len(self) if (start < 0 or stop < 0) and hasattr(self, "__len__") else 0
            start, stop = (edge + length if edge < 0 else edge for edge in (start, stop))
            return getattr(self, part)(start, stop, *value)
        if whole is None:
            raise TypeError(f"{type(self).__name__!r} object has no {item}")
        return whole(self, key, *value)

    namespace[item] = access
