"""Which file is Python 2."""

import pytest

from chappe.py2 import verdict


@pytest.mark.parametrize("text", ["print 'a'", "x = d.has_key(1)", "x = unicode(1)", "import urllib2", "class A:\n    __metaclass__ = M", "for k in d.iteritems(): pass"])
def test_python2_is_taken_for_python3(text):
    assert verdict(text) == "py2"


@pytest.mark.parametrize(
    "text",
    ["x = f'{1}'", "def f(a: int): pass", "def f(*, a): pass", "async def f(): pass", "x: int = 1", "class A(metaclass=M): pass", "super().f()"],
)
def test_python3_is_taken_for_python2(text):
    assert verdict(text) == "py3"


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    unicode\nexcept NameError:\n    unicode = str",
        "try:\n    import urllib2\nexcept ImportError:\n    import urllib.request as urllib2",
        "import sys\nif sys.version_info[0] == 2:\n    m = sys.maxint",
        "from functools import reduce\nx = reduce(f, l)",
        "def cmp(a, b): return 0\ncmp(1, 2)",
        "X = 1 / 2",
    ],
)
def test_a_file_for_both_is_taken_for_python2(text):
    assert verdict(text) == "either"
