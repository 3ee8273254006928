"""What the mod starts."""

from __future__ import annotations

from common.mod import Mod


@Mod.Binding(name="hall", version="1.0.0")
class HallMod:
    @Mod.InitServer()
    def init_server(self) -> None:
        import server.extraServerApi as serverApi

        serverApi.RegisterSystem("arena", "lobby", "hallScript.hall.Hall")
