"""Builds small mods in the style of Apollo networks, one mistake each."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent, indent

from chappe.check import Report, check

ROLES = {
    "server": ("InitServer", "server.extraServerApi", "GetServerSystemCls", "HelloServer"),
    "client": ("InitClient", "client.extraClientApi", "GetClientSystemCls", "HelloClient"),
    "service": ("InitService", "server.extraServiceApi", "GetServiceSystemCls", "HelloService"),
    "master": ("InitMaster", "server.extraMasterApi", "GetMasterSystemCls", "HelloMaster"),
}
DEPLOY = {
    "master": {"serverid": 1, "mods": "mods/master"},
    "lobby": [{"serverid": 20, "type": "lobby", "mods": "mods/hello"}],
    "service": [{"serverid": 40, "type": "service_mail", "mods": "mods/service", "module_names": ["mail"]}],
}
FOLDER = {"server": "hello", "client": "hello", "service": "service", "master": "master"}


class World:
    """A network in a directory: a mod for lobbies with its client half, one for services, one for the master."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for role in ROLES:
            self.system(role, "")
        self.write("deploy.json", json.dumps(DEPLOY))

    def write(self, path: str, text: str) -> Path:
        """Writes a file below the root."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def script(self, role: str) -> str:
        """Where the scripts of a role are."""
        half = "behavior_packs/helloClient" if role == "client" else f"developer_mods/{FOLDER[role]}Dev"
        return f"mods/{FOLDER[role]}/{half}/{role}Script"

    def system(self, role: str, init: str, rest: str = "", before: str = "") -> World:
        """Gives the system of a role the lines of its `__init__`, more methods, and lines before the class.

        `init` begins in line 10 of system.py where there is nothing before.
        """
        mark, api, getter, name = ROLES[role]
        main = f"""\
            # -*- coding: utf-8 -*-
            from common.mod import Mod
            import {api} as api
            @Mod.Binding(name="hello", version="1.0")
            class HelloMod(object):
                @Mod.{mark}()
                def init(self):
                    print '你好', api
                    api.RegisterSystem("hello", "{name}", "{role}Script.system.{name}")
            """
        system = dedent(f"""\
            # -*- coding: utf-8 -*-
            import {api} as api
            import lobbyGame.netgameApi as lobbyGameApi
            import apolloCommon.commonNetgameApi as commonNetgameApi
            Base = api.{getter}()
            """) + dedent(before) + dedent(f"""\
            class {name}(Base):
                def __init__(self, namespace, systemName):
                    Base.__init__(self, namespace, systemName)
                    print '启动', namespace
            """) + indent(dedent(init), " " * 8) + "\n" + indent(dedent(rest), " " * 4)
        folder = self.script(role)
        self.write(f"{folder}/__init__.py", "")
        self.write(f"{folder}/modMain.py", dedent(main))
        self.write(f"{folder}/system.py", system)
        return self

    def check(self, *paths: str) -> Report:
        """The report of the deploy.json, or of what is named."""
        return check([self.root / path for path in paths or ("deploy.json",)])

    def found(self, *paths: str) -> str:
        """Its findings as text, paths from the root, without the summary."""
        return "".join(f"{finding}\n" for finding in self.check(*paths).findings).replace(f"{self.root}/", "")

    def short(self, *paths: str) -> str:
        """The same with the folders left out: `server/system.py:10:1: ...`."""
        text = self.found(*paths)
        for role in ROLES:
            text = text.replace(self.script(role), role)
        return text
