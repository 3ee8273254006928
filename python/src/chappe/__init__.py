"""Chappe: the messaging runtime of a game-server cluster; runs Apollo mods in Python."""

from __future__ import annotations

__version__ = "0.1.0"
