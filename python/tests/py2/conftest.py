"""Fixtures of the Python 2 tests. They need pytest and fissix only: without the built extension the package is entered by its path."""

import sys
import textwrap
import types
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).parents[2] / "src" / "chappe"

try:
    import chappe  # noqa: F401
except ImportError:
    bare = types.ModuleType("chappe")
    bare.__path__ = [str(_PACKAGE)]
    sys.modules["chappe"] = bare

from chappe.py2 import install, translate, uninstall  # noqa: E402
from chappe.py2.namespace import BUILTINS  # noqa: E402


@pytest.fixture
def run():
    """Runs Python 2 text and returns its namespace."""

    def run(text, **names):
        module = {"__name__": "program", "__builtins__": BUILTINS, **names}
        exec(translate(textwrap.dedent(text).strip("\n") + "\n", "<program>"), module)
        return module

    return run


@pytest.fixture
def value(run):
    """The value of a Python 2 expression."""
    return lambda text, **names: run(f"result = ({text})", **names)["result"]


@pytest.fixture
def root(tmp_path):
    """An empty mod root with the hook installed in the mode ``auto``; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "root"
    folder.mkdir()
    path, modules = list(sys.path), set(sys.modules)
    finder = install([folder], cache_dir=tmp_path / "cache")
    yield folder
    uninstall(finder)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
