"""Python's logging and the node's log are one."""

from __future__ import annotations

import logging

from chappe import _core


class ToNode(logging.Handler):
    """Hands records to the node's log, with the traceback if there is one."""

    def filter(self, record: logging.LogRecord) -> bool:
        # The grammar of the translation tells of its tables on the root logger.
        return record.levelno >= logging.WARNING or "fissix" not in record.pathname

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # a mod's own format string that does not fit its arguments
            text = " ".join(str(part) for part in (record.msg, *(record.args or ())))
        _core.log(record.levelno, record.name, text)


def start() -> None:
    """Sends everything that is logged to the node's log."""
    root = logging.getLogger()
    root.handlers[:] = [ToNode()]
    root.setLevel(logging.DEBUG)
