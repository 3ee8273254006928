"""The small network that each test puts one mistake into."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from check_world import World  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A network without mistakes."""
    return World(tmp_path)
