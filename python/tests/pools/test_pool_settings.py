"""deploy.json's database objects."""

from __future__ import annotations

import pytest
from chappe.apollo.pools.settings import SettingsError, parse


def test_settings_as_real_deploy_files_write_them_are_not_refused() -> None:
    settings = parse(
        {
            "mysql": {"host": "db", "port": "3307", "user": "u", "password": "p", "database": "game"},
            "redis": {"ip": "cache", "token": "t"},
            "mongo": None,
            "extra_mysql": {"shop": {"database": "shop"}},
            "lobby": [],
        },
        {},
    )
    mysql, redis = settings.main["mysql"], settings.main["redis"]
    assert (mysql.host, mysql.port, mysql.user, mysql.password, mysql.database) == ("db", 3307, "u", "p", "game")
    assert (redis.host, redis.port, redis.password, redis.timeout) == ("cache", 6379, "t", 30.0)
    assert "mongo" not in settings.main
    assert settings.extra["mysql"]["shop"].database == "shop"


def test_a_password_of_the_environment_does_not_lose_to_the_file() -> None:
    deploy = {"mysql": {"password": "file"}, "extra_mysql": {"shop-1": {"password": "file"}}}
    settings = parse(deploy, {"CHAPPE_MYSQL_PASSWORD": "env", "CHAPPE_MYSQL_SHOP_1_PASSWORD": "extra"})
    assert settings.main["mysql"].password == "env"
    assert settings.extra["mysql"]["shop-1"].password == "extra"


def test_a_password_is_not_in_what_is_printed() -> None:
    endpoint = parse({"mysql": {"password": "hidden", "database": "game"}}, {}).main["mysql"]
    assert "hidden" not in repr(endpoint)
    assert endpoint.address == "mysql at 127.0.0.1:3306, database game"


def test_one_problem_does_not_hide_another() -> None:
    deploy = {
        "mysql": {"host": ["db"], "port": 99999},
        "redis": {"database": "game"},
        "mongo": "localhost",
        "extra_redis": {"a": {"timeout": 0}},
        "extra_mongo": [],
    }
    with pytest.raises(SettingsError) as raised:
        parse(deploy, {})
    for path in ("mysql.host", "mysql.port", "redis.database", "mongo:", "extra_redis.a.timeout", "extra_mongo:"):
        assert path in str(raised.value)
