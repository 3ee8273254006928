"""Real database servers for the tests: own processes, own directories, free ports, no system service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
CERTIFICATE = "certificate.pem"
_ROOT = Path(__file__).resolve().parents[3]


class Server:
    """A process that is ready once it has written `ready` to its log. It can be stopped and started again."""

    def __init__(self, command: Sequence[str], ready: str) -> None:
        self._command = list(command)
        self._ready = ready
        self._process: subprocess.Popen[str] | None = None
        self._log: list[str] = []

    def start(self) -> None:
        self._log = []
        ready = threading.Event()
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._read, args=(self._process, ready), daemon=True).start()
        if not ready.wait(READY_SECONDS) or self._process.poll() is not None:
            self.stop()
            raise RuntimeError(f"{self._command[0]} is not ready:\n" + "".join(self._log[-30:]))

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._log.append(line)
            if self._ready in line:
                ready.set()
        ready.set()  # it ended: nobody needs to wait any longer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str, package: str) -> str:
    """The path of a server's program, installed from Debian's package if it is missing and that is allowed here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        subprocess.run([str(_ROOT / "scripts" / "ensure-deb.sh"), f"{package}:{name}"], check=True)
        found = shutil.which(name, path=path)
    assert found, f"{name} of Debian's package {package} is missing"
    return found


def redis_server(directory: Path, port: int, password: str) -> Server:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", "", "--requirepass", password]
    return Server([program("redis-server", "redis-server"), *options], "Ready to accept connections")


def mariadb_server(directory: Path, port: int) -> Server:
    """Its administrator is `root` without a password; `prepare` for the tests' own user is up to the fixture."""
    data = directory / "data"
    key, certificate = directory / "key.pem", directory / CERTIFICATE
    make = [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    place = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make, *place], check=True, capture_output=True, timeout=READY_SECONDS)
    # As root, MariaDB wants to be told that this is meant.
    user = ["--user=root"] if os.geteuid() == 0 else []
    server = program("mariadbd", "mariadb-server")
    install = [program("mariadb-install-db", "mariadb-server"), "--no-defaults", f"--datadir={data}", "--skip-test-db", *user]
    done = subprocess.run(
        [*install, "--auth-root-authentication-method=normal"], capture_output=True, text=True, timeout=READY_SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout}\n{done.stderr}")
    options = [
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={directory / 'm.sock'}",
        f"--pid-file={directory / 'm.pid'}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=16M",
        f"--ssl-key={key}",
        f"--ssl-cert={certificate}",
        *user,
    ]
    return Server([server, *options], "ready for connections")
