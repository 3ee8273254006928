"""Names of the platform's modules and systems that they do not have: `serverApi.GetPlayerLst`, `self.NotifyToClinet`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .. import surface
from ..api import API_ROLE, BASE_GETTER, module_name
from ..finding import Finding
from ..model import Module, Scope
from ..network import Network
from ..suggest import did_you_mean, nearest
from ..values import Dotted, Instance


def names(network: Network) -> Iterator[Finding]:
    """All of them. Names of the game engine, which extraServerApi and extraClientApi have too, are let be."""
    given = _given(network)
    for module in network.modules:
        for node, scope in module.everything:
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr not in given:
                owner = network.evaluator.one(node.value, scope)
                if isinstance(owner, Dotted):
                    yield from _of_module(module, node, owner.name, node.attr)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                for alias in node.names:
                    if alias.name != "*":
                        yield from _of_module(module, node, module_name(node.module), alias.name)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr not in given:
                yield from _of_system(network, module, node.func, scope)


def _of_module(module: Module, node: ast.AST, owner: str, name: str) -> Iterator[Finding]:
    if not surface.lacks(owner, name):
        return
    known, others = surface.names()[owner], surface.elsewhere(name, owner)
    place = module.place(node)
    if surface.is_absent(owner, name):
        yield Finding(*place, "api-missing", f"`{owner}.{name}` is of the network and is not here: it does nothing and gives None")
    elif name in BASE_GETTER and owner.rsplit(".", 1)[-1] in API_ROLE:
        yield Finding(*place, "api-name", f"`{owner}` has no `{name}`: `{others[0]}` has it")
    elif nearest(name, known):
        yield Finding(*place, "api-name", f"`{owner}` has no `{name}`{did_you_mean(name, known)}")
    elif surface.is_shared(owner):
        return
    elif others:
        yield Finding(*place, "api-name", f"`{owner}` has no `{name}`: `{others[0]}` has it")
    else:
        yield Finding(*place, "api-missing", f"`{owner}` has no `{name}` here: it does nothing and gives None")


def _of_system(network: Network, module: Module, called: ast.Attribute, scope: Scope) -> Iterator[Finding]:
    owner = network.evaluator.one(called.value, scope)
    if not isinstance(owner, Instance) or network.role_of(owner.cls) is None or called.attr in surface.of_systems():
        return
    family = network.family(owner.cls)
    parts = {part for cls in family for part in network.evaluator.mro(cls)}
    if any(called.attr in has for part in parts for has in (part.methods, part.self_names, part.inner.names)):
        return
    if not all(network.evaluator.closed(cls) for cls in family):
        return
    own = {name for part in parts for name in part.methods}
    if nearest(called.attr, own | surface.of_systems()):
        yield Finding(*module.place(called), "api-name",
                      f"`{owner.cls.name}` has no `{called.attr}`{did_you_mean(called.attr, own | surface.of_systems())}")


def _given(network: Network) -> set[str]:
    """Names that some code sets on some object: it may be this one."""
    return {node.attr for module in network.modules for node, _ in module.everything
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            and not (isinstance(node.value, ast.Name) and node.value.id == "self")}
