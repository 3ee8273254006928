"""Tells of a handler that does not come to its end: where it is, once it has run for a second."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable

LIMIT = 1.0
"""Seconds that a handler may take before it is reported."""
PERIOD = 0.5
"""Seconds between two looks."""

log = logging.getLogger("chappe.watchdog")


def start(node: int, busy: Callable[[], tuple[int, int] | None]) -> threading.Thread:
    """Watches the calling thread. ``busy`` says which call runs there, and for how many milliseconds."""
    main = threading.get_ident()
    thread = threading.Thread(target=_watch, args=(node, main, busy), name="chappe-watchdog", daemon=True)
    thread.start()
    return thread


def _watch(node: int, main: int, busy: Callable[[], tuple[int, int] | None]) -> None:
    reported = None
    while True:
        time.sleep(PERIOD)
        now = busy()
        if now is None or now[0] == reported or now[1] < LIMIT * 1000:
            continue
        reported = now[0]
        frame = sys._current_frames().get(main)
        stack = "".join(traceback.format_stack(frame)) if frame else "(no Python frame)"
        del frame
        log.error(
            "node %s: a handler has run for %.1f s and nothing else can run meanwhile; it is here:\n%s",
            node,
            now[1] / 1000,
            stack.rstrip(),
        )
