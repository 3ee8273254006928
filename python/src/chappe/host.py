"""What the core calls when a node with mods starts, or for a command of the package."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chappe import _core, logs, mods, watchdog

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

log = logging.getLogger("chappe")

RESTART = 75
"""The exit code of a node that is to be started again: any but 0 does that."""


class Host:
    """Loads the mods of the one node of this process, and runs the package's own commands."""

    def __init__(self) -> None:
        self.node: _core.Node | None = None
        self.runtime: Runtime | None = None
        # The core ends a node in order, at the first signal; the interpreter's own answer would be a
        # KeyboardInterrupt in the midst of that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def on_error(self, about: str, error: BaseException) -> None:
        """A handler has raised: it is told, and the node goes on."""
        node = self.node.id if self.node else "?"
        why = self.runtime.engine.explains(error) if self.runtime else ""
        log.error("node %s: %s: a handler raised%s\n%s", node, about, why, mods.told(error))

    def exit_code(self, code: int) -> int:
        """The exit code of the process, given that of the core: what supervises it starts a node again that has left
        for that."""
        return RESTART if code == 0 and self.runtime is not None and self.runtime.is_to_restart else code

    def declared_modules(self, directory: str) -> list[str]:
        """The RPC modules that the mod in ``directory`` declares."""
        return mods.declared_modules(Path(directory))

    def command(self, words: list[str]) -> int:
        """Runs a command of the package: `mod ...` or `client ...`. Answers the exit code."""
        from chappe import command

        signal.signal(signal.SIGINT, signal.default_int_handler)
        return command.run(words)

    def load(self, node: _core.Node, entry: dict[str, Any]) -> None:
        """Loads the mods of ``node``. Raises ModError, whose text says why the node cannot start."""
        from chappe.apollo.runtime import Runtime

        self.node = node
        logs.start()
        http = (entry["ip"], entry["http_port"]) if entry["http_port"] else None
        self.runtime = runtime = Runtime(node, Path(entry["deploy"]), http)
        runtime.control_token = entry["control_token"]
        runtime.install()
        runtime.load([Path(directory) for directory in entry["mods"]])
        node.on_leave(runtime.leave)
        watchdog.start(node.id, _core.busy)
