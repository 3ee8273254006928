"""Clusters of real processes, in directories and on ports of their own."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

PATIENCE = 30.0
"""Seconds for which anything is waited for before the test says that it does not come."""
ROOT = Path(__file__).resolve().parents[3]
MODS = Path(__file__).resolve().parent / "mods"


def command() -> list[str]:
    """The Rust command, else that of the package."""
    named = os.environ.get("CHAPPE")
    for path in [Path(named)] if named else [ROOT / "target/debug/chappe", ROOT / "target/release/chappe"]:
        if path.exists():
            return [str(path)]
    return [sys.executable, "-m", "chappe"]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; held together, so that no two are the same."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """A running ``chappe up``."""

    def __init__(self, directory: Path, deploy: dict[str, Any]) -> None:
        self.http, self.ws, self.service_http = free_ports(3)
        deploy["master"].setdefault("port", self.http)
        for proxy in deploy.get("proxy", []):
            proxy.setdefault("port", self.ws)
        for service in deploy.get("service", []):
            if service.get("http_port") == "free":
                service["http_port"] = self.service_http
        self.file = directory / "deploy.json"
        self.file.write_text(json.dumps(deploy))
        self.environ = {**os.environ, "XDG_RUNTIME_DIR": str(directory), "CHAPPE_PYTHON": sys.executable}
        self.environ |= {"XDG_CACHE_HOME": str(directory / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("RUST_LOG", "CLICOLOR_FORCE", "CHAPPE_SUPERVISOR", "CHAPPE_HANDED_OVER"):
            self.environ.pop(name, None)
        self.output: list[str] = []
        self._is_read = False
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [*command(), "up", str(self.file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=self.environ,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self, *parts: str) -> str:
        """The first line of the output that holds all parts; waits for it."""
        for line in self.output:
            if all(part in line for part in parts):
                return line
        end = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError("\n".join([f"no line with {parts} came:", *self.output]))
            self.output.append(line)
            if all(part in line for part in parts):
                return line

    def ready(self) -> Cluster:
        """Waits until all nodes are."""
        self.line("is ready:")
        return self

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """``chappe ARGS`` with this cluster's environment."""
        name, *rest = args
        return subprocess.run(
            [*command(), name, str(self.file), *rest], env=self.environ, capture_output=True, text=True, timeout=60
        )

    def call(self, module: str, method: str, args: Any = None) -> Any:
        """A request that the master makes, with JSON's values."""
        done = self.run("call", module, method, json.dumps(args), "--json", "--timeout", "10")
        found = json.loads(done.stdout)
        assert done.returncode == 0, found
        return found["data"] if "data" in found else found

    def do(self, module: str, call: str, *args: Any, **kwargs: Any) -> Any:
        """Lets a recorder make one call; gives what it gave."""
        outcome = self.outcome(module, call, *args, **kwargs)
        assert outcome[0] == "ok", outcome
        return outcome[1]

    def outcome(self, module: str, call: str, *args: Any, **kwargs: Any) -> list[Any]:
        """As `do`: ["ok", result] or ["raised", kind, text]."""
        return self.call(module, "Do", {"call": call, "args": list(args), "kwargs": kwargs})

    def heard(self, module: str, *names: str) -> list[list[Any]]:
        """Everything a recorder has heard since it was asked last; waits until all names are among it."""
        heard: list[list[Any]] = []
        end = time.monotonic() + PATIENCE
        while True:
            heard += self.call(module, "Heard")
            if set(names) <= {name for name, _ in heard}:
                return heard
            assert time.monotonic() < end, f"{names} did not all come to {module}: {heard}"
            time.sleep(0.02)

    def post(self, url: str, body: bytes, port: int | None = None) -> bytes:
        """POST to the master's control port, or another."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.http}{url}", data=body, timeout=PATIENCE) as answer:
            return answer.read()

    def stop(self) -> int:
        """Ends it in order; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        while not self._is_read and (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.output.append(line)
        self._is_read = True
        return code
