# Written by scripts/stubs.py from the package's sources.
"""Systems, and the engine's own names."""

from chappe.apollo.systems import ServiceSystem
from typing import Any

def CreateComponent(entityId: Any, nameSpace: str, name: str) -> Any:
    """A component of the engine: inert."""

def GenerateColor(color: str) -> str:
    """The code that colours the text behind it."""

def GetEngineCompFactory() -> Any:
    """The engine's components: inert, but for CreateMsg and CreateCommand."""

def GetEngineNamespace() -> str:
    """The namespace of events that the node raises itself."""

def GetEngineSystemName() -> str:
    """The system name of events that the node raises itself."""

def GetLevelId() -> str:
    """The id of the one level."""

def GetMinecraftEnum() -> Any:
    """The enumerations: TransferServerFailReason; those of the engine are inert."""

def GetPlayerList() -> list[str]:
    """The playerIds of the players on this server."""

def GetServiceSystemCls() -> type[ServiceSystem]:
    """The class that the systems of a mod derive from on this side.

    ``Base = GetServiceSystemCls()``, then ``class Mine(Base)``."""

def GetSystem(nameSpace: str, systemName: str) -> Any:
    """The system of that name on this node; None when there is none."""

def RegisterSystem(nameSpace: str, systemName: str, clsPath: str) -> Any:
    """Builds the system of the class ``clsPath`` ("package.module.Class") and returns it."""

def StartProfile() -> bool:
    """Does nothing."""

def StopProfile(*args: Any) -> bool:
    """Does nothing."""

def __getattr__(name: str) -> Any: ...  # the game engine's own names
