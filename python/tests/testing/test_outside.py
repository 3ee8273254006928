"""What reaches a node from outside its handlers: its threads, HTTP, and a machine that stops it for a while."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chappe.testing import Cluster

from .test_cluster import MASTER, SERVER, SERVICE, mod

WORKER = """import time
import apolloCommon.workerPool as workerPool
import apolloCommon.commonNetgameApi as commonNetgameApi
class It(Base):
    def __init__(self, *names):
        Base.__init__(self, *names)
        self.pool = workerPool.ForkNewPool(4)
        self.heard = []
        self.RegisterRpcMethodForMod("Sum", self.OnSum)
    def OnSum(self, serverId, callbackId, args):
        def done(total):
            self.heard.append(args["n"])
            self.ResponseToServer(serverId, callbackId, {"total": total})
        self.pool.EmitOrder(args["key"], self.work, done, args["n"])
    def work(self, n):
        time.sleep(0.02)
        return (sum(range(n)),)
"""


def test_what_threads_do_takes_no_time_of_the_clusters(cluster: Cluster, tmp_path: Path) -> None:
    service = cluster.service("it", mods=[mod(tmp_path, "one", SERVICE + WORKER)])
    lobby = cluster.lobby(mods=[mod(tmp_path, "two", SERVER + "class It(Base):\n    pass\n")])
    answers: list[tuple[bool, Any, float]] = []
    for n in range(20):
        asks = lobby.system("it", "it").RequestToServiceMod
        asks("it", "Sum", {"key": 7, "n": n}, lambda suc, data: answers.append((suc, data, cluster.now)), 0.1)
    cluster.advance(0.05)
    assert [data for suc, data, _ in answers] == [{"total": sum(range(n))} for n in range(20)], "none timed out"
    assert service.system("it", "it").heard == list(range(20)), "one key is in order"


def test_a_callback_of_a_thread_that_raises_fails_the_test(cluster: Cluster, tmp_path: Path) -> None:
    raises = "        self.pool.EmitOrder(1, lambda: (), self.OnDone)\n    def OnDone(self):\n        raise ValueError('callback')\n"
    start = WORKER.split("        self.heard")[0]
    cluster.service("it", mods=[mod(tmp_path, "one", SERVICE + start + raises)])
    cluster.start()
    [error] = cluster.take_errors()
    assert (str(error.error), error.node) == ("callback", 3000)


def test_a_database_that_is_not_there_answers_none(cluster: Cluster, tmp_path: Path) -> None:
    asks = """import apolloCommon.redisPool as redisPool
class It(Base):
    def __init__(self, *names):
        Base.__init__(self, *names)
        self.found = []
        redisPool.InitDB(2)
    def Ask(self):
        redisPool.AsyncGet("key", self.found.append)
"""
    system = cluster.lobby(mods=[mod(tmp_path, "one", SERVER + asks)]).system("it", "it")
    system.Ask()
    cluster.advance(0.0)
    assert system.found == [None]


WEB = """import {role}.{role}Http as http
import apolloCommon.commonNetgameApi as commonNetgameApi
class It(Base):
    def __init__(self, *names):
        Base.__init__(self, *names)
        http.{register}("/echo", self, self.OnEcho)
        http.{register}("/later", self, self.OnLater)
        http.{register}("raises", self, self.OnRaise)
        self.results = []
    def OnEcho(self, clientId, body):
        self.results.append(http.SendHttpResponse(clientId, '{{"said": "%s"}}' % body))
        self.results.append(http.SendHttpResponse(clientId, "twice"))
    def OnLater(self, clientId, body):
        commonNetgameApi.AddTimer(float(body), http.SendHttpResponse, clientId, "late")
    def OnRaise(self, clientId, body):
        raise ValueError(body)
"""
MASTERS = MASTER + WEB.format(role="master", register="RegisterMasterHttp")
SERVICES = SERVICE + WEB.format(role="service", register="RegisterServiceHttp")


@pytest.mark.parametrize("role", ["master", "service"])
def test_http_is_answered_as_a_port_would(cluster: Cluster, tmp_path: Path, role: str) -> None:
    if role == "master":
        node = cluster.master(mods=[mod(tmp_path, "one", MASTERS)])
    else:
        node = cluster.service("it", mods=[mod(tmp_path, "one", SERVICES)])
    echo = cluster.post("/echo?x=1", "你好", node=node)
    assert (echo.status, echo.json()) == (200, {"said": "你好"})
    assert node.system("it", "it").results == [True, False], "a second answer is dropped"
    soon, late = cluster.post("later", "3", node=node), cluster.post("later", "11", node=node)
    assert (soon.status, soon.body) == (None, b"")
    cluster.advance(3.0)
    assert (soon.status, soon.text, late.status) == (200, "late", None)
    cluster.advance(7.0)
    assert late.status == 504
    cluster.advance(5.0)
    assert late.status == 504, "an answer that comes later is dropped"
    assert cluster.post("/nothing", node=node).status == 404
    assert cluster.post("/echo", b"x" * (1 << 20) + b"x", node=node).status == 413
    raised = cluster.post("/raises", "why", node=node)
    assert [str(error.error) for error in cluster.take_errors()] == ["why"]
    cluster.advance(10.0)
    assert raised.status == 504


def test_a_node_that_is_down_takes_no_http(cluster: Cluster, tmp_path: Path) -> None:
    node = cluster.service("it", mods=[mod(tmp_path, "one", SERVICES)])
    later = cluster.post("later", "9", node=node)
    node.kill()
    assert later.status == 503
    with pytest.raises(ConnectionRefusedError):
        cluster.post("/echo", node=node)
    node.start()
    assert cluster.post("/echo", "again", node=node).status == 200


COUNTS = """class It(Base):
    def __init__(self, *names):
        Base.__init__(self, *names)
        self.n = 0
        self.ListenForEvent("it", "it", "Add", self, self.OnAdd)
    def OnAdd(self, data):
        self.n += data
"""


def test_a_node_that_is_frozen_for_a_while_misses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    first = cluster.service("a", mods=[mod(tmp_path, "one", SERVICE + COUNTS)])
    second = cluster.service("b", mods=[mod(tmp_path, "two", SERVICE + COUNTS)])
    system = first.system("it", "it")
    second.freeze()
    for _ in range(5):
        system.NotifyToServiceNode(second.id, "Add", 1)
        cluster.advance(1.0)
    second.thaw()
    assert second.is_up and second.system("it", "it").n == 5


def test_a_node_that_is_frozen_for_long_is_lost_and_needs_a_new_life(cluster: Cluster, tmp_path: Path) -> None:
    cluster.lobby(mods=[mod(tmp_path, "one", SERVER + COUNTS)])
    cluster.lobby(mods=[mod(tmp_path, "two", SERVER + COUNTS)])
    ann = cluster.login(7)
    assert ann.server is not None
    lost = cluster.node(ann.server)
    lost.freeze()
    cluster.advance(15.0)
    assert ann.server != lost.id and ann.closed is None, "its players stand elsewhere"
    lost.thaw()
    cluster.advance(1.0)
    assert not lost.is_up
    lost.start()
    assert lost.is_up and lost.system("it", "it").n == 0
