"""Where the databases are: the `mysql`, `redis` and `mongo` objects of deploy.json, and `extra_*` beside them.

```json
"mysql": {"host": "127.0.0.1", "port": 3306, "user": "game", "password": "", "database": "game"},
"redis": {"host": "127.0.0.1", "port": 6379, "password": "", "database": 0},
"mongo": {"host": "127.0.0.1", "port": 27017, "user": "game", "password": "", "database": "game"},
"extra_mysql": {"shop": {"host": "10.0.0.2", "database": "shop"}}
```

Also understood: `ip` for `host`; `username`; `passwd` and `token` for `password`; `db` for `database`; `unix_socket` (mysql,
redis); `charset` (mysql); `tls`, true or false; and in seconds `connect_timeout` (5) and `timeout` (30), the longest one
read or write may take. A password in the environment wins over the file: `CHAPPE_MYSQL_PASSWORD`, `CHAPPE_REDIS_PASSWORD`,
`CHAPPE_MONGO_PASSWORD`, and for `extra_mysql.shop` `CHAPPE_MYSQL_SHOP_PASSWORD`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

KINDS = ("mysql", "redis", "mongo")
_PORTS = {"mysql": 3306, "redis": 6379, "mongo": 27017}


class SettingsError(ValueError):
    """One or more settings make no sense. The message names all of them, each with its path in deploy.json."""


@dataclass(frozen=True)
class Endpoint:
    """One database server and how to enter it. Times are in seconds."""

    kind: str
    host: str = "127.0.0.1"
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    unix_socket: str = ""
    charset: str = "utf8mb4"
    tls: bool = False
    connect_timeout: float = 5.0
    timeout: float = 30.0

    @property
    def address(self) -> str:
        """For messages: where it is, never how to enter."""
        place = self.unix_socket or f"{self.host}:{self.port}"
        return f"{self.kind} at {place}" + (f", database {self.database}" if self.database else "")


@dataclass(frozen=True)
class Settings:
    """All endpoints of a deploy.json. What the file does not name is absent."""

    main: Mapping[str, Endpoint]
    extra: Mapping[str, Mapping[str, Endpoint]]


def parse(deploy: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Reads the endpoints out of a whole deploy.json. Raises `SettingsError` with every problem at once."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    main: dict[str, Endpoint] = {}
    extra: dict[str, dict[str, Endpoint]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        given = deploy.get(kind)
        if given is not None:
            _read(kind, kind, given, environ.get(f"CHAPPE_{kind.upper()}_PASSWORD"), main, kind, problems)
        group = deploy.get(f"extra_{kind}")
        if group is None:
            continue
        if not isinstance(group, Mapping):
            problems.append(f"extra_{kind}: an object of named databases, not {type(group).__name__}")
            continue
        for name, value in group.items():
            variable = f"CHAPPE_{kind.upper()}_{re.sub('[^A-Za-z0-9]', '_', str(name)).upper()}_PASSWORD"
            _read(kind, f"extra_{kind}.{name}", value, environ.get(variable), extra[kind], str(name), problems)
    if problems:
        raise SettingsError("deploy.json: " + "; ".join(problems))
    return Settings(main, extra)


def _read(
    kind: str, path: str, given: Any, password: str | None, into: dict[str, Endpoint], name: str, problems: list[str]
) -> None:
    if not isinstance(given, Mapping):
        problems.append(f"{path}: an object with host, port, user, password, database, not {type(given).__name__}")
        return
    found: list[str] = []

    def text(*names: str, default: str = "") -> str:
        for key in names:
            value = given.get(key)
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                return str(value)
            if value is not None:
                found.append(f"{path}.{key}: a text, not {type(value).__name__}")
        return default

    def seconds(key: str, default: float) -> float:
        value = given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 3600:
            found.append(f"{path}.{key}: seconds, above 0 and at most 3600")
            return default
        return float(value)

    port_text = text("port", default=str(_PORTS[kind]))
    port = int(port_text) if port_text.isdecimal() else 0
    if not 0 < port < 65536:
        found.append(f"{path}.port: a number from 1 to 65535")
    endpoint = Endpoint(
        kind=kind,
        host=text("host", "ip", default="127.0.0.1"),
        port=port,
        user=text("user", "username"),
        password=text("password", "passwd", "token"),
        database=text("database", "db"),
        unix_socket=text("unix_socket"),
        charset=text("charset", default="utf8mb4"),
        tls=bool(given.get("tls", False)),
        connect_timeout=seconds("connect_timeout", 5.0),
        timeout=seconds("timeout", 30.0),
    )
    if kind == "redis" and endpoint.database and not endpoint.database.isdecimal():
        found.append(f"{path}.database: the number of a redis database, not {endpoint.database!r}")
    if found:
        problems.extend(found)
    else:
        into[name] = endpoint if password is None else replace(endpoint, password=password)
