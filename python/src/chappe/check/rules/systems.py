"""What is registered where: classes that are not there, two systems under one name, mods on the wrong node."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .. import api
from ..calls import Registration
from ..finding import Finding
from ..layout import Half
from ..model import Module
from ..network import Network, serves
from ..suggest import did_you_mean


def systems(network: Network) -> Iterator[Finding]:
    """All of it."""
    for one in network.registrations:
        yield from _class(network, one)
        if one.namespace is None or one.name is None:
            network.not_constant(one.place)
    yield from _duplicates(network)
    yield from _same_packages(network)
    yield from _mods_on_nodes(network)


def _class(network: Network, one: Registration) -> Iterator[Finding]:
    if one.path is None or one.module.half in network.broken:
        return
    if one.cls is not None:
        roles = network.evaluator.roles(one.cls)
        if one.role and roles and one.role not in roles:
            base = api.BASE_OF_ROLE[sorted(roles)[0]]
            yield Finding(*one.place, "role-base", f"`{one.cls.name}` derives from {base} and is registered on {api.TITLE[one.role]}: "
                          f"derive it from {api.BASE_OF_ROLE[one.role]}")
        return
    where, _, name = one.path.rpartition(".")
    modules = network.evaluator.by_half.get(one.module.half, {})
    module = network.evaluator.find(where, one.module.half)
    if module is not None:
        if name not in module.scope.names and "*" not in module.scope.names:
            yield Finding(*one.place, "no-class", f"`{where}` has no class `{name}`{did_you_mean(name, module.scope.names)}")
        return
    package = where.split(".")[0]
    if any(known.split(".")[0] == package for known in modules):
        yield Finding(*one.place, "no-class", f"there is no module `{where}`{did_you_mean(where, modules)}")
    elif hint := did_you_mean(where, modules):
        yield Finding(*one.place, "no-class", f"there is no module `{where}`{hint}")


def _duplicates(network: Network) -> Iterator[Finding]:
    for node in network.nodes:
        first: dict[tuple[str, str], Registration] = {}
        for one in network.registrations:
            if one.conditional or one.namespace is None or one.name is None or one.role is None:
                continue
            if node not in network.nodes_of(one.module.half, one.role):
                continue
            earlier = first.setdefault((one.namespace, one.name), one)
            # Without a deploy.json it is not known that mods of different folders are on one node.
            if earlier is not one and (network.deploy or earlier.module.half is one.module.half):
                file, line, _ = earlier.place
                where = f" ({node.label})" if network.deploy else ""
                yield Finding(*one.place, "duplicate-system", f"a system is registered as (`{one.namespace}`, `{one.name}`) on the same node"
                              f"{where} at {file}:{line}: give one of the two another name")


def _same_packages(network: Network) -> Iterator[Finding]:
    """Two mods of one node whose scripts are imported by one name: the second would get the first one's files."""
    mains = {half: [module for module in network.modules if module.half is half and module.name.split(".")[-1] == "modMain"]
             for mod in network.mods for half in mod.halves}
    for node in network.nodes if network.deploy else ():
        first: dict[str, Module] = {}
        for half in dict.fromkeys(node.halves):
            for main in mains[half]:
                earlier = first.setdefault(main.name, main)
                if earlier.half is not half:
                    yield Finding(*main.place(main.source.tree), "duplicate-package",
                                  f"`{main.name}` of {node.label} is {earlier.file} already: rename the folder of one of the two mods' scripts")


def _mods_on_nodes(network: Network) -> Iterator[Finding]:
    inits = {half: _inits(network, half) for mod in network.mods for half in mod.halves if half not in network.broken}
    for half, found in inits.items():
        if found and not half.client and set(found) == {api.CLIENT}:
            yield Finding(*found[api.CLIENT], "client-mod-on-server", "this mod has @Mod.InitClient() only and is among the network's mods: "
                          "move it to behavior_packs")
    for node in network.nodes:
        for half, place in node.listed.items():
            found = inits.get(half, {})
            if half.client or not found or set(found) == {api.CLIENT}:
                continue
            if node.role not in found:
                has = ", ".join(f"@Mod.{name}()" for name, role in api.INIT.items() if role in found)
                wanted = next(name for name, role in api.INIT.items() if role == node.role)
                yield Finding(*place, "nothing-for-node", f"the mod `{half.name}` has {has} and no @Mod.{wanted}(): nothing of it runs on {node.label}")
            elif not serves(node, half):
                says = ", ".join(sorted(half.supports or ()))
                yield Finding(*place, "unsupported-node", f"the mod.json of `{half.name}` supports {says}, and {node.label} loads it")


def _inits(network: Network, half: Half) -> dict[str, tuple[str, int, int]]:
    """The roles that a half has an @Mod.Init... for, with the place."""
    found: dict[str, tuple[str, int, int]] = {}
    for module in network.modules:
        if module.half is half and module.name.split(".")[-1] == "modMain":
            for name, place in _marks(module):
                found.setdefault(api.INIT[name], place)
    return found


def _marks(module: Module) -> Iterator[tuple[str, tuple[str, int, int]]]:
    for node in ast.walk(module.source.tree):
        for mark in getattr(node, "decorator_list", []):
            target = mark.func if isinstance(mark, ast.Call) else mark
            if isinstance(target, ast.Attribute) and target.attr in api.INIT:
                yield target.attr, module.place(mark)
