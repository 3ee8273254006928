"""Modules, classes and scopes of the mods: who binds which name to what. Nothing is evaluated here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .layout import Half
from .source import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Binding:
    """One way in which a name gets its value. `kind`: expr, item (of what is looped over), import, from, class, def, unknown."""

    kind: str
    node: ast.AST
    scope: Scope
    dotted: str = ""
    level: int = 0
    attribute: str = ""


@dataclass(eq=False)
class Scope:
    """Where names are looked up: a module, a class or a function, with what is around it."""

    module: Module
    parent: Scope | None = None
    cls: Class | None = None
    function: Function | None = None

    @cached_property
    def names(self) -> dict[str, list[Binding]]:
        """Every binding of every name of this scope itself."""
        found: dict[str, list[Binding]] = {}
        if self.function is not None:
            args = self.function.args
            for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]:
                if arg is not None:
                    found.setdefault(arg.arg, []).append(Binding("param", arg, self))
        body = self.function.body if self.function else self.cls.node.body if self.cls else self.module.source.tree.body
        for statement in body if isinstance(body, list) else []:
            for name, binding in _bound(statement, self):
                found.setdefault(name, []).append(binding)
        return found

    @property
    def method_of(self) -> Class | None:
        """The class whose instance the first parameter is, where this scope is a method."""
        parent = self.parent
        if not isinstance(self.function, ast.FunctionDef) or parent is None or parent.cls is None or parent.function is not None:
            return None
        if any(isinstance(mark, ast.Name) and mark.id in ("staticmethod", "classmethod") for mark in self.function.decorator_list):
            return None
        return parent.cls


@dataclass(eq=False)
class Class:
    """A class with its methods."""

    node: ast.ClassDef
    scope: Scope
    inner: Scope = field(init=False)
    methods: dict[str, Scope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inner = Scope(self.scope.module, self.scope, self)
        for statement in _statements(self.node.body):
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.methods[statement.name] = self.scope.module.scope_of(statement, self.inner)

    @property
    def name(self) -> str:
        return self.node.name

    @cached_property
    def self_names(self) -> dict[str, list[Binding]]:
        """What methods assign to `self.NAME`."""
        found: dict[str, list[Binding]] = {}
        for scope in self.methods.values():
            function = scope.function
            assert function is not None
            first = next(iter([*function.args.posonlyargs, *function.args.args]), None)
            for node in ast.walk(function) if first is not None else ():
                for target, value in _targets(node):
                    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and first and target.value.id == first.arg:
                        kind = "expr" if value is not None else "unknown"
                        found.setdefault(target.attr, []).append(Binding(kind, value or node, scope))
        return found


@dataclass(eq=False)
class Module:
    """A file of a mod. `name` is how the mod imports it."""

    name: str
    package: str
    half: Half
    source: Source
    scope: Scope = field(init=False)
    classes: dict[ast.ClassDef, Class] = field(default_factory=dict)
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)
    assigned_from_outside: bool = False

    def __post_init__(self) -> None:
        self.scope = Scope(self)

    @property
    def file(self) -> str:
        return str(self.source.path)

    def class_of(self, node: ast.ClassDef, scope: Scope) -> Class:
        """The class of that statement, made once."""
        if node not in self.classes:
            self.classes[node] = Class(node, scope)
        return self.classes[node]

    def scope_of(self, node: Function, parent: Scope) -> Scope:
        """The scope of that function, made once."""
        if node not in self.scopes:
            self.scopes[node] = Scope(self, parent, None, node)
        return self.scopes[node]

    @cached_property
    def everything(self) -> list[tuple[ast.AST, Scope]]:
        """Every node of the file together with the scope that its names are looked up in."""
        return list(walk(self.scope))

    def place(self, node: ast.AST) -> tuple[str, int, int]:
        return (self.file, *self.source.place(node))


def dotted_name(root: Path, file: Path) -> tuple[str, str]:
    """The name a file is imported by, and the package it is in."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        package = ".".join(parts[:-1])
        return package, package
    return ".".join(parts), ".".join(parts[:-1])


def walk(scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    """Every node below a scope together with the scope that its names are looked up in."""
    if scope.cls is not None:
        roots: list[ast.AST] = list(scope.cls.node.body)
    elif scope.function is not None:
        body = scope.function.body
        roots = list(body) if isinstance(body, list) else [body]
    else:
        roots = list(scope.module.source.tree.body)
    for root in roots:
        yield from _walk(root, scope)


def _walk(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    yield node, scope
    if isinstance(node, ast.ClassDef):
        cls = scope.module.class_of(node, scope)
        for outer in [*node.bases, *node.decorator_list]:
            yield from _walk(outer, scope)
        yield from walk(cls.inner)
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        for outer in [*node.args.defaults, *getattr(node, "decorator_list", [])]:
            yield from _walk(outer, scope)
        yield from walk(scope.module.scope_of(node, scope))
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, scope)


def _bound(node: ast.AST, scope: Scope) -> Iterator[tuple[str, Binding]]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.name, Binding("def", node, scope)
        return
    if isinstance(node, ast.ClassDef):
        yield node.name, Binding("class", node, scope)
        return
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            yield name, Binding("import", node, scope, alias.name if alias.asname else name)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, Binding("from", node, scope, node.module or "", node.level, alias.name)
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        for name in node.names:
            yield name, Binding("unknown", node, scope)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name, Binding("unknown", node, scope)
    elif isinstance(node, (ast.For, ast.AsyncFor)) and isinstance(node.target, ast.Name):
        yield node.target.id, Binding("item", node.iter, scope)
    else:
        for target, value in _targets(node):
            if isinstance(target, ast.Name):
                yield target.id, Binding("expr" if value is not None else "unknown", value or node, scope)
    for child in ast.iter_child_nodes(node):
        yield from _bound(child, scope)


def _targets(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """What a statement assigns to, with the value where it is a plain one."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pairs(target, node.value)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.NamedExpr):
        yield node.target, node.value
    elif isinstance(node, ast.AugAssign):
        yield node.target, None
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        yield from _pairs(node.target, None)
    elif isinstance(node, ast.Delete):
        for target in node.targets:
            yield target, None
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _pairs(node.optional_vars, None)


def _pairs(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    if isinstance(target, (ast.Tuple, ast.List)):
        values = value.elts if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts) else None
        for index, part in enumerate(target.elts):
            yield from _pairs(part, values[index] if values else None)
    elif isinstance(target, ast.Starred):
        yield target.value, None
    else:
        yield target, value


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a class body, also those under `if` and `try`."""
    for statement in body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try, ast.With)):
                yield from _statements(getattr(statement, part, []))
