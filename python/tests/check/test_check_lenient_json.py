"""JSON as it is found in the field."""

from __future__ import annotations

import pytest

from chappe.check.lenient_json import JsonError, parse


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse('{"a": 1, "a": [1.5, -2, true, {}],}').root.plain() == {"a": [1.5, -2, True, {}]}


def test_comments_and_a_byte_order_mark_are_let_pass() -> None:
    read = parse('\ufeff// one\n{"地址": "http://a/b" /* two */, # three\n"b": "\\u4e2d"}')
    assert read.root.plain() == {"地址": "http://a/b", "b": "中"}
    assert [code for code, _, _ in read.notes] == ["json-lenient"] * 3


@pytest.mark.parametrize(
    ("text", "offset"),
    [("", 0), ("{", 1), ('{"a" 1}', 5), ('{"a": }', 6), ("{a: 1}", 1), ('["a" "b"]', 5), ("{} x", 3), ('"a', 0), ("nul", 0), ("1e", 0), ('"\\x"', 0)],
)
def test_what_is_no_json_is_told_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(JsonError) as error:
        parse(text)
    assert error.value.offset == offset


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(JsonError):
        parse("[" * 100_000)
