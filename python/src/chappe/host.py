"""What the core calls when a node with mods starts, or for a command of the package."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from chappe import _core, logs, mods, watchdog

log = logging.getLogger("chappe")


class Host:
    """Loads the mods of the one node of this process, and runs the package's own commands."""

    def __init__(self) -> None:
        self.node: _core.Node | None = None

    def on_error(self, about: str, error: BaseException) -> None:
        """A handler has raised: it is told, and the node goes on."""
        node = self.node.id if self.node else "?"
        log.error("node %s: %s: a handler raised", node, about, exc_info=(type(error), error, error.__traceback__))

    def declared_modules(self, directory: str) -> list[str]:
        """The RPC modules that the mod in ``directory`` declares."""
        return mods.declared_modules(Path(directory))

    def command(self, words: list[str]) -> int:
        """Runs a command of the package: `mod ...` or `client ...`. Answers the exit code."""
        from chappe import command

        return command.run(words)

    def load(self, node: _core.Node, entry: dict[str, Any]) -> None:
        """Loads the mods of ``node``. Raises ModError, whose text says why the node cannot start."""
        from chappe.apollo.runtime import Runtime

        self.node = node
        logs.start()
        http = (entry["ip"], entry["http_port"]) if entry["http_port"] else None
        runtime = Runtime(node, Path(entry["deploy"]), http)
        runtime.install()
        runtime.load([Path(directory) for directory in entry["mods"]])
        node.on_leave(runtime.leave)
        watchdog.start(node.id, _core.busy)
