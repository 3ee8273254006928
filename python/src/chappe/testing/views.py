"""What is imported, node by node: several nodes of one process each have modules of their own."""

from __future__ import annotations

import os
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

from chappe.apollo.install import PACKAGES, PREFIXES

API = frozenset((*PACKAGES, *PREFIXES, "mod_log"))
"""The packages of the Apollo surface; each node has its own."""


@dataclass
class View:
    """One node's: the modules that only it sees, and where it imports from."""

    roots: tuple[str, ...]
    path: list[str]
    meta_path: list[object]
    modules: dict[str, types.ModuleType] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """What the test itself has imported of this node's mods, and the node must not see: it has its own."""
    seen: set[str] = field(default_factory=set)

    def hide(self) -> None:
        """Takes the test's own modules of the node's mods out of ``sys.modules``."""
        new = sys.modules.keys() - self.seen
        self.hidden.update(name for name in new if name not in self.modules and self.owns(name, sys.modules[name]))
        self.seen |= new
        for name in self.hidden:
            sys.modules.pop(name, None)

    def owns(self, name: str, module: types.ModuleType) -> bool:
        """Whether a module that was imported here is this node's alone; libraries are everyone's."""
        if name.partition(".")[0] in API:
            return True
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
        return any(isinstance(place, str) and os.path.abspath(place).startswith(self.roots) for place in places)


class Views:
    """Swaps ``sys.modules``, ``sys.path`` and ``sys.meta_path`` when another node's code is to run."""

    def __init__(self) -> None:
        self.current: int | None = None
        self._views: dict[int, View] = {}
        self._before: dict[str, types.ModuleType] = {}
        self._path: list[str] = []
        self._meta_path: list[object] = []

    def add(self, node: int, roots: list[Path]) -> None:
        """A new life of a node, whose mods are below ``roots``: nothing of it is imported yet."""
        below = tuple(os.path.abspath(root) + os.sep for root in roots)
        self._views[node] = View(below, list(sys.path), list(sys.meta_path))

    def modules(self, node: int) -> dict[str, types.ModuleType]:
        """The modules that only that node sees."""
        return self._views[node].modules

    def switch(self, node: int | None) -> None:
        """From here on it is the code of ``node`` that runs; None: the test's own."""
        if node not in self._views:
            node = None
        if node == self.current:
            return
        if self.current is not None:
            self._leave(self._views[self.current])
        self.current = node
        if node is not None:
            self._enter(self._views[node])

    def _enter(self, view: View) -> None:
        self._before = dict(sys.modules)
        self._path, self._meta_path = list(sys.path), list(sys.meta_path)
        view.hide()
        sys.modules.update(view.modules)
        sys.path[:] = view.path
        sys.meta_path[:] = view.meta_path  # type: ignore[assignment]

    def _leave(self, view: View) -> None:
        before = self._before
        for name, module in list(sys.modules.items()):
            if before.get(name) is module:
                continue
            if name in view.modules or view.owns(name, module):
                view.modules[name] = module
        for name in (*view.modules, *view.hidden):
            if name in before:
                sys.modules[name] = before[name]
            else:
                sys.modules.pop(name, None)
        view.path, view.meta_path = list(sys.path), list(sys.meta_path)
        sys.path[:] = self._path
        sys.meta_path[:] = self._meta_path  # type: ignore[assignment]
        self._before = {}
