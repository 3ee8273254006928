"""The base classes that mods derive their systems from: one for each role, with exactly the calls of that role."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from chappe import _core
from chappe._core import Listener, System
from chappe.apollo import roles
from chappe.apollo.callables import check

if TYPE_CHECKING:
    from chappe.apollo.runtime import Runtime

Handler = Callable[[Any], object]
RpcHandler = Callable[[int, int, Any], object]
RpcCallback = Callable[[bool, Any], object]


ENGINE = ("Minecraft", "Engine")
"""Whose events the node raises itself."""


@dataclass(frozen=True)
class Listening:
    """One ListenForEvent: ``names`` are those of the sender and the event, ``place`` the mod's file and line."""

    names: tuple[str, str, str]
    instance: object
    func: Handler
    priority: int
    listener: Listener
    where: tuple[str, int]

    @property
    def place(self) -> str:
        """``file:line`` of the call."""
        return f"{self.where[0]}:{self.where[1]}"


class BaseSystem:
    """What systems of all roles have. ``namespace`` and ``systemName`` stand in every event that it sends."""

    _runtime: ClassVar[Runtime]
    _core: System
    namespace: str
    systemName: str

    def __new__(cls, namespace: str = "", systemName: str = "", *args: Any, **kwargs: Any) -> Any:
        # Here and not in __init__: classes of mods do not all call that of their base.
        self = super().__new__(cls)
        self.namespace, self.systemName = namespace, systemName
        self._core = cls._runtime.ground.system(namespace, systemName)
        self.listening = []
        return self

    listening: list[Listening]
    """What it listens to."""

    if not TYPE_CHECKING:  # with it every misspelt name would be right for a type checker

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise roles.Lacks(self._runtime.side, type(self).__name__, name)

    def listeners(self, names: tuple[str, str, str]) -> Iterator[Listening]:
        """Those of its listeners that hear an event."""
        return (one for one in self.listening if one.names == names)

    def __init__(self, namespace: str = "", systemName: str = "") -> None:
        pass

    def Update(self) -> None:
        """Called 30 times a second; override it."""

    def Destroy(self) -> None:
        """Called when the system goes; override it."""

    def ListenForEvent(
        self, namespace: str, systemName: str, eventName: str, instance: object, func: Handler, priority: int = 0
    ) -> None:
        """Calls ``func(data)`` for each such event that the system (namespace, systemName) sends, on whatever node.
        Larger ``priority`` first, 10 is the largest.

        Raises TypeError when ``func`` cannot be called with one argument.
        """
        call = f"ListenForEvent({namespace!r}, {systemName!r}, {eventName!r})"
        check(call, func, ("data",))
        names = (str(namespace), str(systemName), str(eventName))
        listener = self._core.listen(*names, self._runtime.adapted(names, func), int(priority))
        one = Listening(names, instance, func, int(priority), listener, _place(sys._getframe(1)))
        self.listening.append(one)
        if names[:2] == ENGINE:
            self._runtime.hears_engine(one)

    def UnListenForEvent(
        self, namespace: str, systemName: str, eventName: str, instance: object, func: Handler, priority: int = 0
    ) -> bool:
        """Undoes a ListenForEvent with the same arguments; False when there is none."""
        names = (str(namespace), str(systemName), str(eventName))
        for at, one in enumerate(self.listening):
            if one.names == names and one.instance is instance and one.func == func:
                del self.listening[at]
                return self._core.unlisten(one.listener)
        return False

    def UnListenAllEvents(self) -> None:
        """Undoes every ListenForEvent of this system."""
        self.listening.clear()
        self._core.unlisten_all()

    def DefineEvent(self, eventName: str) -> bool:
        """Old; does nothing."""
        return True

    def UnDefineEvent(self, eventName: str) -> bool:
        """Old; does nothing."""
        return True

    def CreateEventData(self) -> dict[Any, Any]:
        """An empty dict to fill."""
        return {}

    def CreateComponent(self, entityId: Any, nameSpace: str, name: str) -> Any:
        """A component of the game engine: it does nothing here."""
        return self._runtime.engine.component(f"CreateComponent({nameSpace!r}, {name!r})", entityId)

    GetComponent = CreateComponent

    def DestroyComponent(self, *args: Any) -> bool:
        """Does nothing."""
        return True

    def BroadcastEvent(self, eventName: str, eventData: Any) -> None:
        """An event for the systems of this node, after what the current handler does."""
        self._core.broadcast_event(eventName, eventData)

    def _sent(self, send: Callable[..., int], *args: Any, to: object = None) -> bool:
        """Sends; what cannot be is told, with what the serverid ``to`` may be instead. Whether it was sent."""
        try:
            send(*args)
        except _core.RouteError as error:
            self._runtime.warn_of(f"{error}{self._runtime.whose(to)}")
            return False
        return True


class RpcSystem(BaseSystem):
    """The RPC calls that lobby, game, service and master have (rows 16 to 18)."""

    def RequestToService(
        self,
        module: str,
        event: str | None = None,
        eventData: Any = None,
        callback: RpcCallback | None = None,
        timeout: float = 2,
        *,
        method: str | None = None,
        args: Any = None,
    ) -> None:
        """Row 16: asks one provider of ``module``. ``callback(suc, data)`` is called exactly once; ``(False, None)``
        when no answer comes within ``timeout`` seconds, or none will. ``method`` and ``args`` are other names of
        ``event`` and ``eventData``."""
        data = eventData if args is None else args
        self._request(16, "RequestToService", module, event or method, data, callback, timeout)

    def RequestToServiceMod(
        self,
        modname: str,
        method: str | None = None,
        args: Any = None,
        callback: RpcCallback | None = None,
        timeout: float = 2,
        *,
        event: str | None = None,
        eventData: Any = None,
    ) -> None:
        """Row 17: as RequestToService, to a service of the type ``modname``."""
        data = args if eventData is None else eventData
        self._request(17, "RequestToServiceMod", modname, method or event, data, callback, timeout)

    def RequestToHashService(
        self,
        modname: str,
        hashKey: Any,
        method: str,
        args: Any,
        callback: RpcCallback | None = None,
        timeout: float = 2,
    ) -> None:
        """As RequestToServiceMod; the same ``hashKey`` asks the same provider while the set of them stands."""
        key = hashKey if isinstance(hashKey, bytes) else str(hashKey).encode()
        self._request(21, "RequestToHashService", modname, method, args, callback, timeout, key)

    def _request(
        self,
        row: int,
        call: str,
        module: str,
        method: str | None,
        args: Any,
        callback: RpcCallback | None,
        timeout: float | None,
        key: bytes | None = None,
    ) -> None:
        if method is None:
            raise TypeError(f"{call}: which method of {module!r}? (event, or method)")
        seconds = 2.0 if timeout is None else float(timeout)
        runtime, where = self._runtime, sys._getframe(2)
        if callback is None:
            runtime.check_module(call, module, method, where)
            return self._core.request(row, module, method, args, seconds, None, key)
        check(call, callback, ("suc", "data"))
        code, line = where.f_code, where.f_lineno

        def finish(suc: bool, data: Any) -> None:
            if not suc:
                runtime.unanswered(f"{call}({module!r}, {method!r})", data, module, method, f"{code.co_filename}:{line}")
                data = None
            callback(suc, data)

        # With the reason of a failure, which the mod does not get.
        self._core.request(row, module, method, args, seconds, finish, key, True)

    def ResponseToServer(self, serverId: int, callbackId: int, eventData: Any) -> bool:
        """Row 18: answers a request. False, with a warning, for an id that is not open: answered before, of another
        node, or never given out."""
        if type(callbackId) is int and callbackId >= 0:
            outcome = self._runtime.node.respond(serverId, callbackId, eventData)
            if outcome == "ok":
                return True
        else:
            outcome = "unknown"
        if outcome == "unknown":
            self._runtime.log.warning(
                "ResponseToServer: node %s has no request %r open: it was answered before, or the id is wrong",
                serverId,
                callbackId,
            )
        elif outcome == "unwanted":
            self._runtime.warn_of(
                f"ResponseToServer: node {serverId} asked without a callback and wants no answer; it is dropped"
            )
        return False


class _Provider(RpcSystem):
    def RegisterRpcMethod(
        self, module: str, event: str | None = None, func: RpcHandler | None = None, *, method: str | None = None
    ) -> None:
        """Row 14: calls ``func(serverId, callbackId, args)`` for each request of that method; it answers with
        ResponseToServer, at once or later. What stood there is replaced."""
        self._register(14, "RegisterRpcMethod", module, event or method, func)

    def _register(self, row: int, call: str, module: str, method: str | None, func: RpcHandler | None) -> None:
        if method is None or func is None:
            raise TypeError(f"{call}: needs a method (event) and a func")
        check(f"{call}({module!r}, {method!r})", func, ("serverId", "callbackId", "args"))
        self._core.register(row, module, method, func)
        self._runtime.methods.setdefault(module, set()).add(method)


class ServerSystem(RpcSystem):
    """A system on a lobby or game."""

    def NotifyToClient(self, targetId: str, eventName: str, eventData: Any) -> bool:
        """Row 1: an event for the player ``targetId`` (a playerId) on this server."""
        return self._sent(self._core.to_player, _player(targetId, "NotifyToClient"), eventName, eventData)

    def NotifyToMultiClients(self, targetIds: list[str], eventName: str, eventData: Any) -> bool:
        """An event for several players on this server."""
        players = [_player(one, "NotifyToMultiClients") for one in targetIds]
        return self._sent(self._core.to_players, players, eventName, eventData)

    def BroadcastToAllClient(self, eventName: str, eventData: Any) -> bool:
        """An event for every player on this server."""
        return self._sent(self._core.to_all_players, eventName, eventData)

    def NotifyToMaster(self, eventName: str, eventData: Any) -> bool:
        """Row 3: an event for the master."""
        return self._sent(self._core.to_master, 3, eventName, eventData)

    def BroadcastToService(self, eventName: str, eventData: Any) -> bool:
        """Row 9: an event for all services."""
        return self._sent(self._core.to_services, 9, eventName, eventData)

    def NotifyToServiceNode(self, targetId: int, eventName: str, eventData: Any) -> bool:
        """Row 11: an event for the service ``targetId``."""
        return self._sent(self._core.to_service, 11, int(targetId), eventName, eventData, to=targetId)


class ServiceSystem(_Provider):
    """A system on a service."""

    def NotifyToMaster(self, eventName: str, eventData: Any) -> bool:
        """Row 7: an event for the master."""
        return self._sent(self._core.to_master, 7, eventName, eventData)

    def BroadcastToServerByType(self, serverType: str, eventName: str, eventData: Any) -> bool:
        """Row 8: an event for all lobbies and games of a type."""
        return self._sent(self._core.to_type, 8, serverType, eventName, eventData)

    def BroadcastToService(self, eventName: str, eventData: Any) -> bool:
        """Row 9: an event for all services, this one too."""
        return self._sent(self._core.to_services, 9, eventName, eventData)

    def NotifyToServerNode(self, targetId: int, eventName: str, eventData: Any) -> bool:
        """Row 10: an event for the lobby or game ``targetId``."""
        return self._sent(self._core.to_server, 10, int(targetId), eventName, eventData, to=targetId)

    def NotifyToServiceNode(self, targetId: int, eventName: str, eventData: Any) -> bool:
        """Row 11: an event for the service ``targetId``."""
        return self._sent(self._core.to_service, 11, int(targetId), eventName, eventData, to=targetId)

    def RemoteNotifyToClient(self, uid: int, proxyId: int, eventName: str, eventData: Any) -> bool:
        """Row 13: an event for the player ``uid``, who is connected to the proxy ``proxyId``."""
        who = _uid(uid, "RemoteNotifyToClient")
        return self._sent(self._core.to_uid, 13, who, int(proxyId), eventName, eventData, to=proxyId)

    def RegisterRpcMethodForMod(
        self, event: str | None = None, func: RpcHandler | None = None, *, method: str | None = None
    ) -> None:
        """Row 15: as RegisterRpcMethod, for the module that the node's own type is."""
        self._register(15, "RegisterRpcMethodForMod", self._runtime.node.node_type, event or method, func)


class MasterSystem(_Provider):
    """A system on the master."""

    def NotifyToServerNode(self, targetId: int, eventName: str, eventData: Any) -> bool:
        """Row 4: an event for the lobby or game ``targetId``."""
        return self._sent(self._core.to_server, 4, int(targetId), eventName, eventData, to=targetId)

    def BroadcastToService(self, eventName: str, eventData: Any) -> bool:
        """Row 5: an event for all services."""
        return self._sent(self._core.to_services, 5, eventName, eventData)

    def NotifyToServiceNode(self, targetId: int, eventName: str, eventData: Any) -> bool:
        """Row 6: an event for the service ``targetId``."""
        return self._sent(self._core.to_service, 6, int(targetId), eventName, eventData, to=targetId)


def _place(frame: FrameType) -> tuple[str, int]:
    return frame.f_code.co_filename, frame.f_lineno


def _uid(uid: object, call: str) -> int:
    if isinstance(uid, bool) or not isinstance(uid, (int, str)) or not str(uid).strip().isdecimal():
        raise TypeError(f"{call}: a uid is wanted (a number, as GetPlayerUid(playerId) gives), not {uid!r}")
    return int(uid)


def _player(player: object, call: str) -> str:
    if isinstance(player, str):
        return player
    raise TypeError(f"{call}: a playerId is wanted (a text, as GetPlayerIdByUid(uid) gives), not {player!r}")
