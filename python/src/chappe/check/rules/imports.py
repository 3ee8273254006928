"""Imports that fail: of what neither the mods, nor the platform, nor the interpreter have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...py2.verdict import is_python2
from .. import surface
from ..api import module_name
from ..finding import Finding
from ..interpreter import has_module
from ..layout import Half
from ..model import Module
from ..network import Network
from ..suggest import did_you_mean, nearest

_CATCH = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_DYNAMIC = {"globals", "locals", "vars", "exec", "__getattr__", "setattr", "__dict__"}


@dataclass(frozen=True)
class Import:
    """One module that a statement imports, with the names that it takes from there (None: none, the module itself)."""

    node: ast.Import | ast.ImportFrom
    dotted: str
    names: tuple[str, ...] | None
    level: int


def imports(network: Network) -> Iterator[Finding]:
    """All imports that are sure to be run as they stand: those under `if`, and in a `try` that takes their failure, are let be."""
    roots = {half: _roots(network, half) for mod in network.mods for half in mod.halves}
    for module in network.modules:
        for wanted in _imports(module.source.tree.body):
            place = module.place(wanted.node)
            if found := _wrong(network, module, wanted, roots[module.half]):
                yield Finding(*place, *found)


def _wrong(network: Network, module: Module, wanted: Import, roots: list[Path]) -> tuple[str, str] | None:
    folder = module.source.path.parent
    if wanted.level:
        for _ in range(wanted.level - 1):
            folder = folder.parent
        return _inside(network, module, wanted, folder) if _is_module(folder, wanted.dotted) else _missing_neighbour(wanted, folder)
    if any(_is_module(root, wanted.dotted) for root in roots):
        return _inside(network, module, wanted, next(root for root in roots if _is_module(root, wanted.dotted)))
    beside = folder not in roots and _is_module(folder, wanted.dotted)
    if beside and is_python2("\n".join(module.source.original), str(module.source.path), str(module.half.root)):
        return _inside(network, module, wanted, folder)
    if wanted.dotted.partition(".")[0] in surface.packages():
        return _of_platform(wanted.dotted)
    if wanted.dotted in surface.spare() or has_module(wanted.dotted):
        return None
    if beside:
        return "import-missing", (f"there is no module `{wanted.dotted}` at the top, and a file of Python 3 looks nowhere else: "
                                  f"its neighbour is `.{wanted.dotted}`")
    return _missing(network, module, wanted.dotted, roots, folder)


def _inside(network: Network, module: Module, wanted: Import, root: Path) -> tuple[str, str] | None:
    """The names that are taken from a module of the mods."""
    path = root.joinpath(*wanted.dotted.split(".")) if wanted.dotted else root
    file = path / "__init__.py" if path.is_dir() else path.with_name(path.name + ".py")
    target = network.by_file.get(file)
    if target is None and file.is_file():
        return None
    has = set(target.scope.names) if target else set()
    missing = [name for name in wanted.names or () if name not in ("*", *has) and not name.startswith("__")
               and not (path.is_dir() and _is_module(path, name))]
    if not missing or "*" in has or target and (target.assigned_from_outside or _is_dynamic(target)):
        return None
    beside = {entry.stem for entry in path.glob("*.py")} if path.is_dir() else set()
    return "import-name", f"`{wanted.dotted or path.name}` has no `{missing[0]}`{did_you_mean(missing[0], has | beside)}"


def _of_platform(dotted: str) -> tuple[str, str] | None:
    """Below the platform's packages everything can be imported; what is almost one of its modules is a slip."""
    name = module_name(dotted)
    known = set(surface.modules())
    if name in known or any(one.startswith(name + ".") for one in known):
        return None
    same_package = {one for one in known if one.rpartition(".")[0] == name.rpartition(".")[0]}
    other = nearest(name, same_package)
    if other is None:
        return None
    return "import-missing", f"the platform has no module `{name}`; did you mean `{other}`? As it stands it is something of the game, and does nothing"


def _missing(network: Network, module: Module, dotted: str, roots: list[Path], folder: Path) -> tuple[str, str]:
    top = dotted.partition(".")[0]
    known = _known(roots) | (_below(folder, folder) if folder not in roots else set())
    away = next((half.name for mod in network.mods for half in mod.halves
                 if half.client == module.half.client and _is_module(half.root, dotted)), None)
    hint = f"; `{away}` has it, which is not on the nodes of this mod" if away else did_you_mean(dotted, known) or did_you_mean(top, {name.partition(".")[0] for name in known} | surface.packages())
    said = f"there is no module `{dotted}`: neither the mods, nor Chappe, nor this interpreter have it{hint}"
    own = any(_is_module(root, top) for root in roots)
    if network.deploy or own or hint:
        return "import-missing", said
    return "import-unsure", f"{said}; unless a mod that was not given has it"


def _missing_neighbour(wanted: Import, folder: Path) -> tuple[str, str]:
    shown = "." * wanted.level + wanted.dotted
    return "import-missing", f"there is no module `{shown}`{did_you_mean(wanted.dotted, _below(folder, folder))}"


def _roots(network: Network, half: Half) -> list[Path]:
    """Where a half's imports are looked for: its own folder, and those of the halves that share a node with it."""
    nodes = network.nodes_of(half, None)
    shared = [other for node in nodes for other in node.halves if other.client == half.client]
    return list(dict.fromkeys([half.root, *(other.root for other in shared)]))


def _is_module(root: Path, dotted: str) -> bool:
    path = root.joinpath(*dotted.split(".")) if dotted else root
    if path.is_dir() or path.with_name(path.name + ".py").is_file():
        return True
    return path.parent.is_dir() and any(entry.suffix in (".so", ".pyc") for entry in path.parent.glob(f"{path.name}.*"))


def _known(roots: list[Path]) -> set[str]:
    return {name for root in roots for name in _below(root, root)}


def _below(folder: Path, root: Path) -> set[str]:
    found = set()
    for file in sorted(folder.rglob("*.py"))[:5000]:
        parts = file.relative_to(root).with_suffix("").parts
        found.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found - {""}


def _imports(body: list[ast.stmt]) -> Iterator[Import]:
    for statement in body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield Import(statement, alias.name, None, 0)
        elif isinstance(statement, ast.ImportFrom):
            yield Import(statement, statement.module or "", tuple(alias.name for alias in statement.names), statement.level)
        elif isinstance(statement, ast.Try):
            if not any(_catches(handler) for handler in statement.handlers):
                yield from _imports(statement.body)
            yield from _imports(statement.finalbody)
        elif not isinstance(statement, ast.If):
            yield from _imports(getattr(statement, "body", []))


def _catches(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(not isinstance(one, ast.Name) or one.id in _CATCH for one in caught)


def _is_dynamic(module: Module) -> bool:
    for node in ast.walk(module.source.tree):
        if isinstance(node, ast.Name) and node.id in _DYNAMIC or isinstance(node, ast.FunctionDef) and node.name in _DYNAMIC:
            return True
        if isinstance(node, ast.Attribute) and node.attr == "__dict__":
            return True
    return False
