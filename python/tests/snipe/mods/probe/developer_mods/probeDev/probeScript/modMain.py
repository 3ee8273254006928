from common.mod import Mod


def register():
    from chappe.snipe import server
    from probeScript import plain
    from probeScript.probe import Master, Probe, upgrade

    server.registerModule("probe/a", Probe(), {"money": 100, "items": [], "bag": {}, "any": None}, 2, upgrade)
    server.registerModule("plain", plain)


@Mod.Binding(name="probe", version="1.0.0")
class ProbeMod:
    @Mod.InitServer()
    def init_server(self):
        import server.extraServerApi as serverApi

        serverApi.RegisterSystem("probe", "sys", "probeScript.system.Sys")
        register()

    @Mod.InitService()
    def init_service(self):
        register()

    @Mod.InitMaster()
    def init_master(self):
        from chappe.snipe import server
        from probeScript.probe import Master

        server.registerModule("desk", Master())
