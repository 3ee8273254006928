# Written by scripts/stubs.py from the package's sources.
"""``common.minecraftEnum``: what is of the network; the rest is the engine's."""

from chappe.apollo.extra import TransferServerFailReason as TransferServerFailReason
from typing import Any


def __getattr__(name: str) -> Any: ...  # the game engine's own names
