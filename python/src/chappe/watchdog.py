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
PERIOD = 0.25
"""Seconds between two looks: by so much a handler may have run longer than it is said to."""

log = logging.getLogger("chappe.watchdog")


def start(node: int, busy: Callable[[], int | None]) -> threading.Thread:
    """Watches the calling thread. ``busy`` gives the number of the call that runs there; None when none does."""
    main = threading.get_ident()
    thread = threading.Thread(target=_watch, args=(node, main, busy), name="chappe-watchdog", daemon=True)
    thread.start()
    return thread


def _watch(node: int, main: int, busy: Callable[[], int | None]) -> None:
    seen: int | None = None
    since = 0.0
    is_reported = False
    while True:
        time.sleep(PERIOD)
        call, now = busy(), time.monotonic()
        if call is None or call != seen:
            seen, since, is_reported = call, now, False
            continue
        if is_reported or now - since < LIMIT:
            continue
        is_reported = True
        frame = sys._current_frames().get(main)
        stack = "".join(traceback.format_stack(frame)) if frame else "(no Python frame)"
        del frame
        log.error(
            "node %s: a handler has run for %.1f s and nothing else can run meanwhile; it is here:\n%s",
            node,
            now - since,
            stack.rstrip(),
        )
