"""What the systems of a client stand on: its listeners, its timers, and what is called when."""

from __future__ import annotations

import heapq
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from chappe import _core

log = logging.getLogger("chappe.client")

FRAME = 1 / 30
"""Seconds between two calls of Update."""
MOST_QUEUED = 100_000
"""The most events that wait for the handlers before them; past it BroadcastEvent refuses."""
MOST_NAMES = 1000
"""The most names of events that nobody listened to that are remembered."""

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Listener:
    """One ListenForEvent; ``key`` is the sender's namespace and system, and the event."""

    key: Key
    priority: int
    handler: Callable[[Any], object]


@dataclass(order=True)
class Timer:
    """What is called at ``due`` (the clock's seconds), and again every ``every`` seconds if that is more than 0."""

    due: float
    order: int
    every: float = field(compare=False)
    call: Callable[[], object] = field(compare=False)
    is_off: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Stops it."""
        self.is_off = True


class Ground:
    """The listeners and timers of one client. ``core`` is its connection."""

    def __init__(self, core: _core.Client) -> None:
        self.core = core
        self._listeners: dict[Key, list[Listener]] = {}
        self._queue: deque[tuple[Key, Any]] = deque()
        self._timers: list[Timer] = []
        self._order = count()
        self._updates: list[tuple[Callable[[], object], str]] = []
        self._frame = time.monotonic()
        self._unheard: set[Key] = set()

    def system(self, namespace: str, name: str) -> SystemCore:
        """What sends and listens for one system."""
        return SystemCore(self, namespace, name)

    def on_update(self, function: Callable[[], object], about: str) -> None:
        """Calls ``function`` 30 times a second."""
        self._updates.append((function, about))

    def add_timer(self, delay: float, call: Callable[[], object], is_repeated: bool = False) -> Timer:
        """Calls ``call`` after ``delay`` seconds, and every ``delay`` seconds if it is repeated."""
        every = max(delay, FRAME) if is_repeated else 0.0
        timer = Timer(time.monotonic() + max(delay, 0.0), next(self._order), every, call)
        heapq.heappush(self._timers, timer)
        return timer

    def queue(self, key: Key, data: Any) -> None:
        """An event for the systems here, after what the current handler does. Raises RouteError when too many wait."""
        if len(self._queue) >= MOST_QUEUED:
            raise _core.RouteError(f"BroadcastEvent({key[2]!r}): {MOST_QUEUED} events wait already")
        self._queue.append((key, data))

    def wait(self) -> float:
        """Seconds until something here is due."""
        due = self._frame + FRAME
        if self._timers:
            due = min(due, self._timers[0].due)
        return 0.0 if self._queue else max(0.0, due - time.monotonic())

    def run(self) -> None:
        """Calls everything that is due."""
        # What is queued meanwhile waits for the next round: a mod that answers itself must not stop the frames.
        for _ in range(len(self._queue)):
            self.deliver(*self._queue.popleft())
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = heapq.heappop(self._timers)
            if timer.is_off:
                continue
            self.guarded("a timer", timer.call)
            if timer.every and not timer.is_off:
                timer.due = max(timer.due + timer.every, now)
                heapq.heappush(self._timers, timer)
        if now >= self._frame + FRAME:
            self._frame = max(self._frame + FRAME, now - FRAME)
            for function, about in self._updates:
                self.guarded(about, function)

    def deliver(self, key: Key, data: Any) -> bool:
        """Calls the listeners of an event; False when there is none."""
        listeners = self._listeners.get(key, ())
        for listener in tuple(listeners):
            self.guarded(f"event {key[2]} of {key[0]}.{key[1]}", listener.handler, data)
        return bool(listeners)

    def unheard(self, key: Key) -> None:
        """Tells once that an event arrived and nobody listened."""
        if key not in self._unheard and len(self._unheard) < MOST_NAMES:
            self._unheard.add(key)
            log.warning("event %s of %s.%s arrived, and nobody listens to it", key[2], key[0], key[1])

    def listen(self, listener: Listener) -> None:
        """Adds one: behind those of its priority, before those of a smaller one."""
        known = self._listeners.setdefault(listener.key, [])
        at = next((at for at, one in enumerate(known) if one.priority < listener.priority), len(known))
        known.insert(at, listener)

    def unlisten(self, listener: Listener) -> bool:
        """Takes one away; False when it is not there."""
        known = self._listeners.get(listener.key, [])
        for at, one in enumerate(known):
            if one is listener:
                del known[at]
                return True
        return False

    def guarded(self, about: str, call: Callable[..., object], *args: Any) -> None:
        """Calls a mod: what it raises is told, and the client goes on."""
        try:
            call(*args)
        except Exception:
            log.exception("client %s: %s: a handler raised", self.core.uid, about)


class SystemCore:
    """What sends and listens for one system of a client."""

    def __init__(self, ground: Ground, namespace: str, name: str) -> None:
        self._ground = ground
        self._names = (namespace, name)
        self._mine: list[Listener] = []

    def listen(
        self, namespace: str, system: str, event: str, handler: Callable[[Any], object], priority: int = 0
    ) -> Listener:
        """Calls ``handler(data)`` for each such event."""
        listener = Listener((namespace, system, event), priority, handler)
        self._ground.listen(listener)
        self._mine.append(listener)
        return listener

    def unlisten(self, listener: Listener) -> bool:
        """Undoes a listen; False when it is undone."""
        self._mine = [one for one in self._mine if one is not listener]
        return self._ground.unlisten(listener)

    def unlisten_all(self) -> None:
        """Undoes every listen."""
        for listener in self._mine:
            self._ground.unlisten(listener)
        self._mine.clear()

    def broadcast_event(self, event: str, data: Any) -> None:
        """An event for the systems of this client. Raises DataError for data that could not be sent."""
        self._ground.queue((*self._names, event), _core.decode(_core.encode(data)))

    def to_server(self, event: str, data: Any) -> None:
        """Row 2. Raises DataError, and ConnectionError when the session is over."""
        self._ground.core.notify_to_server(*self._names, event, data)

    def to_service(self, service: int, event: str, data: Any) -> None:
        """Row 12. Raises as to_server."""
        self._ground.core.notify_to_service_node(service, *self._names, event, data)
