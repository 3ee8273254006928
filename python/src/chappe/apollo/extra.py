"""``server.extraServerApi``, ``server.extraServiceApi``, ``server.extraMasterApi``, ``client.extraClientApi``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chappe.apollo import engine

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime
    from chappe.apollo.systems import BaseSystem

LEVEL = "level"
"""GetLevelId: there is one level, and it is the node."""
COLORS = {
    "BLACK": "0", "DARK_BLUE": "1", "DARK_GREEN": "2", "DARK_AQUA": "3", "DARK_RED": "4", "DARK_PURPLE": "5",
    "GOLD": "6", "GRAY": "7", "DARK_GRAY": "8", "BLUE": "9", "GREEN": "a", "AQUA": "b", "RED": "c",
    "LIGHT_PURPLE": "d", "YELLOW": "e", "WHITE": "f",
}  # fmt: skip


class TransferServerFailReason:
    """Why a transfer came to nothing."""

    TypeNotExist = 10
    VersionNotExist = 11
    ServerIsFull = 12
    VersionNotFix = 13
    TargetIsFull = 14
    TargetNotVaild = 15
    ApiInputFail = 16


class MinecraftEnum:
    """``common.minecraftEnum``: what is of the network; the rest is the engine's."""

    TransferServerFailReason = TransferServerFailReason


class ExtraApi:
    """Systems, and the engine's own names."""

    def __init__(self, runtime: Runtime, side: str) -> None:
        self._runtime = runtime
        self._side = side
        setattr(self, f"Get{side}SystemCls", lambda: runtime.bases[side])
        self.GetPlayerList = self._players

    def RegisterSystem(self, nameSpace: str, systemName: str, clsPath: str) -> BaseSystem:
        """Builds the system of the class ``clsPath`` ("package.module.Class") and returns it."""
        self._check_side()
        return self._runtime.register_system(nameSpace, systemName, clsPath)

    def GetSystem(self, nameSpace: str, systemName: str) -> BaseSystem | None:
        """The system of that name on this node; None when there is none."""
        return self._runtime.systems.get((nameSpace, systemName))

    def GetEngineNamespace(self) -> str:
        """The namespace of events that the node raises itself."""
        return "Minecraft"

    def GetEngineSystemName(self) -> str:
        """The system name of events that the node raises itself."""
        return "Engine"

    def GetLevelId(self) -> str:
        """The id of the one level."""
        return LEVEL

    def GetMinecraftEnum(self) -> Any:
        """The enumerations: TransferServerFailReason; those of the engine are inert."""
        found = self._runtime.engine.named("GetMinecraftEnum()")
        found.TransferServerFailReason = TransferServerFailReason
        return found

    def GetEngineCompFactory(self) -> Any:
        """The engine's components: inert, but for CreateMsg and CreateCommand."""
        return self._runtime.engine.named("GetEngineCompFactory()")

    def CreateComponent(self, entityId: Any, nameSpace: str, name: str) -> Any:
        """A component of the engine: inert."""
        return self._runtime.engine.component(f"CreateComponent({nameSpace!r}, {name!r})", entityId)

    def GenerateColor(self, color: str) -> str:
        """The code that colours the text behind it."""
        return "\u00a7" + COLORS.get(str(color).upper(), "f")

    def StartProfile(self) -> bool:
        """Does nothing."""
        return True

    def StopProfile(self, *args: Any) -> bool:
        """Does nothing."""
        return True

    def _players(self) -> list[str]:
        """The playerIds of the players on this server."""
        return [player[0] for player in self._runtime.node.players()]

    def _check_side(self) -> None:
        if self._side != self._runtime.side:
            node = self._runtime.node
            raise RuntimeError(
                f"RegisterSystem of the {self._side.lower()} API, on node {node.id}, which is a {node.role}: "
                f"use server.extra{self._runtime.side}Api"
            )


class ExtraClientApi:
    """The client's API, on a node that is no client."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def GetEngineNamespace(self) -> str:
        """The namespace of events that the client's game raises itself."""
        return "Minecraft"

    def GetEngineSystemName(self) -> str:
        """The system name of events that the client's game raises itself."""
        return "Engine"

    def GetClientSystemCls(self) -> type:
        """A base class that has nothing: there is no client here."""
        return engine.InertBase

    def RegisterSystem(self, nameSpace: str, systemName: str, clsPath: str) -> Any:
        """Raises RuntimeError: there is no client here."""
        node = self._runtime.node
        raise RuntimeError(
            f"RegisterSystem of client.extraClientApi for {clsPath}, on node {node.id}, which is a {node.role}: "
            "a client mod runs in a player's game"
        )
