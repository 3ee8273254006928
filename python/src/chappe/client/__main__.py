"""The command ``chappe client``, when the proxy is found: 0 logged out, 1 failed or ended by the cluster, 2 a mod cannot
be loaded, 5 nobody answers."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from chappe import _core, logs, mods
from chappe.client.bot import Bot

CLOSED, NOT_LOADED, UNREACHABLE = 1, 2, 5


def main(arguments: Sequence[str]) -> int:
    """Logs in and runs the mods until Ctrl-C. Answers the exit code."""
    parser = argparse.ArgumentParser(prog="chappe client", allow_abbrev=False)
    parser.add_argument("--url", required=True)
    parser.add_argument("--cluster", default="")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--mods", type=Path, action="append", required=True)
    parser.add_argument("--nickname")
    parser.add_argument("--token")
    for name in ("--ca", "--cert", "--key"):
        parser.add_argument(name)
    options = parser.parse_args(arguments)
    is_json = options.format == "json"
    out = sys.stdout
    if is_json:
        sys.stdout = sys.stderr  # what mods print is no object

    def say(event: str, text: str, **fields: object) -> None:
        to = out if is_json or event not in ("failed", "closed") else sys.stderr
        print(json.dumps({"event": event, **fields}, ensure_ascii=False) if is_json else text, file=to, flush=True)

    bot: Bot | None = None
    is_to_leave = False

    def asked_to_leave(number: int, frame: object) -> None:
        nonlocal is_to_leave
        signal.signal(number, lambda number, frame: os._exit(128 + number))  # a second one ends it at once
        is_to_leave = True
        if bot is not None:
            bot.stop()

    logs.start()
    for directory in options.mods:
        if not directory.is_dir():
            say("failed", f"{directory}: no such directory", code=NOT_LOADED, message=f"{directory}: no such directory")
            return NOT_LOADED
    # Before the login: a session that has begun is always logged out, and its counts are told.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked_to_leave)
    try:
        core = _core.Client(
            options.url,
            options.uid,
            options.nickname,
            options.token,
            ca=options.ca,
            cert=options.cert,
            key=options.key,
        )
    except ConnectionError as error:
        text = f"the proxy of the cluster `{options.cluster}` at {options.url}: {error}"
        say("failed", text, code=UNREACHABLE, message=text)
        return UNREACHABLE

    def reconnected(resumed: bool) -> None:
        how = "its session goes on" if resumed else "its session is a new one"
        say("reconnected", f"player {core.uid} is connected again: {how}", uid=core.uid, resumed=resumed)

    bot = Bot(core, reconnected)
    if is_to_leave:
        bot.stop()
    try:
        bot.install()
        bot.load([directory.resolve() for directory in options.mods])
    except mods.ModError as error:
        say("failed", str(error), code=NOT_LOADED, message=str(error))
        bot.leave()
        return NOT_LOADED
    player = {"uid": core.uid, "playerId": core.player_id, "server": core.server_id, "proxy": core.proxy_id}
    say("ready", f"player {core.uid} is on server {core.server_id}, through proxy {core.proxy_id}", **player)
    bot.run()
    bot.leave()
    counts = core.counts()
    if bot.closed is None:
        say("ended", f"player {core.uid} has logged out", uid=core.uid, counts=counts)
        return 0
    reason, text = bot.closed
    closed = f"the session of player {core.uid} is over: {reason}: {text}"
    say("closed", closed, uid=core.uid, reason=reason, message=text, counts=counts)
    return CLOSED
