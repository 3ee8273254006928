"""'Did you mean': the nearest of the known names."""

from __future__ import annotations

from collections.abc import Iterable

from chappe.suggest import did_you_mean, distance, near, nearest

__all__ = ["did_you_mean", "distance", "near", "nearest", "nearest_pair"]


def nearest_pair(pair: tuple[str, str], known: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """The known pair that is nearest and near enough: one of the two names differs by a slip, or both do."""
    scored = []
    for other in known:
        parts = [0 if a == b else near(a, b) for a, b in zip(pair, other, strict=True)]
        if other != pair and None not in parts:
            scored.append((sum(part or 0 for part in parts), other))
    return min(scored)[1] if scored else None
