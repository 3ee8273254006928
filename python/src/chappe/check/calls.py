"""What the code says to the platform: calls on systems and registrations, each with its arguments by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from . import api
from .evaluate import Evaluator
from .model import Class, Module, Scope
from .values import Dotted, Instance, SystemBase, SystemOf

TIMERS = {"AddTimer", "AddRepeatedTimer"}
HANDED = frozenset([*api.SENDS, *api.REGISTERS, "ListenForEvent"])


@dataclass(frozen=True)
class Who:
    """On whose behalf a call is made. `cls`: the class of the system where the code says `self`."""

    cls: Class | None = None
    system: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class ApiCall:
    """A call of the API on a system. `args` by parameter name; `exact`: all arguments are there to see."""

    name: str
    spec: api.Call
    node: ast.Call
    scope: Scope
    module: Module
    who: Who
    args: dict[str, ast.expr]
    exact: bool
    given: int
    strange: tuple[str, ...]

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands."""
        return self.module.place(self.node)


@dataclass(frozen=True, eq=False)
class Registration:
    """A `RegisterSystem`. What is no constant is None."""

    namespace: str | None
    name: str | None
    cls: Class | None
    role: str | None
    module: Module
    node: ast.Call
    conditional: bool
    path: str | None

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands."""
        return self.module.place(self.node)


def api_calls(module: Module, evaluator: Evaluator) -> Iterator[ApiCall]:
    """All calls on systems in a file, also those that a timer makes."""
    for node, scope in module.everything:
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in api.CALLS:
            call = _api_call(node.func, node.args, node.keywords, node, scope, evaluator)
            if call:
                yield call
        elif _called_name(node) in TIMERS and len(node.args) > 1 and isinstance(node.args[1], ast.Attribute):
            if node.args[1].attr in api.CALLS:
                call = _api_call(node.args[1], node.args[2:], node.keywords, node, scope, evaluator)
                if call:
                    yield call


def references(module: Module, evaluator: Evaluator) -> Iterator[tuple[str, ast.expr, ast.AST, Scope]]:
    """Methods that send, register or listen, handed on and not called, as (name, receiver, node, scope): what goes through
    them is not known. `getattr(system, name)` may be any of them."""
    called: set[int] = set()
    for node, scope in module.everything:
        if isinstance(node, ast.Call):
            called.add(id(node.func))
            if _called_name(node) in TIMERS and len(node.args) > 1:
                called.add(id(node.args[1]))
            if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1:
                names = evaluator.texts(node.args[1], scope)
                # Any object may be asked for any name; only of a system is it known to be one that sends.
                if names is None and isinstance(evaluator.one(node.args[0], scope), (Instance, SystemOf)):
                    names = HANDED
                for name in sorted((names or frozenset()) & HANDED):
                    yield name, node.args[0], node, scope
        elif isinstance(node, ast.Attribute) and node.attr in HANDED and id(node) not in called and isinstance(node.ctx, ast.Load):
            yield node.attr, node.value, node, scope


def registrations(module: Module, evaluator: Evaluator) -> Iterator[Registration]:
    """All `RegisterSystem` of a file."""
    parents: dict[ast.AST, ast.AST] = {child: node for node in ast.walk(module.source.tree) for child in ast.iter_child_nodes(node)}
    for node, scope in module.everything:
        if not isinstance(node, ast.Call) or _called_name(node) != "RegisterSystem":
            continue
        args, _, _ = bind(("nameSpace", "systemName", "clsPath"), node.args, node.keywords)
        namespace, name, path = (evaluator.one(args.get(param), scope) for param in ("nameSpace", "systemName", "clsPath"))
        cls = find_class(path, module, evaluator) if isinstance(path, str) else None
        yield Registration(
            namespace if isinstance(namespace, str) else None, name if isinstance(name, str) else None,
            cls, role_of(node, scope, evaluator), module, node, _conditional(node, parents), path if isinstance(path, str) else None,
        )


def find_class(path: str, module: Module, evaluator: Evaluator) -> Class | None:
    """The class of the mods under a dotted path."""
    where, _, name = path.rpartition(".")
    found = evaluator.find(where, module.half)
    values = evaluator.attribute(found, name) if found else None
    classes = [value for value in values or () if isinstance(value, Class)]
    return classes[0] if len(classes) == 1 else None


def who(receiver: ast.expr, attr: str, scope: Scope, evaluator: Evaluator) -> Who | None:
    """On whose behalf `receiver.attr(...)` is called; None where that is a method of the mod's own."""
    value = evaluator.one(receiver, scope)
    if isinstance(value, SystemOf):
        return Who(system=(value.namespace, value.name))
    if isinstance(value, (Dotted, Module)):
        return None
    cls = value.cls if isinstance(value, Instance) else value if isinstance(value, Class) else None
    if cls is None:
        return Who()
    if any(attr in part.methods for part in evaluator.mro(cls)):
        return None
    if attr in cls.self_names or attr in cls.inner.names:
        return None
    return Who(cls=cls)


def bind(names: tuple[str, ...], args: list[ast.expr], keywords: list[ast.keyword]) -> tuple[dict[str, ast.expr], bool, tuple[str, ...]]:
    """Arguments by parameter name; whether all can be seen (no `*` or `**`); keywords that fit no parameter."""
    exact = not any(isinstance(arg, ast.Starred) for arg in args) and all(word.arg for word in keywords)
    bound: dict[str, ast.expr] = {}
    for name, arg in zip(names, args, strict=False):
        if isinstance(arg, ast.Starred):
            break
        bound[name] = arg
    strange: list[str] = []
    for word in keywords:
        if word.arg is None:
            continue
        target = next((name for name in names if name == word.arg), None)
        target = target or next((name for name in names if word.arg in api.ALIASES.get(name, ()) and name not in bound), None)
        if target is None:
            strange.append(word.arg)
        else:
            bound[target] = word.value
    return bound, exact, tuple(strange)


def enclosing_class(scope: Scope) -> Class | None:
    """The class whose method the code stands in, also from inside nested functions."""
    at: Scope | None = scope
    while at is not None:
        if at.method_of is not None:
            return at.method_of
        if at.cls is not None:
            return at.cls
        at = at.parent
    return None


def _api_call(func: ast.Attribute, args: list[ast.expr], keywords: list[ast.keyword], node: ast.Call, scope: Scope,
              evaluator: Evaluator) -> ApiCall | None:
    caller = func.value
    spec, name = api.CALLS[func.attr], func.attr
    # The old way through the base class: ServerSystem.NotifyToClient(self, ...).
    if isinstance(evaluator.one(caller, scope), SystemBase) and args:
        caller, args = args[0], args[1:]
    about = who(caller, name, scope, evaluator)
    if about is None:
        return None
    bound, exact, strange = bind(spec.names, args, keywords)
    return ApiCall(name, spec, node, scope, scope.module, about, bound, exact, len(args) + len(keywords), strange)


def _called_name(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""


def role_of(node: ast.Call, scope: Scope, evaluator: Evaluator) -> str | None:
    """The role that the code of a call is for, where it is said beside it: by @Mod.Init..., else by the API module that is asked."""
    at: Scope | None = scope
    while at is not None:
        for mark in getattr(at.function, "decorator_list", []):
            name = _called_name(mark) if isinstance(mark, ast.Call) else getattr(mark, "attr", "")
            if name in api.INIT:
                return api.INIT[name]
        at = at.parent
    value = evaluator.one(node.func, scope)
    owner = value.name.split(".")[-2:-1] if isinstance(value, Dotted) else []
    return api.API_ROLE.get(owner[0]) if owner else None


def _conditional(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    at = parents.get(node)
    while at is not None and not isinstance(at, (ast.FunctionDef, ast.ClassDef)):
        if isinstance(at, (ast.If, ast.Try, ast.For, ast.While, ast.IfExp, ast.ExceptHandler)):
            return True
        at = parents.get(at)
    return False
