"""Notifications and players' requests that nobody handles."""

from __future__ import annotations

import json
from pathlib import Path

from check_world import World

from chappe.check import check

ROOT = Path(__file__).parents[3]

USER = """\
from chappe.snipe import cacheNotify, request, server
class User:
    @request
    def give(self, c, params):
        pass
    def take(self, c, msg):
        pass
    def gift_check(self, c, msg):
        pass
    def told(self, msg):
        pass
    def helper(self, a, b, c):
        pass
    def _own(self, c, msg):
        pass
"""
DESK = """\
from chappe.snipe import server
class Desk:
    def rate(self, node, msg):
        node.notify({'_type': '%s'})
"""
REGISTER = "server.registerModule('user', User())\n"


def users(world: World, sent: str, before: str = USER) -> None:
    """The lobby has the module `user`, and says something in line 26."""
    world.system("server", REGISTER + sent, before=before)


def notified(world: World, record: str) -> str:
    users(world, f"server.notify(7, {record})")
    return world.short()


def test_a_misspelt_type_is_told_before_anyones_money_is_gone(world: World) -> None:
    assert notified(world, "{'_type': 'user.tkae'}") == (
        "server/system.py:26:36: error: no module of a lobby or game handles `user.tkae`; did you mean `user.take`? [no-handler]\n"
    )


def test_a_misspelt_way_back_is_told(world: World) -> None:
    said = notified(world, "{'_type': 'user.take', '_validate': {'func': 'user.gift_chek', 'onSuccess': None, 'onFail': 'user.gone', 'id': 3}}")
    assert said == (
        "server/system.py:26:71: error: no module of a lobby or game handles `user.gift_chek`, the `func`; did you mean `user.gift_check`? [no-handler]\n"
        "server/system.py:26:118: error: no module of a lobby or game handles `user.gone`, the `onFail`; `user` has `gift_check`, `give`, `take`, `told` [no-handler]\n"
    )


def test_a_misspelt_key_is_told_which_would_lose_the_outcome(world: World) -> None:
    assert notified(world, "{'_type': 'user.take', '_validate': {'onSucess': 'user.take', 'id': 3}}") == (
        "server/system.py:26:63: error: `_validate` has no `onSucess`; did you mean `onSuccess`? [notification-form]\n"
    )


def test_a_validation_that_would_be_a_field_like_any_other_is_told(world: World) -> None:
    assert notified(world, "{'_type': 'user.take', 'validate': {'onFail': 'user.take'}}") == (
        "server/system.py:26:49: error: `validate` is a field like any other; did you mean `_validate`? [notification-form]\n"
    )


def test_a_type_of_another_form_is_told(world: World) -> None:
    assert notified(world, "{'_type': 'take'}") == (
        'server/system.py:26:36: error: `_type` is "module.method", not `take` [notification-form]\n'
    )
    assert notified(world, "{'_type': User.take}").endswith('`_type` is a function: its name is wanted, as "module.method" [notification-form]\n')
    assert notified(world, "{'type': 'user.take'}").endswith(
        'a notification needs `_type`: "module.method"; `type` is none [notification-form]\n'
    )


def test_names_of_the_runtimes_that_are_none_are_told(world: World) -> None:
    assert notified(world, "{'_type': 'user.take', '_durble': True, '_from': 3}") == (
        "server/system.py:26:49: error: `_durble`: names that begin with `_` are the runtime's; did you mean `_durable`? [notification-form]\n"
        "server/system.py:26:66: error: `_from`: names that begin with `_` are the runtime's [notification-form]\n"
    )


def test_what_a_call_does_not_take_is_told(world: World) -> None:
    users(world, "server.sendTo(7, {'_type': 'gift.got', '_durable': True})\ncacheNotify({'_type': 'desk.rate', '_validate': {'func': 'user.take'}})")
    world.system("master", "server.registerModule('desk', Desk())", before=DESK % "user.told")
    assert world.short() == (
        "server/system.py:26:48: error: `_durable` is for `server.notify` alone: what `sendTo` sends is not durable [notification-form]\n"
        "server/system.py:27:44: error: `_validate` is for `server.notify` alone: what `cacheNotify` sends is not validated [notification-form]\n"
    )


def test_a_method_that_is_never_called_is_told_with_the_reason(world: World) -> None:
    assert notified(world, "{'_type': 'user.helper'}").endswith(
        "handles `user.helper`; that method takes other arguments: handlers are called with (player, msg), or with (msg) [no-handler]\n")
    assert notified(world, "{'_type': 'user._own'}").endswith("handles `user._own`; names that begin with `_` are never called [no-handler]\n")


def test_a_method_that_is_called_otherwise_from_there_is_told(world: World) -> None:
    users(world, "cacheNotify({'_type': 'desk.note'})\nserver.notify(7, {'_type': 'user.take', '_validate': {'onFail': 'user.gift_check', 'id': None}})")
    desk = DESK % "user.take" + "    def note(self, msg):\n        pass\n"
    world.system("master", "server.registerModule('desk', Desk())\nserver.notifyAll('lobby', {'_type': 'user.take', '_id': 3})", before=desk)
    assert world.short() == (
        "server/system.py:26:31: error: no module of the master handles `desk.note`; that method takes other arguments: "
        "what nodes send to the master is called with (node, msg), and is not marked with @request [no-handler]\n"
        "server/system.py:27:73: error: no module of a lobby or game handles `user.gift_check`, the `onFail`; that method takes other arguments: "
        "no player belongs to this, so it is called with (msg) [no-handler]\n"
        "master/system.py:9:31: error: no module of a lobby or game, or a service handles `user.take`; that method takes other arguments: "
        "no player belongs to this, so it is called with (msg) [no-handler]\n"
    )


def test_a_module_on_another_node_is_told_where_it_is(world: World) -> None:
    users(world, "server.notify(7, {'_type': 'desk.rate'})\ncacheNotify({'_type': 'user.take'})")
    world.system("master", "server.registerModule('desk', Desk())", before=DESK % "user.told")
    assert world.short() == (
        "server/system.py:26:36: error: no module of a lobby or game handles `desk.rate`; it is registered on the master only [no-handler]\n"
        "server/system.py:27:31: error: no module of the master handles `user.take`; it is registered on a lobby or game only [no-handler]\n"
    )


def test_what_the_master_sends_to_nodes_is_looked_at(world: World) -> None:
    users(world, "")
    sent = "server.notifyAll('lobby', {'_type': 'user.tlod'})\nserver.getRandomClient('lobby').notify({'_type': 'user.tol'})\nserver.notifyAll('lobby', {'_type': 'user.told'})"
    world.system("master", "server.registerModule('desk', Desk())\n" + sent, before=DESK % "user.toldd")
    assert world.short() == (
        "master/system.py:9:31: error: no module of a lobby or game, or a service handles `user.toldd`; did you mean `user.told`? [no-handler]\n"
        "master/system.py:15:45: error: no module of a node of type `lobby` handles `user.tlod`; did you mean `user.told`? [no-handler]\n"
        "master/system.py:16:58: error: no module of a node of type `lobby` handles `user.tol`; did you mean `user.told`? [no-handler]\n"
    )


def test_a_misspelt_type_is_followed_through_constants_variables_and_helpers(world: World) -> None:
    more = USER + "TYPE = 'user.tkae'\nVALIDATE = {'func': 'user.gift_chek', 'id': 3}\n"
    sent = "msg = {'_validate': VALIDATE}\nmsg['_type'] = TYPE\nserver.notify(7, msg)\nself.Tell('user.taek')"
    world.system("server", REGISTER + sent, "def Tell(self, kind):\n    server.notify(7, dict(_type=kind))", before=more)
    assert [line.split(": error: ")[1].split("`")[1] for line in world.short().splitlines()] == ["user.gift_chek", "user.tkae", "user.taek"]


def test_a_request_that_players_can_never_make_is_told(world: World) -> None:
    users(world, "")
    ask = "from chappe.snipe import client\n"
    world.system("client", "client.request('user.take', {})\nclient.request('user.giev')\nclient.request('user.give')\nclient.request('give')", before=ask)
    assert world.short() == (
        "client/system.py:11:9: error: players cannot call `user.take`: the method is not marked with @request [request-unmarked]\n"
        "client/system.py:12:9: error: no module of a lobby or game has `user.giev`; did you mean `user.give`? [request-unknown]\n"
        'client/system.py:14:9: error: a request\'s type is "module.method", not `give` [notification-form]\n'
    )


def test_a_misspelt_type_is_told_without_a_deploy_file(world: World) -> None:
    users(world, "server.notify(7, {'_type': 'user.tkae'})\nserver.notify(7, {'_type': 'mail.arrived'})")
    assert world.short("mods/hello") == (
        "server/system.py:26:36: error: no module of a lobby or game handles `user.tkae`; did you mean `user.take`? [no-handler]\n"
    )


def test_a_request_that_a_notification_names_is_no_mistake(world: World) -> None:
    assert notified(world, "{'_type': 'user.give', '_durable': True, '_id': 3, 'type': 'gold'}") == ""


def test_a_response_needs_no_module(world: World) -> None:
    users(world, "server.sendTo(7, {'_type': 'anything.said'})")
    assert world.short() == ""


def test_an_outcome_without_a_player_may_be_handled_where_it_was_sent(world: World) -> None:
    users(world, "")
    record = "{'_type': 'user.take', '_validate': {'onFail': 'mail.failed', 'id': None}}"
    mail = "from chappe.snipe import server\nclass Mail:\n    def failed(self, msg):\n        server.notify(7, %s)\n" % record
    world.system("service", "server.registerModule('mail', Mail())", before=mail)
    assert world.short() == ""
    world.write(world.script("service") + "/system.py", (world.root / world.script("service") / "system.py").read_text().replace("None}", "7}"))
    assert world.short().endswith("handles `mail.failed`, the `onFail`; it is registered on a service only [no-handler]\n")


def test_a_type_that_is_computed_is_no_mistake(world: World) -> None:
    import_ = USER + "from elsewhere import KIND, validation\n"
    sent = "server.notify(7, {'_type': 'user.' + namespace + params(), '_validate': validation()})\nserver.notify(7, {'_type': KIND, '_durable': KIND})\nserver.notify(7, KIND)\nserver.notify(7, {'n': 1, **KIND})"
    world.write("mods/hello/developer_mods/helloDev/elsewhere.py", "import os\nKIND = os.environ['KIND']\ndef validation():\n    pass\n")
    users(world, sent, import_)
    assert world.short() == ""


def test_modules_that_cannot_be_seen_may_have_any_method(world: World) -> None:
    for register in ("server.registerModule(namespace + open('x').read(), User())", "server.registerModule('user', open('x'))",
                     "add = server.registerModule\nfor name in open('x'):\n    add(name, User())", "namespace.server.registerModule(open('x'), None)"):
        world.system("server", register + "\nserver.notify(7, {'_type': 'user.tkae'})", before=USER)
        assert world.short() == "", register


def test_methods_that_a_base_class_elsewhere_may_have_are_no_mistake(world: World) -> None:
    before = USER.replace("class User:", "from toolbox import Base_\nclass User(Base_):") + "class Base_: pass\n"
    world.write(world.script("server") + "/../toolbox/__init__.py", "from .more import *\nBase_ = make()\n")
    users(world, "server.notify(7, {'_type': 'user.tkae'})", before.replace("class Base_: pass\n", ""))
    assert "no-handler" not in world.short()


def test_a_method_that_is_marked_otherwise_may_be_a_request(world: World) -> None:
    users(world, "", USER + "request(User.take)\n")
    world.system("client", "client.request('user.take', {})", before="from chappe.snipe import client\n")
    assert world.short() == ""


def test_a_program_that_is_no_python_may_handle_anything(world: World) -> None:
    users(world, "server.notify(7, {'_type': 'user.tkae'})\ncacheNotify({'_type': 'desk.rate'})")
    deploy = json.loads((world.root / "deploy.json").read_text())
    deploy["lobby"].append({"serverid": 21, "type": "lobby", "program": ["arena"]})
    deploy["master"] = {"serverid": 1, "program": ["arena"]}
    world.write("deploy.json", json.dumps(deploy))
    assert world.short() == ""


def test_a_master_that_runs_nothing_handles_nothing(world: World) -> None:
    users(world, "cacheNotify({'_type': 'desk.rate'})")
    deploy = json.loads((world.root / "deploy.json").read_text())
    deploy["master"] = {"serverid": 1}
    world.write("deploy.json", json.dumps(deploy))
    assert world.short() == "server/system.py:26:31: error: no module of the master handles `desk.rate` [no-handler]\n"


def test_the_example_has_no_mistakes() -> None:
    for path in ("deploy.json", "mods"):
        assert check([ROOT / "examples/gifts/python" / path]).findings == ()


def test_a_request_of_a_bot_is_looked_at_in_its_network(world: World) -> None:
    gifts, mods = ROOT / "examples/gifts/python/mods/gifts", world.root / "mods"
    (mods / "gifts").symlink_to(gifts)
    (mods / "bot").symlink_to(ROOT / "python/tests/snipe/mods/bot")
    world.write("deploy.json", json.dumps({"lobby": {"serverid": 20, "mods": ["mods/gifts", "mods/bot"]}}))
    told = [line for line in world.found().splitlines() if "client-mod-on-server" not in line]
    assert told == [
        "mods/bot/behavior_packs/botClient/botScript/modMain.py:19:9: error: no module of a lobby or game has `bank.nothing`; "
        "`bank` has `balance`, `deposit`, `mayReceive`, `receive`, `returned`, `sent` ... [request-unknown]"
    ]
