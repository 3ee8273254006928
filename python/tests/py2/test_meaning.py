"""Operations, functions and methods whose meaning changed."""

import io
import sys

import pytest


def test_division_of_whole_numbers_gives_a_fraction(run, value):
    assert value("(7 / 2, -7 / 2, 7.0 / 2, 7 / 2.0)") == (3, -4, 3.5, 3.5)
    module = run("a = 7\na /= 2\nd = {'k': 9}\nd['k'] /= 2\nx = 9.0\nx /= 2")
    assert (module["a"], module["d"]["k"], module["x"]) == (3, 4, 4.5)


def test_future_division_is_ignored(run):
    assert run("from __future__ import division\na = 1 / 2")["a"] == 0.5


def test_round_gives_an_int_and_goes_to_even(value):
    assert repr(value("(round(2.5), round(-0.5), round(2.675, 2), round(1234, -2))")) == "(3.0, -1.0, 2.67, 1200.0)"


def test_functions_that_gave_lists_give_iterators(value):
    assert value("map(None, [1, 2], [3])") == [(1, 3), (2, None)]
    assert value("filter(None, (1, 0)), filter(str.isdigit, 'a1b2'), zip([1], [2]), range(3)") == ((1,), "12", [(1, 2)], [0, 1, 2])
    assert value("{1: 2}.keys() + {1: 2}.values() + {1: 2}.items()") == [1, 2, (1, 2)]


def test_keys_cannot_be_deleted_in_a_loop(run):
    assert run("d = {1: 1, 2: 2}\nfor k in d.keys():\n    del d[k]")["d"] == {}


def test_none_and_mixed_types_do_not_compare(value):
    assert value("(None < 1, None < -5, 'a' > 10 ** 9, [] > {}, None >= None, 3 < None)") == (True, True, True, True, True, False)
    assert value("1 < 2 < None") is False


def test_chained_comparison_evaluates_an_operand_twice(run):
    module = run("seen = []\ndef f(n):\n    seen.append(n)\n    return n\nr = 1 < f(2) < f(3) < f(0) < f(9)")
    assert module["r"] is False and module["seen"] == [2, 3, 0]


def test_mixed_lists_do_not_sort(value):
    assert value("sorted([3, None, 'a', 2.5, (1,)])") == [None, 2.5, 3, "a", (1,)]
    assert value("max([1, None, 'x']), min(3, None)") == ("x", None)


def test_sort_takes_no_cmp(run):
    module = run("l = [1, 3, 2]\nl.sort(lambda a, b: cmp(b, a))\nm = sorted(l, cmp=lambda a, b: a - b)")
    assert module["l"] == [3, 2, 1] and module["m"] == [1, 2, 3]


def test_a_type_error_of_the_program_is_swallowed_by_a_comparison(run):
    with pytest.raises(TypeError, match="mine"):
        run("class A(object):\n    def __lt__(self, other):\n        raise TypeError('mine')\nA() < 1")


def test_names_of_types_are_missing(value):
    assert value("isinstance('a', basestring) and isinstance(u'a', unicode) and isinstance(2L ** 70, (int, long))") is True
    assert value("(unichr(20013), xrange(3)[1], reduce(lambda a, b: a + b, [1, 2]), apply(max, (1, 2)))") == ("中", 1, 3, 2)


def test_encode_gives_bytes_that_no_text_takes(value):
    assert value("'前缀' + u'中文'.encode('utf8') + '%s' % u'好'.encode('gbk')") == "前缀中文好"
    assert value("'中文'.decode('utf-8') == u'中文' == unicode('中文', 'utf-8')") is True
    assert value("'abc'.encode('hex').decode('hex')") == "abc"


def test_text_outside_ascii_encodes_to_ascii(value):
    with pytest.raises(UnicodeEncodeError):
        value("u'中'.encode('ascii')")
    assert value("u'a中'.encode('ascii', 'ignore')") == "a"


def test_percent_s_shows_bytes_with_a_b_and_floats_with_17_digits(value):
    assert value("'%s|%s|%d' % (b, 0.1 + 0.2, 3.7)", b="中".encode()) == "中|0.3|3"
    assert value("str(0.1 + 0.2)") == "0.3"


def test_has_key_next_and_iteritems_are_missing(value):
    assert value("{1: 2}.has_key(1), list({1: 2}.iteritems()), iter([5]).next()") == (True, [(1, 2)], 5)


def test_attributes_named_like_dictionary_methods_are_wrapped(run):
    assert run("class A:\n    items = [1]\n    def keys(self):\n        return 'k'\nr = (A.items, A().keys())")["r"] == ([1], "k")


def test_special_methods_under_old_names_are_never_called(run):
    module = run("""
        class V:
            def __init__(self, n): self.n = n
            def __cmp__(self, other): return cmp(self.n, other.n)
            def __nonzero__(self): return self.n != 0
            def __unicode__(self): return u'值%d' % self.n
            def __div__(self, other): return 'div'
            def __getslice__(self, i, j): return (i, j)
            def __iter__(self): return self
            def next(self):
                if self.n: self.n -= 1; return self.n
                raise StopIteration
        r = (V(1) < V(2), V(1) == V(1), bool(V(0)), unicode(V(3)), str(V(3)), V(1) / 2, V(1)[1:3], list(V(2)))
    """)
    assert module["r"] == (True, True, False, "值3", "值3", "div", (1, 3), [1, 0])


def test_str_that_encodes_unicode_recurses(run):
    module = run("""
        class V(object):
            def __unicode__(self): return u'值'
            def __str__(self): return unicode(self).encode('utf-8')
        r = '%s' % V()
    """)
    assert module["r"] == "值"


def test_eq_makes_a_class_unhashable(run):
    assert run("class A(object):\n    def __eq__(self, o): return True\nd = {A(): 1}")["d"]


def test_metaclass_in_the_body_is_ignored(run):
    module = run("""
        class Meta(type):
            def __new__(cls, name, bases, space):
                space['made'] = name
                return type.__new__(cls, name, bases, space)
        class A(object):
            __metaclass__ = Meta
        class B(A): pass
    """)
    assert (module["A"].made, module["B"].made, type(module["B"]).__name__) == ("A", "B", "Meta")


def test_object_before_another_base_is_no_order(run):
    assert run("class A: pass\nclass B(object, A): pass\nb = B()")["b"]


def test_function_and_method_attributes_are_missing(run):
    module = run("class A:\n    def m(self): pass\na = A()\nr = (a.m.im_func.func_name, a.m.im_self is a, a.m.im_class is A, A.m.im_func)")
    assert module["r"][:3] == ("m", True, True)


def test_renamed_modules_are_missing(run):
    module = run("""
        import urllib, urllib2, Queue, StringIO, cPickle, ConfigParser, thread, httplib, urlparse, __builtin__, commands, sets
        from cStringIO import StringIO as S
        from itertools import izip, imap
        import os.path as p, xml.etree.cElementTree as ET
        q = urllib.quote('a b') + urllib.urlencode({'k': 1}) + urlparse.urlparse('http://h/x').path
        out = S(); print >>out, 'x',; out.write('y')
        pickled = cPickle.loads(cPickle.dumps({'a': [1]}))
        error = urllib2.HTTPError and Queue.Empty
        r = out.getvalue()
    """)
    assert (module["q"], module["r"], module["pickled"]) == ("a%20bk=1/x", "xy", {"a": [1]})


def test_sys_lacks_maxint_and_setdefaultencoding(run):
    module = run("import sys\nreload(sys)\nsys.setdefaultencoding('utf8')\nr = sys.maxint\nsys.chappe_test = 1\nold = sys.version_info[0]")
    assert module["r"] == sys.maxsize and sys.chappe_test == 1 and module["old"] == 2
    del sys.chappe_test


def test_sys_stdout_set_by_a_program_stays_its_own(run, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    ours = io.StringIO()
    run("import sys\nsys.stdout = ours\nprint 'x'", ours=ours)
    assert ours.getvalue() == "x\n"


def test_json_takes_no_encoding(run):
    module = run("import json\na = json.loads('{\"k\": \"\\xe4\\xb8\\xad\"}', encoding='utf-8')\nb = json.loads(json.dumps(a, encoding='utf8'))")
    assert module["a"] == module["b"] == {"k": "中"}


def test_string_functions_are_missing(run):
    module = run("import string\nr = (string.join(['a', 'b'], '-'), string.atoi('7'), string.letters[:2], string.upper('x'), string.split('a b'))")
    assert module["r"] == ("a-b", 7, "ab", "X", ["a", "b"])


def test_hashes_refuse_text(run):
    assert run("import hashlib, md5, base64\nr = hashlib.md5('中').hexdigest() == md5.new('中').hexdigest()\nb = base64.b64encode('中')")["b"] == "5Lit"


def test_binary_data_does_not_meet_text(run, tmp_path):
    (tmp_path / "f").write_bytes(b"RIFF\x00\xff")
    module = run("d = open(name, 'rb').read()\nr = (d[:4] == 'RIFF', d[0], ord(d[5]), {'RIFF': 1}[d[:4]], 'x' + d[:4])", name=str(tmp_path / "f"))
    assert module["r"] == (True, "R", 255, 1, "xRIFF")


def test_text_written_to_a_binary_file_is_refused(run, tmp_path):
    run("f = open(name, 'wb')\nf.write('中')\nf.close()", name=str(tmp_path / "f"))
    assert (tmp_path / "f").read_text("utf-8") == "中"


def test_eval_and_compile_read_python3(value):
    assert value("eval('7 / 2') + eval(compile('0777', 'x', 'eval'))") == 514


def test_raising_an_old_style_class_gives_no_advice(run):
    with pytest.raises(TypeError, match="derive the class from Exception"):
        run("class Old: pass\nraise Old")


def test_complex_numbers_are_ordered(value):
    with pytest.raises(TypeError, match="no ordering relation"):
        value("1j < 2")


def test_the_variable_of_a_list_comprehension_is_gone(run):
    module = run("""
        l = [x for x in 1, 2, 3]
        def f():
            m = [(a, b) for a, (b, c) in [(1, (2, 3))] if b for d in [4]]
            return a, b, c, d, m, [i for i in [k for k in range(2)]]
        r = (x, f())
        class A:
            l = [y for y in (1, 2)]
    """)
    assert module["r"] == (3, (1, 2, 3, 4, [(1, 2)], [0, 1]))


def test_a_class_comprehension_is_refused_without_a_name(run):
    with pytest.raises(NameError, match="name 'n' is not defined"):
        run("class A:\n    n = 2\n    l = [n for _ in (1, 2)]")


def test_exec_in_a_function_binds_no_local(run):
    with pytest.raises(NameError, match="name 'made' is not defined"):
        run("def f():\n    exec 'made = 1'\n    return made\nf()")


def test_a_removed_module_is_not_named(run):
    with pytest.raises(ModuleNotFoundError, match="No module named 'compiler'"):
        run("import compiler")


def test_bytes_of_a_library_join_text_silently(value):
    with pytest.raises(TypeError, match="can only concatenate str"):
        value("'a' + b", b=b"x")


def test_rounding_down_gives_a_whole_number_that_divides_whole(run):
    module = run("import math\nfrom math import ceil\na = math.floor(5.5) / 2, ceil(4.5) / 2, '%s' % math.floor(2.5)")
    assert module["a"] == (2.5, 2.5, "2.0")
    import math

    assert type(math.floor(2.5)) is int, "the module itself is as it was"


def test_a_buffer_refuses_text(value):
    assert value("str(buffer('abc', 1)), str(buffer('abc', 1, 1)), buffer('abc') == 'abc'") == ("bc", "b", True)


def test_a_heap_refuses_what_has_no_order(run):
    module = run("""
        import bisect, heapq, Queue
        class Task: pass
        heap, queue = [], Queue.PriorityQueue()
        for n in (3, 1, 2, 1, 3, 2):
            heapq.heappush(heap, (n, Task(), lambda: n))
            queue.put((n, {n: Task()}))
        order = [heapq.heappop(heap)[0] for _ in range(len(heap))], [queue.get()[0] for _ in range(6)]
        mixed = ["b", None, 2, "a", 1.5]
        heapq.heapify(mixed)
        popped = [heapq.heappop(mixed) for _ in range(5)]
        some = heapq.nsmallest(2, ["a", None, 1]), heapq.nlargest(1, [None, "a"]), list(heapq.merge([None, "a"], [1]))
        row = [None, 1, "b"]
        bisect.insort(row, "a")
        at = bisect.bisect_left(row, "a")
        replaced = heapq.heapreplace([1, 2], None), heapq.heappushpop([2], None), heapq.heappushpop([None], 2)
    """)
    assert module["order"] == ([1, 1, 2, 2, 3, 3],) * 2
    assert module["popped"] == [None, 1.5, 2, "a", "b"]
    assert module["some"] == ([None, 1], ["a"], [None, 1, "a"])
    assert (module["row"], module["at"]) == ([None, 1, "a", "b"], 2)
    assert module["replaced"] == (1, None, None)
