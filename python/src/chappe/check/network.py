"""Everything that the rules ask: nodes, what runs on them, which system says what, who may hear it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import api
from .calls import ApiCall, Registration, Who, api_calls, enclosing_class, references, registrations, who
from .evaluate import Evaluator
from .finding import Finding, Summary
from .layout import Half, Layout, Mod, Node, client_nodes, mod_folders, nodes_of_mods, serves
from .model import Binding, Class, Module, dotted_name
from .snipe import Snipe
from .source import Unreadable, parse

Names = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Site:
    """Where a piece of code runs, and as which systems (None: not known)."""

    nodes: tuple[Node, ...]
    systems: Names | None


class Network:
    """The nodes, mods and calls that are looked at together. `whole`: nothing else can be there to send or to listen."""

    def __init__(self, layout: Layout, nodes: list[Node], deploy: bool) -> None:
        self.findings = layout.findings
        self.nodes = nodes
        self.mods = list(layout.mods.values())
        self.whole = deploy and not any(node.opaque for node in nodes)
        self.deploy = deploy
        self.unknown: set[tuple[str, int, int]] = set()
        self.game_events: set[tuple[str, int, int]] = set()
        self.modules: list[Module] = []
        #: Halves with a file that could not be read: what it says is not known.
        self.broken: set[Half] = set()
        for half in dict.fromkeys(half for mod in self.mods for half in mod.halves):
            self._read(half)
        self.by_file = {module.source.path: module for module in self.modules}
        self.evaluator = Evaluator(self.modules)
        self._mark_assigned_from_outside()
        self.evaluator.forget()
        self._register()
        self.evaluator.forget()
        self.calls = [call for module in self.modules for call in api_calls(module, self.evaluator)]

    @classmethod
    def load(cls, paths: list[Path]) -> Network:
        """Reads what is given. Raises `FileNotFoundError`."""
        layout, nodes, mods = Layout(), list[Node](), list[Mod]()
        for path in paths:
            if path.suffix == ".py":
                raise FileNotFoundError(f"{path}: a mod's directory or a deploy.json is wanted, not one of its files")
            if path.is_file():
                nodes += layout.deploy(path)
            elif path.is_dir():
                mods += [layout.mod(folder) for folder in mod_folders(path)]
            else:
                raise FileNotFoundError(f"{path}: no such file or directory")
        if not nodes:
            return cls(layout, nodes_of_mods(mods), False)
        halves = [half for node in nodes if node.role == api.SERVER for half in node.halves]
        return cls(layout, nodes + client_nodes(list(layout.mods.values()), halves), True)

    def summary(self) -> Summary:
        """What was looked at."""
        nodes = sum(node.count for node in self.nodes if node.role != api.CLIENT) if self.deploy else 0
        return Summary(len(self.modules), len(self.mods), nodes, len(self.unknown), len(self.game_events))

    def not_constant(self, place: tuple[str, int, int]) -> None:
        """Counts a place that nothing can be said of."""
        self.unknown.add(place)

    def nodes_of(self, half: Half, role: str | None) -> tuple[Node, ...]:
        """The nodes that run code of a half in a role."""
        return tuple(node for node in self.nodes if half in node.halves and role in (None, node.role))

    def family(self, cls: Class) -> list[Class]:
        """The class and all that derive from it."""
        return self._families.get(cls, [cls])

    @cached_property
    def snipe(self) -> Snipe:
        """What is said to `chappe.snipe`."""
        return Snipe(self)

    @cached_property
    def _families(self) -> dict[Class, list[Class]]:
        found: dict[Class, list[Class]] = {}
        for module in self.modules:
            for other in module.classes.values():
                for cls in self.evaluator.mro(other):
                    found.setdefault(cls, []).append(other)
        return found

    def registered_as(self, cls: Class) -> list[Registration]:
        """How the class or one that derives from it is registered."""
        family = set(self.family(cls))
        return [registration for registration in self.registrations if registration.cls in family]

    def site(self, call_who: Who, half: Half) -> Site:
        """Where a call is made, and as which systems."""
        if call_who.system:
            return Site(self.nodes_of(half, None), frozenset([call_who.system]))
        cls = call_who.cls
        found = self.registered_as(cls) if cls else []
        names = [(one.namespace, one.name) for one in found]
        known = frozenset((a, b) for a, b in names if a is not None and b is not None)
        nodes = {id(node): node for one in found for node in self.nodes_of(one.module.half, one.role)}
        if not nodes:
            roles = self.evaluator.roles(cls) if cls else set()
            nodes = {id(node): node for node in self.nodes_of(half, roles.pop() if len(roles) == 1 else None)}
        certain = bool(found) and len(known) == len(set(names)) and not self._may_be_more(nodes.values())
        return Site(tuple(nodes.values()), known if certain else None)

    def systems_on(self, nodes: Iterable[Node]) -> Names | None:
        """All systems of some nodes; None where one of them has a system whose name is not known."""
        wanted = list(nodes)
        if any(node.opaque for node in wanted) or self._may_be_more(wanted):
            return None
        found = set()
        for one in self.registrations:
            if any(node in wanted for node in self.nodes_of(one.module.half, one.role)):
                found.add((one.namespace, one.name))
        return frozenset((a, b) for a, b in found if a is not None and b is not None)

    def _may_be_more(self, nodes: Iterable[Node]) -> bool:
        found = list(nodes)
        if any(half in self.broken for node in found for half in node.halves):
            return True
        wanted = {id(node) for node in found}
        return any(one.namespace is None or one.name is None for one in self.registrations
                   if any(id(node) in wanted for node in self.nodes_of(one.module.half, one.role)))

    def role_of(self, cls: Class | None) -> str | None:
        """The one role that a class of systems has: by its base class, else by how it is registered."""
        if cls is None:
            return None
        roles = self.evaluator.roles(cls) or {one.role for one in self.registered_as(cls) if one.role}
        return next(iter(roles)) if len(roles) == 1 else None

    def role_at(self, call: ApiCall) -> str | None:
        """The role in which the code of a call runs."""
        return self.role_of(call.who.cls) or self.role_of(enclosing_class(call.scope))

    def _read(self, half: Half) -> None:
        for file in half.files:
            name, package = dotted_name(half.root, file)
            try:
                self.modules.append(Module(name, package, half, parse(file)))
            except Unreadable as error:
                self.findings.append(Finding(str(file), error.line, error.column, "python-syntax", error.message))
                self.broken.add(half)

    def _mark_assigned_from_outside(self) -> None:
        """Names that some function or other module assigns to are no constants."""
        for module in self.modules:
            for node, scope in module.everything:
                if isinstance(node, ast.Global):
                    for name in node.names:
                        module.scope.names.setdefault(name, []).append(Binding("unknown", node, module.scope))
                elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                    target = self.evaluator.one(node.value, scope)
                    if isinstance(target, Module):
                        target.scope.names.setdefault(node.attr, []).append(Binding("unknown", node, target.scope))
                elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr" and node.args:
                    target = self.evaluator.one(node.args[0], scope)
                    if isinstance(target, Module):
                        target.assigned_from_outside = True

    def _register(self) -> None:
        self.registrations: list[Registration] = [one for module in self.modules for one in registrations(module, self.evaluator)]
        for one in self.registrations:
            if one.cls and one.namespace is not None and one.name is not None:
                for cls in self.evaluator.mro(one.cls):
                    self.evaluator.registered.setdefault(cls, []).append((one.namespace, one.name))

    def handed_on(self) -> list[tuple[str, Who, Module, ast.AST]]:
        """Methods that send, register or listen and are passed around: anything may go through them."""
        found = []
        for module in self.modules:
            for name, receiver, node, scope in references(module, self.evaluator):
                about = who(receiver, name, scope, self.evaluator)
                if about is not None:
                    found.append((name, about, module, node))
        return found


__all__ = ["Names", "Network", "Site", "serves"]
