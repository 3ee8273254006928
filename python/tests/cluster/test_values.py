"""Data arrives equal, through real nodes and a client; what cannot is refused with the way to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chappe import _core

from .cluster import Cluster

integers = st.integers(min_value=-(2**63), max_value=2**64 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.one_of(integers, texts, st.binary(max_size=8))
leaves = st.one_of(st.none(), st.booleans(), integers, st.floats(), texts, st.binary(max_size=64))
values = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(keys, inner, max_size=6)), max_leaves=40
)


def same(left: Any, right: Any) -> bool:
    """Equal in type too, and NaN equals itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(map(type, left)) == list(map(type, right)) and all(
            key in right and same(value, right[key]) for key, value in left.items()
        )
    return bool(left == right)


@given(values)
def test_what_is_encoded_is_decoded_equal(value: Any) -> None:
    assert same(_core.decode(_core.encode(value)), value)


def test_a_tuple_arrives_as_a_list_and_a_bytearray_as_bytes() -> None:
    assert _core.decode(_core.encode((1, (2,), bytearray(b"x")))) == [1, [2], b"x"]


@pytest.fixture(scope="module")
def echo(network: Cluster) -> Callable[[Any], Any]:
    """Sends a value from a client to a service, from there by RPC to another and back, and from there to the client."""
    client = _core.Client(f"ws://127.0.0.1:{network.ws}", 123_456_789_012)
    network.do("rec_a", "EchoClients", "rec_b", 5)

    def send(value: Any) -> Any:
        client.notify_to_service_node(30, "rec", "recSystem", "EchoMe", {"value": value})
        while (event := client.next_event(30.0)) and event.get("event") != "Echoed":
            pass
        assert event, "nothing came back"
        return event["data"]

    return send


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=values)
def test_values_arrive_equal_through_a_client_and_two_nodes(echo: Callable[[Any], Any], value: Any) -> None:
    assert same(echo(value), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"items": [0, 0, 0, {"owner": len}]}, "data['items'][3]['owner']: a function cannot be sent"),
        ([lambda: 0], "data[0]: a function cannot be sent"),
        ({"a": object()}, "data['a']: an object of the class object cannot be sent"),
        ({"a": {1, 2}}, "data['a']: a set cannot be sent"),
        ({"a": int}, "data['a']: a class cannot be sent"),
        ([2**64], "data[0]: the integer 18446744073709551616 does not fit 64 bits"),
        ([-(2**63) - 1], "data[0]: the integer -9223372036854775809 does not fit 64 bits"),
        ({7: {float("nan"): 1}}, "data[7]: NaN cannot be a key"),
        ({(1, 2): 3}, "data: a list cannot be a key"),
        (["\ud800"], "data[0]: text with half a surrogate pair cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_way_to_it(value: Any, text: str) -> None:
    with pytest.raises(_core.DataError) as refused:
        _core.encode(value)
    assert str(refused.value) == text


def test_a_cycle_is_refused_and_not_followed_for_ever() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(_core.DataError, match="a list that holds itself cannot be sent"):
        _core.encode({"a": cycle})
    deep: Any = 0
    for _ in range(65):
        deep = [deep]
    with pytest.raises(_core.DataError, match="nested deeper than 64 levels"):
        _core.encode(deep)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\xa1x", b"\xdd\xff\xff\xff\xff", b"\x91" * 100, b"\xa1\xff", b"\x01\x01"])
def test_bytes_that_are_no_data_are_refused(data: bytes) -> None:
    with pytest.raises(_core.DataError):
        _core.decode(data)


def test_the_call_that_refuses_is_named(network: Cluster) -> None:
    kind, error, text = network.outcome("rec_a", "SendWhatCannotBeSent", "function")
    assert (kind, error) == ("raised", "DataError")
    assert text == "BroadcastEvent: data['items'][1]['owner']: a function cannot be sent"
