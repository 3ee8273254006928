"""Encodings and tabs."""

from chappe.py2.source import decode, expand_tabs


def test_gbk_without_a_coding_line_is_garbage():
    assert decode("s = '中文'\n".encode("gbk")) == "s = '中文'\n"


def test_gbk_with_a_coding_line_is_garbage():
    assert decode("# -*- coding: gbk -*-\ns = '中文'".encode("gbk")).endswith("'中文'\n")


def test_a_wrong_coding_line_is_believed():
    assert "中文" in decode("# -*- coding: utf-8 -*-\ns = '中文'\n".encode("gbk"))
    assert "中文" in decode("# coding: ascii\ns = '中文'\n".encode())


def test_a_byte_order_mark_is_a_character():
    assert decode(b"\xef\xbb\xbfa = 1\r\nb = 2") == "a = 1\nb = 2\n"


def test_an_unknown_encoding_ends_the_import():
    assert decode("# coding: klingon\ns = '中'\n".encode()).endswith("'中'\n")


def test_a_tab_is_not_eight_columns(run):
    assert run("if 1:\n\ta = 1\n        b = 2\n    \tc = 3")["c"] == 3


def test_tabs_inside_strings_are_expanded(run):
    assert run("if 1:\n\ts = '''\n\tx'''")["s"] == "\n\tx"
    assert expand_tabs("\ta\n\tb", {2}) == "        a\n\tb"
