"""The common configuration as mods read it: deploy.json, with the lists and keys that the platform's own file has."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

SERVERS = ("proxy", "lobby", "game")
"""The roles whose entries stand in ``serverlist``, in its order."""
DEFAULTS: dict[str, Any] = {
    "apolloid": 0, "game_id": 0, "game_key": "", "gas_server_url": "", "review_stage": 0, "log_debug_level": False,
    "mysql": None, "redis": None, "mongo": None, "extra_mysql": {}, "extra_redis": {}, "extra_mongo": {},
}  # fmt: skip
"""What the platform's file always has."""


class CommonConfig:
    """deploy.json of one cluster. ``written`` is the file; ``nodes`` are (serverid, role, type) as the node knows them."""

    def __init__(self, written: Mapping[str, Any], nodes: Iterable[tuple[int, str, str]]) -> None:
        self.written = written
        self.entries: dict[int, dict[str, Any]] = {}
        """The entry of each node by serverid, with what the platform's file has in it."""
        self.mods: dict[int, list[str]] = {}
        """The mods of each node by serverid, as paths from deploy.json."""
        self.programs: list[int] = []
        """The nodes that are programs of their own."""
        types = {id: (role, kind) for id, role, kind in nodes}
        for role in ("master", *SERVERS, "service"):
            for entry in _listed(written.get(role)):
                self._add(role, entry, types)

    def _add(self, role: str, entry: Mapping[str, Any], types: Mapping[int, tuple[str, str]]) -> None:
        first, count = entry.get("serverid"), entry.get("num") or 1
        if type(first) is not int or type(count) is not int:
            return
        mods = _names(entry.get("mods"))
        for at in range(min(count, len(types) + 1)):
            id = first + at
            _, kind = types.get(id, (role, str(entry.get("type") or role)))
            self.entries[id] = _entry(role, kind, id, at, entry)
            self.mods[id] = mods
            if entry.get("program"):
                self.programs.append(id)

    def shaped(self) -> dict[str, Any]:
        """A new dict: the file as it is written, ``serverlist`` (proxies, lobbies, games), ``servicelist``,
        ``proxylist``, ``master`` with what the platform's has, and the keys of `DEFAULTS`."""
        found = {**copy.deepcopy(DEFAULTS), **copy.deepcopy(dict(self.written))}
        entries = sorted(self.entries.items())
        by_role = {
            role: [copy.deepcopy(entry) for _, entry in entries if entry["app_type"] == role]
            for role in ("master", *SERVERS, "service")
        }
        found["serverlist"] = [entry for role in SERVERS for entry in by_role[role]]
        found["servicelist"] = by_role["service"]
        found["proxylist"] = copy.deepcopy(by_role["proxy"])
        if by_role["master"]:
            found["master"] = by_role["master"][0]
        return found

    def loaded_mods(self, server: int) -> list[str]:
        """The names of the mods that a node loads; an empty list for one that deploy.json does not have."""
        return [PurePath(path).name for path in self.mods.get(server, ())]


def _entry(role: str, kind: str, id: int, at: int, written: Mapping[str, Any]) -> dict[str, Any]:
    entry = copy.deepcopy(dict(written))
    entry.pop("num", None)
    entry |= {"app_type": role, "serverid": id, "type": kind, "mods": ",".join(
        PurePath(path).name for path in _names(written.get("mods")))}  # fmt: skip
    for key in ("port", "http_port"):
        if type(written.get(key)) is int and written[key]:
            entry[key] = written[key] + at
    rest: dict[str, Any] = {"ip": "127.0.0.1", "app_version": "", "log_debug_level": False}
    if role == "service":
        rest["http_port"] = 0
    else:
        rest |= {"port": 0, "master_port": 0, "max_players": 0, "optimum_players": 0, "save": False}
    for key, value in rest.items():
        if entry.get(key) is None:
            entry[key] = value
    if role in ("service", "master"):
        entry["module_names"] = _names(written.get("module_names"))
    return entry


def _listed(group: object) -> list[Mapping[str, Any]]:
    found = group if isinstance(group, list) else [group]
    return [entry for entry in found if isinstance(entry, Mapping)]


def _names(value: object) -> list[str]:
    """A list of texts, or one text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if isinstance(part, str) and part.strip()] if isinstance(parts, list) else []
