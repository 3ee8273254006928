"""'Did you mean': the nearest of the known names."""

from __future__ import annotations

from collections.abc import Iterable


def distance(left: str, right: str) -> int:
    """Edits from one to the other: insert, delete, replace, swap two neighbours."""
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]


def near(left: str, right: str) -> int | None:
    """Their distance where one may be a slip of the other, else None. Case counts for nothing here."""
    allowed = max(1, min(len(left), len(right)) // 4) if min(len(left), len(right)) > 2 else 0
    allowed = min(allowed, 3)
    if abs(len(left) - len(right)) > allowed:
        return None
    found = distance(left.lower(), right.lower())
    return found if found <= allowed else None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest and near enough; the first by alphabet among equals."""
    scored = [(score, other) for other in known if other != name and (score := near(name, other)) is not None]
    return min(scored)[1] if scored else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` to hang on to a message, or nothing."""
    other = nearest(name, known)
    return f"; did you mean `{other}`?" if other else ""
