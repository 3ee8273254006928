"""The variable of a list comprehension stayed bound after it in Python 2. Kept where the function or module reads that name."""

from __future__ import annotations

import ast

from .syntax import MARK

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)


def keep_variables(tree: ast.AST) -> None:
    """Rewrites, in place, list comprehensions whose variable is read outside: ``[f(x) for x in y]`` binds ``x`` in the scope around.

    Not in class bodies, nor inside another comprehension or a lambda: Python 3 has no way to bind from there.
    """
    for scope in ast.walk(tree):
        if isinstance(scope, (ast.Module, ast.FunctionDef)):
            found: list[ast.ListComp] = []
            read: set[str] = set()
            for statement in scope.body:
                _collect(statement, found, read)
            for comprehension in found:
                _bind(comprehension, read)


def _collect(node: ast.AST, found: list[ast.ListComp], read: set[str]) -> None:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        read.add(node.id)
    if isinstance(node, ast.ListComp):
        found.append(node)
        _collect(node.generators[0].iter, [], read)
        return
    if isinstance(node, _COMPREHENSIONS) or isinstance(node, _SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        _collect(child, found, read)


def _bind(comprehension: ast.ListComp, read: set[str]) -> None:
    for generator in comprehension.generators:
        names: list[str] = []
        if not _names(generator.target, names) or not read.intersection(names):
            continue
        _rename(generator.target)
        bound = [ast.NamedExpr(ast.Name(name, ast.Store()), ast.Name(f"{MARK}each_{name}", ast.Load())) for name in names]
        generator.ifs.insert(0, ast.copy_location(ast.Tuple(list(bound), ast.Load()), generator.target))


def _names(target: ast.expr, names: list[str]) -> bool:
    if isinstance(target, ast.Name):
        names.append(target.id)
        return True
    return isinstance(target, (ast.Tuple, ast.List)) and all(_names(each, names) for each in target.elts)


def _rename(target: ast.expr) -> None:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            node.id = f"{MARK}each_{node.id}"
