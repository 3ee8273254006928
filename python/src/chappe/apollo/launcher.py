"""``apolloCommon.launcherApi``: the platform's accounts. There are none here, and every answer says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

NAMES = (
    "ApplyUserFriend", "GetPcGameUserLike", "GetPeGameUserStars", "GetUIDByNickname", "GetUserAuthInfo", "GetUserFriend",
    "GetUserGuest", "GetUsersVIP", "IsGameUnderMaintenance",
)  # fmt: skip


class LauncherApi:
    """Each call ends with its callback: {"code": 1, "message": why, "details": "", "entity": ""}."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        for name in NAMES:
            setattr(self, name, self._failing(name))

    def ShareApolloGame(self, uid: int, message: str) -> bool:
        """Always False: there is no launcher."""
        self._runtime.engine.warn_once("launcherApi.ShareApolloGame: there is no launcher here; it gives False")
        return False

    def _failing(self, name: str) -> Callable[..., None]:
        def call(*args: Any, callback: Callable[[Any], object] | None = None) -> None:
            why = f"launcherApi.{name}: there are no accounts of the platform here"
            self._runtime.engine.warn_once(f"{why}; its callback gets the code 1")
            answer = callback or (args[-1] if args and callable(args[-1]) else None)
            if callable(answer):
                response = {"code": 1, "message": why, "details": "", "entity": ""}
                self._runtime.node.add_timer(0.0, answer, (response,))

        call.__name__ = name
        return call
