"""Player records, and notifications between players that end exactly once: Snipe's surface for mods.

```python
from chappe.snipe import Refuse, request, server

class User:
    @request
    def giveMoney(self, c, params):  # players may call it: {"_type": "user.giveMoney", "id": 2}
        if c.money < 500:
            raise Refuse("notEnoughMoney")
        c.money -= 500
        server.notify(params.getInt("id"), {"_type": "user.takeMoney", "_durable": True, "amount": 500})

    def takeMoney(self, c, msg):  # only notifications call it
        c.money += msg["amount"]

server.registerModule("user", User(), attributes={"money": 10000})
```

The guide is docs/en/operations-between-players.md; what Python adds to it is docs/en/snipe-in-python.md.

::

    server   the calls on a node           client   the calls in a player's client (a bot)
    modules  methods of a module, @request  params   what a handler is given
    errors   Refuse, BadParams             binding  which node, or client, of the process is meant
"""

from chappe._core import Player as Client
from chappe.snipe.binding import SlaveClient
from chappe.snipe.client import Requests, client
from chappe.snipe.errors import BadParams, Refuse
from chappe.snipe.modules import request
from chappe.snipe.params import Params
from chappe.snipe.server import Server, server

cacheNotify = server.cacheNotify
cacheRequest = server.cacheRequest

__all__ = [
    "BadParams",
    "Client",
    "Params",
    "Refuse",
    "Requests",
    "Server",
    "SlaveClient",
    "cacheNotify",
    "cacheRequest",
    "client",
    "request",
    "server",
]
