"""'Did you mean': the nearest of the known names."""

from __future__ import annotations

from chappe.suggest import did_you_mean, distance, near, nearest

__all__ = ["did_you_mean", "distance", "near", "nearest"]
