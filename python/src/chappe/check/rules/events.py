"""Listeners that nobody sends to, and events that nobody listens for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .. import api
from ..calls import ApiCall
from ..finding import Finding
from ..layout import Node
from ..network import Names, Network
from ..suggest import did_you_mean, nearest, nearest_pair

ENGINE = (api.ENGINE_NAMESPACE, api.ENGINE_SYSTEM)


@dataclass(frozen=True, eq=False)
class Send:
    """An event on its way. None: any system, any event."""

    call: ApiCall | None
    systems: Names | None
    events: frozenset[str] | None
    to: str
    types: frozenset[str] | None
    nodes: tuple[Node, ...]

    def reaches(self, nodes: Iterable[Node]) -> bool:
        """Whether it comes to one of these nodes."""
        for node in nodes:
            if self.to == api.SAME_NODE:
                if node in self.nodes:
                    return True
            elif node.role == self.to and (self.types is None or node.type is None or node.type in self.types):
                return True
        return False


@dataclass(frozen=True, eq=False)
class Listener:
    """A `ListenForEvent`. None: not constant."""

    call: ApiCall
    namespaces: frozenset[str] | None
    systems: frozenset[str] | None
    events: frozenset[str] | None
    nodes: tuple[Node, ...]

    def hears(self, system: tuple[str, str], event: str) -> bool:
        """Whether it may be meant for that."""
        return (
            (self.namespaces is None or system[0] in self.namespaces)
            and (self.systems is None or system[1] in self.systems)
            and (self.events is None or event in self.events)
        )


def sends(network: Network) -> list[Send]:
    """All events that are sent from code that runs somewhere."""
    found = []
    for call in network.calls:
        if call.name not in api.SENDS:
            continue
        site = network.site(call.who, call.module.half)
        if not site.nodes:
            continue
        types = network.evaluator.texts(call.args.get("serverType"), call.scope) if "serverType" in call.spec.names else None
        events = network.evaluator.texts(call.args.get("eventName"), call.scope)
        if events is None:
            network.not_constant(call.place)
        systems = site.systems if site.systems is not None else network.systems_on(site.nodes)
        found.append(Send(call, systems, events, call.spec.to or "", types, site.nodes))
    for name, about, module, node in network.handed_on():
        site = network.site(about, module.half)
        spec = api.SENDS.get(name)
        if spec and site.nodes:
            network.not_constant(module.place(node))
            found.append(Send(None, network.systems_on(site.nodes), None, spec.to or "", None, site.nodes))
    return found


def listeners(network: Network) -> list[Listener]:
    """All listeners in code that runs somewhere."""
    found = []
    for call in network.calls:
        if call.name == "ListenForEvent":
            site = network.site(call.who, call.module.half)
            namespaces, systems, events = (network.evaluator.texts(call.args.get(name), call.scope)
                                           for name in ("namespace", "systemName", "eventName"))
            listener = Listener(call, namespaces, systems, events, site.nodes)
            if site.nodes:
                found.append(listener)
            if None in (listener.namespaces, listener.systems, listener.events):
                network.not_constant(call.place)
    return found


def unsent_events(network: Network) -> Iterator[Finding]:
    """Listeners whose (namespace, system, event) nobody can send to where they are."""
    sent = sends(network)
    registered = network.systems_on(network.nodes)
    certain = registered is not None
    known = {(a, b) for one in network.registrations if (a := one.namespace) is not None and (b := one.name) is not None}
    for listener in listeners(network):
        if not (listener.namespaces and listener.systems and listener.events):
            continue
        if max(map(len, (listener.namespaces, listener.systems, listener.events))) > 1:
            # One call for several events: which of them is meant on which node is not known.
            network.not_constant(listener.call.place)
            continue
        pair = (next(iter(listener.namespaces)), next(iter(listener.systems)))
        event = next(iter(listener.events))
        if pair == ENGINE:
            found = _engine_event(network, listener, event, sent)
        elif pair not in known:
            found = _unknown_system(network, listener, pair, event, known, sent, certain)
        else:
            found = _no_sender(network, listener, pair, event, sent)
        if found:
            yield Finding(*listener.call.place, *found)


def _engine_event(network: Network, listener: Listener, event: str, sent: list[Send]) -> tuple[str, str] | None:
    roles = {node.role for node in listener.nodes}
    raised = api.ENGINE_EVENTS.get(event)
    if raised is not None:
        if roles & raised:
            return None
        here = " or ".join(sorted(api.TITLE[role] for role in roles))
        there = " and ".join(sorted(api.TITLE[role] for role in raised))
        return "engine-event-role", f"`{event}` is raised on {there}, never on {here}: listen for it there"
    senders = sorted({pair for send in sent if send.call and send.events and event in send.events for pair in send.systems or ()})
    if senders:
        return "engine-event-name", f"`{event}` is no engine event; {_pair(senders[0])} sends it: listen for that system"
    if event in api.ABSENT_EVENTS:
        return "engine-event-name", f"`{event}` is an event of the network that is never raised here"
    other = nearest(event, [name for name, on in api.ENGINE_EVENTS.items() if on & roles])
    if other:
        return "engine-event-name", f"no engine event of the network is named `{event}`; did you mean `{other}`?"
    network.game_events.add(listener.call.place)
    return None


def _unknown_system(network: Network, listener: Listener, pair: tuple[str, str], event: str, known: set[tuple[str, str]],
                    sent: list[Send], certain: bool) -> tuple[str, str] | None:
    senders = {one for send in sent if send.events and event in send.events and send.reaches(listener.nodes) for one in send.systems or ()}
    meant = nearest_pair(pair, senders) or nearest_pair(pair, known | {ENGINE})
    hint = ""
    if meant:
        wrong = [new for old, new in zip(pair, meant, strict=True) if old != new]
        hint = f"; did you mean `{'`, `'.join(wrong)}`?"
    elif len(senders) == 1:
        hint = f"; {_pair(next(iter(senders)))} sends `{event}`: did you mean that one?"
    text = f"no system is registered as {_pair(pair)}, so nobody can send `{event}` to this listener{hint}"
    strong = meant is not None and meant in senders
    if not strong and not (certain and _all_there(network, listener, pair)):
        network.not_constant(listener.call.place)
        return None
    return "unknown-system", text


def _all_there(network: Network, listener: Listener, pair: tuple[str, str]) -> bool:
    """Whether the code that could register the system is among what was looked at."""
    roles = {one.role for one in network.registrations if one.namespace == pair[0]}
    if not network.deploy:
        # A folder is seldom all of a mod: its other roles may be in other folders.
        return roles >= set(api.ROLES)
    from_client = any(node.role in (api.SERVER, api.SERVICE) for node in listener.nodes)
    with_clients = api.CLIENT in roles or any(node.role == api.CLIENT for node in network.nodes)
    return network.whole and (with_clients or not from_client)


def _no_sender(network: Network, listener: Listener, pair: tuple[str, str], event: str, sent: list[Send]) -> tuple[str, str] | None:
    of_pair = [send for send in sent if send.systems is None or pair in send.systems]
    here = [send for send in of_pair if send.reaches(listener.nodes)]
    if any(send.events is None or event in send.events for send in here):
        return None
    opaque = any(node.opaque for node in network.nodes)
    elsewhere = [send for send in of_pair if send.events is not None and event in send.events and send.call]
    title = " or ".join(sorted({api.TITLE[node.role] for node in listener.nodes}))
    if elsewhere and not opaque:
        call = elsewhere[0].call
        assert call is not None
        file, line, _ = call.place
        if elsewhere[0].to == api.SAME_NODE:
            return "no-sender", f"{_pair(pair)} sends `{event}` with BroadcastEvent ({file}:{line}), which stays on its own node; {title} does not hear it"
        types = elsewhere[0].types
        whom = f"nodes of type {', '.join(sorted(types))}" if types and elsewhere[0].to == api.SERVER else api.TITLE[elsewhere[0].to]
        return "no-sender", f"{_pair(pair)} sends `{event}` with {call.name} ({file}:{line}), which goes to {whom}; this listener is on {title}"
    names = {name for send in here for name in send.events or ()}
    hint = did_you_mean(event, names)
    if not hint and (opaque or not network.deploy and _may_be_the_clients(network, listener, pair)):
        return None
    if not hint:
        others = sorted({one for send in sent if send.call and send.events and event in send.events and send.reaches(listener.nodes) for one in send.systems or ()})
        hint = f"; {_pair(others[0])} sends it: did you mean `{others[0][1]}`?" if others else ""
    return "no-sender", f"{_pair(pair)} never sends `{event}`{hint}"


def _may_be_the_clients(network: Network, listener: Listener, pair: tuple[str, str]) -> bool:
    """Whether a client half that was not given may have a system of the same name."""
    here = any(node.role in (api.SERVER, api.SERVICE) for node in listener.nodes)
    return here and not any(one.role == api.CLIENT and one.namespace == pair[0] for one in network.registrations)


def unheard_events(network: Network) -> Iterator[Finding]:
    """Events that are sent where nobody listens for them."""
    heard = listeners(network)
    loose = {id(node) for name, about, module, _ in network.handed_on() if name == "ListenForEvent"
             for node in network.site(about, module.half).nodes}
    for send in sends(network):
        if send.call is None or not send.events or not send.systems or len(send.events) > 1:
            continue
        # By which of several systems it is sent is not known, where the code does not say `self`.
        if network.site(send.call.who, send.call.module.half).systems is None:
            continue
        role = network.role_of(send.call.who.cls)
        if role is not None and role not in send.call.spec.roles:
            continue
        event = next(iter(send.events))
        targets = [node for node in network.nodes if send.reaches([node])]
        running = [one for one in network.registrations if set(map(id, network.nodes_of(one.module.half, one.role))) & set(map(id, targets))]
        if not running or any(node.opaque or id(node) in loose or network.broken & set(node.halves) for node in targets):
            continue
        there = [one for one in heard if send.reaches(one.nodes)]
        if any(one.hears(system, event) for one in there for system in send.systems):
            continue
        yield Finding(*send.call.place, "no-listener", _unheard(send, event, there))


def _unheard(send: Send, event: str, there: list[Listener]) -> str:
    system = sorted(send.systems or ())[0]
    where = "the same node" if send.to == api.SAME_NODE else api.TITLE[send.to]
    hint = did_you_mean(event, {name for one in there if one.events and one.hears(system, next(iter(one.events))) for name in one.events})
    if not hint:
        for one in there:
            if one.events and event in one.events and one.namespaces and one.systems:
                file, line, _ = one.call.place
                pair = (sorted(one.namespaces)[0], sorted(one.systems)[0])
                hint = f"; {file}:{line} listens for it from {_pair(pair)}"
                break
    return f"nobody on {where} listens for `{event}` of {_pair(system)}{hint}"


def _pair(pair: tuple[str, str]) -> str:
    return f"(`{pair[0]}`, `{pair[1]}`)"
