"""The work of `chappe bench --python` with nats-py: a handler in asyncio, with msgpack.

``peer`` answers requests with their own data and counts events; ``drive`` keeps it busy and prints the figures as one
JSON object. The driver speaks NATS on a bare socket with frames that it has built once, so that the rate is the
handler's, as it is with the driver of `chappe bench`. ``client`` drives with nats-py as well, for requests: a program
whose both ends are nats-py.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

import msgpack
import nats

CALLS, EVENTS, COUNT = "bench.echo", "bench.event", "bench.received"
PENDING = 4_000_000
"""Messages that may wait for the handler: nothing is to be lost."""
PATIENCE = 20.0
"""Seconds that anything may take to come."""
UNDER_WAY, BATCH = 20_000, 500
"""Events that may be sent and not counted yet, and how many are sent at a time."""

Figure = dict[str, float]


@dataclass(frozen=True)
class Job:
    """One run: the server's port, the peer's process, and the work as `chappe bench` takes it."""

    port: int
    pid: int
    size: int
    in_flight: int
    warmup: float
    seconds: float

    @property
    def address(self) -> tuple[str, int]:
        """Where the server listens."""
        return ("127.0.0.1", self.port)

    @property
    def url(self) -> str:
        """The same, for nats-py."""
        return f"nats://127.0.0.1:{self.port}"

    def window(self) -> tuple[float, float]:
        """The beginning and the end of what counts."""
        begin = time.perf_counter() + self.warmup
        return begin, begin + self.seconds


async def peer(url: str) -> None:
    """Serves until it is ended; prints a line when it is subscribed."""
    client = await nats.connect(url)
    received = 0

    async def echo(message: Any) -> None:
        await client.publish(message.reply, msgpack.packb(msgpack.unpackb(message.data)))

    async def count(message: Any) -> None:
        nonlocal received
        if msgpack.unpackb(message.data):
            received += 1

    async def tell(message: Any) -> None:
        await client.publish(message.reply, msgpack.packb(received))

    limits = {"pending_msgs_limit": PENDING, "pending_bytes_limit": -1}
    await client.subscribe(CALLS, cb=echo, **limits)
    await client.subscribe(EVENTS, cb=count, **limits)
    await client.subscribe(COUNT, cb=tell)
    await client.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


class Connection:
    """NATS on a bare socket, with an inbox of its own."""

    def __init__(self, address: tuple[str, int], inbox: str) -> None:
        self.inbox = inbox.encode()
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self.send(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB %s 1\r\n' % self.inbox)
        self.read()

    def send(self, frames: bytes) -> None:
        """Sends all of them."""
        self.socket.sendall(frames)

    def read(self) -> bytes:
        """What has come and is no ping."""
        chunk = self.socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError("the NATS server has closed the connection")
        if b"PING\r\n" in chunk:
            self.send(b"PONG\r\n")
            return chunk.replace(b"PING\r\n", b"")
        return chunk

    def frame(self, subject: str, data: bytes, wants_reply: bool) -> bytes:
        """What publishes ``data``."""
        reply = b" " + self.inbox if wants_reply else b""
        return b"PUB %s%s %d\r\n%s\r\n" % (subject.encode(), reply, len(data), data)

    def answer_size(self, data: bytes) -> int:
        """The bytes of a frame that brings ``data`` to the inbox."""
        return len(b"MSG %s 1 %d\r\n%s\r\n" % (self.inbox, len(data), data))

    def ask_count(self) -> int:
        """How many events the peer has counted."""
        self.send(self.frame(COUNT, b"", wants_reply=True))
        came = b""
        while came.count(b"\r\n") < 2 or not came.endswith(b"\r\n"):
            came += self.read()
        return int(msgpack.unpackb(came[came.index(b"\r\n") + 2 : -2]))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figure(count: int, seconds: float, cpu: float) -> Figure:
    """As `chappe bench --json` prints it."""
    return {"per_second": count / seconds, "peer_cpu_us_per_op": cpu * 1e6 / max(count, 1)}


def drive_rpc(job: Job) -> Figure:
    """Requests, a fixed number under way: for each answer the next one."""
    connection = Connection(job.address, "inbox.a")
    data = msgpack.packb(b"x" * job.size)
    request, size = connection.frame(CALLS, data, wants_reply=True), connection.answer_size(data)
    connection.send(request * job.in_flight)
    begin, end = job.window()
    rest, answered, cpu, begun = 0, 0, 0.0, 0.0
    while True:
        came, rest = divmod(rest + len(connection.read()), size)
        now = time.perf_counter()
        if begun:
            answered += came
            if now >= end:
                return figure(answered, now - begun, cpu_seconds(job.pid) - cpu)
        elif now >= begin:
            begun, cpu = now, cpu_seconds(job.pid)
        connection.send(request * came)


def drive_event(job: Job) -> Figure:
    """Events as fast as the peer counts them; what is under way is bounded, so that no buffer grows meanwhile."""
    control, connection = Connection(job.address, "inbox.a"), Connection(job.address, "inbox.b")
    batch = connection.frame(EVENTS, msgpack.packb(b"x" * job.size), wants_reply=False) * BATCH
    begin, end = job.window()
    start = control.ask_count()
    sent, first, cpu, begun = 0, 0, 0.0, 0.0
    while True:
        counted = control.ask_count() - start
        now = time.perf_counter()
        if not begun and now >= begin:
            begun, first, cpu = now, counted, cpu_seconds(job.pid)
        elif begun and now >= end:
            return figure(counted - first, now - begun, cpu_seconds(job.pid) - cpu)
        while sent - counted < UNDER_WAY:
            connection.send(batch)
            sent += BATCH
        time.sleep(0.01)


async def drive_client(job: Job) -> Figure:
    """Requests of a nats-py client: as many tasks as are under way, each of which awaits its own."""
    client = await nats.connect(job.url)
    begin, end = job.window()
    answered, cpu = 0, 0.0

    async def meter() -> None:
        nonlocal cpu
        await asyncio.sleep(begin - time.perf_counter())
        cpu = cpu_seconds(job.pid)

    async def caller() -> None:
        nonlocal answered
        while (now := time.perf_counter()) < end:
            answer = await client.request(CALLS, msgpack.packb(b"x" * job.size), timeout=PATIENCE)
            msgpack.unpackb(answer.data)
            answered += now >= begin

    await asyncio.gather(meter(), *(caller() for _ in range(job.in_flight)))
    used = cpu_seconds(job.pid) - cpu
    await client.close()
    return figure(answered, end - begin, used)


def main() -> None:
    """``peer URL``, or ``rpc|event|client`` and a Job as JSON."""
    what, argument = sys.argv[1:3]
    if what == "peer":
        asyncio.run(peer(argument))
        return
    job = Job(**json.loads(argument))
    if what == "client":
        print(json.dumps(asyncio.run(drive_client(job))))
    else:
        print(json.dumps({"rpc": drive_rpc, "event": drive_event}[what](job)))


if __name__ == "__main__":
    main()
