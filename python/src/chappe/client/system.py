"""The base class that client mods derive their systems from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chappe.apollo.systems import BaseSystem


class ClientSystem(BaseSystem):
    """A system in a player's client."""

    def NotifyToServer(self, eventName: str, eventData: Any) -> bool:
        """Row 2: an event for the lobby or game that the player is on. False, with a warning, when the session is over."""
        return self._left(self._core.to_server, eventName, eventData)  # type: ignore[call-arg,arg-type]

    def NotifyToServiceNode(self, serverId: int, eventName: str, eventData: Any) -> bool:
        """Row 12: an event for the service ``serverId``; False as NotifyToServer."""
        return self._left(self._core.to_service, int(serverId), eventName, eventData)  # type: ignore[call-arg,arg-type]

    def _left(self, send: Callable[..., None], *args: Any) -> bool:
        try:
            send(*args)
        except ConnectionError as error:
            self._runtime.warn_of(str(error))
            return False
        return True
