"""What an expression can be: a set of constants and known things, or None where it is no constant."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from . import api
from .arguments import Arguments
from .layout import Half
from .model import Binding, Class, Module, Scope
from .values import NONE, Callable_, Dotted, Instance, SlaveNode, SystemBase, SystemOf, Table, Values

MOST = 64
DEEPEST = 100
OF_BASE = ("namespace", "systemName")


class Evaluator:
    """Evaluates over all modules of all mods. `registered` is told from outside once registrations are known."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = list(modules)
        self.by_half: dict[Half, dict[str, Module]] = {}
        for module in self.modules:
            self.by_half.setdefault(module.half, {})[module.name] = module
        self.registered: dict[Class, list[tuple[str, str]]] = {}
        #: What is being evaluated now: whoever comes by again goes in a circle (imports may), and nothing is known there.
        self._running: set[tuple[object, int]] = set()
        self._arguments = Arguments(self, self.modules)
        self._cut = 0
        self._known: dict[tuple[object, int], Values] = {}
        self._bases: dict[Class, list[Class | SystemBase | Dotted | None]] = {}
        self._mro: dict[Class, list[Class]] = {}

    def one(self, node: ast.AST | None, scope: Scope) -> Any:
        """The one value that an expression has, else None."""
        values = self.values(node, scope)
        return next(iter(values)) if values is not None and len(values) == 1 else None

    def texts(self, node: ast.AST | None, scope: Scope) -> frozenset[str] | None:
        """The strings that it can be, or None where it is anything else or not known."""
        values = self.values(node, scope)
        if not values or not all(isinstance(value, str) for value in values):
            return None
        return values

    def values(self, node: ast.AST | None, scope: Scope) -> Values:
        """All that an expression can be."""
        if node is None:
            return None
        return self._once((id(node), id(scope)), lambda: self._values(node, scope))

    def _once(self, key: tuple[object, int], evaluate: Callable[[], Values]) -> Values:
        if key in self._known:
            return self._known[key]
        if key in self._running or len(self._running) > DEEPEST:
            self._cut += 1
            return None
        self._running.add(key)
        cut = self._cut
        try:
            found = evaluate()
        finally:
            self._running.discard(key)
        found = found if found is None or len(found) <= MOST else None
        # What went in a circle on its way may come out otherwise when asked from elsewhere.
        if cut == self._cut:
            self._known[key] = found
        return found

    def forget(self) -> None:
        """To be called when bindings or registrations have changed."""
        self._known.clear()
        self._bases.clear()
        self._mro.clear()

    def _values(self, node: ast.AST, scope: Scope) -> Values:
        match node:
            case ast.Constant(value=None):
                return frozenset([NONE])
            case ast.Constant(value=value):
                return frozenset([value])
            case ast.Name(id=name):
                return self.name(name, scope)
            case ast.Attribute(value=owner, attr=attr):
                return _union(self.attribute(value, attr) for value in self.values(owner, scope) or [None])
            case ast.BinOp(left=left, op=op, right=right):
                return self._pairwise(left, op, right, scope)
            case ast.IfExp(body=body, orelse=orelse):
                return _union([self.values(body, scope), self.values(orelse, scope)])
            case ast.BoolOp(op=ast.Or(), values=values):
                return _union(self.values(value, scope) for value in values)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                items = [self.one(item, scope) for item in elts]
                return None if None in items else frozenset([tuple(items)])
            case ast.Dict(keys=keys, values=values):
                pairs = [(self.one(key, scope), self.one(value, scope)) for key, value in zip(keys, values, strict=True)]
                return None if any(None in pair for pair in pairs) else frozenset([Table(tuple(pairs))])
            case ast.Subscript(value=owner, slice=index):
                return self._item(self.one(owner, scope), self.one(index, scope))
            case ast.JoinedStr(values=parts):
                return self._joined(parts, scope)
            case ast.Lambda():
                return frozenset([Callable_(scope.module.scope_of(node, scope), False)])
            case ast.Call():
                return self._call(node, scope)
        return None

    def name(self, name: str, scope: Scope) -> Values:
        """What a name stands for, seen from a scope."""
        return self._once((name, id(scope)), lambda: self._name(name, scope))

    def _name(self, name: str, scope: Scope) -> Values:
        at: Scope | None = scope
        while at is not None:
            # A class body is seen from itself only, never from its methods.
            if (at.cls is None or at is scope) and name in at.names:
                return _union(self.binding(binding, name) for binding in at.names[name])
            at = at.parent
        for binding in scope.module.scope.names.get("*", []):
            found = self._from(binding, name)
            if found is not None:
                return found
        return frozenset([SystemBase(api.BASE_CLASS[name])]) if name in api.BASE_CLASS else None

    def binding(self, binding: Binding, name: str) -> Values:
        """What one binding gives a name."""
        scope = binding.scope
        if scope.module.assigned_from_outside and scope is scope.module.scope and binding.kind in ("expr", "item"):
            return None
        match binding.kind:
            case "expr":
                return self.values(binding.node, scope)
            case "item":
                looped = self.one(binding.node, scope)
                return frozenset(looped) if isinstance(looped, tuple) else None
            case "class":
                assert isinstance(binding.node, ast.ClassDef)
                return frozenset([scope.module.class_of(binding.node, scope)])
            case "def":
                method = scope.cls.methods.get(name) if scope.cls else None
                assert isinstance(binding.node, (ast.FunctionDef, ast.AsyncFunctionDef))
                return frozenset([Callable_(method or scope.module.scope_of(binding.node, scope), False)])
            case "import":
                return self._import(binding.dotted, scope.module)
            case "from":
                return self._from(binding, binding.attribute)
            case "param":
                return self._param(binding)
        return None

    def attribute(self, owner: Any, attr: str) -> Values:
        """What `owner.attr` is."""
        if isinstance(owner, Module):
            if attr in owner.scope.names or "*" in owner.scope.names:
                return self.name(attr, owner.scope)
            return self._import(f"{owner.name}.{attr}", owner)
        if isinstance(owner, Dotted):
            if attr in api.BASE_CLASS:
                return frozenset([SystemBase(api.BASE_CLASS[attr])])
            return frozenset([Dotted(api.module_name(f"{owner.name}.{attr}"))])
        if isinstance(owner, Instance):
            found = self.member(owner.cls, attr, True)
            if found is None and attr in OF_BASE and attr not in owner.cls.self_names:
                # The base class of all systems keeps the two names that it is registered under.
                return frozenset(pair[OF_BASE.index(attr)] for pair in self.registered.get(owner.cls, [])) or None
            return found
        if isinstance(owner, Class):
            return self.member(owner, attr, False)
        return None

    def member(self, cls: Class, attr: str, of_instance: bool) -> Values:
        """A method, a class attribute, or all that is ever assigned to `self.attr`."""
        return self._once(((attr, of_instance), id(cls)), lambda: self._member(cls, attr, of_instance))

    def _member(self, cls: Class, attr: str, of_instance: bool) -> Values:
        found: list[Values] = []
        for base in self.mro(cls):
            if of_instance and attr in base.self_names:
                found += [self.values(b.node, b.scope) if b.kind == "expr" else None for b in base.self_names[attr]]
        for base in self.mro(cls):
            if attr in base.methods:
                return _union([*found, frozenset([_method(base.methods[attr], of_instance)])])
            if attr in base.inner.names:
                return _union([*found, *(self.binding(b, attr) for b in base.inner.names[attr])])
        return _union(found) if found else None

    def mro(self, cls: Class) -> list[Class]:
        """The class and its bases that are the mods' own, depth first."""
        if cls in self._mro:
            return self._mro[cls]
        found: list[Class] = []
        todo: list[Class] = [cls]
        while todo:
            at = todo.pop(0)
            if at not in found:
                found.append(at)
                todo = [base for base in self.bases(at) if isinstance(base, Class)] + todo
        if not self._running:
            self._mro[cls] = found
        return found

    def bases(self, cls: Class) -> list[Class | SystemBase | Dotted | None]:
        """The direct bases; None for one that is not known."""
        if cls in self._bases:
            return self._bases[cls]
        cut = self._cut
        found: list[Class | SystemBase | Dotted | None] = []
        for node in cls.node.bases:
            value = self.one(node, cls.scope)
            if value is not None or not (isinstance(node, ast.Name) and node.id == "object"):
                found.append(value if isinstance(value, (Class, SystemBase, Dotted)) else None)
        if cut == self._cut:
            self._bases[cls] = found
        return found

    def roles(self, cls: Class) -> set[str]:
        """The roles of the system classes that it derives from."""
        return {base.role for part in self.mro(cls) for base in self.bases(part) if isinstance(base, SystemBase)}

    def closed(self, cls: Class) -> bool:
        """Whether all of its bases are known, so that a name that is not found is not there."""
        dynamic = {"__getattr__", "__getattribute__"}
        for part in self.mro(cls):
            if part.node.decorator_list or part.node.keywords or dynamic & set(part.methods):
                return False
            if any(base is None or isinstance(base, Dotted) for base in self.bases(part)):
                return False
            for node in ast.walk(part.node):
                if isinstance(node, ast.Name) and node.id in ("setattr", "__dict__"):
                    return False
                if isinstance(node, ast.Attribute) and node.attr == "__dict__":
                    return False
        return True

    def _import(self, dotted: str, module: Module) -> Values:
        for name in ([f"{module.package}.{dotted}"] if module.package else []) + [dotted]:
            found = self.find(name, module.half)
            if found is not None:
                return frozenset([found])
        return frozenset([Dotted(api.module_name(dotted))])

    def find(self, name: str, half: Half) -> Module | None:
        """A module of the mods by its name: of the same half first, else the only one of that name."""
        own = self.by_half.get(half, {}).get(name)
        if own is not None:
            return own
        others = [modules[name] for other, modules in self.by_half.items() if name in modules and other.client == half.client]
        return others[0] if len(others) == 1 else None

    def _from(self, binding: Binding, attr: str) -> Values:
        module = binding.scope.module
        dotted = binding.dotted
        if binding.level:
            parts = module.package.split(".")
            base = parts[: len(parts) - binding.level + 1]
            dotted = ".".join([*base, *([dotted] if dotted else [])])
            found = self.find(dotted, module.half)
            values: Values = frozenset([found]) if found else None
        else:
            values = self._import(dotted, module)
        if not values:
            return None
        return _union(self.attribute(value, attr) for value in values)

    def _param(self, binding: Binding) -> Values:
        cls = binding.scope.method_of
        function = binding.scope.function
        assert function is not None and isinstance(binding.node, ast.arg)
        args = [*function.args.posonlyargs, *function.args.args]
        if cls is None or binding.node not in args:
            return self._arguments.of(binding)
        index = args.index(binding.node)
        if index == 0:
            return frozenset([Instance(cls)])
        if index in (1, 2) and isinstance(function, ast.FunctionDef) and function.name == "__init__":
            names = self.registered.get(cls, [])
            if names:
                return frozenset(pair[index - 1] for pair in names)
        return self._arguments.of(binding)

    def _call(self, node: ast.Call, scope: Scope) -> Values:
        called = self.one(node.func, scope)
        if isinstance(called, Class):
            return frozenset([Instance(called)])
        if isinstance(node.func, ast.Name) and node.func.id == "super" and scope.method_of:
            return None
        last = called.name.rsplit(".", 1)[-1] if isinstance(called, Dotted) else _last(node.func) if called is None else ""
        if last == "GetEngineNamespace":
            return frozenset([api.ENGINE_NAMESPACE])
        if last == "GetEngineSystemName":
            return frozenset([api.ENGINE_SYSTEM])
        if last in api.BASE_GETTER:
            owner = called.name.rsplit(".", 2)[-2] if isinstance(called, Dotted) and called.name.count(".") else ""
            return frozenset([SystemBase(api.API_ROLE.get(owner, api.BASE_GETTER[last]))])
        if isinstance(called, Dotted) and called.name.startswith("chappe.snipe.") and last in ("getRandomClient", "SlaveClient"):
            kind = self.one(node.args[0], scope) if node.args and last == "getRandomClient" else None
            return frozenset([SlaveNode(kind if isinstance(kind, str) else None)])
        if last == "GetSystem" and len(node.args) == 2:
            namespace, name = (self.one(arg, scope) for arg in node.args)
            return frozenset([SystemOf(namespace, name)]) if isinstance(namespace, str) and isinstance(name, str) else None
        if last == "format" and isinstance(node.func, ast.Attribute) and not node.keywords:
            text = self.one(node.func.value, scope)
            args = [self.one(arg, scope) for arg in node.args]
            return _try(lambda: text.format(*args)) if isinstance(text, str) and all(_plain(arg) for arg in args) else None
        if last == "str" and len(node.args) == 1 and not node.keywords:
            value = self.one(node.args[0], scope)
            return frozenset([str(value)]) if _plain(value) else None
        return None

    def _pairwise(self, left: ast.expr, op: ast.operator, right: ast.expr, scope: Scope) -> Values:
        lefts, rights = self.values(left, scope), self.values(right, scope)
        if lefts is None or rights is None or len(lefts) * len(rights) > MOST:
            return None
        return _union(_operate(a, op, b) for a in lefts for b in rights)

    def _joined(self, parts: list[ast.expr], scope: Scope) -> Values:
        text = ""
        for part in parts:
            inner = part.value if isinstance(part, ast.FormattedValue) and part.format_spec is None and part.conversion == -1 else part
            value = self.one(inner, scope)
            if not _plain(value):
                return None
            text += str(value)
        return frozenset([text])

    def _item(self, owner: Any, index: Any) -> Values:
        if isinstance(owner, Table):
            found = [value for key, value in owner.items if key == index]
            return frozenset(found[-1:]) or None
        if isinstance(owner, tuple) and isinstance(index, int) and -len(owner) <= index < len(owner):
            return frozenset([owner[index]])
        return None


def _union(parts: Iterable[Values]) -> Values:
    found: set[Any] = set()
    for part in parts:
        if part is None:
            return None
        found |= part
    return frozenset(found) if found else None


def _operate(left: Any, op: ast.operator, right: Any) -> Values:
    match op, left, right:
        case ast.Add(), str(), str():
            return frozenset([left + right])
        case ast.Add(), int(), int():
            return frozenset([left + right])
        case ast.Mod(), str(), _ if _plain(right) or isinstance(right, tuple) and all(map(_plain, right)):
            return _try(lambda: left % right)
        case ast.Add(), tuple(), tuple():
            return frozenset([left + right])
    return None


def _try(make: Any) -> Values:
    try:
        return frozenset([make()])
    except (ValueError, TypeError, IndexError, KeyError, AttributeError):
        return None


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _method(scope: Scope, of_instance: bool) -> Callable_:
    marks = {mark.id for mark in getattr(scope.function, "decorator_list", []) if isinstance(mark, ast.Name)}
    if "staticmethod" in marks:
        return Callable_(scope, False)
    return Callable_(scope, of_instance or "classmethod" in marks)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
