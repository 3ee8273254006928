"""The files of a new mod. `$name` is its name, `$Name` the same with a capital; `$$` is a dollar."""

from __future__ import annotations

DEV = "developer_mods/${name}Dev"
SCRIPT = f"{DEV}/${{name}}Script"
PACK = "behavior_packs/${name}Client/${name}Script"

MOD_JSON = """\
{
  "netgame_mod_name": "$name",
  "netgame_mod_version": "0.1.0",
  "support_server_type": ["lobby", "game", "service"]
}
"""

DEPLOY = """\
{
  "cluster": "$name",
  "master": {"serverid": 1, "port": 18400},
  "proxy": [{"serverid": 10, "port": 18401}],
  "lobby": [{"serverid": 20, "type": "lobby", "mods": ["."]}],
  "service": [{"serverid": 40, "type": "service_$name", "mods": ["."]}]
}
"""

CONSTS = '''\
"""Names that both sides of a message must agree on. The client half has a copy of its own: keep the two alike."""

from __future__ import annotations

NAMESPACE = "$name"
SERVER = "${Name}Server"
SERVICE = "${Name}Service"
CLIENT = "${Name}Client"

SERVICE_TYPE = "service_$name"
COUNT_VISIT = "CountVisit"

HELLO = "HelloEvent"
GREETING = "GreetingEvent"
'''

MOD_MAIN = '''\
"""What the mod starts, by the role of the node that it is loaded on."""

from __future__ import annotations

from common.mod import Mod

from . import consts


@Mod.Binding(name=consts.NAMESPACE, version="0.1.0")
class ${Name}Mod:
    @Mod.InitServer()
    def init_server(self) -> None:
        import server.extraServerApi as serverApi

        serverApi.RegisterSystem(consts.NAMESPACE, consts.SERVER, "${name}Script.lobby.${Name}Server")

    @Mod.InitService()
    def init_service(self) -> None:
        import server.extraServiceApi as serviceApi

        serviceApi.RegisterSystem(consts.NAMESPACE, consts.SERVICE, "${name}Script.service_half.${Name}Service")
'''

LOBBY = '''\
"""The half on lobbies and games: hears the client, asks the service, answers the client."""

from __future__ import annotations

from typing import Any

import lobbyGame.netgameApi as netgameApi
import server.extraServerApi as serverApi
from mod_log import logger

from . import consts

ServerSystem = serverApi.GetServerSystemCls()


class ${Name}Server(ServerSystem):
    def __init__(self, namespace: str, systemName: str) -> None:
        super().__init__(namespace, systemName)
        self.ListenForEvent(consts.NAMESPACE, consts.CLIENT, consts.HELLO, self, self.on_hello)

    def on_hello(self, data: dict[str, Any]) -> None:
        """A client says hello. `__id__`, its playerId, was put there by the proxy: no client can forge it."""
        player_id: str = data["__id__"]
        uid = netgameApi.GetPlayerUid(player_id)

        def counted(suc: bool, answer: dict[str, Any] | None) -> None:
            if not suc or answer is None:
                logger.warning("no visits of %s: the service did not answer", uid)
                return
            self.NotifyToClient(player_id, consts.GREETING, {"text": answer["text"]})

        self.RequestToServiceMod(consts.SERVICE_TYPE, consts.COUNT_VISIT, {"uid": uid}, counted, 2.0)
'''

SERVICE = '''\
"""The half on the service: counts the visits of every player of the network."""

from __future__ import annotations

from typing import Any

import server.extraServiceApi as serviceApi

from . import consts
from .visits import Visits

ServiceSystem = serviceApi.GetServiceSystemCls()


class ${Name}Service(ServiceSystem):
    def __init__(self, namespace: str, systemName: str) -> None:
        super().__init__(namespace, systemName)
        self.visits = Visits()
        self.RegisterRpcMethodForMod(consts.COUNT_VISIT, self.on_count_visit)

    def on_count_visit(self, serverId: int, callbackId: int, args: dict[str, Any]) -> None:
        """Answers `{"text": ...}` for `{"uid": int}`."""
        self.ResponseToServer(serverId, callbackId, {"text": self.visits.count(args["uid"])})
'''

VISITS = '''\
"""What the mod is about, without a word of the platform: easy to test, easy to change."""

from __future__ import annotations

from collections import Counter


class Visits:
    """How often players came."""

    def __init__(self) -> None:
        self._visits: Counter[int] = Counter()

    def count(self, uid: int) -> str:
        """Counts one more visit of `uid` and says so."""
        self._visits[uid] += 1
        return f"visit {self._visits[uid]}"
'''

CLIENT_MAIN = '''\
"""What the mod starts in a player's game."""

from __future__ import annotations

import client.extraClientApi as clientApi
from common.mod import Mod

from . import consts


@Mod.Binding(name=consts.NAMESPACE, version="0.1.0")
class ${Name}ClientMod:
    @Mod.InitClient()
    def init_client(self) -> None:
        clientApi.RegisterSystem(consts.NAMESPACE, consts.CLIENT, "${name}Script.player.${Name}Client")
'''

CLIENT = '''\
"""The half in a player's game: says hello, shows the greeting."""

from __future__ import annotations

from typing import Any

import client.extraClientApi as clientApi

from . import consts

ClientSystem = clientApi.GetClientSystemCls()


class ${Name}Client(ClientSystem):
    def __init__(self, namespace: str, systemName: str) -> None:
        super().__init__(namespace, systemName)
        self.ListenForEvent(consts.NAMESPACE, consts.SERVER, consts.GREETING, self, self.on_greeting)
        self.say_hello()

    def say_hello(self) -> None:
        """Asks the lobby for a greeting."""
        self.NotifyToServer(consts.HELLO, {})

    def on_greeting(self, data: dict[str, Any]) -> None:
        """The lobby's greeting."""
        print(data["text"])
'''

CONFTEST = '''\
"""Makes the mod's package importable for tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "developer_mods" / "${name}Dev"))
'''

TEST = '''\
"""Tests that need no cluster: what the mod is about, and the mistakes that can be seen without running it."""

from __future__ import annotations

from pathlib import Path

from chappe.check import check
from ${name}Script.visits import Visits

ROOT = Path(__file__).parents[1]


def test_each_visit_of_a_player_counts() -> None:
    visits = Visits()
    assert [visits.count(7), visits.count(8), visits.count(7)] == ["visit 1", "visit 1", "visit 2"]


def test_the_check_finds_no_mistake() -> None:
    report = check([ROOT / "deploy.json"])
    assert report.findings == (), report.text()


def test_both_halves_have_the_same_names() -> None:
    halves = (ROOT / "developer_mods/${name}Dev/${name}Script", ROOT / "behavior_packs/${name}Client/${name}Script")
    dev, client = ((half / "consts.py").read_text(encoding="utf-8") for half in halves)
    assert dev == client
'''

CLUSTER_TEST = '''\
"""Tests in a whole cluster, in this process and on virtual time: the fixture `cluster` comes with the package `chappe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ${name}Script import consts

if TYPE_CHECKING:
    from chappe.testing import Client, Cluster, Node

MOD = Path(__file__).parents[1]


@pytest.fixture
def service(cluster: Cluster) -> Node:
    """The service of a network with one lobby."""
    cluster.lobby(mods=[MOD])
    return cluster.service(consts.SERVICE_TYPE, mods=[MOD])


def say_hello(client: Client) -> list[str]:
    """What the client half does; answers the greetings that came of it."""
    client.forget()
    client.send(consts.NAMESPACE, consts.CLIENT, consts.HELLO, {})
    return [event.data["text"] for event in client.received(consts.GREETING)]


def test_each_player_has_visits_of_their_own(cluster: Cluster, service: Node) -> None:
    ann, bob = cluster.login(7, "Ann"), cluster.login(8, "Bob")
    assert [say_hello(ann), say_hello(bob), say_hello(ann)] == [["visit 1"], ["visit 1"], ["visit 2"]]


def test_a_service_that_is_down_greets_nobody_until_it_is_back(cluster: Cluster, service: Node) -> None:
    ann = cluster.login(7, "Ann")
    service.kill()
    assert say_hello(ann) == []
    cluster.advance(20.0)  # the request's time-out, and the loss of the node; takes no time
    assert ann.received() == []
    service.start()
    assert say_hello(ann) == ["visit 1"]


def test_no_client_speaks_for_another(cluster: Cluster, service: Node) -> None:
    ann, bob = cluster.login(7, "Ann"), cluster.login(8, "Bob")
    ann.send(consts.NAMESPACE, consts.CLIENT, consts.HELLO, {"__id__": bob.player_id})
    assert len(ann.received(consts.GREETING)) == 1
    assert bob.received() == []
'''

MYPY = """\
# `mypy` in this directory checks the calls of the server's halves: names, arguments, results.
[mypy]
plugins = chappe.mypy_plugin
strict = True
mypy_path = $$MYPY_CONFIG_FILE_DIR/developer_mods/${name}Dev
packages = ${name}Script
"""

FILES: dict[str, str] = {
    "deploy.json": DEPLOY,
    "mypy.ini": MYPY,
    f"{DEV}/mod.json": MOD_JSON,
    f"{SCRIPT}/__init__.py": "",
    f"{SCRIPT}/modMain.py": MOD_MAIN,
    f"{SCRIPT}/consts.py": CONSTS,
    f"{SCRIPT}/lobby.py": LOBBY,
    f"{SCRIPT}/service_half.py": SERVICE,
    f"{SCRIPT}/visits.py": VISITS,
    f"{PACK}/__init__.py": "",
    f"{PACK}/modMain.py": CLIENT_MAIN,
    f"{PACK}/consts.py": CONSTS,
    f"{PACK}/player.py": CLIENT,
    "tests/conftest.py": CONFTEST,
    "tests/test_${name}.py": TEST,
    "tests/test_${name}_cluster.py": CLUSTER_TEST,
}
