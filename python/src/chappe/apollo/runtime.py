"""One node's mods: their systems, what they share, and their life."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chappe import _core, mods
from chappe.apollo import binding, install, systems
from chappe.apollo.engine import Engine
from chappe.apollo.pools import configure

if TYPE_CHECKING:
    from chappe.apollo.http import HttpPort

ENGINE = ("Minecraft", "Engine")
"""The namespace and the system name of what a node raises itself."""
SIDES = {"lobby": "Server", "game": "Server", "service": "Service", "master": "Master"}
REPEAT = 10.0
"""Seconds in which the same warning is given once."""


class Runtime:
    """The mods of one node, and what the API modules are bound to."""

    def __init__(self, node: _core.Node, deploy: Path, http: tuple[str, int] | None = None) -> None:
        self.node = node
        self.side = SIDES[node.role]
        self.deploy = deploy
        self.log = logging.getLogger("chappe.apollo")
        self.binder = binding.Binder()
        self.post = node.poster()
        self.pools = configure(post=self.post, settings=self.common_config())
        self.engine = Engine(self._chat, self._is_mod)
        self.engine_system = node.system(*ENGINE)
        self.systems: dict[tuple[str, str], systems.BaseSystem] = {}
        self.scripts: list[mods.Script] = []
        self.bases = {
            side: type(f"{side}System", (getattr(systems, f"{side}System"),), {"_runtime": self})
            for side in ("Server", "Service", "Master")
        }
        self._mains: list[tuple[object, mods.Script]] = []
        self._roots: tuple[str, ...] = ()
        self._warned: dict[str, float] = {}
        self._http = http
        self._http_port: HttpPort | None = None

    def install(self) -> None:
        """Makes the API modules importable."""
        install.install(self)

    def load(self, directories: list[Path]) -> None:
        """Loads the mods in ``directories``, in their order. Raises ModError."""
        for directory in directories:
            found = mods.scripts(directory, "developer_mods")
            if not found:
                raise mods.ModError(self._nothing(directory))
            self.scripts += found
        self._roots = tuple(str(root) for script in self.scripts for root in (script.root,)) + tuple(
            str(directory) for directory in directories
        )
        mods.prepare(self.scripts)
        for script in self.scripts:
            self._load(script)

    def _nothing(self, directory: Path) -> str:
        if mods.scripts(directory, "behavior_packs"):
            return (
                f"{directory}: is a client mod: it has behavior_packs and no developer_mods, so there is nothing in it "
                f"for node {self.node.id} ({self.node.role})"
            )
        return (
            f"{directory}: no modMain.py: it is wanted in {directory.name}/developer_mods/<X>Dev/<X>Script, "
            f"or in {directory.name} itself or a folder of it"
        )

    def _load(self, script: mods.Script) -> None:
        self.binder.bound.clear()
        module = mods.load(script)
        classes = list(self.binder.bound)
        if not classes:
            raise mods.ModError(f"{module.__file__}:1: no class is bound with @Mod.Binding(name=..., version=...)")
        is_used = False
        for cls in classes:
            inits = binding.marked(cls, "init", self.side)
            is_used = is_used or bool(inits)
            try:
                main = cls()
                self._mains.append((main, script))
                for name in inits:
                    getattr(main, name)()
            except Exception as error:
                raise mods.failed(script, f"{cls.__name__} cannot be started", error) from error
        if not is_used:
            self.log.warning("%s: no method is marked @Mod.Init%s(): nothing of it runs here", module.__file__, self.side)

    def leave(self) -> None:
        """The node leaves: what is marked Destroy runs, then each system's Destroy."""
        for main, _ in reversed(self._mains):
            for name in binding.marked(type(main), "destroy", self.side):
                self._guarded(f"{type(main).__name__}.{name}", getattr(main, name))
        for (namespace, name), system in reversed(self.systems.items()):
            self._guarded(f"Destroy of {namespace}.{name}", system.Destroy)
            system.UnListenAllEvents()
        self.pools.close()
        if self._http_port is not None:
            self._http_port.close()

    def _guarded(self, about: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            self.log.exception("%s raised", about)

    def register_system(self, namespace: str, name: str, path: str) -> systems.BaseSystem:
        """RegisterSystem: makes an instance of the class that ``path`` names.

        Raises ValueError when there is such a system, ImportError or AttributeError when there is no such class.
        """
        known = self.systems.get((namespace, name))
        if known is not None:
            raise ValueError(
                f"RegisterSystem: ({namespace!r}, {name!r}) is a {type(known).__name__} of "
                f"{binding.where(type(known))} already; {path} needs another name"
            )
        module_name, _, class_name = path.rpartition(".")
        if not module_name:
            raise ValueError(f"RegisterSystem: {path!r} names no class; it must be like 'bankScript.bank.BankSystem'")
        module = importlib.import_module(module_name)
        cls = getattr(module, class_name, None)
        if cls is None:
            raise AttributeError(f"RegisterSystem: {module.__file__} has no class {class_name}")
        if not (isinstance(cls, type) and issubclass(cls, systems.BaseSystem)):
            raise TypeError(f"RegisterSystem: {path} does not derive from the system class that the API gives")
        system = cls(namespace, name)
        self.systems[namespace, name] = system
        if cls.Update is not systems.BaseSystem.Update:
            self.node.on_update(system.Update, f"Update of {namespace}.{name}")
        return system

    def http_port(self) -> HttpPort:
        """The node's own HTTP port, opened when it is first asked for. Raises RuntimeError when it has none."""
        if self._http is None:
            raise RuntimeError(f"node {self.node.id} has no `http_port` in deploy.json")
        if self._http_port is None:
            from chappe.apollo.http import HttpPort

            self._http_port = HttpPort(self._http, self.post)
        return self._http_port

    def warn_of(self, text: str) -> None:
        """Warns, of the same thing once in ten seconds."""
        now = time.monotonic()
        last = self._warned.get(text)
        if last is not None and now - last < REPEAT:
            return
        if len(self._warned) >= 1000:
            self._warned.clear()
        self._warned[text] = now
        self.log.warning("%s (%s)", text, self.engine.caller())

    def manifest(self, root: str) -> Mapping[str, Any]:
        """The mod.json of the mod whose script package (or directory) is ``root``."""
        for script in self.scripts:
            if root in (script.package, str(script.root / script.package), str(script.root), script.root.name):
                return dict(script.manifest)
        raise KeyError(f"GetModJsonConfig: no mod of this node has the script root {root!r}")

    def script_root(self, file: str) -> str:
        """The script package that a file belongs to."""
        for script in self.scripts:
            if file.startswith(str(script.root / script.package)):
                return script.package
        return ""

    def common_config(self) -> dict[str, Any]:
        """The whole of deploy.json."""
        found = mods.lenient_json(self.deploy.read_text("utf-8-sig"))
        return found if isinstance(found, dict) else {}

    def _is_mod(self, file: str) -> bool:
        return bool(self._roots) and file.startswith(self._roots)

    def _chat(self, player: str | None, event: str, data: dict[str, Any]) -> None:
        send = self.engine_system
        try:
            if player is None:
                send.to_all_players(event, data)
            else:
                send.to_player(str(player), event, data)
        except _core.RouteError as error:
            self.warn_of(str(error))
