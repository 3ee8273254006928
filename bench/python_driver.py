"""A lobby's mod that asks the service of `chappe bench --python`: a fixed number of requests under way, for each answer
the next one. CHAPPE_BENCH holds the work as JSON, and where the figure is to be written."""

import json
import os
import time

import server.extraServerApi as api
from mod.common.mod import Mod

WORK = json.loads(os.environ["CHAPPE_BENCH"])


@Mod.Binding(name="driver", version="1.0.0")
class DriverMod(object):
    @Mod.InitServer()
    def start(self):
        api.RegisterSystem("driver", "driver", "modMain.DriverSystem")


class DriverSystem(api.GetServerSystemCls()):
    def __init__(self, namespace, systemName):
        self.payload = b"x" * WORK["size"]
        self.count = 0
        self.isOver = False
        self.RequestToServiceMod("bench", "received", None, self.begin, 10)

    def begin(self, suc, data):
        if not suc:
            self.RequestToServiceMod("bench", "received", None, self.begin, 10)
            return
        self.first = time.perf_counter() + WORK["warmup"]
        self.last = self.first + WORK["seconds"]
        for _ in range(WORK["in_flight"]):
            self.ask()

    def ask(self):
        self.RequestToServiceMod("bench", "echo", self.payload, self.answered, 30)

    def answered(self, suc, data):
        now = time.perf_counter()
        if now < self.last:
            self.count += suc and now >= self.first
            self.ask()
        elif not self.isOver:
            self.isOver = True
            with open(WORK["result"] + ".new", "w") as file:
                json.dump({"per_second": self.count / WORK["seconds"]}, file)
            os.rename(WORK["result"] + ".new", WORK["result"])
