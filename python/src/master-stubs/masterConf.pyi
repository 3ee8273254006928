# Written by scripts/stubs.py from the package's sources.
"""What deploy.json says."""

from typing import Any

netgameConf: dict[str, Any]
