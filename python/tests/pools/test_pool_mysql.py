"""`mysqlPool` on a real MariaDB."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from chappe.apollo.pools import Limits, Pools, configure
from chappe.apollo.pools.mysql_pool import MysqlPool

TABLE = "CREATE OR REPLACE TABLE player (id BIGINT AUTO_INCREMENT PRIMARY KEY, uid BIGINT UNIQUE, name VARCHAR(50), data BLOB)"


@pytest.fixture
def pools(mysql: Any, main: Any) -> Iterator[Pools]:
    pools = configure(post=main.post, settings={"mysql": mysql.settings}, environ={})
    yield pools
    pools.close()


@pytest.fixture
def pool(pools: Pools, main: Any) -> MysqlPool:
    pools.mysql.InitDB(4)
    assert main.answer(pools.mysql.AsyncExecuteWithOrderKey, "t", TABLE, None) is True
    return pools.mysql


def rows(pool: MysqlPool, main: Any, sql: str = "SELECT uid, name FROM player ORDER BY uid", params: Any = None) -> Any:
    return main.answer(pool.AsyncQueryWithOrderKey, "t", sql, params)


def test_a_row_does_not_come_back_different(pool: MysqlPool, main: Any) -> None:
    insert = "INSERT INTO player (uid, name, data) VALUES (%s, %s, %s)"
    assert main.answer(pool.AsyncExecuteWithOrderKey, "t", insert, (5_000_000_001, "名字 §6 🎮", b"\x00\xff")) is True
    got = rows(pool, main, "SELECT uid, name, data FROM player WHERE uid=%s", (5_000_000_001,))
    assert got == ((5_000_000_001, "名字 §6 🎮", b"\x00\xff"),)


def test_no_row_is_not_taken_for_an_error(pool: MysqlPool, main: Any) -> None:
    assert rows(pool, main) == ()


def test_an_inserted_key_is_not_lost(pool: MysqlPool, main: Any) -> None:
    insert = "INSERT INTO player (name) VALUES (%s)"
    assert [main.answer(pool.AsyncInsertOneWithOrderKey, "t", insert, ("a",)) for _ in range(2)] == [1, 2]


def test_calls_as_real_mods_write_them_are_not_refused(pool: MysqlPool, main: Any) -> None:
    got: list[Any] = []
    pool.AsyncExecuteWithOrderKey("t", "INSERT INTO player (uid, name) VALUES (1, 'a')")
    pool.AsyncExecuteWithOrderKey("t", "INSERT INTO player (uid, name) VALUES (%s, 'b')", (2,))
    pool.AsyncExecuteWithOrderKey("t", "UPDATE player SET name='c' WHERE uid=%s", (2), None)
    pool.AsyncQueryWithOrderKey("t", "SELECT name FROM player WHERE name LIKE 'c%'", got.append)
    pool.AsyncQueryWithOrderKey(orderKey="t", sql="SELECT COUNT(*) FROM player WHERE uid IN %s", params=((1, 2),), callback=got.append)
    pool.AsyncQueryWithOrderKey("t", "SELECT name FROM player WHERE uid=%s", params=[1], cb=got.append)
    pool.AsyncQuery("t", "SELECT name FROM player WHERE uid=%(uid)s", {"uid": 1}, got.append)
    main.run(4)
    assert got == [(("c",),), ((2,),), (("a",),), (("a",),)]


def test_a_failed_statement_is_not_silent_and_does_not_stop_the_next(
    pool: MysqlPool, main: Any, caplog: pytest.LogCaptureFixture
) -> None:
    insert = "INSERT INTO player (uid, name) VALUES (%s, %s)"
    assert main.answer(pool.AsyncExecuteWithOrderKey, "t", insert, (1, "private")) is True
    assert main.answer(pool.AsyncExecuteWithOrderKey, "t", insert, (1, "private")) is None
    assert main.answer(pool.AsyncInsertOneWithOrderKey, "t", insert, (1, "private")) is None
    assert rows(pool, main, "SELECT nothing FROM nowhere") is None
    assert rows(pool, main, "SELECT %s, %s", (1,)) is None
    assert rows(pool, main) == ((1, "private"),)
    assert "mysqlPool.AsyncExecuteWithOrderKey('t', 'INSERT INTO player" in caplog.text
    assert "Duplicate entry" in caplog.text
    assert "conftest.py:" in caplog.text
    assert "'private'" not in caplog.text


def test_a_failed_batch_leaves_no_part_of_it(pool: MysqlPool, main: Any) -> None:
    for sql in ("INSERT INTO player (uid, name) VALUES (%s, %s)", "INSERT INTO player SET uid=%s, name=%s"):
        assert main.answer(pool.AsyncExecutemanyWithOrderKey, "t", sql, [(8, "a"), (9, "b"), (8, "c")]) is None
        assert rows(pool, main) == ()
        assert main.answer(pool.AsyncExecutemanyWithOrderKey, "t", sql, [(8, "a"), (9, "b")]) == 2
        assert main.answer(pool.AsyncExecutemanyWithOrderKey, "t", "DELETE FROM player WHERE uid=%s", [8, 9]) == 2
        assert main.answer(pool.AsyncExecutemanyWithOrderKey, "t", sql, []) == 0


def test_statements_of_one_key_are_not_reordered(pool: MysqlPool, main: Any) -> None:
    pool.AsyncExecuteWithOrderKey("t", "INSERT INTO player (uid, name) VALUES (1, ''), (2, '')")
    pool.Finish()
    pool.InitDB(4)
    for number in range(50):
        for uid in (1, 2):
            pool.AsyncExecuteWithOrderKey(uid, "UPDATE player SET name=CONCAT(name, %s) WHERE uid=%s", (chr(48 + number % 10), uid))
    pool.Finish()
    pool.InitDB(1)
    assert rows(pool, main) == ((1, "0123456789" * 5), (2, "0123456789" * 5))


def test_different_keys_do_not_share_a_connection(pool: MysqlPool, main: Any) -> None:
    together = threading.Barrier(4, timeout=60)
    got: list[int] = []

    def connection_id(connection: Any) -> int:
        together.wait()
        return int(connection.thread_id())

    for key in range(4):
        pool.AsyncExecuteFunctionWithOrderKey(connection_id, key, got.append)
    main.run(4)
    assert len(set(got)) == 4


def test_an_open_transaction_does_not_leak_to_the_next_mod(pool: MysqlPool, main: Any) -> None:
    def careless(connection: Any, uid: int) -> str:
        connection.autocommit(False)
        connection.cursor().execute("INSERT INTO player (uid, name) VALUES (%s, 'half')", (uid,))
        return "done"

    def careful(connection: Any, uid: int) -> str:
        connection.autocommit(False)
        try:
            connection.cursor().execute("INSERT INTO player (uid, name) VALUES (%s, 'whole')", (uid,))
            connection.commit()
        finally:
            connection.autocommit(True)
        return "done"

    def run(func: Any, uid: int) -> Any:
        return main.answer(lambda callback: pool.AsyncExecuteFunctionWithOrderKey(func, "t", callback, uid))

    assert (run(careless, 1), run(careful, 2)) == ("done", "done")
    assert rows(pool, main) == ((2, "whole"),)


def test_a_closed_connection_does_not_cost_a_statement(pool: MysqlPool, main: Any, mysql: Any) -> None:
    ids: list[int] = []
    pool.AsyncExecuteFunctionWithOrderKey(lambda connection: connection.thread_id(), "t", ids.append)
    main.run()
    before = pool.stats.connections
    mysql.server.stop()
    mysql.server.start()
    assert main.answer(pool.AsyncExecuteWithOrderKey, "t", "INSERT INTO player (uid, name) VALUES (7, 'x')", None) is True
    assert rows(pool, main) == ((7, "x"),)
    assert pool.stats.failed == 0
    assert pool.stats.connections > before


def test_a_query_whose_connection_is_killed_under_it_is_asked_again(pool: MysqlPool, main: Any) -> None:
    killed = threading.Event()

    def kill_first_then_two(connection: Any) -> Any:
        if not killed.is_set():
            killed.set()
            connection.kill(connection.thread_id())
        with connection.cursor() as cursor:
            cursor.execute("SELECT 2")
            return cursor.fetchall()

    got: list[Any] = []
    pool._submit("Test", ["t"], "test", lambda session: session.run(kill_first_then_two, repeatable=True), got.append)
    main.run()
    assert got == [((2,),)]
    assert pool.stats.failed == 0


def test_a_write_whose_connection_is_lost_is_not_done_twice(pool: MysqlPool, main: Any) -> None:
    calls: list[int] = []

    def write(connection: Any) -> None:
        calls.append(1)
        connection.cursor().execute("INSERT INTO player (name) VALUES ('once')")
        connection._sock.shutdown(2)
        connection.ping(reconnect=False)

    assert main.answer(lambda callback: pool.AsyncExecuteFunctionWithOrderKey(write, "t", callback)) is None
    assert calls == [1]
    assert rows(pool, main, "SELECT COUNT(*) FROM player") == ((1,),)


def test_a_server_that_is_down_does_not_hang_or_raise(
    pools: Pools, main: Any, mysql: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mysql.server.stop()
    try:
        pools.mysql.InitDB(2)
        assert rows(pools.mysql, main, "SELECT 1") is None
        assert "cannot connect to mysql at 127.0.0.1:" in caplog.text
    finally:
        mysql.server.start()
    assert rows(pools.mysql, main, "SELECT 1") == ((1,),)


def test_a_statement_longer_than_its_time_does_not_hold_the_thread(main: Any, mysql: Any) -> None:
    pools = configure(post=main.post, settings={"mysql": mysql.settings | {"timeout": 0.2}}, environ={})
    pools.mysql.InitDB(1)
    assert rows(pools.mysql, main, "SELECT SLEEP(30)") is None
    assert rows(pools.mysql, main, "SELECT 1") == ((1,),)
    assert pools.mysql.stats.connections == 2
    pools.close()


def test_a_wrong_password_is_named_and_not_printed(main: Any, mysql: Any, caplog: pytest.LogCaptureFixture) -> None:
    pools = configure(post=main.post, settings={"mysql": mysql.settings}, environ={"CHAPPE_MYSQL_PASSWORD": "guessed"})
    pools.mysql.InitDB(1)
    assert rows(pools.mysql, main, "SELECT 1") is None
    assert "Access denied" in caplog.text
    assert "guessed" not in caplog.text
    pools.close()


def test_the_waiting_calls_do_not_need_the_main_loop(pool: MysqlPool, main: Any) -> None:
    assert pool.SyncInsert("INSERT INTO player (uid) VALUES (%s)", (3,)) == 1
    assert pool.SyncFetchAll("SELECT id, uid FROM player WHERE uid > %s", (0,)) == ((1, 3),)
    assert pool.SyncFetchAll("SELECT nothing FROM nowhere") is None
    assert main.empty


def test_a_missing_driver_says_what_to_install(
    pools: Pools, main: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    pools.mysql.InitDB(1)
    assert rows(pools.mysql, main, "SELECT 1") is None
    assert "pip install PyMySQL" in caplog.text


def test_a_deploy_json_without_mysql_says_what_is_missing(main: Any, caplog: pytest.LogCaptureFixture) -> None:
    pools = configure(post=main.post, settings={}, limits=Limits(), environ={})
    pools.mysql.InitDB(1)
    assert rows(pools.mysql, main, "SELECT 1") is None
    assert 'deploy.json has no "mysql" object' in caplog.text
    pools.close()


def test_the_older_init_is_not_refused(main: Any, mysql: Any) -> None:
    pools = configure(post=main.post, environ={})
    s = mysql.settings
    pools.mysql.Init(s["host"], s["port"], s["user"], s["password"], s["database"], 2)
    assert rows(pools.mysql, main, "SELECT 1") == ((1,),)
    pools.close()


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    main: Any, mysql: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pools = configure(post=main.post, settings={"mysql": mysql.settings | {"tls": True}}, environ={})
    pools.mysql.InitDB(1)
    assert rows(pools.mysql, main, "SELECT 1") is None
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
    monkeypatch.setenv("SSL_CERT_FILE", str(mysql.certificate))
    cipher = rows(pools.mysql, main, "SHOW STATUS LIKE 'Ssl_cipher'")
    assert cipher[0][1] != ""
    assert rows(pools.mysql, main, "SELECT 1") == ((1,),)
    assert pools.mysql.stats.connections == 1
    pools.close()
