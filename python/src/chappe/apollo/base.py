"""What the mods of one process share, on a node or in a client: their loading, their systems, and their end."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from chappe import mods
from chappe.apollo import binding, systems
from chappe.apollo.engine import Engine

REPEAT = 10.0
"""Seconds in which the same warning is given once."""


class Ground(Protocol):
    """What systems stand on: the node, or the client."""

    def system(self, namespace: str, name: str) -> Any:
        """What sends and listens for one system."""

    def on_update(self, function: Callable[[], object], about: str) -> object:
        """Calls ``function`` 30 times a second."""


class BaseRuntime:
    """The mods of one process. ``ground`` is what their systems stand on, ``side`` which of their halves they run."""

    def __init__(self, ground: Ground, side: str, chat: Callable[[str | None, str, dict[str, Any]], None]) -> None:
        self.side = side
        self.log = logging.getLogger("chappe.apollo")
        self.binder = binding.Binder()
        self.engine = Engine(chat, self._is_mod)
        self.systems: dict[tuple[str, str], systems.BaseSystem] = {}
        self.scripts: list[mods.Script] = []
        self.ground = ground
        self._mains: list[tuple[object, mods.Script]] = []
        self._roots: tuple[str, ...] = ()
        self._warned: dict[str, float] = {}
        self._told: set[str] = set()
        self.methods: dict[str, set[str]] = {}
        """The methods that mods of this process have registered, by module."""

    def load(self, directories: list[Path]) -> None:
        """Loads the mods in ``directories``, in their order. Raises ModError."""
        for directory in directories:
            found = mods.scripts(directory, self.half)
            if not found:
                raise mods.ModError(self._nothing(directory))
            self.scripts += found
        self._roots = tuple(str(root) for script in self.scripts for root in (script.root,)) + tuple(
            str(directory) for directory in directories
        )
        mods.prepare(self.scripts)
        for script in self.scripts:
            self._load(script)

    half = "developer_mods"
    """The folder of a mod that is run."""

    def _nothing(self, directory: Path) -> str:
        """Why there is nothing to run in ``directory``."""
        raise NotImplementedError

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
            except (Exception, SystemExit) as error:
                raise mods.failed(script, f"{cls.__name__} cannot be started", error) from error
        if not is_used:
            self.log.warning("%s: no method is marked @Mod.Init%s(): nothing of it runs here", module.__file__, self.side)

    def leave(self) -> None:
        """The end: what is marked Destroy runs, then each system's Destroy."""
        for main, _ in reversed(self._mains):
            for name in binding.marked(type(main), "destroy", self.side):
                self._guarded(f"{type(main).__name__}.{name}", getattr(main, name))
        for (namespace, name), system in reversed(self.systems.items()):
            self._guarded(f"Destroy of {namespace}.{name}", system.Destroy)
            system.UnListenAllEvents()

    def _guarded(self, about: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            self.log.error("%s raised%s\n%s", about, self.engine.explains(error), mods.told(error))

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
            self.ground.on_update(system.Update, f"Update of {namespace}.{name}")
        return system

    def warn_of(self, text: str, place: str = "") -> None:
        """Warns, of the same thing once in ten seconds; ``place`` is the mod's file and line, else that of who calls."""
        now = time.monotonic()
        last = self._warned.get(text)
        if last is not None and now - last < REPEAT:
            return
        if len(self._warned) >= 1000:
            self._warned.clear()
        self._warned[text] = now
        self.log.warning("%s (%s)", text, place or self.engine.caller())

    def adapted(self, names: tuple[str, str, str], func: Callable[[Any], object]) -> Callable[[Any], object]:
        """``func``, a listener's, or what gives it the event as published."""
        return func

    def hears_engine(self, one: systems.Listening) -> None:
        """A mod listens to an event of the engine."""

    def whose(self, server: object) -> str:
        """What to add to an error about the serverid ``server``."""
        return ""

    def is_new(self, text: str) -> bool:
        """Whether ``text`` is asked of for the first time, for what is told once."""
        if text in self._told or len(self._told) >= 1000:
            return False
        self._told.add(text)
        return True

    def manifest(self, root: str) -> Mapping[str, Any]:
        """The mod.json of the mod whose script package (or directory) is ``root``. Raises KeyError."""
        return dict(self.script(root).manifest)

    def script(self, root: str) -> mods.Script:
        """The script whose package (or directory) is ``root``. Raises KeyError, with what may have been meant."""
        from chappe.suggest import did_you_mean

        for script in self.scripts:
            if root in (script.package, str(script.root / script.package), str(script.root), script.root.name):
                return script
        hint = did_you_mean(root, [script.package for script in self.scripts])
        raise KeyError(f"no mod of this node has the script root {root!r}{hint}")

    def script_root(self, file: str) -> str:
        """The script package that a file belongs to."""
        for script in self.scripts:
            if file.startswith(str(script.root / script.package)):
                return script.package
        return ""

    def _is_mod(self, file: str) -> bool:
        return bool(self._roots) and file.startswith(self._roots)
