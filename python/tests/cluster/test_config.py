"""The common configuration, and the texts of what is not here, without a cluster."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chappe.apollo import published, unheard
from chappe.apollo.config import CommonConfig
from chappe.apollo.engine import Engine
from chappe.apollo.systems import Listening

KNOWN = {
    "lobbyGame.netgameApi": frozenset({"GetPlayerUid"}),
    "server.extraServerApi": frozenset({"GetPlayerList"}),
    "apolloCommon.mysqlPool": frozenset({"InitDB"}),
    "common.minecraftEnum": frozenset({"TransferServerFailReason"}),
}


def test_num_counts_ids_and_ports_up() -> None:
    written = {"proxy": {"serverid": 5, "port": 9000, "num": 2}, "service": [{"serverid": 30, "http_port": 8000, "num": 2}]}
    config = CommonConfig(written, [(5, "proxy", "proxy"), (6, "proxy", "proxy"), (30, "service", "s"), (31, "service", "s")])
    shaped = config.shaped()
    assert [(one["serverid"], one["port"]) for one in shaped["proxylist"]] == [(5, 9000), (6, 9001)]
    assert [(one["serverid"], one["type"], one["http_port"]) for one in shaped["servicelist"]] == [(30, "s", 8000), (31, "s", 8001)]
    assert all("num" not in one for one in shaped["serverlist"])


@pytest.mark.parametrize(
    "entry", [{"serverid": 7, "num": None, "mods": None, "type": None}, {"serverid": 7, "mods": "", "port": None, "ip": None}]
)
def test_nulls_count_as_not_given(entry: dict[str, Any]) -> None:
    (lobby,) = CommonConfig({"lobby": [entry, {"type": "x"}, 5]}, [(7, "lobby", "lobby")]).shaped()["serverlist"]
    assert (lobby["type"], lobby["mods"], lobby["port"], lobby["ip"]) == ("lobby", "", 0, "127.0.0.1")


def test_a_node_that_is_a_program_is_known_as_one() -> None:
    config = CommonConfig({"game": [{"serverid": 9, "program": ["arena"]}]}, [(9, "game", "game")])
    assert config.programs == [9] and config.loaded_mods(9) == [] and config.loaded_mods(10) == []


@pytest.mark.parametrize(
    ("name", "level", "part"),
    [
        ("netgame.lobbyGame.netgameApi.GetPlayerUld", logging.WARNING, "did you mean `GetPlayerUid`?"),
        ("lobbyGame.netgameApi.Fly", logging.WARNING, "has no `Fly`: it does nothing"),
        ("lobbyGame.netgameApi.SetCityMode", logging.INFO, "belongs to the game engine"),
        ("server.extraServerApi.GetPlayrList", logging.WARNING, "did you mean `GetPlayerList`?"),
        ("server.extraServerApi.GetEntitiesAround", logging.INFO, "belongs to the game engine"),
        ("mod.common.minecraftEnum.EntityType", logging.INFO, "belongs to the game engine"),
        ("master.serverManager.RollingUpdateServers", logging.WARNING, "is of the network and is not there"),
        ("module mod.apolloCommon.mysqlPol", logging.WARNING, "did you mean `apolloCommon.mysqlPool`?"),
        ("module common.mobs", logging.INFO, "module common.mobs belongs to the game engine"),
        ("GetEngineCompFactory().CreateItem", logging.INFO, "belongs to the game engine"),
    ],
)
def test_a_name_that_is_not_here_is_told_for_what_it_is(name: str, level: int, part: str) -> None:
    found, text = published.about(name, KNOWN)
    assert (found, part in text) == (level, True), text


def test_an_error_is_explained_by_the_engine_only_if_it_came_of_it() -> None:
    engine = Engine(lambda *args: None, lambda file: file == __file__)

    def gave() -> None:
        position = engine.named("GetPos")()
        position[0]

    def own() -> None:
        nothing: Any = None
        nothing[0]

    def other() -> None:
        engine.named("GetPos")()
        raise TypeError("no")

    told = []
    for function in (gave, own, other):
        try:
            function()
        except TypeError as error:
            told.append(engine.explains(error))
    assert "GetPos belongs to the game engine, which is not here" in told[0] and told[1:] == ["", ""]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ["nobodyAtAll", "lobbySistem"]),
        ({"is_complete": False}, ["lobbySistem"]),
        ({"programs": [9]}, ["lobbySistem"]),
        ({"client": ""}, ["lobbySistem"]),
        ({"client": "REGISTER('net', 'nobodyAtAll')"}, ["lobbySistem"]),
        ({"side": "Master", "client": ""}, ["nobodyAtAll", "lobbySistem"]),
    ],
)
def test_what_cannot_be_known_is_not_told(
    change: dict[str, Any], told: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = change.get("client", "REGISTER('net', 'theClient')")
    if text:
        (tmp_path / "mod/behavior_packs").mkdir(parents=True)
        (tmp_path / "mod/behavior_packs/a.py").write_text(text)
    listening = [
        Listening(("net", name, "E"), None, print, 0, None, ("mod.py", at))  # type: ignore[arg-type]
        for at, name in enumerate(("nobodyAtAll", "lobbySistem", "serviceSystem", "lobbySystem"))
    ]
    runtime: Any = SimpleNamespace(
        side=change.get("side", "Server"),
        deploy=tmp_path / "deploy.json",
        systems={("net", "lobbySystem"): SimpleNamespace(listening=listening)},
        config=SimpleNamespace(mods={1: ["mod"]}, programs=change.get("programs", [])),
    )
    unheard.tell(runtime, {("net", "serviceSystem")}, change.get("is_complete", True))
    assert [one.args[1].split("'")[3] for one in caplog.records] == told  # type: ignore[index,union-attr]
