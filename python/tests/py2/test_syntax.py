"""Statements and literals that only Python 2 had."""

import pytest


def test_print_loses_its_soft_space(run, capsys):
    run("print 'a', 'b',\nprint 'c'\nprint\nprint ('x', 1)\nprint 'n\\n',\nprint 'm'")
    assert capsys.readouterr().out == "a b c\n\n('x', 1)\nn\nm\n"


def test_print_to_a_file_goes_to_stdout(run, capsys):
    run("import sys\nprint >>sys.stderr, 'bad', 1")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "bad 1\n")


def test_print_of_a_function_call_over_lines_breaks_lines(run, capsys):
    run("print max(1,\n    2), \\\n  3\nline = __import__('sys')._getframe().f_lineno\nprint line")
    assert capsys.readouterr().out == "2 3\n4\n"


def test_future_print_function_is_taken_for_a_statement(run, capsys):
    run("from __future__ import print_function\nprint('a', 'b', sep='-')")
    assert capsys.readouterr().out == "a-b\n"


def test_except_with_comma_is_a_syntax_error(run):
    assert run("try:\n    raise ValueError, 'bad'\nexcept (KeyError, ValueError), e:\n    pass\nm = e.message")["m"] == "bad"


def test_except_name_is_gone_after_the_block(run):
    assert str(run("try:\n    1/0\nexcept ZeroDivisionError as e:\n    pass\nkept = e")["kept"])


def test_except_with_tuple_target_does_not_unpack(run):
    module = run("try:\n    raise IOError(2, 'gone')\nexcept IOError, (number, text):\n    pass")
    assert (module["number"], module["text"]) == (2, "gone")


def test_caught_exceptions_are_no_sequences(run):
    module = run("try:\n    raise IOError(2, 'gone')\nexcept IOError, e:\n    n = e[0]\n    a, b = e")
    assert (module["n"], module["b"]) == (2, "gone")


def test_raise_with_value_and_traceback_is_a_syntax_error(run):
    with pytest.raises(KeyError, match="why"):
        run("import sys\ntry:\n    1/0\nexcept:\n    raise KeyError, 'why', sys.exc_info()[2]")


def test_backticks_are_a_syntax_error(value):
    assert value("`1` + `'a'`") == "1'a'"


def test_exec_statement_does_not_bind(run):
    assert run("exec 'a = 7 / 2'\nspace = {}\nexec 'b = 5 / 2' in space\nb = space['b']")["b"] == 2


def test_old_octals_and_long_suffixes_are_syntax_errors(value):
    assert value("(0777, 0xFFL, 10L, 0, 00)") == (511, 255, 10, 0, 0)


def test_not_equal_in_the_old_form_is_a_syntax_error(value):
    assert value("1 <> 2") is True


def test_tuple_parameters_are_a_syntax_error(run):
    module = run("def f(a, (b, (c, d)), e=5):\n    'doc'\n    return a + b + c + d + e\nr = f(1, (2, (3, 4)))\nd = f.__doc__")
    assert (module["r"], module["d"]) == (15, "doc")


def test_tuple_parameters_of_lambda_are_a_syntax_error(value):
    assert value("sorted({1: 'b', 2: 'a'}.items(), key=lambda (k, v): v)[0]") == (2, "a")
    assert value("(lambda (a, (b, c)), d: a + b + c + d)((1, (2, 3)), 4)") == 10


def test_names_that_became_keywords_are_syntax_errors(run):
    module = run("class A:\n    async = 1\nA.await = 3\nr = getattr(A, 'async') + A.async + A().await")
    assert module["r"] == 5


def test_global_after_use_is_a_syntax_error(run):
    assert run("n = 1\ndef f():\n    if n:\n        pass\n    global n\n    n = 2\nf()")["n"] == 2


def test_list_comprehension_over_a_bare_tuple_is_a_syntax_error(value):
    assert value("[x for x in 1, 2]") == [1, 2]


def test_assigning_true_is_a_syntax_error(run):
    run("True, False = 1, 0\nTrue = 1")
    assert run("def f(a, True=True, None=None):\n    return True\nr = f(1)")["r"] is True


def test_backslash_u_in_a_plain_string_becomes_a_character(value):
    assert value(r"len('\u4e2d')") == 6
    assert value(r"u'\u4e2d'") == "中"
    assert value(r"ur'\u4e2d\d'") == "中\\d"


def test_bytes_in_a_plain_string_are_shown_as_latin1(value):
    assert value(r"'\xe4\xb8\xad'") == "中"
    assert value(r"'\xff'") == "\xff"


def test_a_literal_of_bytes_over_lines_moves_the_lines_below(run):
    module = run("a = '''\\xe4\\xb8\\xad\n\n'''\nimport sys\nline = sys._getframe().f_lineno")
    assert module["line"] == 5 and module["a"] == "中\n\n"


def test_what_is_no_python_names_another_line(run):
    with pytest.raises(SyntaxError) as caught:
        run("a = 1\nb = = 2\n")
    assert caught.value.lineno == 2 and caught.value.text == "b = = 2"


def test_star_import_inside_a_function_is_not_named(run):
    with pytest.raises(SyntaxError, match="import \\* only allowed at module level"):
        run("def f():\n    from os import *\n")
