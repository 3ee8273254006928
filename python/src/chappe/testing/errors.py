"""What mods' code has raised, also where nothing but the log tells of it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class HandlerError:
    """What a handler, a timer or a callback of a mod has raised."""

    node: int
    about: str
    error: BaseException

    def __str__(self) -> str:
        lines = "".join(traceback.format_exception(self.error))
        return f"node {self.node}: {self.about}:\n{lines}"


class FromLog(logging.Handler):
    """Hears of exceptions that the platform logs: of callbacks of databases, and of Destroy methods."""

    NAME = "chappe.apollo"

    def __init__(self, told: Callable[[str, BaseException], None]) -> None:
        super().__init__(logging.ERROR)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Tells of the record's exception, if it has one."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._told(record.getMessage(), error)

    def start(self) -> None:
        """Listens from here on."""
        logging.getLogger(self.NAME).addHandler(self)

    def stop(self) -> None:
        """Listens no more."""
        logging.getLogger(self.NAME).removeHandler(self)
