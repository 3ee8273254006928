"""What translated code calls: comparisons, division, ``print``, ``raise``, ``%`` and attributes as Python 2 had them.

`OPERATIONS` are the names that `semantics` puts into a program (without `syntax.MARK`). They live in the builtins of translated
modules alone; nothing here is visible to other code.
"""

from __future__ import annotations

import functools
import operator
import re
import sys
import types
from collections.abc import Callable, ItemsView, KeysView, ValuesView
from typing import Any

from . import bytestr, text

_VIEWS = (KeysView, ValuesView, ItemsView)
_NUMBERS = (int, float)


# comparison


def cmp(a: Any, b: Any) -> int:
    """Python 2's ``cmp``: -1, 0 or 1 for any two objects; complex numbers raise `TypeError`."""
    try:
        if a == b:
            return 0
        if a < b:
            return -1
        if a > b:
            return 1
    except TypeError as error:
        _raise_if_from_inside(error)
    return _cmp_unlike(a, b)


def _cmp_unlike(a: Any, b: Any) -> int:
    if isinstance(a, complex) or isinstance(b, complex):
        raise TypeError("no ordering relation is defined for complex numbers")
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and isinstance(a, list) == isinstance(b, list):
        for x, y in zip(a, b):
            if x is not y and x != y:
                return cmp(x, y)
        return (len(a) > len(b)) - (len(a) < len(b))
    if isinstance(a, dict) and isinstance(b, dict):
        if len(a) != len(b):
            return -1 if len(a) < len(b) else 1
        return _cmp_unlike(sorted_(a.items()), sorted_(b.items()))
    left, right = _rank(a), _rank(b)
    if left == right:
        left, right = (0, id(a)), (0, id(b))  # type: ignore[assignment]
    return (left > right) - (left < right)


def _rank(value: Any) -> tuple[int, str]:
    if value is None:
        return (0, "")
    if isinstance(value, _NUMBERS):
        return (1, "")
    return (2, type(value).__name__)


def _raise_if_from_inside(error: TypeError) -> None:
    """Raises the error again when a method of the program raised it, rather than the comparison itself."""
    trace = error.__traceback__
    if trace is not None and trace.tb_next is not None:
        raise error


def _ordered(compare: Callable[[Any, Any], Any], verdict: Callable[[int, int], bool]) -> Callable[[Any, Any], Any]:
    def ordered(a: Any, b: Any) -> Any:
        try:
            return compare(a, b)
        except TypeError as error:
            _raise_if_from_inside(error)
            return verdict(_cmp_unlike(a, b), 0)

    return ordered


def lt(a: Any, b: Any) -> Any:
    try:
        return a < b
    except TypeError as error:
        _raise_if_from_inside(error)
        return _cmp_unlike(a, b) < 0


def gt(a: Any, b: Any) -> Any:
    try:
        return a > b
    except TypeError as error:
        _raise_if_from_inside(error)
        return _cmp_unlike(a, b) > 0


le = _ordered(operator.le, operator.le)
ge = _ordered(operator.ge, operator.ge)
_COMPARE = {
    "Lt": lt, "LtE": le, "Gt": gt, "GtE": ge, "Eq": operator.eq, "NotEq": operator.ne, "Is": operator.is_,
    "IsNot": operator.is_not, "In": lambda a, b: a in b, "NotIn": lambda a, b: a not in b,
}  # fmt: skip


def chain(names: str, left: Any, right: Any, *rest: Callable[[], Any]) -> Any:
    """``left < right < rest[0]()``, each operand evaluated once and only when it is needed."""
    operators = names.split(",")
    result = _COMPARE[operators[0]](left, right)
    for name, operand in zip(operators[1:], rest):
        if not result:
            return result
        left, right = right, operand()
        result = _COMPARE[name](left, right)
    return result


_KEY = functools.cmp_to_key(cmp)


def sorted_(iterable: Any, cmp: Any = None, key: Any = None, reverse: Any = False) -> list[Any]:
    """Python 2's ``sorted``: any mixture sorts, ``cmp`` is taken."""
    items = list(iterable)
    sort(items, cmp, key, reverse)
    return items


def sort(items: list[Any], cmp: Any = None, key: Any = None, reverse: Any = False) -> None:
    """Python 2's ``list.sort`` on any list."""
    if cmp is not None:
        ordering = functools.cmp_to_key(cmp)
        list.sort(items, key=ordering if key is None else lambda item: ordering(key(item)), reverse=bool(reverse))
        return
    before = list(items)
    try:
        list.sort(items, key=key, reverse=bool(reverse))
    except TypeError:
        items[:] = before
        list.sort(items, key=_KEY if key is None else lambda item: _KEY(key(item)), reverse=bool(reverse))


def _extreme(real: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*args: Any, **options: Any) -> Any:
        items = list(args[0]) if len(args) == 1 else list(args)
        try:
            return real(items, **options)
        except TypeError:
            key = options.pop("key", None)
            return real(items, key=_KEY if key is None else lambda item: _KEY(key(item)), **options)

    extreme.__name__ = real.__name__
    return extreme


min_, max_ = _extreme(min), _extreme(max)


# numbers


def div(a: Any, b: Any) -> Any:
    """``a / b`` as in Python 2: whole numbers give a whole number."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    return a / b


class _Divisor(int):
    """The right side of ``/=``: a subclass of int is asked first, so that the target is evaluated once."""

    def __rtruediv__(self, other: Any) -> Any:
        return other // int(self)


def divisor(value: Any) -> Any:
    """What to divide by in ``target /= value``."""
    return _Divisor(value) if type(value) in (int, bool) else value


def round_(number: Any, ndigits: int = 0) -> float:
    """Python 2's ``round``: halves away from zero, always a float."""
    number = float(number)
    if number != number or number in (float("inf"), float("-inf")):
        return number
    from decimal import ROUND_HALF_UP, Decimal, localcontext

    with localcontext() as context:
        context.prec = 400
        return float(Decimal(number).quantize(Decimal(1).scaleb(-ndigits), rounding=ROUND_HALF_UP))


# text

_FORMAT = re.compile(r"%(?:\(([^)]*)\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?[hlL]?([diouxXeEfFgGcrs%])")


def mod(a: Any, b: Any) -> Any:
    """``a % b``, where ``%s`` shows floats with 12 digits and bytes as their text."""
    if not isinstance(a, str):
        return a % b
    values = b if isinstance(b, tuple) else (b,)
    if any(isinstance(value, (float, bytes)) for value in values):
        kinds = [m.group(4) for m in _FORMAT.finditer(a) if m.group(4) != "%"]
        if len(kinds) == len(values) and "*" not in a:
            pairs = zip(kinds, values)
            return a % tuple(text.shown(v) if k == "s" and isinstance(v, (float, bytes)) else v for k, v in pairs)
    return a % b


def print_(*items: Any, file: Any = None, comma: bool = False) -> None:
    """The print statement; ``comma`` is its trailing comma. A character that the stream cannot show is written as an escape."""
    out = sys.stdout if file is None else file
    if out is None:
        return
    soft = bool(getattr(out, "softspace", 0))
    pieces: list[str] = []
    for item in items:
        shown = item if type(item) is str else text.shown(item)
        pieces.append(" " + shown if soft else shown)
        soft = not (shown and shown[-1].isspace() and shown[-1] != " ")
    if not comma:
        pieces.append("\n")
        soft = False
    _write(out, "".join(pieces))
    try:
        out.softspace = int(soft)
    except (AttributeError, TypeError):
        pass


def _write(out: Any, shown: str) -> None:
    try:
        out.write(shown)
    except UnicodeEncodeError:
        encoding = getattr(out, "encoding", None) or "ascii"
        out.write(shown.encode(encoding, "backslashreplace").decode(encoding))
    except TypeError as error:
        _raise_if_from_inside(error)
        out.write(text.raw(shown))


# raise, exec


def raise_(kind: Any, value: Any = None, trace: Any = None) -> BaseException:
    """The exception that ``raise kind, value, trace`` raises."""
    while isinstance(kind, tuple) and kind:
        kind = kind[0]
    if isinstance(kind, type) and issubclass(kind, BaseException):
        if isinstance(value, kind):
            error = value
        elif value is None:
            error = kind()
        else:
            error = kind(*value) if isinstance(value, tuple) else kind(value)
    elif isinstance(kind, BaseException):
        error = kind
    else:
        name = (kind if isinstance(kind, type) else type(kind)).__name__
        raise TypeError(f"exceptions must derive from BaseException, not {name}: derive the class from Exception")
    return error.with_traceback(trace) if trace is not None else error


def item(owner: Any, key: Any) -> Any:
    """``owner[key]`` of what an except clause caught: an exception's items are its arguments."""
    if isinstance(owner, BaseException) and not hasattr(type(owner), "__getitem__"):
        return owner.args[key]
    return owner[key]


def items(owner: Any) -> Any:
    """``owner`` as the right side of ``a, b = owner``, likewise."""
    return owner.args if isinstance(owner, BaseException) and not hasattr(type(owner), "__iter__") else owner


# attributes

_MISSING = object()


def _listing(name: str) -> Callable[[Any], Any]:
    view = getattr(dict, name)

    def attribute(owner: Any) -> Any:
        if type(owner) is dict:
            return functools.partial(list, view(owner))
        method = getattr(owner, name)
        if not callable(method) or _is_translated(method):
            return method

        def listed(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            return list(result) if type(result) is not list and isinstance(result, _VIEWS) else result

        return listed

    return attribute


def _is_translated(method: Any) -> bool:
    module = getattr(getattr(method, "__func__", None), "__globals__", None)
    inside = module.get("__builtins__") if isinstance(module, dict) else None
    return isinstance(inside, dict) and inside.get("__name__") == "__builtin__"


def _reading(name: str) -> Callable[[Any], Any]:
    def attribute(owner: Any) -> Any:
        method = getattr(owner, name)
        if not callable(method) or isinstance(method, type):
            return method

        def read(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            return result if type(result) is str else bytestr.wrapped(result)

        return read

    return attribute


def _iterating(name: str, of: str) -> Callable[[Any], Any]:
    view = getattr(dict, of)

    def attribute(owner: Any) -> Any:
        if type(owner) is dict:
            return functools.partial(iter, view(owner))
        found = getattr(owner, name, _MISSING)
        if found is not _MISSING:
            return found
        method = getattr(owner, of, None)
        if method is None:
            return getattr(owner, name)
        return lambda *args: iter(method(*args))

    return attribute


def _renamed(old: str, new: str) -> Callable[[Any], Any]:
    def attribute(owner: Any) -> Any:
        found = getattr(owner, old, _MISSING)
        if found is _MISSING:
            found = getattr(owner, new, _MISSING)
        return getattr(owner, old) if found is _MISSING else found

    return attribute


def _message(owner: Any) -> Any:
    try:
        return owner.message
    except AttributeError:
        if isinstance(owner, BaseException):
            return owner.args[0] if len(owner.args) == 1 else ""
        raise


def _im_func(owner: Any) -> Any:
    if isinstance(owner, types.FunctionType) and "im_func" not in owner.__dict__:
        return owner
    return _renamed("im_func", "__func__")(owner)


def _im_class(owner: Any) -> Any:
    held = getattr(owner, "__self__", None)
    if held is None:
        return owner.im_class
    return held if isinstance(held, type) else type(held)


def _im_self(owner: Any) -> Any:
    return None if isinstance(owner, types.FunctionType) else _renamed("im_self", "__self__")(owner)


def _of_text(name: str, ours: Callable[..., Any]) -> Callable[[Any], Any]:
    def attribute(owner: Any) -> Any:
        if isinstance(owner, (str, bytes)) and getattr(type(owner), name, None) in (getattr(str, name, None), getattr(bytes, name, None)):
            return functools.partial(ours, owner)
        if owner is str:
            return ours
        return getattr(owner, name)

    return attribute


def _sort(owner: Any) -> Any:
    if owner is list:
        return sort
    if isinstance(owner, list) and type(owner).sort is list.sort:
        return functools.partial(sort, owner)
    return owner.sort



OPERATIONS: dict[str, Any] = {
    "lt": lt, "le": le, "gt": gt, "ge": ge, "chain": chain, "div": div, "divisor": divisor, "mod": mod, "print": print_,
    "repr": repr, "raise": raise_, "item": item, "items": items, "to_str": text.to_str, "to_unicode": text.to_unicode, "globals": globals, "locals": locals,
    "attr_has_key": _renamed("has_key", "__contains__"), "attr_next": _renamed("next", "__next__"),
    "attr_gi_next": _renamed("gi_next", "__next__"),
    "attr_keys": _listing("keys"), "attr_values": _listing("values"), "attr_items": _listing("items"),
    "attr_iterkeys": _iterating("iterkeys", "keys"), "attr_itervalues": _iterating("itervalues", "values"),
    "attr_iteritems": _iterating("iteritems", "items"),
    "attr_viewkeys": _renamed("viewkeys", "keys"), "attr_viewvalues": _renamed("viewvalues", "values"),
    "attr_viewitems": _renamed("viewitems", "items"),
    "attr_encode": _of_text("encode", text.encode), "attr_decode": _of_text("decode", text.decode),
    "attr_sort": _sort, "attr_message": _message,
    "attr_im_func": _im_func, "attr_im_self": _im_self, "attr_im_class": _im_class,
    **{f"attr_{name}": _reading(name) for name in ("read", "readline", "readlines", "recv", "communicate", "check_output")},
    **{f"attr_func_{name}": _renamed(f"func_{name}", f"__{name}__") for name in
       ("name", "code", "globals", "defaults", "dict", "doc", "closure")},
}  # fmt: skip
