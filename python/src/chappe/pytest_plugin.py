"""The plugin of pytest: the fixture ``cluster``. Beside `chappe.testing`, so that runs without it do not load that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chappe.testing.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster on virtual time (`chappe.testing.Cluster`). What its mods' handlers raise fails the test, unless the
    test takes it with ``cluster.take_errors()``."""
    from chappe.testing.cluster import Cluster

    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        made.close()
    if made.errors:
        told = "\n".join(str(error) for error in made.errors)
        pytest.fail(f"handlers of mods raised (cluster.take_errors() expects it):\n{told}", pytrace=False)
