from common.mod import Mod


@Mod.Binding(name="bot", version="1.0.0")
class BotMod:
    @Mod.InitClient()
    def init_client(self):
        from chappe.snipe import client

        client.onNotify(lambda params: print("pushed", params))
        client.onResponse("user.receiveMoney", lambda response: print("received", response["amount"]))
        client.request("bank.deposit", {"amount": 700}, self.deposited)

    def deposited(self, response):
        from chappe.snipe import client

        print("deposited", response["errorCode"], response["account"])
        client.request("bank.transfer", {"to": 9, "amount": 700}, lambda response: print("sent", response["account"]))
        client.request("bank.nothing", {}, lambda response: print("nothing", response["errorCode"]))
