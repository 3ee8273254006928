"""What the parameters of a mod's own functions can be: all that its callers hand over, where all of them are seen."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from .model import Binding, Class, Function, Module, Scope
from .values import Values

if TYPE_CHECKING:
    from .evaluate import Evaluator

#: More callers than that, and the function is too general to say anything.
MOST_CALLERS = 100


class Arguments:
    """Callers are found by the name alone, whatever they call it on: rather one too many than one missed."""

    def __init__(self, evaluator: Evaluator, modules: Iterable[Module]) -> None:
        self._evaluator = evaluator
        self._modules = list(modules)

    def of(self, binding: Binding) -> Values:
        """All values of a parameter; None where one is not known, or where the function is handed on, decorated or renamed."""
        function = binding.scope.function
        if not isinstance(function, ast.FunctionDef) or not isinstance(binding.node, ast.arg) or function.args.vararg is binding.node:
            return None
        marks = [mark.id if isinstance(mark, ast.Name) else "" for mark in function.decorator_list]
        if any(mark not in ("staticmethod", "classmethod") for mark in marks) or function.args.kwarg is binding.node:
            return None
        owner = binding.scope.parent.cls if binding.scope.parent and binding.scope.parent.cls else None
        name = function.name
        if name == "__init__" and owner is not None:
            name = owner.name
        if name.startswith("__") or name in self._handed_on or name not in self._calls:
            return None
        callers = self._calls[name]
        if len(callers) > MOST_CALLERS:
            return None
        found: set[object] = set()
        for call, scope in callers:
            values = self._given(call, scope, function, binding.node, owner is not None and "staticmethod" not in marks)
            if values is None:
                return None
            found |= values
        return frozenset(found) or None

    def _given(self, call: ast.Call, scope: Scope, function: Function, param: ast.arg, is_method: bool) -> Values:
        if any(isinstance(arg, ast.Starred) for arg in call.args) or any(word.arg is None for word in call.keywords):
            return None
        for word in call.keywords:
            if word.arg == param.arg:
                return self._evaluator.values(word.value, scope)
        names = [*function.args.posonlyargs, *function.args.args]
        if param not in names:
            return None
        index = names.index(param)
        # `Base.Method(self, x)` says the instance itself; `Manager(x)` and `manager.Method(x)` do not.
        says_self = isinstance(call.func, ast.Attribute) and isinstance(self._evaluator.one(call.func.value, scope), Class)
        given = index - 1 if is_method and not says_self else index
        if 0 <= given < len(call.args):
            return self._evaluator.values(call.args[given], scope)
        default = index - (len(names) - len(function.args.defaults))
        if default >= 0:
            return self._evaluator.values(function.args.defaults[default], scope)
        return None

    @cached_property
    def _calls(self) -> dict[str, list[tuple[ast.Call, Scope]]]:
        found: dict[str, list[tuple[ast.Call, Scope]]] = {}
        for module in self._modules:
            for node, scope in module.everything:
                if isinstance(node, ast.Call):
                    found.setdefault(_last(node.func), []).append((node, scope))
        return found

    @cached_property
    def _handed_on(self) -> set[str]:
        """Names that are used otherwise than to call them, or imported under another name."""
        found: set[str] = set()
        for module in self._modules:
            called = {id(node.func) for node, _ in module.everything if isinstance(node, ast.Call)}
            for node, _ in module.everything:
                if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load) and id(node) not in called:
                    found.add(_last(node))
                elif isinstance(node, (ast.Import, ast.ImportFrom)):
                    found |= {alias.name.split(".")[-1] for alias in node.names if alias.asname not in (None, alias.name)}
        return found


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
