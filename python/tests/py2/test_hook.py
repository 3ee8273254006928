"""The import hook: whole mods, relative imports, tracebacks, the cache."""

import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from chappe.py2 import Py2Loader, install, run_path, uninstall

_MOD = Path(__file__).parent / "mod"


@pytest.fixture
def mod(root):
    shutil.copytree(_MOD / "bankScript", root / "bankScript")
    import bankScript.modMain

    return bankScript.modMain


def test_an_apollo_mod_of_python2_does_not_run(mod, capsys):
    bank = mod.Bank()
    assert bank.OnDeposit({"uid": 1001, "fen": 250}) and bank.OnDeposit({"uid": 7, "fen": 99})
    assert bank.OnDeposit({"uid": 7}) is False
    out, err = capsys.readouterr()
    assert out == "玩家 张三 存入 2元50分\n玩家 无名 存入 0元99分\n" and err == "存款失败: 'fen'\n"
    assert bank.Richest() == 1001
    assert bank.Save() == '{"rows": [[7, 99], [1001, 250]], "name": "银行"}'


def test_a_python3_file_beside_python2_is_translated(mod):
    assert mod.share(1, 2) == 0.5 and not mod.share.__globals__["__loader__"].is_python2()


def test_a_file_for_both_means_something_else_than_its_neighbours(mod):
    assert mod.consts.HALF == 3 and mod.consts.__loader__.is_python2()


def test_a_traceback_does_not_show_the_text_of_a_gbk_file(mod):
    with pytest.raises(ValueError, match="欢迎") as caught:
        mod.texts.fail()
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (Path(frame.filename).name, frame.lineno, frame.line) == ("texts.py", 6, "raise ValueError, GREETING   # 出错")
    assert "^" not in "".join(traceback.format_tb(caught.value.__traceback__)[-1:])


def test_a_syntax_error_does_not_name_file_and_line(root):
    (root / "broken.py").write_text("print 'a'\nif:\n")
    with pytest.raises(SyntaxError) as caught:
        import broken  # noqa: F401
    assert (caught.value.filename, caught.value.lineno, caught.value.text) == (str(root / "broken.py"), 2, "if:")


def test_other_modules_see_python2_builtins(mod):
    import builtins

    assert not hasattr(builtins, "unicode") and "unicode" not in vars(mod) and round(2.5) == 2


def test_a_standard_module_hides_a_neighbour_of_its_name(root):
    (root / "pack").mkdir()
    (root / "pack" / "__init__.py").write_text("")
    (root / "pack" / "json.py").write_text("WHO = 'mine'\n")
    (root / "pack" / "user.py").write_text("import json\nprint json.WHO,\nfrom json import WHO\n")
    import pack.user

    assert pack.user.WHO == "mine"


def test_absolute_import_takes_a_neighbour(root):
    (root / "pack2").mkdir()
    (root / "pack2" / "__init__.py").write_text("")
    (root / "pack2" / "json.py").write_text("WHO = 'mine'\n")
    (root / "pack2" / "user.py").write_text("from __future__ import absolute_import\nimport json\nprint '',\n")
    import pack2.user

    assert hasattr(pack2.user.json, "dumps")


def test_a_module_is_translated_again_although_nothing_changed(root, tmp_path, monkeypatch):
    (root / "cached.py").write_text("print 'a',\nA = 7 / 2\n")
    import cached

    assert cached.A == 3 and len(list((tmp_path / "cache").glob("*.code"))) == 1
    del sys.modules["cached"]
    monkeypatch.setattr("chappe.py2.hook.translate", None)
    import cached as again

    assert again.A == 3


def test_a_changed_file_is_loaded_from_the_cache(root):
    (root / "changing.py").write_text("print '',\nA = 1\n")
    import changing

    (root / "changing.py").write_text("print '',\nA = 2\n")
    del sys.modules["changing"]
    import changing as again

    assert (changing.A, again.A) == (1, 2)


def test_a_damaged_cache_ends_the_import(root, tmp_path):
    (root / "damaged.py").write_text("print '',\nA = 1\n")
    import damaged

    for kept in (tmp_path / "cache").glob("*.code"):
        kept.write_bytes(b"rubbish")
    del sys.modules["damaged"]
    import damaged as again

    assert again.A == damaged.A == 1


def test_a_cache_that_cannot_be_written_ends_the_import(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "readonly_mod.py").write_text("print '',\nA = 1\n")
    finder = install([tmp_path], cache_dir=tmp_path / "file" / "below")
    try:
        import readonly_mod

        assert readonly_mod.A == 1
    finally:
        uninstall(finder)
        sys.path.remove(str(tmp_path))


def test_mode_never_translates_and_mode_always_does_not(tmp_path):
    (tmp_path / "always_mod.py").write_text("A = 7 / 2\n")
    for mode, expected in (("always", 3), ("never", 3.5)):
        finder = install([tmp_path], mode=mode, cache_dir=None)
        try:
            import always_mod

            assert always_mod.A == expected and isinstance(always_mod.__loader__, Py2Loader)
        finally:
            uninstall(finder)
            sys.path.remove(str(tmp_path))
            del sys.modules["always_mod"]


def test_an_unknown_mode_is_taken_silently(tmp_path):
    with pytest.raises(ValueError, match="mode must be auto, always or never, not 'sometimes'"):
        install([tmp_path], mode="sometimes")


def test_files_outside_the_roots_are_translated(root):
    import textwrap

    assert not isinstance(textwrap.__loader__, Py2Loader)


def test_a_program_does_not_get_its_arguments(tmp_path, capsys):
    (tmp_path / "program.py").write_text("import sys\nif __name__ == '__main__':\n    print sys.argv[1:]\n")
    run_path(tmp_path / "program.py", arguments=["x"])
    assert capsys.readouterr().out == "['x']\n"


def test_print_of_chinese_ends_a_node_whose_output_is_ascii(tmp_path):
    (tmp_path / "program.py").write_bytes("# coding: utf-8\nprint '中文'\n".encode())
    source = Path(__file__).parents[2] / "src" / "chappe"
    start = f"import sys, types; m = types.ModuleType('chappe'); m.__path__ = [{str(source)!r}]; sys.modules['chappe'] = m\n"
    code = start + f"from chappe.py2 import run_path; run_path({str(tmp_path / 'program.py')!r})"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
    assert done.stdout == b"\\u4e2d\\u6587\n"
