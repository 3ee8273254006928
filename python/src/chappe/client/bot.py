"""One login with the client half of mods, and the loop that all of it runs on."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chappe import _core, mods
from chappe.apollo import common, install
from chappe.apollo.base import BaseRuntime
from chappe.client.api import ClientEngine, ExtraClientApi
from chappe.client.ground import Ground
from chappe.client.requests import BotRequests
from chappe.client.system import ClientSystem
from chappe.snipe import binding

log = logging.getLogger("chappe.client")

ENGINE = ("Minecraft", "Engine")
"""The namespace and the system name of what the client's game raises itself."""
STARTED = ("LoadClientAddonScriptsAfter", "UiInitFinished")
"""What a game raises when its mods are loaded and its screen stands; mods wait for it before they send."""
LAST = 2.0
"""Seconds of silence after which nothing is on its way any more."""
ON_SERVER = "OnLocalPlayerStopLoading"
"""What a game raises, with the playerId, when the player stands on a server: after the login and after each move."""


class Bot(BaseRuntime):
    """A player whose client runs mods. ``core`` is logged in; `run` is to be called on the main thread. ``reconnected``
    is told of each new socket, and whether the session went on there."""

    half = "behavior_packs"

    def __init__(self, core: _core.Client, reconnected: Callable[[bool], object]) -> None:
        self.core = core
        self.ground: Ground = Ground(core)
        super().__init__(self.ground, "Client", lambda player, event, data: None)
        self.engine = ClientEngine(self.ground, self._is_mod)
        self.base = type("ClientSystem", (ClientSystem,), {"_runtime": self})
        self.requests = BotRequests(core, self.ground.guarded)
        """What `chappe.snipe.client` stands for in this client."""
        self.closed: tuple[str, str] | None = None
        """Why the session is over (the stable code, and a text); None while it is not, and when it was to end."""
        self._reconnected = reconnected
        self._is_stopped = False

    def install(self) -> None:
        """Makes the API modules of a client importable; the others are there and do nothing."""
        surface = {
            "client.extraClientApi": ExtraClientApi(self),
            "common.mod": common.ModModule(self),
            "mod_log": common.ModLog(),
        }
        install.put(install.spread(surface, self.engine), self.engine)
        binding.connect(self.requests)

    def stop(self) -> None:
        """Lets `run` end; may be called by a signal's handler."""
        self._is_stopped = True

    def run(self) -> None:
        """Runs the mods that were loaded, until `stop` is called or the session is over."""
        for event in STARTED:
            self._engine_event(event, {})
        self._engine_event(ON_SERVER, {"playerId": self.core.player_id})
        while not self._is_stopped and self.closed is None:
            self.ground.run()
            if (told := self.core.next_event(self.ground.wait())) is not None:
                self._hear(told)

    def leave(self) -> None:
        """The end: what is marked DestroyClient runs, then each system's Destroy, then the logout."""
        super().leave()
        if self.closed is None:
            with contextlib.suppress(ConnectionError):  # the last event says the same
                self.core.logout()
        # What was on its way counts as well.
        while (told := self.core.next_event(LAST)) is not None:
            if told["kind"] == "closed" and told["reason"] != "Logout":
                self.closed = (told["reason"], told["text"])

    def _hear(self, told: dict[str, Any]) -> None:
        kind = told["kind"]
        if kind == "event":
            key = (told["namespace"], told["system"], told["event"])
            if not self.ground.deliver(key, told["data"]):
                self._unheard(key, told["data"])
        elif kind == "response":
            self.requests.heard(told["data"])
        elif kind == "answer":
            self.requests.answered(told)
        elif kind == "moved":
            log.info("client %s: on server %s", self.core.uid, told["server"])
            self._engine_event(ON_SERVER, {"playerId": self.core.player_id})
        elif kind == "announce":
            log.info("client %s: announced: %s", self.core.uid, told["text"])
        elif kind == "dropped":
            log.warning("client %s: a message was dropped: %s: %s", self.core.uid, told["reason"], told["text"])
        elif kind == "reconnected":
            self._reconnected(told["resumed"])
        elif kind == "closed":
            self.closed = (told["reason"], told["text"])

    def _unheard(self, key: tuple[str, str, str], data: Any) -> None:
        if key[:2] == ENGINE:
            # Chat and commands; a game shows them.
            log.info("client %s: %s %s", self.core.uid, key[2], data)
        else:
            self.ground.unheard(key)

    def _engine_event(self, event: str, data: dict[str, Any]) -> None:
        self.ground.deliver((*ENGINE, event), data)

    def _nothing(self, directory: Path) -> str:
        if mods.scripts(directory, "developer_mods"):
            return f"{directory}: has developer_mods and no behavior_packs, so there is nothing in it for a client"
        return (
            f"{directory}: no modMain.py: it is wanted in {directory.name}/behavior_packs/<X>Client/<X>Script, "
            f"or in {directory.name} itself or a folder of it"
        )
