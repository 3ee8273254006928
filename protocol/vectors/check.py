"""Reads the golden vectors by protocol/*.md alone: what another language needs to talk to Chappe is written there."""

import base64
import hashlib
import hmac
import json
import math
import pathlib
import struct

import msgpack

HERE = pathlib.Path(__file__).parent


def unpack(data):
    return msgpack.unpackb(data, raw=False, strict_map_key=False)


def from_json(text):
    return plain(json.loads(text))


def plain(value):
    """The JSON text form of values.md as Python values."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["$bytes"]:
        return base64.b64decode(value["$bytes"])
    if list(value) == ["$int"]:
        return int(value["$int"])
    if list(value) == ["$float"]:
        return float(value["$float"])
    if list(value) == ["$map"]:
        return {plain(key): plain(item) for key, item in value["$map"]}
    return {key: plain(item) for key, item in value.items()}


def same(a, b):
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def check_values():
    vectors = json.loads((HERE / "values.json").read_text("utf-8"))
    for vector in vectors:
        ours, theirs = unpack(bytes.fromhex(vector["msgpack"])), from_json(vector["json"])
        assert same(ours, theirs), f"{vector['name']}: {ours!r} is not {theirs!r}"
    return len(vectors)


def name(data):
    (length,) = struct.unpack_from("<H", data)
    return data[2 : 2 + length].decode().split("\0"), data[2 + length :]


def read_envelope(data):
    kind, flags, row = data[:3]
    data = data[3:]
    if flags & 1:
        data = data[8:]
    if flags & 2:
        data = data[24:]
    if kind == 1:
        names, data = name(data)
        assert len(names) == 3
    elif kind == 2:
        names, data = name(data[12:])
        assert len(names) == 2
    elif kind == 3:
        data = data[9:]
    elif kind == 4:
        (count,) = struct.unpack_from("<H", data)
        names, data = name(data[2 + 8 * max(count, 1) :])
        assert len(names) == 3
    elif kind == 6:
        data = data[5:]
    elif kind == 7:
        data = data[1:]
    else:
        assert kind == 5, kind
    return row, data


def check_frames():
    vectors = json.loads((HERE / "frames.json").read_text("utf-8"))
    for vector in vectors:
        data = bytes.fromhex(vector["bytes"])
        if vector["is"] == "greeting":
            assert data[:4] == b"CHPE", vector["name"]
            major, _, length = struct.unpack_from("<HHI", data, 4)
            assert (major, length) == (1, len(data) - 12), vector["name"]
            assert list(unpack(data[12:])) in (["hello"], ["refuse"]), vector["name"]
            continue
        length, seq, ack = struct.unpack_from("<III", data)
        assert length == len(data) - 4, vector["name"]
        row, payload = read_envelope(data[12:])
        assert (seq, ack, row) == (vector["seq"], vector["ack"], vector["row"]), vector["name"]
        assert payload.hex() == vector["payload"], vector["name"]
    return len(vectors)


def check_handshake():
    said = json.loads((HERE / "handshake.json").read_text("utf-8"))
    data = {kind: bytes.fromhex(said[kind]) for kind in ("hello", "challenge", "prove", "welcome")}
    greetings = {kind: unpack(greeting[12:])[kind] for kind, greeting in data.items()}
    for kind, greeting in data.items():
        assert greeting[:4] == b"CHPE" and struct.unpack_from("<HHI", greeting, 4) == (1, 1, len(greeting) - 12), kind
    assert len(greetings["hello"]["auth"]["nonce"]) == len(greetings["challenge"]["auth"]["nonce"]) == 32

    def proof(side, secret):
        over = f"chappe 1 {side} side".encode() + b"\0" + data["hello"] + data["challenge"]
        return hmac.digest(hashlib.sha256(secret.encode()).digest(), over, "sha256")

    proofs = [proof("dialling", secret) for secret in said["dialling_secrets"]]
    assert greetings["prove"] == proofs, "prove"
    known = [secret for secret in said["answering_secrets"] if proof("dialling", secret) in proofs]
    assert greetings["welcome"] == proof("answering", known[0]), "welcome"
    return 1


def check_clients():
    vectors = json.loads((HERE / "client.json").read_text("utf-8"))
    verbs = {
        "client": {"login": 1, "event": (4, 5), "service": (5, 6), "ack": 1, "ping": 1, "logout": 0},
        "proxy": {"welcome": 1, "event": (4, 6), "server": 1, "announce": 1, "error": 2, "ack": 1, "pong": 1, "close": 2},
    }
    for vector in vectors:
        ours, theirs = unpack(bytes.fromhex(vector["msgpack"])), from_json(vector["json"])
        assert same(ours, theirs), f"{vector['name']}: {ours!r} is not {theirs!r}"
        takes = verbs[vector["from"]][ours[0]]
        assert len(ours) - 1 in (takes if isinstance(takes, tuple) else (takes,)), vector["name"]
    return len(vectors)


print(f"vectors: {check_values() + check_frames() + check_handshake() + check_clients()} passed, 0 failed")
