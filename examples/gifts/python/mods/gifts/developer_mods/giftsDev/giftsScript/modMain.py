"""What the mod starts: the modules of players' records, on every lobby and game."""

from __future__ import annotations

from common.mod import Mod


@Mod.Binding(name="gifts", version="1.0.0")
class GiftsMod:
    @Mod.InitServer()
    def init_server(self) -> None:
        from chappe.snipe import server
        from giftsScript.bank import Bank
        from giftsScript.duels import Duels
        from giftsScript.user import User

        # What a new player has. These are also the types: `money` can never become a text.
        server.registerModule("user", User(), {"money": 10000, "moneyReceived": 0})
        # None takes any type: no challenge, or a dict.
        server.registerModule("duel", Duels(), {"challenge": None, "duelsWon": 0})
        server.registerModule("bank", Bank(), {"account": 0})
