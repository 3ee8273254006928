"""Collects and runs the own test suite of one unpacked package, inside a process of its own. Prints one JSON line at the end."""

import json
import os
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path

_SOURCE = Path(__file__).parents[2] / "src"


class _Missing(types.ModuleType):
    """A module that Python 3 removed for good, so that what does not need it can be imported."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


def _docutils(folder: Path) -> Iterator[unittest.TestSuite]:
    for name in ("compiler", "compiler.ast", "compiler.consts", "compiler.visitor"):
        sys.modules[name] = _Missing(name)
    sys.modules["compiler"].ast = sys.modules["compiler.ast"]  # type: ignore[attr-defined]
    (folder / "test/test_parsers/test_rst/test_directives/test_tables.py").unlink(missing_ok=True)
    os.chdir(folder / "test")
    sys.path.insert(0, str(folder / "test"))
    import DocutilsTestSupport
    import package_unittest

    yield package_unittest.loadTestModules(DocutilsTestSupport.testroot, "test_", packages=1)


def _pygments(folder: Path) -> Iterator[unittest.TestSuite]:
    from chappe.py2.namespace import BUILTINS

    BUILTINS["testdir"] = str(folder / "tests")
    sys.path.insert(0, str(folder / "tests"))
    for path in sorted((folder / "tests").glob("test_*.py")):
        BUILTINS["testfile"] = path.name
        module = __import__(path.stem)
        module.testfile = path.name
        yield unittest.defaultTestLoader.loadTestsFromModule(module)


def _dateutil(folder: Path) -> Iterator[unittest.TestSuite]:
    import importlib.util

    spec = importlib.util.spec_from_file_location("dateutil_test", folder / "test.py")
    from chappe.py2 import run_path

    assert spec is not None
    module = types.ModuleType("dateutil_test")
    module.__dict__.update(run_path(folder / "test.py", "dateutil_test"))
    yield unittest.defaultTestLoader.loadTestsFromModule(module)


def _simplejson(folder: Path) -> Iterator[unittest.TestSuite]:
    import importlib

    for path in sorted((folder / "simplejson" / "tests").glob("test_*.py")):
        yield unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(f"simplejson.tests.{path.stem}"))


SUITES: dict[str, Callable[[Path], Iterator[unittest.TestSuite]]] = {
    "docutils": _docutils, "Pygments": _pygments, "python-dateutil": _dateutil, "simplejson": _simplejson,
}  # fmt: skip


def main(name: str, folder: Path) -> None:
    """Runs the suite ``name`` of the package unpacked at ``folder``."""
    sys.path.insert(0, str(_SOURCE))
    try:
        import chappe  # noqa: F401
    except ImportError:
        bare = types.ModuleType("chappe")
        bare.__path__ = [str(_SOURCE / "chappe")]
        sys.modules["chappe"] = bare
    from chappe.py2 import install

    install([folder], mode="always", cache_dir=folder.parent / "cache")
    sys.setrecursionlimit(5000)
    suite = unittest.TestSuite(list(SUITES[name](folder)))
    result = unittest.TestResult()
    output, sys.stdout, sys.stderr = sys.stdout, open(os.devnull, "w"), open(os.devnull, "w")
    suite.run(result)
    failed = [(str(test).split("; ")[0], text.strip().splitlines()[-1]) for test, text in result.failures + result.errors]
    print(json.dumps({"run": result.testsRun, "failed": failed}), file=output)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
