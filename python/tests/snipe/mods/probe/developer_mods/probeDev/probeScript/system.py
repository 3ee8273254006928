import server.extraServerApi as serverApi


class Sys(serverApi.GetServerSystemCls()):
    def __init__(self, namespace, name):
        super().__init__(namespace, name)
        self.ListenForEvent("probe", "client", "Pay", self, self.pay)

    def pay(self, data):
        """An event of Apollo's: it changes a record as a handler."""
        from chappe.snipe import server

        def take(c):
            c.money -= data["amount"]
            self.NotifyToClient(data["__id__"], "Paid", {"money": c.money})

        server.run(data["uid"], take)
