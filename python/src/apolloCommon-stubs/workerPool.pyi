# Written by scripts/stubs.py from the package's sources.
"""The functions of `apolloCommon.workerPool`."""

from chappe.apollo.pools.worker_pool import WorkerPool

def ForkNewPool(orderSize: int) -> WorkerPool:
    """A new pool with up to `orderSize` threads, from 1 to 256. Raises `TypeError` or `ValueError` for a size that is none."""

def Tick() -> None:
    """Runs the callbacks that are due, on the calling thread. With a node's `post` there are none: the node runs them."""
