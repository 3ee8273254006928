"""Handlers that are no callable, are not there, or take the wrong number of arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .. import api
from ..calls import TIMERS
from ..values import Callable_, Dotted, Instance, Nothing, SystemOf, Table
from ..finding import Finding
from ..model import Module, Scope, walk
from ..network import Network
from ..suggest import did_you_mean

#: Call -> (parameter with the function, what it is called with). None: only that it is there.
HANDLERS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "ListenForEvent": ("func", ("args",)),
    "UnListenForEvent": ("func", None),
    "RegisterRpcMethod": ("func", ("serverId", "callbackId", "args")),
    "RegisterRpcMethodForMod": ("func", ("serverId", "callbackId", "args")),
    **dict.fromkeys(api.REQUESTS, ("callback", ("suc", "data"))),
}
#: Functions of modules -> (index of the function's argument, what it is called with).
FUNCTIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    "RegisterMasterHttp": (2, ("clientId", "requestBody")),
    "RegisterServiceHttp": (2, ("clientId", "requestBody")),
    "SetLoginStratege": (0, ("uid", "callback")),
    "GetOnlineServerInfoOfPlayer": (1, ("info",)),
    "GetOnlineServerInfoOfMultiPlayers": (1, ("infos",)),
}
_OF_SYSTEM = {*api.CALLS, "Update", "Destroy", "CreateEventData", "DefineEvent", "UnDefineEvent", "UnListenAllEvents", "CreateComponent"}


def handlers(network: Network) -> Iterator[Finding]:
    """All functions that are handed to the platform."""
    for call in network.calls:
        if call.name in HANDLERS:
            param, given = HANDLERS[call.name]
            if param in call.args and (call.who.cls is None or network.role_of(call.who.cls)):
                yield from _check(network, call.args[param], call.scope, call.name, given, optional=param == "callback")
    for module in network.modules:
        yield from _functions(network, module)


def _functions(network: Network, module: Module) -> Iterator[Finding]:
    for node, scope in module.everything:
        if not isinstance(node, ast.Call) or node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
            continue
        called = network.evaluator.one(node.func, scope)
        name = called.name.rsplit(".", 1)[-1] if isinstance(called, Dotted) else ""
        if name in TIMERS and len(node.args) > 1:
            if not (isinstance(node.args[1], ast.Attribute) and node.args[1].attr in api.CALLS):
                given = tuple(ast.unparse(arg) for arg in node.args[2:])
                yield from _check(network, node.args[1], scope, name, given, optional=False)
        elif name in FUNCTIONS and len(node.args) > FUNCTIONS[name][0]:
            index, given = FUNCTIONS[name]
            yield from _check(network, node.args[index], scope, name, given, optional=True)


def _check(network: Network, node: ast.expr, scope: Scope, api_name: str, given: tuple[str, ...] | None, optional: bool) -> Iterator[Finding]:
    place = scope.module.place(node)
    evaluator = network.evaluator
    values = evaluator.values(node, scope)
    if isinstance(node, ast.Call):
        called = evaluator.one(node.func, scope)
        if isinstance(called, Callable_) and _returns_nothing(called.scope):
            yield Finding(*place, "handler-not-callable",
                          f"`{ast.unparse(node)}` calls the function here and hands over its None: leave out the parentheses")
        return
    if values is None:
        yield from _missing(network, node, scope)
        return
    for value in values:
        if isinstance(value, Callable_):
            if given is not None and not _overridden(network, node, scope):
                wrong = _arity(value, given)
                if wrong:
                    yield Finding(*place, "handler-arguments", f"{api_name} calls it with {_many(given)}, and {wrong}")
        elif isinstance(value, Nothing) and (optional or len(values) > 1):
            continue
        elif isinstance(value, (str, int, float, tuple, Nothing, Table, SystemOf)):
            shown = "None" if isinstance(value, Nothing) else repr(value) if isinstance(value, (str, int, float)) else "this"
            yield Finding(*place, "handler-not-callable", f"{shown} is no function: hand over the function itself, such as `self.OnEvent`")
        elif isinstance(value, Instance) and evaluator.closed(value.cls) and evaluator.member(value.cls, "__call__", True) is None:
            yield Finding(*place, "handler-not-callable", f"an object of `{value.cls.name}` is no function: hand over one of its methods")


def _missing(network: Network, node: ast.expr, scope: Scope) -> Iterator[Finding]:
    owner = network.evaluator.one(node.value, scope) if isinstance(node, ast.Attribute) else None
    if not isinstance(node, ast.Attribute) or not isinstance(owner, Instance):
        return
    family = network.family(owner.cls)
    parts = {part for cls in family for part in network.evaluator.mro(cls)}
    if not all(network.evaluator.closed(cls) for cls in family) or node.attr in _OF_SYSTEM:
        return
    names = {name for part in parts for name in [*part.methods, *part.self_names, *part.inner.names]}
    if node.attr not in names:
        methods = {name for part in parts for name in part.methods}
        yield Finding(*scope.module.place(node), "handler-missing",
                      f"`{owner.cls.name}` has no `{node.attr}`{did_you_mean(node.attr, methods)}")


def _overridden(network: Network, node: ast.expr, scope: Scope) -> bool:
    """Whether a class that derives from this one has a method of its own in that place."""
    owner = network.evaluator.one(node.value, scope) if isinstance(node, ast.Attribute) else None
    if not isinstance(node, ast.Attribute) or not isinstance(owner, Instance):
        return False
    return any(node.attr in cls.methods for cls in network.family(owner.cls) if cls is not owner.cls)


def _arity(handler: Callable_, given: tuple[str, ...]) -> str | None:
    function = handler.scope.function
    assert function is not None
    marks = getattr(function, "decorator_list", [])
    if any(not (isinstance(mark, ast.Name) and mark.id in ("staticmethod", "classmethod")) for mark in marks):
        return None
    if isinstance(function, ast.AsyncFunctionDef):
        return None
    args = function.args
    names = [arg.arg for arg in [*args.posonlyargs, *args.args]]
    if handler.bound:
        if not names and args.vararg is None:
            return f"`{_name(function)}` has no `self`: add it"
        names = names[1:]
    least = max(0, len(names) - len(args.defaults))
    most = None if args.vararg else len(names)
    must = [arg.arg for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True) if default is None]
    if must:
        return f"`{_name(function)}` wants the keyword `{must[0]}`"
    if least <= len(given) and (most is None or len(given) <= most):
        return None
    takes = str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
    return f"`{_name(function)}` takes {takes} ({', '.join(names)})" if names else f"`{_name(function)}` takes none"


def _many(given: tuple[str, ...]) -> str:
    count = {0: "no arguments", 1: "1 argument"}.get(len(given), f"{len(given)} arguments")
    return f"{count} ({', '.join(given)})" if given else count


def _name(function: ast.AST) -> str:
    return getattr(function, "name", "the lambda")


def _returns_nothing(scope: Scope) -> bool:
    function = scope.function
    if not isinstance(function, ast.FunctionDef) or function.decorator_list:
        return False
    for node, at in walk(scope):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return False
        if isinstance(node, ast.Return) and node.value is not None and at is scope:
            return False
    return True
