"""Is a file Python 2 or Python 3? Decided by its text, and where the text is both, by its neighbours."""

from __future__ import annotations

import ast
import os
import warnings
from typing import Literal

from .source import decode
from .stdlib import ONLY_IN_PYTHON2

Verdict = Literal["py2", "py3", "either"]

_NAMES = frozenset("unicode long xrange basestring raw_input unichr execfile cmp reduce reload apply buffer file intern coerce".split())
_ATTRIBUTES = frozenset("has_key iteritems iterkeys itervalues maxint setdefaultencoding im_func im_self func_name".split())
_METHODS = frozenset(("__nonzero__", "__cmp__", "__unicode__", "__getslice__", "__div__"))


def verdict(text: str) -> Verdict:
    """What the text (decoded) of a file says of itself.

    ``py2``: it does not compile as Python 3, or uses what only Python 2 has and never says what it would use instead.
    ``py3``: it compiles and uses syntax that Python 2 does not have. ``either``: no sign of one or the other.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            compile(tree, "<verdict>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return "py2"
    signs = _Signs()
    signs.visit(tree)
    if signs.python3:
        return "py3"
    if signs.python2 or signs.names - signs.bound:
        return "py2"
    return "either"


class _Signs(ast.NodeVisitor):
    def __init__(self) -> None:
        self.python2 = self.python3 = False
        self.names: set[str] = set()
        self.bound: set[str] = set()
        self._guarded = 0

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            if node.id in _NAMES:
                self.names.add(node.id)
        else:
            self.bound.add(node.id)
            if node.id == "__metaclass__":
                self.python2 = True

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _ATTRIBUTES and not self._guarded:
            self.python2 = True
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        self._guarded += 1
        self.generic_visit(node)
        self._guarded -= 1

    def visit_If(self, node: ast.If) -> None:
        asks = "version_info" in ast.dump(node.test) or "PY2" in ast.dump(node.test) or "PY3" in ast.dump(node.test)
        self._guarded += asks
        self.generic_visit(node)
        self._guarded -= asks

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.bound.add(alias.asname or alias.name)
            if alias.name in ONLY_IN_PYTHON2 and not self._guarded:
                self.python2 = True

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.bound.update(alias.asname or alias.name for alias in node.names)
        if not node.level and node.module in ONLY_IN_PYTHON2 and not self._guarded:
            self.python2 = True

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.bound.add(node.name)
        if node.name in _METHODS:
            self.python2 = True
        if node.args.kwonlyargs or node.args.posonlyargs or node.returns is not None:
            self.python3 = True
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.bound.add(node.arg)
        if node.annotation is not None:
            self.python3 = True

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bound.add(node.name)
        if node.keywords:
            self.python3 = True
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            self.python3 = True
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.cause is not None:
            self.python3 = True
        self.generic_visit(node)

    def _only_python3(self, node: ast.AST) -> None:
        self.python3 = True

    visit_JoinedStr = visit_AnnAssign = visit_Nonlocal = visit_AsyncFunctionDef = visit_YieldFrom = _only_python3
    visit_NamedExpr = visit_Await = visit_AsyncFor = visit_AsyncWith = visit_Match = _only_python3

    def visit_Starred(self, node: ast.Starred) -> None:
        self.python3 = self.python3 or isinstance(node.ctx, ast.Store)
        self.generic_visit(node)


def is_python2(text: str, path: str, root: str) -> bool:
    """Whether the file at ``path``, below the mod root ``root``, is Python 2.

    A text that is both is Python 2 when it imports a neighbour by its bare name (implicit relative import), or when
    more files of its top folder are Python 2 than Python 3: ``1 / 2`` in a file of constants must mean what it means beside it.
    """
    own = verdict(text)
    if own != "either":
        return own == "py2"
    if _imports_neighbour(text, path, root):
        return True
    found = [verdict_of_file(each) for each in _neighbours(path, root)]
    return found.count("py2") > found.count("py3")


_verdicts: dict[tuple[str, int, int], Verdict] = {}


def verdict_of_file(path: str) -> Verdict:
    """`verdict` of a file, remembered until the file changes; a file that cannot be read says nothing."""
    try:
        state = os.stat(path)
        key = (path, state.st_mtime_ns, state.st_size)
        if key not in _verdicts:
            with open(path, "rb") as file:
                _verdicts[key] = verdict(decode(file.read()))
        return _verdicts[key]
    except OSError:
        return "either"


def _imports_neighbour(text: str, path: str, root: str) -> bool:
    folder = os.path.dirname(path)
    if os.path.samefile(folder, root) if os.path.exists(root) else False:
        return False
    if not os.path.exists(os.path.join(folder, "__init__.py")):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        for name in names:
            head = name.partition(".")[0]
            beside, top = os.path.join(folder, head), os.path.join(root, head)
            if _is_module(beside) and not _is_module(top):
                return True
    return False


def _is_module(path: str) -> bool:
    return os.path.isfile(path + ".py") or os.path.isfile(os.path.join(path, "__init__.py"))


def _neighbours(path: str, root: str) -> list[str]:
    inside = os.path.relpath(path, root).split(os.sep)
    if len(inside) < 2 or inside[0] == os.pardir:
        return [os.path.join(root, name) for name in sorted(os.listdir(root)) if name.endswith(".py")]
    found = []
    for folder, folders, files in os.walk(os.path.join(root, inside[0])):
        folders.sort()
        found += [os.path.join(folder, name) for name in sorted(files) if name.endswith(".py")]
    return found[:500]
