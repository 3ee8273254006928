"""A client in Python at a proxy with a certificate: whom it trusts, what it shows, and what it is told otherwise."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chappe import _core

from .cluster import Cluster, free_ports

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")


class Authority:
    """Signs certificates, and keeps them as files of a directory."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory, self.name = directory, name
        directory.mkdir()
        self.ca = directory / "ca.pem"
        config = self._config("ca", "basicConstraints=critical,CA:TRUE")
        self._openssl("req", "-x509", *EC, "-days", "2", "-config", config, "-keyout", "ca.key", "-out", "ca.pem")

    def sign(self, name: str) -> tuple[str, str]:
        """A certificate for this machine's own address, and its key."""
        config = self._config(name, "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE")
        self._openssl("req", "-new", *EC, "-config", config, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        self._openssl("x509", "-req", "-in", f"{name}.csr", *by, "-extfile", config, "-extensions", "own", "-out", f"{name}.pem")
        return str(self.directory / f"{name}.pem"), str(self.directory / f"{name}.key")

    def _config(self, name: str, own: str) -> str:
        head = "[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=own\n"
        (self.directory / f"{name}.cnf").write_text(f"{head}[dn]\nCN={self.name} {name}\n[own]\n{own}\n")
        return f"{name}.cnf"

    def _openssl(self, *args: str) -> None:
        done = subprocess.run(["openssl", *args], cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


class Doors:
    """A cluster with two proxies: both show a certificate, the second asks for one."""

    def __init__(self, directory: Path) -> None:
        self.ours, self.other = Authority(directory / "ours", "ours"), Authority(directory / "other", "other")
        cert, key = self.ours.sign("proxy")
        self.open, self.strict = free_ports(2)
        tls = {"cert": cert, "key": key}
        deploy: dict[str, Any] = {
            "cluster": "doors",
            "master": {"serverid": 1},
            "proxy": [
                {"serverid": 5, "port": self.open, "tls": tls},
                {"serverid": 6, "port": self.strict, "tls": tls | {"client_ca": str(self.ours.ca)}},
            ],
            "lobby": [{"serverid": 10}],
        }
        self.cluster = Cluster(directory, deploy).ready()

    def log_in(self, port: int, uid: int, **tls: str) -> _core.Client:
        return _core.Client(f"wss://127.0.0.1:{port}", uid, **tls)

    def refused(self, port: int, **tls: str) -> str:
        with pytest.raises(ConnectionError) as error:
            self.log_in(port, 9, **tls)
        return str(error.value)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    doors = Doors(tmp_path_factory.mktemp("doors"))
    yield doors
    assert doors.cluster.stop() == 0


def test_a_client_that_trusts_the_proxys_authority_plays(doors: Doors) -> None:
    client = doors.log_in(doors.open, 21, ca=str(doors.ours.ca))
    try:
        assert client.uid == 21 and client.server_id == 10
    finally:
        client.logout()


def test_a_client_talks_to_a_proxy_whose_authority_it_does_not_know(doors: Doors) -> None:
    for tls in ({"ca": str(doors.other.ca)}, {}):
        text = doors.refused(doors.open, **tls)
        assert "certificate" in text and "UnknownIssuer" in text, text


def test_a_client_talks_in_clear_where_tls_is_wanted(doors: Doors) -> None:
    with pytest.raises(ConnectionError):
        _core.Client(f"ws://127.0.0.1:{doors.open}", 9)


def test_a_proxy_that_asks_for_a_certificate_takes_those_of_its_authority_alone(doors: Doors) -> None:
    ca = str(doors.ours.ca)
    assert "certificate" in doors.refused(doors.strict, ca=ca).lower()
    cert, key = doors.other.sign("stranger")
    assert doors.refused(doors.strict, ca=ca, cert=cert, key=key)
    cert, key = doors.ours.sign("player")
    client = doors.log_in(doors.strict, 22, ca=ca, cert=cert, key=key)
    try:
        assert client.uid == 22
    finally:
        client.logout()


def test_files_that_are_not_there_or_belong_to_nothing_are_named(doors: Doors, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.pem")
    assert missing in doors.refused(doors.open, ca=missing)
    (tmp_path / "empty.pem").write_text("")
    assert "empty.pem" in doors.refused(doors.open, ca=str(tmp_path / "empty.pem"))
    with pytest.raises(ValueError, match="cert and key belong together"):
        doors.log_in(doors.open, 9, cert=missing)
