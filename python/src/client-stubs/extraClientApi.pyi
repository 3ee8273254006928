# Written by scripts/stubs.py from the package's sources.
"""Systems, the player, and the engine's own names."""

from chappe.client.system import ClientSystem
from typing import Any

def CreateComponent(entityId: Any, nameSpace: str, name: str) -> Any:
    """A component of the engine: inert."""

def GetClientSystemCls() -> type[ClientSystem]:
    """The class that the systems of a mod derive from on this side.

    ``Base = GetClientSystemCls()``, then ``class Mine(Base)``."""

def GetEngineCompFactory() -> Any:
    """The engine's components: inert, but for the timers of CreateGame."""

def GetEngineNamespace() -> str:
    """The namespace of events that the client's game raises itself."""

def GetEngineSystemName() -> str:
    """The system name of events that the client's game raises itself."""

def GetLevelId() -> str:
    """The id of the one level."""

def GetLocalPlayerId() -> str:
    """The playerId of this session."""

def GetMinecraftEnum() -> Any:
    """The engine's enumerations: inert."""

def GetSystem(nameSpace: str, systemName: str) -> Any:
    """The system of that name in this client; None when there is none."""

def RegisterSystem(nameSpace: str, systemName: str, clsPath: str) -> Any:
    """Builds the system of the class ``clsPath`` ("package.module.Class") and returns it."""

def __getattr__(name: str) -> Any: ...  # the game engine's own names
