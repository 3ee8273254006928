"""Fixtures: the node's main thread, and real servers that live as long as the test session."""

from __future__ import annotations

import importlib.util
import queue
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

if importlib.util.find_spec("chappe") is None or importlib.util.find_spec("chappe.apollo") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from servers import CERTIFICATE, Server, free_port, mariadb_server, redis_server

ANSWER_SECONDS = 60.0
REDIS_PASSWORD = "a secret of the tests"


class Main:
    """Stands for the node's main thread: what is posted waits until the test runs it, on the test's thread."""

    def __init__(self) -> None:
        self._posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.post = self._posted.put

    def run(self, count: int = 1) -> None:
        """Waits for that many callbacks and runs them."""
        for _ in range(count):
            self._posted.get(timeout=ANSWER_SECONDS)()

    def answer(self, call: Callable[..., Any], *args: Any) -> Any:
        """Calls `call(*args, callback)` and gives what the callback got."""
        got: list[Any] = []
        call(*args, got.append)
        while not got:
            self.run()
        return got[0]

    @property
    def empty(self) -> bool:
        return self._posted.empty()


@dataclass
class Running:
    """A server with the object that deploy.json would have for it."""

    server: Server
    settings: dict[str, Any]
    certificate: Path | None = None


@pytest.fixture
def main() -> Main:
    return Main()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    port = free_port()
    server = redis_server(tmp_path_factory.mktemp("redis"), port, REDIS_PASSWORD)
    server.start()
    yield Running(server, {"host": "127.0.0.1", "port": port, "password": REDIS_PASSWORD})
    server.stop()


@pytest.fixture(scope="session")
def mysql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    import pymysql

    port = free_port()
    directory = tmp_path_factory.mktemp("mariadb")
    server = mariadb_server(directory, port)
    server.start()
    with pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True) as admin, admin.cursor() as cursor:
        cursor.execute("CREATE DATABASE game CHARACTER SET utf8mb4")
        cursor.execute("CREATE USER 'game'@'127.0.0.1' IDENTIFIED BY 'secret'")
        cursor.execute("GRANT ALL ON game.* TO 'game'@'127.0.0.1'")
    settings = {"host": "127.0.0.1", "port": port, "user": "game", "password": "secret", "database": "game"}
    yield Running(server, settings, directory / CERTIFICATE)
    server.stop()
