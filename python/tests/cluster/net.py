"""A cluster whose nodes run what a test asks for (`mods/net`)."""

from __future__ import annotations

import time
from typing import Any

from .cluster import MODS, PATIENCE, Cluster

NET = str(MODS / "net")


def deploy(**others: Any) -> dict[str, Any]:
    """A master, a proxy, two lobbies, a game without mods, and a service."""
    return {
        "cluster": "net",
        "master": {"serverid": 1, "mods": NET, "module_names": "net_master"},
        "proxy": [{"serverid": 5}],
        "lobby": [{"serverid": 10, "num": 2, "mods": [NET], "max_players": 50}],
        "game": [{"serverid": 20, "type": "bw4"}],
        "service": [{"serverid": 30, "type": "net_service", "mods": NET, "module_names": ["net_more"], "http_port": "free"}],
        "game_id": 7,
        "game_key": "k",
        "mysql": {"host": "10.0.0.9", "user": "u", "password": "p", "database": "d"},
        **others,
    }


def run(cluster: Cluster, where: str | int, code: str) -> Any:
    """What an expression or statements (their ``result``) give, on "service", "master", or the lobby of that id."""
    outcome = ran(cluster, where, code)
    assert outcome[0] == "ok", outcome
    return outcome[1]


def ran(cluster: Cluster, where: str | int, code: str) -> list[Any]:
    """As `run`: ["ok", result] or ["raised", kind, text]."""
    if isinstance(where, int):
        return cluster.call("net_service", "OnLobby", {"lobby": where, "code": code})
    return cluster.call("net_master" if where == "master" else "net_service", "Run", code)


def until(cluster: Cluster, where: str | int, code: str) -> Any:
    """What an expression gives, once that is true."""
    end = time.monotonic() + PATIENCE
    while not (found := run(cluster, where, code)):
        assert time.monotonic() < end, f"{code} did not become true: {found}"
        time.sleep(0.02)
    return found
