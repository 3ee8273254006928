# Written by scripts/stubs.py from the package's sources.
"""The loop is the node's: what would run it does nothing."""

from chappe.apollo.timers import CallEvery as CallEvery
from chappe.apollo.timers import CallLater as CallLater
from typing import Any



def close_all(*args: Any, **kwargs: Any) -> None:
    """Does nothing."""

def loop(*args: Any, **kwargs: Any) -> None:
    """Does nothing."""

def scheduler(*args: Any) -> None:
    """Does nothing."""
