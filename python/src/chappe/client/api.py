"""``client.extraClientApi`` in a client, and the timers that the game's engine gives to client mods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chappe.apollo.callables import check
from chappe.apollo.engine import Engine, Inert
from chappe.apollo.extra import LEVEL

if TYPE_CHECKING:
    from chappe.apollo.systems import BaseSystem
    from chappe.client.bot import Bot
    from chappe.client.ground import Ground, Timer


class ExtraClientApi:
    """Systems, the player, and the engine's own names."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    def GetClientSystemCls(self) -> type[BaseSystem]:
        """The class that client systems derive from."""
        return self._bot.base

    def RegisterSystem(self, nameSpace: str, systemName: str, clsPath: str) -> BaseSystem:
        """Builds the system of the class ``clsPath`` ("package.module.Class") and returns it."""
        return self._bot.register_system(nameSpace, systemName, clsPath)

    def GetSystem(self, nameSpace: str, systemName: str) -> BaseSystem | None:
        """The system of that name in this client; None when there is none."""
        return self._bot.systems.get((nameSpace, systemName))

    def GetEngineNamespace(self) -> str:
        """The namespace of events that the client's game raises itself."""
        return "Minecraft"

    def GetEngineSystemName(self) -> str:
        """The system name of events that the client's game raises itself."""
        return "Engine"

    def GetLocalPlayerId(self) -> str:
        """The playerId of this session."""
        return self._bot.core.player_id

    def GetLevelId(self) -> str:
        """The id of the one level."""
        return LEVEL

    def GetMinecraftEnum(self) -> Any:
        """The engine's enumerations: inert."""
        return self._bot.engine.named("GetMinecraftEnum()")

    def GetEngineCompFactory(self) -> Any:
        """The engine's components: inert, but for the timers of CreateGame."""
        return self._bot.engine.named("GetEngineCompFactory()")

    def CreateComponent(self, entityId: Any, nameSpace: str, name: str) -> Any:
        """A component of the engine: inert."""
        return self._bot.engine.component(f"CreateComponent({nameSpace!r}, {name!r})", entityId)


class ClientEngine(Engine):
    """The absent engine of a client: inert, but for the timers of ``CreateGame``."""

    def __init__(self, ground: Ground, is_mod: Callable[[str], bool]) -> None:
        super().__init__(lambda player, event, data: None, is_mod)
        self.ground = ground

    def made(self, name: str, args: tuple[Any, ...]) -> Inert:
        """What a call of ``name`` gives."""
        kind = Game if name.endswith(".CreateGame") else Inert
        return kind(self, f"{name}()")

    def tell(self, name: str) -> None:
        """Says once that ``name`` does nothing here, unless it does."""
        if not name.endswith(".CreateGame"):
            super().tell(name)


class Game(Inert):
    """``CreateGame``: timers of client mods."""

    def AddTimer(self, delay: float, func: Callable[..., object], *args: Any, **kwargs: Any) -> Timer:
        """Calls ``func(*args, **kwargs)`` once, after ``delay`` seconds. Raises TypeError when it cannot be called so."""
        return self._add("AddTimer", delay, func, args, kwargs, False)

    def AddRepeatedTimer(self, delay: float, func: Callable[..., object], *args: Any, **kwargs: Any) -> Timer:
        """Calls ``func(*args, **kwargs)`` every ``delay`` seconds, at most once a frame. Raises as AddTimer."""
        return self._add("AddRepeatedTimer", delay, func, args, kwargs, True)

    def CancelTimer(self, timer: Timer | None) -> None:
        """Stops a timer; nothing when it has fired, was stopped before, or is None."""
        if timer is not None:
            timer.cancel()

    def _add(self, call: str, delay: float, func: Any, args: Any, kwargs: Any, is_repeated: bool) -> Timer:
        if not kwargs or not callable(func):
            check(call, func, tuple(f"argument {at}" for at in range(len(args))))
        return self._engine.ground.add_timer(float(delay), lambda: func(*args, **kwargs), is_repeated)
