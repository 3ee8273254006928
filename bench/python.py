"""Python handlers of Chappe beside nats-py doing the same work, in turn, in one run.

    python bench/python.py [--rounds 5] [--seconds 2] [--json]

Needs the package `chappe`, nats-py and msgpack in the interpreter that runs it, `nats-server`, and the command
`chappe` in target/release (or named by CHAPPE). Ends with 1 when a goal is missed. Let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NATS = Path(__file__).with_name("python_nats.py")
MODS = {
    "driver": Path(__file__).with_name("python_driver.py"),
    "service": ROOT / "crates/chappe/src/bench/python_peer.py",
}
COMMAND = os.environ.get("CHAPPE", str(ROOT / "target/release/chappe"))
GOAL = 5.0
"""How many times the rate of nats-py is wanted."""
WORK = {
    "event": "events, a handler in Python",
    "rpc": "RPC, 64 in flight, a handler in Python",
    "both ends": "RPC, 64 in flight, both ends in Python",
}
IN_FLIGHT, SIZE, WARMUP = 64, 64, 0.5

Figure = dict[str, Any]


def chappe(work: str, seconds: float) -> Figure:
    """One run of `chappe bench --python`."""
    command = [COMMAND, "bench", work, "--python", "--json"]
    command += ["--size", str(SIZE), "--in-flight", str(IN_FLIGHT)]
    command += ["--seconds", str(seconds), "--warmup", str(WARMUP)]
    return last_line(command, seconds)


def chappe_both_ends(seconds: float) -> Figure:
    """One run of a cluster whose caller is a mod as well."""
    with tempfile.TemporaryDirectory() as name:
        directory, result = Path(name), Path(name, "result.json")
        for mod, source in MODS.items():
            (directory / mod).mkdir()
            shutil.copy(source, directory / mod / "modMain.py")
        deploy = {
            "cluster": "bench",
            "master": {"serverid": 1, "port": 0},
            "lobby": [{"serverid": 100, "mods": ["driver"]}],
            "service": [{"serverid": 101, "type": "bench", "mods": ["service"]}],
        }
        (directory / "deploy.json").write_text(json.dumps(deploy))
        work = {"size": SIZE, "in_flight": IN_FLIGHT, "warmup": WARMUP, "seconds": seconds, "result": str(result)}
        command = [COMMAND, "up", str(directory / "deploy.json")]
        env = environ() | {"CHAPPE_BENCH": json.dumps(work), "XDG_RUNTIME_DIR": name}
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as up:
            try:
                end = time.monotonic() + seconds + 30
                while not result.exists():
                    if time.monotonic() > end or up.poll() is not None:
                        raise SystemExit("the cluster of mods did not measure anything")
                    time.sleep(0.1)
                found: Figure = json.loads(result.read_text())
                return found
            finally:
                up.terminate()


def nats(work: str, seconds: float, port: int) -> Figure:
    """One run of nats-py, with a peer of its own."""
    serve = [sys.executable, str(NATS), "peer", f"nats://127.0.0.1:{port}"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as peer:
        try:
            assert peer.stdout
            if peer.stdout.readline() != "ready\n":
                raise SystemExit("the nats-py peer did not come up")
            job = {
                "port": port,
                "pid": peer.pid,
                "size": SIZE,
                "in_flight": IN_FLIGHT,
                "warmup": WARMUP,
                "seconds": seconds,
            }
            return last_line([sys.executable, str(NATS), work, json.dumps(job)], seconds)
        finally:
            peer.kill()


def last_line(command: list[str], seconds: float) -> Figure:
    """The object on the last line of what a command prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds + 60, env=environ())
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    found: Figure = json.loads(done.stdout.splitlines()[-1])
    return found


def environ() -> dict[str, str]:
    """This environment, with this interpreter as the one that has the package."""
    return {**os.environ, "CHAPPE_PYTHON": sys.executable}


@contextlib.contextmanager
def nats_server() -> Iterator[int]:
    """A NATS server; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["nats-server", "-a", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield port
        finally:
            server.kill()


def main() -> int:
    """Measures, and prints the medians."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--json", action="store_true")
    args = options.parse_args()
    runs: dict[str, list[Figure]] = {}
    with nats_server() as port:
        for _ in range(args.rounds):
            for work in ("event", "rpc"):
                runs.setdefault(f"chappe {work}", []).append(chappe(work, args.seconds))
                runs.setdefault(f"nats-py {work}", []).append(nats(work, args.seconds, port))
            runs.setdefault("chappe both ends", []).append(chappe_both_ends(args.seconds))
            runs.setdefault("nats-py both ends", []).append(nats("client", args.seconds, port))
    medians = {name: median(of) for name, of in runs.items()}
    rate = {name: of["per_second"] for name, of in medians.items()}
    ratios = {work: rate[f"chappe {work}"] / rate[f"nats-py {work}"] for work in WORK}
    steps = {work: dict(runs[f"chappe {work}"][-1]["steps_us"]) for work in ("event", "rpc")}
    if args.json:
        print(json.dumps({"figures": medians, "ratios": ratios, "steps_us": steps, "runs": runs}))
    else:
        show(medians, ratios, steps)
    return int(min(ratios.values()) < GOAL)


def median(runs: list[Figure]) -> Figure:
    """Of each figure the one in the middle."""
    keys = [key for key in ("per_second", "peer_cpu_us_per_op") if key in runs[0]]
    return {key: statistics.median(run[key] for run in runs) for key in keys}


def show(medians: dict[str, Figure], ratios: dict[str, float], steps: dict[str, dict[str, float]]) -> None:
    """Prints it for people."""
    print(f"{'':24}{'per second':>12}{'CPU of the handler process':>30}")
    for name, of in medians.items():
        cpu = f"{of['peer_cpu_us_per_op']:27.2f} us" if "peer_cpu_us_per_op" in of else ""
        print(f"{name:24}{of['per_second']:12,.0f}{cpu}")
    for work, what in WORK.items():
        print(f"{what}: {ratios[work]:.1f} x nats-py (goal: {GOAL:.0f} x)")
    for work, taken in steps.items():
        whole = medians[f"chappe {work}"]["peer_cpu_us_per_op"]
        print(f"one handler call, {work}: {whole:.2f} us")
        for name, micros in [*taken.items(), ("frames, queues, the way into Python, sockets", whole - sum(taken.values()))]:
            print(f"  {name:44}{micros:8.2f} us")


if __name__ == "__main__":
    sys.exit(main())
