# Written by scripts/stubs.py from the package's sources.
from server.extraServiceApi import *
from typing import Any

def __getattr__(name: str) -> Any: ...  # the game engine's own names
