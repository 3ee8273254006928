#!/usr/bin/env python3
"""Writes the type stubs of the modules that mods import, from the functions that stand behind them.

    python scripts/stubs.py            # writes python/src/*-stubs; needs the package `chappe` in this interpreter
    python scripts/stubs.py --check    # changes nothing; ends with 1 when they are not up to date

What the package's own sources say (arguments, results, docstrings) is what an author's editor shows, so there is nothing
to keep alike by hand. The packages are what PEP 561 calls stub packages: they are installed beside `chappe`, and a type
checker finds `import server.extraServerApi` in them. At run time they do not exist.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1] / "python/src"
HEAD = "# Written by scripts/stubs.py from the package's sources.\n"
PREFIXES = ("mod", "netgame")
ENGINE = "def __getattr__(name: str) -> Any: ...  # the game engine's own names\n"

RESULTS = {"RegisterSystem": "Any", "GetSystem": "Any", "GetComponentCls": "Any"}
"""Results of which a mod knows more than the package: they are instances of its own classes."""
ATTRIBUTES = {"netgameConf": "dict[str, Any]"}
"""What a node fills in."""
MOD = '''
_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T", bound=type)

class Mod:
    """Decorators of a modMain."""

    @staticmethod
    def Binding(name: str = "", version: str = "", **others: Any) -> Callable[[_T], _T]:
        """Binds a mod's main class; ``name`` and ``version`` are for people."""
'''
MARK = '''
    @staticmethod
    @overload
    def {name}(func: None = None) -> Callable[[_F], _F]:
        """{doc}"""
    @staticmethod
    @overload
    def {name}(func: _F) -> _F: ...
'''
DOCS = {
    "Init": "The method that the mod starts with where it runs on the side {side}. With brackets or without.",
    "Destroy": "The method that ends the mod where it runs on the side {side}. With brackets or without.",
}


class Stub:
    """The text of one module."""

    def __init__(self) -> None:
        self._imports: set[str] = set()
        self._parts: list[str] = []

    def text(self, doc: str | None) -> str:
        """All of it. ``doc`` is the module's docstring."""
        head = f'"""{inspect.cleandoc(doc)}"""\n\n' if doc else ""
        imports = "".join(f"{line}\n" for line in sorted(self._imports))
        return HEAD + head + imports + ("\n" if imports else "") + "\n".join(self._parts)

    def add(self, text: str, *imports: str) -> None:
        """A piece of it, as it is."""
        self._imports.update(imports)
        self._parts.append(text)

    def function(self, name: str, function: Callable[..., Any], prepend: str = "") -> None:
        """A function, with the arguments, the result and the docstring of ``function``."""
        signature = inspect.signature(function)
        parameters = [prepend] if prepend else []
        star = False
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY and not star:
                parameters.append("*")
            star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
            parameters.append(self._parameter(parameter, function))
        result = RESULTS.get(name) or self._annotation(signature.return_annotation, function)
        if result == "Any":
            self._imports.add("from typing import Any")
        self._parts.append(f"def {name}({', '.join(parameters)}) -> {result}:{_body(function.__doc__, 1)}")

    def _parameter(self, parameter: inspect.Parameter, function: Callable[..., Any]) -> str:
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        text = f"{stars}{parameter.name}: {self._annotation(parameter.annotation, function)}"
        return text if parameter.default is parameter.empty else f"{text} = {parameter.default!r}"

    def _annotation(self, annotation: Any, function: Callable[..., Any]) -> str:
        if annotation is inspect.Parameter.empty:
            self._imports.add("from typing import Any")
            return "Any"
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Name) and not hasattr(builtins, node.id):
                self._imports.add(_import_of(function.__module__, node.id))
        return text


def _body(doc: str | None, depth: int) -> str:
    if not doc:
        return " ...\n"
    pad = "    " * depth
    return "\n" + textwrap.indent(f'"""{inspect.cleandoc(doc)}"""', pad) + "\n"


@cache
def _imports_in(module: str) -> dict[str, str]:
    """What the imports of a module bind, those for type checkers among them: the name, and the line that imports it."""
    source = inspect.getsource(sys.modules[module])
    package = module.split(".") if hasattr(sys.modules[module], "__path__") else module.split(".")[:-1]
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {alias.asname or alias.name: f"from {origin} import {alias.name}" for alias in node.names if not alias.asname}
    return found


def _import_of(module: str, name: str) -> str:
    return _imports_in(module).get(name) or f"from {module} import {name}"


def parts() -> dict[str, Any]:
    """What stands behind each module, without prefixes: an object whose public attributes are its names."""
    from chappe.apollo import common, install, mcmath
    from chappe.apollo.pools import configure
    from chappe.check.surface import _Anything
    from chappe.client.api import ExtraClientApi

    nobody: Any = _Anything()
    found = install.surface(nobody) | configure().modules()
    found["client.extraClientApi"] = ExtraClientApi(nobody)
    found["lobby.netgameApi"] = found["lobbyGame.netgameApi"]
    found["common.utils.mcmath"] = mcmath
    found["logout"] = common.Logger("mod")
    return found


def public(part: Any) -> Iterator[tuple[str, Any]]:
    """The names of a module and what they stand for, in order."""
    names = vars(part) if isinstance(part, types.ModuleType) else dir(part)
    for name in sorted(names):
        if name.startswith("_"):
            continue
        found = inspect.getattr_static(type(part), name, None)
        found = found if isinstance(found, property) else getattr(part, name)
        own = not isinstance(part, types.ModuleType) or getattr(found, "__module__", "").startswith("chappe.apollo")
        if own and not (isinstance(part, types.ModuleType) and isinstance(found, types.ModuleType)):
            yield name, found


def is_engines(module: str) -> bool:
    """Whether the game engine has names of its own in a module."""
    from chappe.check.surface import is_shared

    return is_shared(module)


def module(name: str, part: Any, all_parts: dict[str, Any]) -> str:
    """The stub of one module."""
    stub = Stub()
    for attribute, found in public(part):
        _add(stub, name, attribute, found, all_parts)
    if is_engines(name):
        stub.add(ENGINE, "from typing import Any")
    return stub.text(part.__doc__ if isinstance(part, types.ModuleType) else type(part).__doc__)


def _add(stub: Stub, name: str, attribute: str, found: Any, all_parts: dict[str, Any]) -> None:
    if attribute.startswith("Get") and attribute.endswith("SystemCls"):
        side = attribute.removeprefix("Get").removesuffix("Cls")
        where = "chappe.client.system" if side == "ClientSystem" else "chappe.apollo.systems"
        doc = f"The class that the systems of a mod derive from on this side.\n\n``Base = {attribute}()``, then ``class Mine(Base)``."
        stub.add(f"def {attribute}() -> type[{side}]:{_body(doc, 1)}", f"from {where} import {side}")
    elif attribute == "Mod":
        marks = [
            MARK.format(name=what + side, doc=DOCS[what].format(side=side))
            for side in ("Server", "Client", "Service", "Master")
            for what in DOCS
        ]
        stub.add(MOD + "".join(marks), "from collections.abc import Callable", "from typing import Any, TypeVar, overload")
    elif isinstance(found, type):
        stub.add("", f"from {found.__module__} import {found.__name__} as {attribute}")
    elif isinstance(found, property):
        getter: Any = found.fget
        result = stub._annotation(inspect.signature(getter).return_annotation, getter)
        stub.add(f'{attribute}: {result}\n"""{inspect.cleandoc(getter.__doc__ or "")}"""\n')
    elif attribute in ATTRIBUTES:
        stub.add(f"{attribute}: {ATTRIBUTES[attribute]}\n", "from typing import Any")
    elif inspect.isroutine(found):
        shared = all_parts.get(name.replace("extraM", "m").replace("extraR", "r"))
        plain = getattr(shared, attribute, None) if ".extra" in name and name.startswith("apolloCommon.") else None
        has_own = "dbName" not in inspect.signature(found).parameters or attribute in ("InitDB", "Finish")
        stub.function(attribute, found if plain is None or has_own else plain, "" if plain is None or has_own else "dbName: str")
    else:
        kind = type(found)
        stub.add(f"{attribute}: {kind.__name__}\n", f"from {kind.__module__} import {kind.__name__}")


def files() -> dict[str, str]:
    """Every stub: its path below python/src, and its text."""
    everything = parts()
    packages = {name.rpartition(".")[0] for name in everything} - {""}
    packages |= {"common"}
    found: dict[str, str] = {}
    for name, part in everything.items():
        text = module(name, part, everything)
        again = f"{HEAD}from {name} import *\n" + (f"from typing import Any\n\n{ENGINE}" if is_engines(name) else "")
        found[_path(name, "." not in name)] = text
        found |= {_path(f"{prefix}.{name}", False): again for prefix in PREFIXES}
    package = f"{HEAD}from typing import Any\n\n{ENGINE}"
    prefixed = [f"{prefix}.{name}" for prefix in PREFIXES for name in packages]
    found |= {_path(name, True): package for name in (*packages, *PREFIXES, *prefixed)}
    return found


def _path(name: str, is_package: bool) -> str:
    top, *rest = name.split(".")
    return "/".join([f"{top}-stubs", *rest]) + ("/__init__.pyi" if is_package else ".pyi")


def stale() -> list[str]:
    """The stubs that are not what the sources say."""
    wanted = files()
    there = {str(path.relative_to(ROOT)) for path in ROOT.glob("*-stubs/**/*.pyi")}
    differing = {path for path, text in wanted.items() if path in there and (ROOT / path).read_text("utf-8") != text}
    return sorted(differing | (there ^ wanted.keys()))


def main() -> int:
    """Writes them, or checks them."""
    wanted = files()
    if "--check" in sys.argv[1:]:
        for path in (found := stale()):
            print(f"{path} is not up to date: run scripts/stubs.py")
        return 1 if found else 0
    for path in ROOT.glob("*-stubs/**/*.pyi"):
        if str(path.relative_to(ROOT)) not in wanted:
            path.unlink()
    for path, text in wanted.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, "utf-8")
    print(f"{len(wanted)} stubs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
