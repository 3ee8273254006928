"""``server``: the calls of a node (spec/snipe.md section 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chappe._core import Player
from chappe.apollo.callables import check, describe
from chappe.snipe import binding
from chappe.snipe.binding import SlaveClient
from chappe.snipe.modules import methods

Message = dict[str, Any]
"""A notification: ``_type`` ("module.method"), and free fields. Names that begin with ``_`` are the runtime's."""


class Server:
    """The node's end of records and notifications. Calls raise ValueError for a message that is none, with the place in it;
    TypeError for arguments of other types; RuntimeError where a call is not possible.

    Inside a handler, what is sent leaves when what the handler did is durable, and never when it fails.
    """

    def registerModule(
        self,
        name: str,
        module: object,
        attributes: dict[str, Any] | None = None,
        version: int = 1,
        upgrade: Callable[[int, dict[str, Any]], dict[str, Any] | None] | None = None,
    ) -> None:
        """Registers the public methods of ``module`` (an object, or a Python module) as ``name.method``. To be done when the
        mod starts, on each node that is to handle them.

        A method is called with ``(player, msg)``, or with ``(msg)`` where it takes one argument; on the master with
        ``(node, msg)``, or ``(msg)``. It returns a dict or None. Players may call only what is marked with `request`.

        ``attributes`` are those of players' records that the module declares, with what a new player has; the type stands,
        None takes any. ``version`` is theirs; a record of an older one is brought up to date by ``upgrade(version,
        record)``, which changes the dict or returns another; when it raises, the record is not loaded and stays as it is.

        Raises ValueError for a name that is taken or none.
        """
        if upgrade is not None:
            check("registerModule: upgrade", upgrade, ("version", "record"))
        bound = binding.current("registerModule")
        bound.core.register(name, methods(module, bound.role), attributes, version, upgrade)

    def notify(self, uid: int, message: Message) -> None:
        """To the game server that the player ``uid`` is on, or the first one when they are offline (mechanisms 4 to 6). With
        ``_validate`` or ``_durable: True`` it ends exactly once through any crash."""
        binding.current("notify").core.notify(uid, message)

    def cacheNotify(self, message: Message) -> None:
        """To the master, behind the next request to it, or after a second by itself (mechanism 1)."""
        binding.current("cacheNotify").core.cache_notify(message)

    def cacheRequest(
        self,
        message: Message,
        callback: Callable[[Any, str | None], object] | None = None,
        timeout: float = 5.0,
    ) -> None:
        """To the master (mechanism 9): ``callback(answer, None)`` gets what its handler has returned, ``callback(None, why)``
        says why there is no answer, after at most ``timeout`` seconds. In a handler on a player the callback is a run
        of its own on that player: see docs/en/snipe-in-python.md."""
        if callback is not None:
            check("cacheRequest", callback, ("answer", "why"))
        binding.current("cacheRequest").core.cache_request(message, callback, timeout)

    def notifyAll(self, type: str, message: Message) -> int:
        """On the master: to every node of a type (mechanism 3). How many there are."""
        return binding.current("notifyAll").core.notify_all(type, message)

    broadcast = notifyAll

    def getRandomClient(self, type: str) -> SlaveClient | None:
        """On the master: a node of a type, to ``notify`` (mechanism 2); None when none is ready."""
        found: SlaveClient | None = binding.current("getRandomClient").core.random_client(type)
        return found

    def sendTo(self, uid: int, message: Message, callback: Callable[[str | None], object] | None = None) -> None:
        """A response of the type ``_type`` for a player on any game server (mechanism 8). ``callback(None)``: it was passed
        on; else ``callback(why)``, ``"userNotOnline"`` for one. In a handler on a player the callback is as that of
        `cacheRequest`."""
        if callback is not None:
            check("sendTo", callback, ("why",))
        binding.current("sendTo").core.send_to(uid, message, callback)

    def userExists(self, uid: int, callback: Callable[[bool], object]) -> None:
        """``callback(exists)``: whether anyone has ever logged in under that uid. In a handler the callback is a part of it:
        the handler ends, and is committed, after it, and what it returns or raises counts as the handler's. When the
        store does not answer, the handler fails; outside of one ``exists`` is None then."""
        check("userExists", callback, ("exists",))
        binding.current("userExists").core.user_exists(uid, callback)

    def run(self, uid: int, function: Callable[[Player], object]) -> None:
        """Runs ``function(client)`` as a handler on the player's record, when its turn comes: for timers, Apollo's events, and
        whatever else is neither a request nor a notification. It may run again when its commit fails. The player must
        be on this server; else that is logged. Raises RuntimeError in a handler on a player: it would not be undone with
        that; a notification is."""
        check("server.run", function, ("client",))
        binding.current("run").core.run(uid, f"server.run of {describe(function)}", function)


server = Server()
"""The node that the mod runs on."""
