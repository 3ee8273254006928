"""`mongoPool` without a MongoDB, which Debian does not have: on a stand-in for pymongo, and pymongo on a stand-in for the server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from chappe.apollo.pools import Pools, configure
from chappe.apollo.pools.mongo_pool import convert_bson_to_int
from mongo_stand_in import MongoStandIn
from servers import free_port

SETTINGS = {"host": "10.1.2.3", "port": 27018, "user": "game", "password": "secret", "database": "game"}


class Cursor:
    """Named and placed like pymongo's; remembers on which thread it was read."""

    __module__ = "pymongo.synchronous.cursor"

    def __init__(self, found: list[Any], readers: list[threading.Thread]) -> None:
        self._found = found
        self._readers = readers

    def __iter__(self) -> Iterator[Any]:
        self._readers.append(threading.current_thread())
        return iter(self._found)


class Collection:
    def __init__(self) -> None:
        self.documents: list[Any] = []
        self.readers: list[threading.Thread] = []

    def insert_one(self, document: Any) -> None:
        self.documents.append(document)

    def find(self, wanted: Any) -> Cursor:
        return Cursor([d for d in self.documents if wanted.items() <= d.items()], self.readers)


class Named(dict[str, Any]):
    """Makes what is asked for by name, as clients and databases do."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Any:
        return self.setdefault(name, self._make())


class Client(Named):
    opened: list[Client]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(lambda: Named(Collection))
        self.args, self.options = args, options
        self.closed = False
        self.admin = self
        type(self).opened.append(self)

    def command(self, name: str) -> None:
        assert name == "ping"

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    Client.opened = []
    stand_in = ModuleType("pymongo")
    stand_in.MongoClient = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pymongo", stand_in)
    return Client.opened


@pytest.fixture
def pools(main: Any, clients: list[Client]) -> Iterator[Pools]:
    pools = configure(post=main.post, settings={"mongo": SETTINGS}, environ={})
    pools.mongo.InitDB(20)
    yield pools
    pools.close()


def insert(collection: Any, number: int) -> str:
    collection.insert_one({"number": number})
    return "ok"


def test_a_function_does_not_get_the_wrong_collection(pools: Pools, main: Any, clients: list[Client]) -> None:
    got: list[Any] = []
    pools.mongo.AsyncExecute("mail", insert, got.append, 1)
    pools.mongo.AsyncExecuteWithOrderKey("guild", insert, "key", got.append, 2)
    main.run(2)
    assert got == ["ok", "ok"]
    assert clients[0]["game"]["mail"].documents == [{"number": 1}]
    assert clients[0]["game"]["guild"].documents == [{"number": 2}]


def test_the_threads_do_not_open_a_client_each(pools: Pools, clients: list[Client]) -> None:
    for number in range(200):
        pools.mongo.AsyncExecuteWithOrderKey("mail", insert, number, None, number)
    pools.mongo.Finish()
    assert len(clients) == 1
    assert clients[0].args == ("10.1.2.3", 27018)
    assert clients[0].options["maxPoolSize"] == 20
    assert clients[0].options["username"] == "game"
    assert clients[0].options["socketTimeoutMS"] == 30_000
    assert clients[0].closed


def test_calls_on_one_collection_are_not_reordered(pools: Pools, clients: list[Client]) -> None:
    for number in range(500):
        pools.mongo.AsyncExecute("mail", insert, None, number)
    pools.mongo.Finish()
    assert [d["number"] for d in clients[0]["game"]["mail"].documents] == list(range(500))


def test_a_cursor_is_not_read_on_the_main_thread(pools: Pools, main: Any, clients: list[Client]) -> None:
    got: list[Any] = []
    pools.mongo.AsyncExecute("mail", insert, None, 7)
    pools.mongo.AsyncExecute("mail", lambda collection: collection.find({"number": 7}), got.append)
    main.run()
    assert got == [[{"number": 7}]]
    assert threading.current_thread() not in clients[0]["game"]["mail"].readers


def test_a_failing_function_is_not_silent(pools: Pools, main: Any, caplog: pytest.LogCaptureFixture) -> None:
    got: list[Any] = []
    pools.mongo.AsyncExecute("mail", lambda collection: collection.no_such_thing(), got.append)
    main.run()
    assert got == [None]
    assert "mongoPool.AsyncExecute('mail', <lambda>, 'mail')" in caplog.text
    assert "no_such_thing" in caplog.text


def test_no_server_does_not_hang_or_raise_with_the_real_driver(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"host": "127.0.0.1", "port": free_port(), "database": "game", "connect_timeout": 0.2}
    pools = configure(post=main.post, settings={"mongo": settings}, environ={})
    pools.mongo.InitDB(2)
    got: list[Any] = []
    pools.mongo.AsyncExecute("mail", insert, got.append, 1)
    pools.mongo.AsyncExecute("mail", lambda collection: collection.find({}), got.append)
    main.run(2)
    assert got == [None, None]
    assert "ServerSelectionTimeoutError" in caplog.text
    pools.close()


def insert_letter(collection: Any, uid: int) -> Any:
    return collection.insert_one({"_id": uid, "t": "信"}).inserted_id


def test_the_real_driver_is_not_used_wrongly(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    with MongoStandIn() as server:
        pools = configure(post=main.post, settings={"mongo": {"port": server.port, "database": "game"}}, environ={})
        pools.mongo.InitDB(4)
        got: list[Any] = []
        for uid in range(20):
            pools.mongo.AsyncExecuteWithOrderKey("mail", insert_letter, uid, got.append, uid)
        main.run(20)
        pools.mongo.AsyncExecute("mail", lambda c: c.find({"_id": 7}), got.append)
        pools.mongo.AsyncExecute("mail", lambda c: c.find_one({"_id": 99}), got.append)
        pools.mongo.AsyncExecute("mail", lambda c: c.drop(), got.append)
        pools.mongo.AsyncExecute("mail", lambda c: c.save({"_id": 1}), got.append)
        main.run(4)
        assert sorted(got[:20]) == list(range(20))
        assert got[20:] == [[{"_id": 7, "t": "信"}], None, None, None]
        assert "no such command: 'drop'" in caplog.text
        assert "'save' method" in caplog.text
        assert pools.mongo.stats.failed == 2
        pools.close()


def test_a_64_bit_number_of_mongo_is_not_left_in_an_event() -> None:
    from bson import Int64

    given = {"a": Int64(5_000_000_000), "b": [Int64(1), (Int64(2), "x")], "c": True}
    got = convert_bson_to_int(given)
    assert got == given
    assert type(got["a"]) is int
    assert type(got["b"][1][0]) is int
    assert got["c"] is True
