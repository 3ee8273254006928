"""Names that are published for the platform and that are not here: the network's, whose absence a mod must hear of,
and the game engine's in modules that are otherwise the network's."""

from __future__ import annotations

import logging
from collections.abc import Mapping

ABSENT: dict[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "lobbyGame.netgameApi": "GetLastFrameTime SetUseDatabaseSave QueryPlayerDataResult SavePlayerDataResult "
        "NotifyClientToOpenShopUi EnableNetgamePacketIdStatistics GetAndClearNetgamePacketIdStatistics",
        "apolloCommon.commonNetgameApi": "OpenAsyncTaskSlowCheck CloseAsyncTaskSlowCheck DumpAsyncTaskPool StartDatabaseProfile "
        "StopDatabaseMysqlProfile StartYappiProfile StopYappiProfile GetWeekOnlineKey",
        "service.netgameApi": "StartRecordEvent StopRecordEvent",
        "master.serverManager": "RollingUpdateServers",
    }.items()
}
"""Of the network, and not here: by module."""

ENGINE: dict[str, frozenset[str]] = {
    "lobbyGame.netgameApi": frozenset(
        """
        SetCityMode SetLevelGameType SetAutoRespawn SetShowFakeSeed StopShowFakeSeed SetEnableLimitArea ChangePerformanceSwitch
        ChangeAllPerformanceSwitch SetForbidFlowField DelForbidFlowField SetForbidDragonEggTeleportField
        DelForbidDragonEggTeleportField HidePlayerFootprint HidePlayerMagicCircle StartChunkProfile StopChunkProfile
        """.split()
    ),
}
"""Of the game engine, in a module of the network."""
ENGINE["lobby.netgameApi"] = ENGINE["lobbyGame.netgameApi"]

SHARED = ("extraServerApi", "extraServiceApi", "extraMasterApi", "extraClientApi", "minecraftEnum")
"""Modules in which the game engine has hundreds of names of its own."""

ABSENT_EVENTS = frozenset(
    """
    queryPlayerDataEvent savePlayerDataEvent savePlayerDataOnShutDownEvent StoreBuySuccServerEvent ReloadCommonConfigEvent
    NetGameCommonConfChangeEvent RollingCloseServersEndEvent RollingUpdateServersEndEvent MasterForceShutDownEvent
    MasterGraceShutDownEvent
    """.split()
)
"""Engine events of the network that are never raised here."""

EVENTS: dict[str, frozenset[str]] = {
    "Server": frozenset(
        """
        AddServerPlayerEvent DelServerPlayerEvent MasterConnectStatusEvent ServiceConnectEvent ServiceDisconnectEvent
        ServiceRegisterModuleEvent MasterResponseTransferSucServerEvent MasterResponseTransferFailServerEvent
        ServerGetPlayerLockEvent ServerReleasePlayerLockEvent ServerReleasePlayerLockOnShutDownEvent ServerWillShutDownEvent
        """.split()
    ),
    "Service": frozenset("ServerConnectedEvent ServerDisconnectEvent UpdateServerStatusEvent".split()),
    "Master": frozenset(
        """
        PlayerLoginServerEvent PlayerLogoutServerEvent PlayerTransferServerEvent ServerConnectedEvent ServerDisconnectEvent
        ServiceConnectEvent ServiceDisconnectEvent ResetGamesBeginEvent ResetGamesEndEvent
        """.split()
    ),
}
"""The engine events that a node raises itself, by the side that its mods run."""


def plain(name: str) -> str:
    """A module's name without ``mod.`` or ``netgame.`` in front."""
    for prefix in ("mod.", "netgame."):
        name = name.removeprefix(prefix)
    return name


def about(name: str, known: Mapping[str, frozenset[str]]) -> tuple[int, str]:
    """What to say of a name that does nothing here: a level of logging and a text. ``known`` has the names of each
    module that is here."""
    from chappe.suggest import nearest

    if name.startswith("module "):
        module = plain(name.removeprefix("module "))
        package, _, last = module.rpartition(".")
        there = [one.rpartition(".")[2] for one in known if one.rpartition(".")[0] == package]
        if near := nearest(last, there):
            return logging.WARNING, f"there is no module {module}; did you mean `{package}.{near}`? Its names do nothing here"
        return logging.INFO, f"module {module} belongs to the game engine and does nothing here"
    name = plain(name)
    module, _, last = name.rpartition(".")
    if last in ABSENT.get(module, ()):
        return logging.WARNING, f"{name} is of the network and is not there: it does nothing and gives None"
    if module in known and last not in ENGINE.get(module, ()):
        if near := nearest(last, known[module]):
            return logging.WARNING, f"{module} has no `{last}`; did you mean `{near}`? It does nothing here and gives None"
        if module.rpartition(".")[2] not in SHARED:
            return logging.WARNING, f"{module} has no `{last}`: it does nothing here and gives None"
    return logging.INFO, f"{name} belongs to the game engine and does nothing here"
