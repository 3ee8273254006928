# Written by scripts/stubs.py from the package's sources.
"""``mod_log``: logger and engine_logger."""

from chappe.apollo.common import Logger

engine_logger: Logger

logger: Logger
