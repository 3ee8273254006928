"""The command: ``chappe``, or ``python -m chappe``. The same as the Rust one, and it runs nodes that have mods."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Runs the command that ``sys.argv`` names; returns the exit code (``chappe --help`` lists them)."""
    from chappe import _core
    from chappe.host import Host

    # The core has a handler of its own, which would also call Python's: a KeyboardInterrupt after an end in order.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        # What a mod prints stands beside the log lines, in order.
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    host = Host()
    return host.exit_code(_core.main(["chappe", *sys.argv[1:]], [sys.executable, "-m", "chappe"], host))


if __name__ == "__main__":
    # Not sys.exit: a handler may have left threads of its own behind, and the node has left in order already.
    import os

    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
