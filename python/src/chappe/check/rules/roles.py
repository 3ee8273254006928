"""Calls that the node's role does not have, and calls with the wrong arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...apollo.roles import EVERYONES
from .. import api
from ..calls import ApiCall, enclosing_class
from ..values import Dotted
from ..finding import Finding
from ..network import Network
from ..suggest import did_you_mean


def calls_of_roles(network: Network) -> Iterator[Finding]:
    """All of it."""
    for call in network.calls:
        role = _role(network, call)
        if role is None:
            continue
        if role not in call.spec.roles:
            have = ", ".join(api.BASE_OF_ROLE[one] for one in api.ROLES if one in call.spec.roles)
            hint = f"; {call.spec.hint}" if call.spec.hint else ""
            yield Finding(*call.place, "role-call", f"{api.BASE_OF_ROLE[role]} has no {call.name}, it is a call of {have}{hint}")
        elif wrong := _arguments(call):
            yield Finding(*call.place, "call-arguments", f"{call.name}({_signature(call.spec)}): {wrong}")
    yield from _modules(network)


def _role(network: Network, call: ApiCall) -> str | None:
    if call.who.system:
        roles = {one.role for one in network.registrations if (one.namespace, one.name) == call.who.system
                 and one.module.half is call.module.half}
        return roles.pop() if len(roles) == 1 else None
    return network.role_of(call.who.cls)


def _arguments(call: ApiCall) -> str | None:
    if not call.exact:
        return None
    if call.strange:
        return f"there is no parameter `{call.strange[0]}`{did_you_mean(call.strange[0], call.spec.names)}"
    if call.given > len(call.spec.params):
        return f"it takes {len(call.spec.params)} arguments and gets {call.given}"
    missing = [name for name in call.spec.names[: call.spec.required] if name not in call.args]
    return f"`{'`, `'.join(missing)}` is missing" if missing else None


def _signature(spec: api.Call) -> str:
    return ", ".join(f"{param[:-1]}=..." if param.endswith("?") else param for param in spec.params)


def _modules(network: Network) -> Iterator[Finding]:
    """Functions of a module that another role has: `lobbyGame.netgameApi` on a service."""
    for module in network.modules:
        for node, scope in module.everything:
            if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Attribute, ast.Name)):
                continue
            cls = enclosing_class(scope)
            role = network.role_of(cls) if cls else None
            called = network.evaluator.one(node.func, scope) if role else None
            if role is None or not isinstance(called, Dotted):
                continue
            owner, _, name = called.name.rpartition(".")
            roles = api.MODULE_ROLES.get(owner)
            if roles is not None and role not in roles and name not in EVERYONES:
                have = " or ".join(api.TITLE[one] for one in api.ROLES if one in roles)
                own = f"{role}.serverManager"
                hint = f": import `{own}`" if owner.endswith(".serverManager") and own in api.MODULE_ROLES else ""
                yield Finding(*module.place(node), "role-module", f"`{owner}.{name}` is for {have}, and this runs on {api.TITLE[role]}{hint}")
