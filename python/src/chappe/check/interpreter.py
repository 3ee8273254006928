"""Which modules this interpreter has, also under the names that Python 2 had for them. Nothing of them is run."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from functools import cache

from ..py2.stdlib import RENAMED


@cache
def has_module(dotted: str) -> bool:
    """Whether `import dotted` finds something. Below a package that is not of the standard library anything may be."""
    if dotted in RENAMED:
        from ..py2 import stdlib_binary, stdlib_extra, stdlib_order  # noqa: F401

        return dotted in stdlib_extra.EXTRA or any(has_module(real) for real in RENAMED[dotted] if real != dotted) or _is_there(dotted)
    return _is_there(dotted)


def _is_there(dotted: str) -> bool:
    top, _, rest = dotted.partition(".")
    spec = _top(top)
    if spec is None:
        return False
    if not rest or dotted in sys.modules or top not in sys.stdlib_module_names:
        return True
    for part in rest.split("."):
        if spec is None or spec.submodule_search_locations is None:
            return False
        spec = importlib.machinery.PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec is not None


def _top(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ValueError, ImportError):
        return None
    if spec is None:
        return None
    if name == __name__.partition(".")[0]:
        return spec  # this package itself, also when it runs from its sources
    # What lies where the check is run is no part of the interpreter.
    at = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    here = os.path.realpath(os.getcwd())
    if at and all(os.path.realpath(place).startswith(here + os.sep) for place in at) and not _is_installed(at[0]):
        return None
    return spec


def _is_installed(place: str) -> bool:
    return any(part in ("site-packages", "dist-packages") for part in place.split(os.sep)) or place.startswith(sys.base_prefix)
