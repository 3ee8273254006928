"""A uid, a playerId, a server id or a proxy id in the place of another."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..calls import ApiCall
from ..values import Dotted
from ..finding import Finding
from ..model import Scope
from ..network import Network

UID, PLAYER, SERVER_ID, PROXY = "uid", "playerId", "server id", "proxy id"
_ARTICLE = {UID: "a uid", PLAYER: "a playerId", SERVER_ID: "a server id", PROXY: "a proxy id"}
#: What a name that is exactly so is, as a variable, a parameter or a key.
NAMES = {
    **dict.fromkeys(("uid", "playerUid", "player_uid", "mUid", "__uid__", "targetUid"), UID),
    **dict.fromkeys(("playerId", "player_id", "mPlayerId", "__id__"), PLAYER),
    **dict.fromkeys(("serverId", "server_id", "serverid", "targetServerId", "mServerId"), SERVER_ID),
    **dict.fromkeys(("proxyId", "proxy_id", "__neteaseProxyId__"), PROXY),
}
#: What functions of the platform answer.
ANSWERS = {"GetPlayerUid": UID, "GetPlayerIdByUid": PLAYER, "GetLocalPlayerId": PLAYER, "GetServerId": SERVER_ID}
#: What calls on a system take.
SLOTS: dict[str, dict[str, str]] = {
    "NotifyToClient": {"targetId": PLAYER},
    "NotifyToServerNode": {"targetId": SERVER_ID},
    "NotifyToServiceNode": {"targetId": SERVER_ID},
    "RemoteNotifyToClient": {"uid": UID, "proxyId": PROXY},
    "ResponseToServer": {"serverId": SERVER_ID},
}
#: What functions of modules take, by position.
FUNCTIONS: dict[str, tuple[str | None, ...]] = {
    "GetPlayerUid": (PLAYER,),
    "GetPlayerIdByUid": (UID,),
    "GetPlayerNickname": (PLAYER,),
    "TransferToOtherServer": (PLAYER,),
    "TransferToOtherServerById": (PLAYER, SERVER_ID),
    "TryToKickoutPlayer": (PLAYER,),
    "IsConnectedServer": (SERVER_ID,),
    "GetOnlineServerInfoOfPlayer": (UID,),
}
_TURN = {
    (UID, PLAYER): "turn it with GetPlayerIdByUid(uid)",
    (PLAYER, UID): "turn it with GetPlayerUid(playerId)",
    (UID, SERVER_ID): "ask GetOnlineServerInfoOfPlayer(uid, callback) where the player is",
    (PLAYER, SERVER_ID): "ask GetOnlineServerInfoOfPlayer(uid, callback) where the player is",
}


def mixed_ids(network: Network) -> Iterator[Finding]:
    """Arguments whose kind is known and another one than what the call takes."""
    for call in network.calls:
        if call.who.cls is None and call.who.system is None:
            continue
        for param, wanted in SLOTS.get(call.name, {}).items():
            if param in call.args:
                yield from _compare(network, call.args[param], call.scope, wanted, call.name, _shown(call, param))
    for module in network.modules:
        for node, scope in module.everything:
            if isinstance(node, ast.Call):
                called = network.evaluator.one(node.func, scope)
                name = called.name.rsplit(".", 1)[-1] if isinstance(called, Dotted) and "." in called.name else ""
                for arg, slot in zip(node.args, FUNCTIONS.get(name, ()), strict=False):
                    if slot is not None and not isinstance(arg, ast.Starred):
                        yield from _compare(network, arg, scope, slot, name, slot)


def _compare(network: Network, node: ast.expr, scope: Scope, wanted: str, call: str, param: str) -> Iterator[Finding]:
    found = _kind(network, node, scope)
    if found is None or found[0] == wanted:
        return
    kind, certain = found
    turn = _TURN.get((kind, wanted))
    yield Finding(*scope.module.place(node), "id-kind" if certain else "id-name",
                  f"`{ast.unparse(node)}` is {_ARTICLE[kind]}, and `{param}` of {call} is {_ARTICLE[wanted]}" + (f": {turn}" if turn else ""))


def _kind(network: Network, node: ast.expr, scope: Scope, depth: int = 0) -> tuple[str, bool] | None:
    """What an expression is, and whether that is certain (from a function of the platform) or by its name."""
    if depth > 5:
        return None
    match node:
        case ast.Call(func=ast.Name(id="int" | "str" | "long"), args=[inner], keywords=[]):
            return _kind(network, inner, scope, depth + 1)
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return (NAMES[key], False) if key in NAMES else None
        case ast.Call(func=func):
            called = network.evaluator.one(func, scope)
            name = called.name.rsplit(".", 1)[-1] if isinstance(called, Dotted) else ""
            return (ANSWERS[name], True) if name in ANSWERS else None
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return (NAMES[key], key.startswith("__")) if key in NAMES else None
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            return (NAMES[attr], False) if attr in NAMES else None
        case ast.Name(id=name):
            return _variable(network, name, scope, depth)
    return None


def _variable(network: Network, name: str, scope: Scope, depth: int) -> tuple[str, bool] | None:
    """By what is assigned to it, where all agree; else by its name, unless an assignment speaks against that."""
    at: Scope | None = scope
    while at is not None and (name not in at.names or at.cls is not None):
        at = at.parent
    bindings = at.names[name] if at is not None else []
    kinds = [_kind(network, b.node, b.scope, depth + 1) if b.kind == "expr" and isinstance(b.node, ast.expr) else None for b in bindings]
    if kinds and all(kinds) and len({kind[0] for kind in kinds if kind}) == 1:
        return next(kind for kind in kinds if kind)
    by_name = NAMES.get(name)
    if by_name is None or any(kind is not None and kind[0] != by_name for kind in kinds):
        return None
    return by_name, False


def _shown(call: ApiCall, param: str) -> str:
    return {("NotifyToClient", "targetId"): "playerId", ("NotifyToServerNode", "targetId"): "serverId",
            ("NotifyToServiceNode", "targetId"): "serverId"}.get((call.name, param), param)


