"""Python 2's meaning on Python 3's syntax tree: which operation becomes a call to the runtime.

`syntax` gives a tree that Python 3 parses; this gives the tree that does what Python 2 did. Nodes keep the lines of the original.
Columns are removed, since those of the rewritten text would underline the wrong place in a traceback.
"""

from __future__ import annotations

import ast
import re
import warnings

from .leaks import keep_variables
from .syntax import MARK, to_python3

ATTRIBUTES = frozenset(
    "has_key iteritems iterkeys itervalues viewitems viewkeys viewvalues keys values items next encode decode sort message"
    " func_name func_code func_globals func_defaults func_dict func_doc func_closure im_func im_self im_class gi_next"
    " read readline readlines recv communicate check_output".split()
)
"""Attributes that are looked up through the runtime, in calls and otherwise."""

_ORDER = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
_RENAMED = re.compile(rf"^{MARK}name_(async|await)$")


def to_tree(text: str, filename: str, mode: str = "exec") -> ast.Module | ast.Expression:
    """The syntax tree of Python 2 text (decoded), ready for `compile`.

    ``mode`` is ``exec`` or ``eval``. Raises `SyntaxError` naming the original file, line and text.
    """
    if mode == "eval":
        text = text.strip() + "\n"
    rewritten = to_python3(text, filename)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(rewritten.strip() if mode == "eval" else rewritten, filename, mode)
    except SyntaxError as error:
        lines = text.split("\n")
        if error.lineno and error.lineno <= len(lines):
            error.text = lines[error.lineno - 1]
        error.offset = error.end_offset = None
        raise
    division = re.search(r"^from\s+__future__\s+import\s[^#]*?\bdivision\b", text, re.M) is not None
    keep_variables(tree)
    tree = _Meaning(division).visit(tree)
    _place(tree)
    return tree


def _place(tree: ast.AST) -> None:
    """Gives every node a line, and none a column."""
    stack: list[tuple[ast.AST, int]] = [(tree, 1)]
    while stack:
        node, line = stack.pop()
        if "lineno" in node._attributes:
            line = getattr(node, "lineno", line)
            node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
            node.col_offset = node.end_col_offset = -1  # type: ignore[attr-defined]
        stack.extend((child, line) for child in ast.iter_child_nodes(node))


def _name(text: str) -> ast.Name:
    return ast.Name(MARK + text, ast.Load())


def _call(text: str, at: ast.AST, *arguments: ast.expr, keywords: list[ast.keyword] | None = None) -> ast.Call:
    return ast.copy_location(ast.Call(_name(text), list(arguments), keywords or []), at)


def _is_mark(node: ast.AST | None, text: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == MARK + text


def _stored(node: ast.expr) -> ast.expr:
    """A loaded expression as the target of an assignment."""
    if isinstance(node, (ast.Tuple, ast.List)):
        node.elts = [_stored(each) for each in node.elts]
        node.ctx = ast.Store()
    elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        node.ctx = ast.Store()
    return node


class _Meaning(ast.NodeTransformer):
    def __init__(self, division: bool) -> None:
        self._true_division = division
        self._handlers = 0

    # names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        node.id = _RENAMED.sub(r"\1", node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = _RENAMED.sub(r"\1", node.arg)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        self.generic_visit(node)
        if node.arg:
            node.arg = _RENAMED.sub(r"\1", node.arg)
        return node

    def visit_alias(self, node: ast.alias) -> ast.alias:
        node.name = ".".join(_RENAMED.sub(r"\1", part) for part in node.name.split("."))
        node.asname = node.asname and _RENAMED.sub(r"\1", node.asname)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        node.attr = _RENAMED.sub(r"\1", node.attr)
        if node.attr in ATTRIBUTES and isinstance(node.ctx, ast.Load):
            return _call("attr_" + node.attr, node, node.value)
        return node

    # operations

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if not any(type(op) in _ORDER for op in node.ops):
            return node
        if len(node.ops) == 1:
            return _call(_ORDER[type(node.ops[0])], node, node.left, node.comparators[0])
        if all(isinstance(each, (ast.Name, ast.Constant)) for each in node.comparators[:-1]):
            lefts = [node.left, *node.comparators]
            parts = [self._one(op, left, right, node) for op, left, right in zip(node.ops, lefts, node.comparators)]
            return ast.copy_location(ast.BoolOp(ast.And(), parts), node)
        names = [type(op).__name__ for op in node.ops]
        rest = [ast.copy_location(ast.Lambda(_no_arguments(), each), node) for each in node.comparators[1:]]
        return _call("chain", node, ast.Constant(",".join(names)), node.left, node.comparators[0], *rest)

    def _one(self, op: ast.cmpop, left: ast.expr, right: ast.expr, at: ast.AST) -> ast.expr:
        if type(op) in _ORDER:
            return _call(_ORDER[type(op)], at, left, right)
        return ast.copy_location(ast.Compare(left, [op], [right]), at)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div) and not self._true_division:
            return _call("div", node, node.left, node.right)
        if isinstance(node.op, ast.Mod) and not _is_number(node.left):
            return _call("mod", node, node.left, node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div) and not self._true_division:
            node.value = _call("divisor", node, node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in ("unicode", "str") and node.args and not isinstance(node.args[0], ast.Starred):
            return _call("to_" + name, node, node.func, *node.args, keywords=node.keywords)
        if name == MARK + "exec" and len(node.args) == 1 and isinstance(node.args[0], ast.Tuple) and len(node.args[0].elts) in (2, 3):
            node.args = node.args[0].elts
        if name == MARK + "exec" and len(node.args) == 1:
            node.args += [_builtin_call("globals"), _builtin_call("locals")]
        elif name in ("eval", "execfile") and len(node.args) == 1 and not node.keywords:
            node.args += [_builtin_call("globals"), _builtin_call("locals")]
        return node

    # statements

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        if not _is_mark(node.type, "except"):
            self.generic_visit(node)
            return node
        kind, target = node.type.args  # type: ignore[union-attr]
        self._handlers += 1
        name = f"{MARK}caught_{self._handlers}"
        self.generic_visit(node)
        kind, target = node.type.args  # type: ignore[union-attr]
        caught: ast.expr = ast.Name(name, ast.Load())
        if isinstance(target, (ast.Tuple, ast.List)):
            caught = ast.Attribute(caught, "args", ast.Load())
        assign = ast.Assign([_stored(_no_runtime(target))], caught)
        if isinstance(target, ast.Name):
            items = _Items(target.id)
            node.body = [items.visit(statement) for statement in node.body]
        node.type, node.name = kind, name
        node.body.insert(0, ast.copy_location(assign, node))
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        self.generic_visit(node)
        node.name = _RENAMED.sub(r"\1", node.name)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        self.generic_visit(node)
        node.name = _RENAMED.sub(r"\1", node.name)
        first = 1 if ast.get_docstring(node, clean=False) is not None else 0
        for arg in reversed([*node.args.posonlyargs, *node.args.args]):
            if arg.annotation is not None and arg.arg.startswith(MARK + "tuple_"):
                assign = ast.Assign([_stored(arg.annotation)], ast.Name(arg.arg, ast.Load()))
                node.body.insert(first, ast.copy_location(assign, node))
                arg.annotation = None
        declared = _GlobalNames()
        for statement in node.body:
            declared.visit(statement)
        if declared.late:
            node.body.insert(first, ast.copy_location(ast.Global(sorted(declared.late)), node))
            _DropGlobals(declared.late, node.body[first]).visit(node)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.generic_visit(node)
        if _is_mark(node.body, "lambda"):
            body, pairs = node.body.args[0], node.body.args[1:]  # type: ignore[attr-defined]
            for pair in pairs:
                body = _untuple(pair.elts[1], pair.elts[0], body)
            node.body = body
        return node


def _untuple(target: ast.expr, value: ast.expr, body: ast.expr) -> ast.expr:
    """``body`` with the names of the tuple ``target`` bound to what ``value`` holds."""
    if not isinstance(target, ast.Tuple):
        target = ast.Tuple([target], ast.Load())
    arguments = _no_arguments()
    for index, each in enumerate(target.elts):
        if isinstance(each, ast.Name):
            arguments.args.append(ast.arg(each.id))
        else:
            name = f"{MARK}inner_{index}"
            arguments.args.append(ast.arg(name))
            body = _untuple(each, ast.Name(name, ast.Load()), body)
    return ast.Call(ast.Lambda(arguments, body), [ast.Starred(value, ast.Load())], [])


def _no_arguments() -> ast.arguments:
    return ast.arguments(posonlyargs=[], args=[], vararg=None, kwonlyargs=[], kw_defaults=[], kwarg=None, defaults=[])


def _no_runtime(target: ast.expr) -> ast.expr:
    """An exception's target as it was before attribute access went through the runtime."""
    if isinstance(target, ast.Call) and isinstance(target.func, ast.Name) and target.func.id.startswith(MARK + "attr_"):
        return ast.Attribute(target.args[0], target.func.id[len(MARK) + 5 :], ast.Load())
    return target


def _builtin_call(name: str) -> ast.Call:
    return ast.Call(_name(name), [], [])


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, str)


class _Items(ast.NodeTransformer):
    """Python 2's exceptions were sequences of their arguments: ``e[0]``, ``number, text = e``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == self._name and isinstance(node.ctx, ast.Load):
            key = node.slice
            if not isinstance(key, (ast.Slice, ast.Tuple)):
                return _call("item", node, node.value, key)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == self._name and isinstance(node.targets[0], (ast.Tuple, ast.List)):
            node.value = _call("items", node, node.value)
        return node


class _GlobalNames(ast.NodeVisitor):
    """Names that a function declares global after it has used them, which Python 2 only warned of."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self.late: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        self._used.add(node.id)

    def visit_Global(self, node: ast.Global) -> None:
        self.late.update(self._used.intersection(node.names))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._used.add(node.name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._used.add(node.name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        pass

    def visit_alias(self, node: ast.alias) -> None:
        self._used.add((node.asname or node.name).split(".")[0])


class _DropGlobals(ast.NodeTransformer):
    def __init__(self, names: set[str], keep: ast.stmt) -> None:
        self._names, self._keep = names, keep

    def visit_Global(self, node: ast.Global) -> ast.stmt:
        if node is not self._keep:
            node.names = [name for name in node.names if name not in self._names]
            if not node.names:
                return ast.copy_location(ast.Pass(), node)
        return node
