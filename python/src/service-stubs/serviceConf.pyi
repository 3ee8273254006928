# Written by scripts/stubs.py from the package's sources.
"""What this service is."""

from typing import Any

def get_module_names() -> list[str]:
    """The RPC modules of this node: its type, and what it declares."""

def get_server_id() -> int:
    """The serverid of this node."""

def get_server_type() -> str:
    """The type of this node."""

netgameConf: dict[str, Any]
