"""One cluster of Python nodes for all tests that only talk to it, and clusters of their own for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .cluster import MODS, Cluster

REC = str(MODS / "rec")


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master, a proxy, two lobbies and two services; all but the proxy run the recorder."""
    deploy = {
        "cluster": "rows",
        "master": {"serverid": 1, "mods": REC, "module_names": "rec_master"},
        "proxy": [{"serverid": 5}],
        "lobby": [{"serverid": 10, "mods": REC}, {"serverid": 11, "mods": REC}],
        "service": [
            {"serverid": 30, "type": "rec_a", "mods": REC},
            {"serverid": 31, "type": "rec_b", "mods": [REC], "http_port": "free"},
        ],
    }
    cluster = Cluster(tmp_path_factory.mktemp("rows"), deploy).ready()
    yield cluster
    code = cluster.stop()
    print(*cluster.output, sep="\n")
    assert code == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Cluster]]:
    """Starts a cluster of the test's own; its deploy.json may name mods relative to ``tmp_path``."""
    clusters: list[Cluster] = []

    def start(deploy: dict[str, Any]) -> Cluster:
        clusters.append(Cluster(tmp_path, deploy))
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.stop()
