"""What the code says to `chappe.snipe`: modules that are registered, notifications and players' requests that are sent."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from . import api
from .calls import Who, bind, enclosing_class, role_of
from .layout import Node
from .model import Class, Module, Scope
from .values import Callable_, Dotted, Instance, SlaveNode

if TYPE_CHECKING:
    from .network import Network

PACKAGE = "chappe.snipe."
#: Where else the same is found.
SAME = {"server.server": "server", "client.client": "client", "modules.request": "request", "server.broadcast": "server.notifyAll",
        "cacheNotify": "server.cacheNotify", "cacheRequest": "server.cacheRequest"}
PARAMS = {
    "server.notify": ("uid", "message"),
    "server.sendTo": ("uid", "message", "callback"),
    "server.cacheNotify": ("message",),
    "server.cacheRequest": ("message", "callback", "timeout"),
    "server.notifyAll": ("type", "message"),
    "SlaveClient.notify": ("message",),
    "client.request": ("type", "params", "callback", "timeout"),
}
REGISTER = ("name", "module", "attributes", "version", "upgrade")


@dataclass(frozen=True, eq=False)
class SnipeCall:
    """A call that sends. `call` is one of `PARAMS`; `types`: of nodes that it goes to, None for any."""

    call: str
    args: dict[str, ast.expr]
    node: ast.Call
    scope: Scope
    nodes: tuple[Node, ...]
    types: frozenset[str] | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands."""
        return self.scope.module.place(self.node)


@dataclass(frozen=True)
class Method:
    """A public method of a module. `takes`: 2 or 1 arguments, 0 when neither, None when not known. `is_request` None: not known."""

    takes: int | None
    is_request: bool | None


@dataclass(frozen=True, eq=False)
class Registered:
    """A `registerModule`. None: not known."""

    names: frozenset[str] | None
    cls: Class | None
    methods: dict[str, Method] | None
    nodes: tuple[Node, ...]


class Snipe:
    """All of it, in code that runs somewhere."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._evaluator = network.evaluator
        self.registered: list[Registered] = []
        self.calls: list[SnipeCall] = []
        if any(PACKAGE[:-1] in line for module in network.modules for line in module.source.translated):
            self.registered = [one for module in network.modules for one in self._registered(module)]
            self.calls = [call for module in network.modules for call in self._calls(module)]

    def _registered(self, module: Module) -> Iterator[Registered]:
        called = {id(node.func) for node, _ in module.everything if isinstance(node, ast.Call)}
        for node, scope in module.everything:
            if isinstance(node, ast.Attribute) and node.attr == "registerModule" and id(node) not in called:
                if self._member(node, scope) in ("server.registerModule", None):
                    # Handed on: anything may be registered through it.
                    yield Registered(None, None, None, self._network.nodes_of(module.half, None))
            elif isinstance(node, ast.Call) and self._registers(node.func, scope):
                args, _, _ = bind(REGISTER, node.args, node.keywords)
                names = self._evaluator.texts(args.get("name"), scope)
                cls, methods = self._methods(args.get("module"), scope)
                if names is None or methods is None:
                    self._network.not_constant(module.place(node))
                nodes = self._nodes(node, scope)
                if nodes:
                    yield Registered(names, cls, methods, nodes)

    def _registers(self, func: ast.expr, scope: Scope) -> bool:
        member = self._member(func, scope) if isinstance(func, (ast.Attribute, ast.Name)) else ""
        # Whatever has such a method and is not known may be the server.
        return member == "server.registerModule" or member is None and isinstance(func, ast.Attribute) and func.attr == "registerModule"

    def _methods(self, node: ast.expr | None, scope: Scope) -> tuple[Class | None, dict[str, Method] | None]:
        value = self._evaluator.one(node, scope)
        if isinstance(value, Instance):
            return value.cls, self._of_class(value.cls)
        if isinstance(value, Module) and not value.assigned_from_outside:
            names = {name: found for name, found in value.scope.names.items() if not name.startswith("_") and name != "*"}
            own = {name for name, found in names.items() if any(one.kind in ("def", "expr", "unknown") for one in found)}
            return None, {name: self._method(self._evaluator.name(name, value.scope), value.scope) for name in own}
        return None, None

    def _of_class(self, cls: Class) -> dict[str, Method] | None:
        if not self._evaluator.closed(cls):
            return None
        names = {name for part in self._evaluator.mro(cls) for name in (*part.methods, *part.inner.names)}
        return {name: self._method(self._evaluator.member(cls, name, True), cls.inner) for name in names if not name.startswith("_")}

    def _method(self, values: frozenset[object] | None, scope: Scope) -> Method:
        value = next(iter(values)) if values and len(values) == 1 else None
        if not isinstance(value, Callable_) or value.scope.function is None:
            return Method(None, None)
        marks = [self._member(mark, value.scope.parent or scope) for mark in getattr(value.scope.function, "decorator_list", [])]
        is_known = all(mark == "request" or isinstance(node, ast.Name) and node.id in ("staticmethod", "classmethod")
                       for mark, node in zip(marks, getattr(value.scope.function, "decorator_list", []), strict=True))
        is_request = True if "request" in marks else False if is_known and not self._marks_elsewhere else None
        return Method(_takes(value.scope.function, value.bound) if is_known else None, is_request)

    @cached_property
    def _marks_elsewhere(self) -> bool:
        """Whether `request` is called rather than written above a method: it may mark any."""
        return any(self._member(node.func, scope) == "request" for module in self._network.modules for node, scope in module.everything
                   if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)))

    def _calls(self, module: Module) -> Iterator[SnipeCall]:
        for node, scope in module.everything:
            if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Attribute, ast.Name)):
                continue
            member, types = self._member(node.func, scope), None
            if member not in PARAMS:
                target = self._slave(node.func, scope)
                if target is None:
                    continue
                member, types = "SlaveClient.notify", frozenset([target.type]) if target.type else None
            assert member is not None
            args, is_exact, _ = bind(PARAMS[member], node.args, node.keywords)
            if member == "server.notifyAll":
                types = self._evaluator.texts(args.get("type"), scope)
            nodes = self._nodes(node, scope)
            if nodes and is_exact:
                yield SnipeCall(member, args, node, scope, nodes, types)

    def _slave(self, func: ast.expr, scope: Scope) -> SlaveNode | None:
        """The node that the master has in hand: found by its type, or given to a handler as the one that asks."""
        if not isinstance(func, ast.Attribute) or func.attr != "notify":
            return None
        values = self._evaluator.values(func.value, scope)
        value = next(iter(values)) if values and len(values) == 1 else None
        if isinstance(value, SlaveNode):
            return value
        at: Scope | None = scope if values is None and isinstance(func.value, ast.Name) else None
        while at is not None and isinstance(func.value, ast.Name) and func.value.id not in at.names:
            at = at.parent
        if at is None or at.method_of not in self._of_master or at.function is None or not isinstance(func.value, ast.Name):
            return None
        params = [arg.arg for arg in (*at.function.args.posonlyargs, *at.function.args.args)]
        is_asking = len(params) == 3 and params[1] == func.value.id and len(at.names[params[1]]) == 1
        return SlaveNode(None) if is_asking else None

    @cached_property
    def _of_master(self) -> set[Class | None]:
        roles: dict[Class, set[str]] = {}
        for one in self.registered:
            if one.cls is not None:
                roles.setdefault(one.cls, set()).update(node.role for node in one.nodes)
        return {part for cls, found in roles.items() if found == {api.MASTER} for part in self._evaluator.mro(cls)}

    def _nodes(self, node: ast.Call, scope: Scope) -> tuple[Node, ...]:
        role, half = role_of(node, scope, self._evaluator), scope.module.half
        return self._network.nodes_of(half, role) if role else self._network.site(Who(cls=enclosing_class(scope)), half).nodes

    def _member(self, node: ast.expr, scope: Scope) -> str | None:
        """What of `chappe.snipe` an expression is; "" for something else, None where it is not known."""
        value = self._evaluator.one(node, scope)
        if isinstance(value, Dotted):
            if not value.name.startswith(PACKAGE):
                return ""
            name = value.name.removeprefix(PACKAGE)
            for other, own in SAME.items():
                if name == other or name.startswith(f"{other}."):
                    name = own + name.removeprefix(other)
            return name
        return None if value is None else ""


def _takes(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, is_bound: bool) -> int:
    """As `chappe.snipe.modules` counts: 2 when it can be called with two arguments, else 1 when with one, else 0."""
    args = function.args
    most = len(args.posonlyargs) + len(args.args) - is_bound
    least = most - len(args.defaults)
    if any(default is None for default in args.kw_defaults):
        return 0
    fits = [count for count in (2, 1) if least <= count and (count <= most or args.vararg is not None)]
    return fits[0] if fits else 0
