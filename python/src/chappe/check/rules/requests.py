"""Requests to modules, types and methods that nobody registers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .. import api
from ..calls import ApiCall
from ..finding import Finding
from ..layout import Node
from ..network import Network
from ..suggest import did_you_mean, nearest


@dataclass(frozen=True, eq=False)
class Provider:
    """A registered handler. None: not known. `for_type`: registered under whatever type its node has."""

    modules: frozenset[str] | None
    methods: frozenset[str] | None
    for_type: bool


def requests(network: Network) -> Iterator[Finding]:
    """All requests against all that is registered."""
    provided = list(_providers(network))
    for call in network.calls:
        if call.name not in api.REQUESTS or not network.site(call.who, call.module.half).nodes:
            continue
        role = network.role_of(call.who.cls)
        if role is not None and role not in call.spec.roles:
            continue
        module = _one(network, call, "module", "modname")
        method = _one(network, call, "event", "method")
        if module is None or method is None:
            network.not_constant(call.place)
        if module is not None:
            found = _wrong(network, provided, module, method)
            if found:
                yield Finding(*call.place, *found)


def _wrong(network: Network, provided: list[Provider], module: str, method: str | None) -> tuple[str, str] | None:
    opaque = [node for node in network.nodes if node.opaque and node.role in (api.SERVICE, api.MASTER)]
    types = {node.type for node in network.nodes if node.role == api.SERVICE and node.type}
    declared = types | {name for node in network.nodes for name in node.modules}
    declared |= {name for node in network.nodes for half in node.halves for name in half.modules}
    registered = {name for one in provided for name in one.modules or ()}
    known = declared | registered
    loose = any(one.modules is None for one in provided)
    if module not in known:
        return _unknown_module(network, module, method, known, provided, bool(opaque), loose)
    if method is None or any(module in (node.type, *node.modules) for node in opaque):
        return None
    mine = [one for one in provided if one.modules is None or module in one.modules]
    if any(one.methods is None for one in mine):
        return None
    methods = {name for one in mine for name in one.methods or ()}
    if method in methods:
        return None
    if opaque and not nearest(method, methods):
        return None
    hint = did_you_mean(method, methods)
    if not hint:
        others = sorted(name for one in provided if one.methods and method in one.methods for name in one.modules or ())
        hint = f"; `{others[0]}` has it" if others else f"; it has {_list(methods)}" if methods else "; it registers none at all"
    return "rpc-unknown-method", f"nobody registers the method `{method}` of `{module}`{hint}"


def _unknown_module(network: Network, module: str, method: str | None, known: set[str], provided: list[Provider], opaque: bool,
                    loose: bool) -> tuple[str, str] | None:
    hint = did_you_mean(module, known)
    other = nearest(module, known)
    sure = network.deploy and not opaque and not loose
    # A slip of the pen is told also where more could be there, if what was meant has this very method.
    slip = other and any(one.methods and method in one.methods and other in (one.modules or ()) for one in provided)
    if not sure and not slip:
        return None
    lobby = [node for node in network.nodes if node.role == api.SERVER and node.type == module]
    if lobby and not hint:
        hint = f"; that is the type of {lobby[0].label}, and a lobby or game answers no requests: send it an event"
    if not hint and known:
        hint = f"; there are {_list(known)}"
    return "rpc-unknown-module", f"no service or master has the module or type `{module}`{hint}"


def _providers(network: Network) -> Iterator[Provider]:
    for call in network.calls:
        if call.name not in api.REGISTERS:
            continue
        nodes = network.site(call.who, call.module.half).nodes
        if not nodes:
            continue
        methods = network.evaluator.texts(call.args.get("event"), call.scope)
        if call.name == "RegisterRpcMethodForMod":
            modules = _types(nodes)
        else:
            modules = network.evaluator.texts(call.args.get("module"), call.scope)
            if modules is None:
                network.not_constant(call.place)
        if methods is None:
            network.not_constant(call.place)
        yield Provider(modules, methods, call.name == "RegisterRpcMethodForMod")
    for name, about, module, _ in network.handed_on():
        if name in api.REGISTERS and network.site(about, module.half).nodes:
            yield Provider(None, None, False)
    if any(node.role in (api.SERVICE, api.MASTER) and half in network.broken for node in network.nodes for half in node.halves):
        yield Provider(None, None, False)


def _types(nodes: tuple[Node, ...]) -> frozenset[str] | None:
    types = {node.type for node in nodes if node.role == api.SERVICE}
    return None if None in types or not types else frozenset(name for name in types if name)


def _one(network: Network, call: ApiCall, *names: str) -> str | None:
    node = next((call.args[name] for name in names if name in call.args), None)
    value = network.evaluator.one(node, call.scope) if node is not None else None
    return value if isinstance(value, str) else None


def _list(names: set[str]) -> str:
    shown = [f"`{name}`" for name in sorted(names)]
    return ", ".join(shown[:6]) + (" ..." if len(shown) > 6 else "")
