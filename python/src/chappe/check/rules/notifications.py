"""Notifications that no module handles where they go, and players' requests that nobody answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import api
from ..finding import Finding
from ..layout import Node
from ..network import Network
from ..records import Field, Record, records
from ..snipe import Method, Registered, SnipeCall
from ..suggest import did_you_mean, nearest_pair
from ..values import NONE
from .notification_form import VALIDATE, is_type

HANDLERS = ("func", "onSuccess", "onFail")
#: How many arguments a handler may take, and how that is said.
EITHER, ALONE, BY_MASTER = (1, 2), (1,), (2,)
CALLED = {
    EITHER: "handlers are called with (player, msg), or with (msg)",
    ALONE: "no player belongs to this, so it is called with (msg)",
    BY_MASTER: "what nodes send to the master is called with (node, msg), and is not marked with @request",
}


def unhandled(network: Network) -> Iterator[Finding]:
    """Every name of a handler in what is sent, against all that is registered where it goes."""
    for call in network.snipe.calls:
        if call.call == "client.request":
            yield from _request(network, call)
        elif call.call != "server.sendTo":
            # What is sent to a player is a response: no module handles it.
            yield from _notification(network, call)


class Handlers:
    """What some nodes have registered."""

    def __init__(self, network: Network, nodes: Iterable[Node]) -> None:
        self.nodes = list(dict.fromkeys(nodes))
        here = [one for one in network.snipe.registered if any(node in self.nodes for node in one.nodes)]
        self.modules = {name for one in here for name in one.names or ()}
        self.methods = _kinds(here)
        self._unknown = {name for one in here if one.methods is None for name in one.names or ()}
        self._elsewhere = _kinds([one for one in network.snipe.registered if one not in here])
        #: Whether more may be registered than can be seen.
        self.is_open = any(one.names is None for one in here) or any(
            node.opaque and not (node.is_bare and node.role == api.MASTER) or network.broken & set(node.halves) for node in self.nodes)
        self._is_whole = network.deploy

    def lack(self, kind: str, takes: tuple[int, ...] = EITHER) -> bool:
        """Whether it is certain that no such method can be called, with so many arguments, on any of the nodes."""
        if not self.nodes or self.is_open or kind.rpartition(".")[0] in self._unknown or self._callable(kind, takes):
            return False
        # Mods without their network: only a slip of the pen is certain.
        return self._is_whole or kind in self.methods or _meant(kind, self._known(takes)) != ""

    def why(self, kind: str, takes: tuple[int, ...] = EITHER) -> str:
        """What may have been meant, or is in the way."""
        module, _, method = kind.rpartition(".")
        if kind in self.methods:
            return f"; that method takes other arguments: {CALLED[takes]}"
        hint = _meant(kind, self._known(takes))
        if hint:
            return hint
        if method.startswith("_") and module in self.modules:
            return "; names that begin with `_` are never called"
        if kind in self._elsewhere:
            return f"; it is registered on {_titles(node for one in self._elsewhere[kind][1] for node in one.nodes)} only"
        if module in self.modules:
            return f"; `{module}` has {_list(known.rpartition('.')[2] for known in self._known(takes) if known.startswith(f'{module}.'))}"
        return did_you_mean(module, self.modules) or (f"; there are the modules {_list(self.modules)}" if self.modules else "")

    def _known(self, takes: tuple[int, ...]) -> set[str]:
        return {kind for kind in self.methods if self._callable(kind, takes)}

    def _callable(self, kind: str, takes: tuple[int, ...]) -> bool:
        methods = self.methods.get(kind, ([], []))[0]
        return any(method.takes is None or method.takes in takes and not (takes == BY_MASTER and method.is_request) for method in methods)


def _notification(network: Network, call: SnipeCall) -> Iterator[Finding]:
    there = Handlers(network, _receivers(network, call))
    where = _where(call, there)
    for record in records(call.args.get("message"), call.scope, network.evaluator):
        takes = _takes(call, record)
        for field in record.named("_type"):
            for kind in _types(network, call, field):
                if there.lack(kind, takes):
                    yield Finding(*field.value_place, "no-handler", f"no module of {where} handles `{kind}`{there.why(kind, takes)}")
        if call.call != "server.notify":
            continue
        for validate in record.named(VALIDATE):
            for inner in records(validate.value, validate.scope, network.evaluator):
                # An outcome with an `id` goes to that player's server; one without stays where it was sent.
                is_of_node = all(field.may_be_none() for field in inner.named("id"))
                may_be_players = not inner.is_whole or any(field.values != frozenset([NONE]) for field in inner.named("id"))
                players = there.nodes if may_be_players else []
                back = Handlers(network, [*players, *(call.nodes if is_of_node else ())])
                is_alone = inner.is_whole and not players
                for field in inner.fields:
                    if field.key not in HANDLERS:
                        continue
                    at, takes = (there, EITHER) if field.key == "func" else (back, ALONE if is_alone else EITHER)
                    for kind in _types(network, call, field):
                        if at.lack(kind, takes):
                            yield Finding(*field.value_place, "no-handler",
                                          f"no module of {_titles(at.nodes)} handles `{kind}`, the `{field.key}`{at.why(kind, takes)}")


def _request(network: Network, call: SnipeCall) -> Iterator[Finding]:
    there = Handlers(network, [node for node in network.nodes if node.role == api.SERVER])
    found = network.evaluator.texts(call.args.get("type"), call.scope)
    if found is None:
        network.not_constant(call.place)
    requests = {kind for kind, (methods, _) in there.methods.items() if any(method.is_request is not False for method in methods)}
    for kind in sorted(filter(is_type, found or ())):
        if there.lack(kind):
            hint = _meant(kind, requests) or there.why(kind)
            yield Finding(*call.place, "request-unknown", f"no module of a lobby or game has `{kind}`{hint}")
        elif kind in there.methods and kind not in requests and not there.is_open:
            hint = _meant(kind, requests)
            yield Finding(*call.place, "request-unmarked", f"players cannot call `{kind}`: the method is not marked with @request{hint}")


def _receivers(network: Network, call: SnipeCall) -> list[Node]:
    if call.call == "server.notify":
        return [node for node in network.nodes if node.role == api.SERVER]
    if call.call in ("server.cacheNotify", "server.cacheRequest"):
        return [node for node in network.nodes if node.role == api.MASTER]
    typed = [node for node in network.nodes if node.role not in (api.CLIENT, api.MASTER)]
    return [node for node in typed if call.types is None or node.type is None or node.type in call.types]


def _takes(call: SnipeCall, record: Record) -> tuple[int, ...]:
    if call.call in ("server.cacheNotify", "server.cacheRequest"):
        return BY_MASTER
    is_alone = call.call != "server.notify" and record.is_whole and not any(record.named("_id"))
    return ALONE if is_alone else EITHER


def _types(network: Network, call: SnipeCall, field: Field) -> list[str]:
    """The constants of a field that are names of handlers; what has another form is told elsewhere."""
    if field.values is None:
        network.not_constant(call.place)
    return sorted(value for value in field.values or () if isinstance(value, str) and is_type(value))


def _kinds(registered: Iterable[Registered]) -> dict[str, tuple[list[Method], list[Registered]]]:
    found: dict[str, tuple[list[Method], list[Registered]]] = {}
    for one in registered:
        for name in one.names or ():
            for method, how in (one.methods or {}).items():
                methods, by = found.setdefault(f"{name}.{method}", ([], []))
                methods.append(how)
                by.append(one)
    return found


def _meant(kind: str, known: Iterable[str]) -> str:
    """The nearest of the known ones: its module differs by a slip, or its method does."""
    found = nearest_pair(_parts(kind), map(_parts, known))
    return f"; did you mean `{'.'.join(found)}`?" if found else ""


def _parts(kind: str) -> tuple[str, str]:
    module, _, method = kind.rpartition(".")
    return module, method


def _where(call: SnipeCall, there: Handlers) -> str:
    return f"a node of type {_list(call.types)}" if call.types else _titles(there.nodes)


def _titles(nodes: Iterable[Node]) -> str:
    return ", or ".join(sorted({api.TITLE[node.role] for node in nodes}))


def _list(names: Iterable[str]) -> str:
    shown = [f"`{name}`" for name in sorted(names)]
    return (", ".join(shown[:6]) + (" ..." if len(shown) > 6 else "")) or "no method that can be called"
