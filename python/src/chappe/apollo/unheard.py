"""Listeners of what nobody can send: said once everything is up, with what may have been meant."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chappe.apollo import published

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime
    from chappe.apollo.systems import Listening

log = logging.getLogger("chappe.listeners")

MOST_TEXT = 4 << 20
"""The most bytes of client mods that are looked through; where there are more, any name may be in them."""


def tell(runtime: Runtime, others: set[tuple[str, str]], is_complete: bool) -> None:
    """Warns of each listener of this node whose sending system nobody has: not this node, not the ``others`` that
    can reach it, and no client. ``is_complete`` says that all others have told their systems."""
    from chappe.apollo.runtime import ENGINE

    known = {*others, *runtime.systems, ENGINE}
    lost = [one for system in runtime.systems.values() for one in system.listening if one.names[:2] not in known]
    if not lost:
        return
    clients = _Clients(runtime)
    is_certain = is_complete and not runtime.config.programs and clients.are_known
    for one in lost:
        if clients.may_have(one.names[1]):
            continue
        hint = nearest(one.names[:2], known)
        if not (is_certain or hint):
            continue
        call = f"ListenForEvent({one.names[0]!r}, {one.names[1]!r}, {one.names[2]!r})"
        why = f"no node that reaches this one has a system {one.names[:2]!r}{clients.and_none}: nobody can send it"
        log.warning("%s: %s: %s%s", one.place, call, why, hint)


def engine_event(runtime: Runtime, one: Listening) -> None:
    """Says of a listener of an engine event that is never raised here what it is; once for each name."""
    from chappe.suggest import nearest as near

    event, known = one.names[2], published.EVENTS[runtime.side]
    if event in known or not runtime.is_new(f"event {event}"):
        return
    others = [side for side, events in published.EVENTS.items() if event in events]
    if event in published.ABSENT_EVENTS:
        log.warning("%s: the engine event %s is of the network and is never raised here", one.place, event)
    elif others:
        log.warning("%s: the engine event %s is raised on nodes of other roles only", one.place, event)
    elif found := near(event, known):
        log.warning("%s: nobody raises an engine event %s; did you mean `%s`?", one.place, event, found)
    else:
        log.info("%s: the engine event %s belongs to the game engine and is never raised here", one.place, event)


def nearest(pair: tuple[str, str], known: Iterable[tuple[str, str]]) -> str:
    """`; did you mean ...?` for a system's names, or nothing: one of the two differs by a slip, or both do."""
    from chappe.suggest import near

    scored = []
    for namespace, name in known:
        scores = [0 if a == b else near(a, b) for a, b in ((pair[0], namespace), (pair[1], name))]
        if None not in scores:
            scored.append((sum(score or 0 for score in scores), (namespace, name)))
    if not scored:
        return ""
    namespace, name = min(scored)[1]
    return f"; did you mean `{name}`?" if namespace == pair[0] else f"; did you mean ({namespace!r}, {name!r})?"


class _Clients:
    """The names that client mods may send under: those that stand in their files as texts."""

    def __init__(self, runtime: Runtime) -> None:
        reaches, texts, size = runtime.side != "Master", [], 0
        for text in _texts(runtime) if reaches else ():
            texts.append(text)
            size += len(text)
            if size > MOST_TEXT:
                break
        self._text = "\n".join(texts) if size <= MOST_TEXT else None
        self.are_known = bool(texts) or not reaches
        """Whether there are client mods to look at, or no client can reach this node."""
        self.and_none = ", and no client mod names it" if texts else ""

    def may_have(self, name: str) -> bool:
        """Whether a client may have a system of that name."""
        return self._text is None or f'"{name}"' in self._text or f"'{name}'" in self._text


def _texts(runtime: Runtime) -> Iterator[str]:
    base = Path(runtime.deploy).parent
    for mod in sorted({path for paths in runtime.config.mods.values() for path in paths}):
        for file in sorted((base / mod / "behavior_packs").rglob("*.py")):
            try:
                yield file.read_text("utf-8", errors="replace")
            except OSError:
                continue
