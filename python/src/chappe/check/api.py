"""What the API has: calls with their parameters and roles, modules with their roles, engine events (spec sections 1, 4, 5)."""

from __future__ import annotations

from dataclasses import dataclass

from ..apollo import published

#: A role as a mod sees it: lobby and game have one API.
SERVER, CLIENT, SERVICE, MASTER = "server", "client", "service", "master"
ROLES = (SERVER, CLIENT, SERVICE, MASTER)
ROLE_OF_GROUP = {"lobby": SERVER, "game": SERVER, "service": SERVICE, "master": MASTER}
TITLE = {SERVER: "a lobby or game", CLIENT: "a client", SERVICE: "a service", MASTER: "the master"}
BASE_CLASS = {"ServerSystem": SERVER, "ClientSystem": CLIENT, "ServiceSystem": SERVICE, "MasterSystem": MASTER}
BASE_OF_ROLE = {role: name for name, role in BASE_CLASS.items()}
BASE_GETTER = {f"Get{name}Cls": role for name, role in BASE_CLASS.items()}
INIT = {"InitServer": SERVER, "InitClient": CLIENT, "InitService": SERVICE, "InitMaster": MASTER}
API_ROLE = {"extraServerApi": SERVER, "extraClientApi": CLIENT, "extraServiceApi": SERVICE, "extraMasterApi": MASTER}
ENGINE_NAMESPACE, ENGINE_SYSTEM = "Minecraft", "Engine"


@dataclass(frozen=True)
class Call:
    """A call on a system: its parameters (with `?` where one may be left out), who has it, whom an event reaches."""

    params: tuple[str, ...]
    roles: frozenset[str]
    to: str | None = None
    hint: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, as keywords."""
        return tuple(param.rstrip("?") for param in self.params)

    @property
    def required(self) -> int:
        """How many parameters must be given; they come first."""
        return sum(not param.endswith("?") for param in self.params)


def _call(params: str, roles: str, to: str | None = None, hint: str = "") -> Call:
    return Call(tuple(params.split()), frozenset(roles.split()), to, hint)


_ALL = "server client service master"
SAME_NODE = "same"
SENDS: dict[str, Call] = {
    "NotifyToClient": _call("targetId eventName eventData", SERVER, CLIENT,
                            "a service pushes with RemoteNotifyToClient(uid, proxyId, eventName, eventData)"),
    "NotifyToServer": _call("eventName eventData", CLIENT, SERVER,
                            "to one lobby or game: NotifyToServerNode(serverId, eventName, eventData) of a service or the master"),
    "NotifyToMaster": _call("eventName eventData", "server service", MASTER),
    "NotifyToServerNode": _call("targetId eventName eventData", "service master", SERVER,
                                "only a service and the master can address a lobby or game"),
    "BroadcastToService": _call("eventName eventData", "server service master", SERVICE),
    "NotifyToServiceNode": _call("targetId eventName eventData", _ALL, SERVICE),
    "BroadcastToServerByType": _call("serverType eventName eventData", SERVICE, SERVER, "only a service has it"),
    "RemoteNotifyToClient": _call("uid proxyId eventName eventData", SERVICE, CLIENT,
                                  "a lobby or game uses NotifyToClient(playerId, eventName, eventData)"),
    "BroadcastEvent": _call("eventName eventData", _ALL, SAME_NODE),
    "BroadcastToAllClient": _call("eventName eventData", SERVER, CLIENT),
    "NotifyToMultiClients": _call("targetIdList eventName eventData", SERVER, CLIENT),
}
REGISTERS: dict[str, Call] = {
    "RegisterRpcMethod": _call("module event func", "service master",
                               hint="a lobby or game cannot answer requests; let it listen for an event"),
    "RegisterRpcMethodForMod": _call("event func", SERVICE, hint="the master registers with RegisterRpcMethod(module, method, func)"),
}
REQUESTS: dict[str, Call] = {
    "RequestToService": _call("module event eventData callback? timeout?", "server service master",
                              hint="a client asks with NotifyToServer and hears the answer as an event"),
    "RequestToServiceMod": _call("modname method args callback? timeout?", "server service master",
                                 hint="a client asks with NotifyToServer and hears the answer as an event"),
    "RequestToHashService": _call("modname hashKey method args callback? timeout?", "server service master"),
}
OTHERS: dict[str, Call] = {
    "ResponseToServer": _call("serverId callbackId eventData", "server service master"),
    "ListenForEvent": _call("namespace systemName eventName instance func priority?", _ALL),
    "UnListenForEvent": _call("namespace systemName eventName instance func priority?", _ALL),
}
CALLS: dict[str, Call] = SENDS | REGISTERS | REQUESTS | OTHERS
#: Other names of the same parameter, as mods and other roles' documents have them.
ALIASES = {"event": ("method",), "method": ("event",), "targetId": ("serverId",), "targetIdList": ("targetIds", "playerIds")}
#: Which roles have a module of the platform; a module that does not stand here has no limit.
MODULE_ROLES: dict[str, frozenset[str]] = {
    "lobbyGame.netgameApi": frozenset({SERVER}),
    "service.netgameApi": frozenset({SERVICE}),
    "service.serverManager": frozenset({SERVICE}),
    "service.serviceConf": frozenset({SERVICE}),
    "service.serviceHttp": frozenset({SERVICE}),
    "master.netgameApi": frozenset({MASTER}),
    "master.serverManager": frozenset({MASTER}),
    "master.masterHttp": frozenset({MASTER}),
    "master.masterConf": frozenset({MASTER}),
}
#: Engine events that the network raises (spec section 5), with the roles they are raised on: as nodes know them.
ENGINE_EVENTS: dict[str, frozenset[str]] = {
    event: frozenset(side.lower() for side, events in published.EVENTS.items() if event in events)
    for events in published.EVENTS.values() for event in sorted(events)
}
#: Those of the published network that are never raised here.
ABSENT_EVENTS = published.ABSENT_EVENTS


def module_name(dotted: str) -> str:
    """The name under which the tables have a module: without a leading `mod.` or `netgame.`."""
    for prefix in ("mod.", "netgame."):
        dotted = dotted.removeprefix(prefix)
    return dotted
