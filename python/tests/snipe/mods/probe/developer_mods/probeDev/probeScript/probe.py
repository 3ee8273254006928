from chappe.snipe import Params, Refuse, cacheNotify, cacheRequest, request, server

seen = []
kept = []
steps = []


def upgrade(version, record):
    if record.get("any") == "break":
        raise ValueError("a bad record")
    record["money"] = record.pop("gold", 0) * 100


class Probe:
    @request
    def items(self, c, params):
        c.items.append(params["item"])
        c.bag.setdefault("n", [0])[0] += 1
        c.items.append(len(c.items))
        return {"items": c.items}

    @request
    def wrong(self, c, params):
        c.items.append("never")
        c.money -= 1
        c.response("probe/a.never", {})
        server.notify(2, {"_type": "probe/a.plain"})
        if params["how"] == "type":
            c.money = "much"
        if params["how"] == "name":
            c.mony += 1
        if params["how"] == "set":
            c.items.append({1, 2})
            return None
        if params["how"] == "return":
            return [1]
        if params["how"] == "refuse":
            raise Refuse("notNow", "come back later")
        if params["how"] == "params":
            params.getInt("missing")
        raise ValueError("boom")

    @request
    def keep(self, c, params):
        kept.append(c)
        c.extra = {"deep": [1]}
        del c.extra
        c.set("uid", 7)
        return {"own": c.get("uid"), "none": c.get("extra", "gone")}

    @request
    def push(self, c, params):
        c.notify({"n": 1})
        c.responce("probe/a.older", {"n": 2})
        c.notify({"n": 3}, durable=True)

    @request
    def rate(self, c, params):
        c.money -= 10

        def told(answer, why):
            c.money += answer["rate"]
            c.any = why
            if answer["rate"] > 5:
                raise Refuse("tooDear")
            return {"rate": answer["rate"], "money": c.money}

        cacheRequest({"_type": "desk.rate", "of": Params(params).getString("of")}, told)

    @request
    def greet(self, c, params):
        def sent(why):
            c.response("probe/a.greet", {"why": why})

        server.sendTo(params["to"], {"_type": "probe/a.greeted", "by": c.uid}, sent)

    @request
    def tell(self, c, params):
        cacheNotify({"_type": "desk.note", "n": params["n"]})
        server.notify(params["to"], {"_type": "probe/a.plain", "n": params["n"]})

    @request
    def again(self, c, params):
        params["list"].append(2)
        c.items.append(params["list"])
        steps.append(list(c.items))
        return self.rate(c, {"of": "gold"}) if params.get("ask", False) else {"items": c.items}

    @request
    def shout(self, c, params):
        import server.extraServerApi as serverApi

        c.money += 1
        serverApi.GetSystem("probe", "sys").NotifyToClient(c.networkID, "Told", {"money": c.money})
        if params["fails"]:
            raise Refuse("no")

    @request
    def loop(self, c, params):
        def first(exists):
            steps.append(("first", exists))
            server.userExists(99, second)

        def second(exists):
            steps.append(("second", exists))
            c.money += 1
            return {"exists": exists}

        server.userExists(c.uid, first)

    def plain(self, c, msg):
        c.any = msg["n"]
        seen.append((c.uid, c.online, dict(msg)))

    def event(self, msg):
        seen.append(dict(msg))

    def helper(self, a, b, c):
        raise AssertionError


class Master:
    def __init__(self):
        self.notes = []

    def rate(self, node, msg):
        if msg["of"] == "nothing":
            raise Refuse("noRate")
        return {"rate": {"gold": 5, "silver": 50}[msg["of"]], "node": node.id}

    def note(self, node, msg):
        self.notes.append((node.id, msg["n"]))
        node.notify({"_type": "probe/a.event", "n": msg["n"]})
        server.notifyAll("game", {"_type": "probe/a.event", "all": msg["n"]})
        server.getRandomClient("lobby").notify({"_type": "probe/a.event", "random": msg["n"]})
        assert server.getRandomClient("nothing") is None
        seen.append((node.id, msg["n"]))
