"""The client half of mods as a bot: ``chappe client DEPLOY --uid N --mods DIR``.

::

    bot     one login, and the loop that everything runs on     ground  listeners, timers, and what is called
    system  ClientSystem, what mods derive from                 api     client.extraClientApi, the engine's timers
    requests  requests, responses and pushes
"""

from chappe.client.bot import Bot

__all__ = ["Bot"]
