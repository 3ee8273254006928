"""Modules of the standard library that compare what they are given: in Python 2 anything could be compared."""

from __future__ import annotations

import heapq
import queue
from collections.abc import Iterator
from typing import Any

from .runtime import lt, sorted_
from .stdlib_extra import extra


def _up(heap: list[Any], start: int, at: int) -> None:
    item = heap[at]
    while at > start and lt(item, heap[(at - 1) >> 1]):
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = item


def _down(heap: list[Any], at: int) -> None:
    start, end, item = at, len(heap), heap[at]
    child = 2 * at + 1
    while child < end:
        if child + 1 < end and not lt(heap[child], heap[child + 1]):
            child += 1
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = item
    _up(heap, start, at)


def heappush(heap: list[Any], item: Any) -> None:
    """As `heapq.heappush`."""
    heap.append(item)
    _up(heap, 0, len(heap) - 1)


def heappop(heap: list[Any]) -> Any:
    """As `heapq.heappop`."""
    last = heap.pop()
    return heapreplace(heap, last) if heap else last


def heapreplace(heap: list[Any], item: Any) -> Any:
    """As `heapq.heapreplace`."""
    first = heap[0]
    heap[0] = item
    _down(heap, 0)
    return first


def heappushpop(heap: list[Any], item: Any) -> Any:
    """As `heapq.heappushpop`."""
    return heapreplace(heap, item) if heap and lt(heap[0], item) else item


def heapify(heap: list[Any]) -> None:
    """As `heapq.heapify`."""
    for at in reversed(range(len(heap) // 2)):
        _down(heap, at)


class PriorityQueue(queue.PriorityQueue):  # type: ignore[type-arg]
    """As `queue.PriorityQueue`."""

    def _put(self, item: Any) -> None:
        heappush(self.queue, item)

    def _get(self) -> Any:
        return heappop(self.queue)


class _Ordered:
    """An item of a merge, with Python 2's order."""

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item

    def __lt__(self, other: _Ordered) -> bool:
        return bool(lt(self.item, other.item))


def merge(*rows: Any) -> Iterator[Any]:
    """As `heapq.merge`."""
    return (one.item for one in heapq.merge(*(map(_Ordered, row) for row in rows)))


@extra("heapq")
def _heapq() -> dict[str, Any]:
    return {
        "heappush": heappush, "heappop": heappop, "heapreplace": heapreplace, "heappushpop": heappushpop, "heapify": heapify, "merge": merge,
        "nsmallest": lambda n, items, key=None: sorted_(items, key=key)[: max(n, 0)],
        "nlargest": lambda n, items, key=None: sorted_(items, key=key, reverse=True)[: max(n, 0)],
    }  # fmt: skip


def bisect_right(row: Any, item: Any, lo: int = 0, hi: int | None = None) -> int:
    """As `bisect.bisect_right`."""
    hi = len(row) if hi is None else hi
    while lo < hi:
        middle = (lo + hi) // 2
        if lt(item, row[middle]):
            hi = middle
        else:
            lo = middle + 1
    return lo


def bisect_left(row: Any, item: Any, lo: int = 0, hi: int | None = None) -> int:
    """As `bisect.bisect_left`."""
    hi = len(row) if hi is None else hi
    while lo < hi:
        middle = (lo + hi) // 2
        if lt(row[middle], item):
            lo = middle + 1
        else:
            hi = middle
    return lo


def insort_right(row: Any, item: Any, lo: int = 0, hi: int | None = None) -> None:
    """As `bisect.insort_right`."""
    row.insert(bisect_right(row, item, lo, hi), item)


def insort_left(row: Any, item: Any, lo: int = 0, hi: int | None = None) -> None:
    """As `bisect.insort_left`."""
    row.insert(bisect_left(row, item, lo, hi), item)


@extra("bisect")
def _bisect() -> dict[str, Any]:
    return {
        "bisect": bisect_right, "bisect_right": bisect_right, "bisect_left": bisect_left,
        "insort": insort_right, "insort_right": insort_right, "insort_left": insort_left,
    }  # fmt: skip


@extra("Queue")
def _queue() -> dict[str, Any]:
    return {"PriorityQueue": PriorityQueue}
