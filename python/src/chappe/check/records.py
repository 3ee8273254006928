"""The dicts that an expression can be, field by field, also where not all of it is constant."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .evaluate import Evaluator
from .model import Binding, Scope, walk
from .values import NONE, Table, Values, is_constant

DEEPEST = 8
_CHANGES = {"update", "pop", "popitem", "clear", "setdefault"}


@dataclass(frozen=True, eq=False)
class Field:
    """A field. `at`: its name; `value`: its expression, None where that stands elsewhere; `values`: what that can be."""

    key: str
    at: ast.AST
    value: ast.expr | None
    values: Values
    scope: Scope

    @property
    def place(self) -> tuple[str, int, int]:
        """Where its name stands."""
        return self.scope.module.place(self.at)

    @property
    def value_place(self) -> tuple[str, int, int]:
        """Where its value stands."""
        return self.scope.module.place(self.value or self.at)

    def may_be_none(self) -> bool:
        """Whether it can be None."""
        return self.values is None or NONE in self.values

    def is_given(self) -> bool:
        """Whether it certainly is something else than None and False."""
        if isinstance(self.value, ast.Dict):
            return True
        return is_constant(self.values) and not any(value is NONE or value is False for value in self.values or ())


@dataclass(frozen=True, eq=False)
class Record:
    """A dict. `is_whole`: it has no other fields than these."""

    fields: tuple[Field, ...]
    is_whole: bool

    def named(self, key: str) -> Iterator[Field]:
        """What may stand under a key."""
        return (field for field in self.fields if field.key == key)


def records(node: ast.expr | None, scope: Scope, evaluator: Evaluator) -> list[Record]:
    """The dicts that an expression can be; none where nothing is known of it."""
    return _records(node, scope, evaluator, 0)


def _records(node: ast.AST | None, scope: Scope, evaluator: Evaluator, depth: int) -> list[Record]:
    if depth > DEEPEST:
        return []
    match node:
        case ast.Dict():
            return [_literal(node, scope, evaluator, depth)]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_records(body, scope, evaluator, depth + 1), *_records(orelse, scope, evaluator, depth + 1)]
        case ast.Call(func=ast.Name(id="dict"), args=args, keywords=words) if len(args) < 2:
            return [_of_call(args, words, scope, evaluator, depth)]
        case ast.Name(id=name):
            found = _of_name(name, scope, evaluator, depth)
            if found:
                return found
    values = evaluator.values(node, scope) if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) else None
    return [Record(tuple(Field(key, node, None, frozenset([value]), scope) for key, value in table.items if isinstance(key, str)), False)
            for table in values or () if isinstance(table, Table) and node is not None]


def _literal(node: ast.Dict, scope: Scope, evaluator: Evaluator, depth: int) -> Record:
    fields: dict[str, Field] = {}
    is_whole = True
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            is_whole &= _merge(fields, value, scope, evaluator, depth)
            continue
        name = evaluator.one(key, scope)
        if isinstance(name, str):
            fields[name] = _field(name, key, value, scope, evaluator)
        else:
            is_whole = False
    return Record(tuple(fields.values()), is_whole)


def _of_call(args: list[ast.expr], words: list[ast.keyword], scope: Scope, evaluator: Evaluator, depth: int) -> Record:
    """`dict(base, name=value)`."""
    fields: dict[str, Field] = {}
    is_whole = True
    for arg in args:
        is_whole &= _merge(fields, arg, scope, evaluator, depth)
    for word in words:
        if word.arg is None:
            is_whole &= _merge(fields, word.value, scope, evaluator, depth)
        else:
            fields[word.arg] = _field(word.arg, word.value, word.value, scope, evaluator)
    return Record(tuple(fields.values()), is_whole)


def _merge(fields: dict[str, Field], base: ast.expr, scope: Scope, evaluator: Evaluator, depth: int) -> bool:
    """Takes over the fields of another dict; whether all of them are known."""
    found = _records(base, scope, evaluator, depth + 1)
    if len(found) != 1:
        # Any field may be another's by now.
        fields.clear()
        return False
    fields |= {field.key: field for field in found[0].fields}
    return found[0].is_whole


def _of_name(name: str, scope: Scope, evaluator: Evaluator, depth: int) -> list[Record]:
    """A variable: what it is set to, and what is put into it where it lives."""
    at: Scope | None = scope
    while at is not None and not ((at.cls is None or at is scope) and name in at.names):
        at = at.parent
    bindings: list[Binding] = at.names[name] if at is not None else []
    if at is None or any(binding.kind != "expr" for binding in bindings):
        return []
    put: dict[str, list[Field]] | None = {}
    if at.function is not None:
        put = _put(name, at, evaluator)
    if put is None:
        return []
    found = [record for binding in bindings for record in _records(binding.node, binding.scope, evaluator, depth + 1)]
    later = [field for fields in put.values() for field in fields]
    return [Record((*(field for field in record.fields if field.key not in put), *later), False) for record in found]


def _put(name: str, at: Scope, evaluator: Evaluator) -> dict[str, list[Field]] | None:
    """What `name[key] = ...` puts in, by key; None where it is changed otherwise."""
    found: dict[str, list[Field]] = {}
    for node, scope in walk(at):
        if isinstance(node, ast.Attribute) and node.attr in _CHANGES and isinstance(node.value, ast.Name) and node.value.id == name:
            return None
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target] if isinstance(node, ast.AugAssign) else []
        for target in targets:
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id == name:
                key = evaluator.one(target.slice, scope)
                if not isinstance(key, str):
                    return None
                fields = found.setdefault(key, [])
                if isinstance(node, ast.Assign):
                    fields.append(_field(key, target.slice, node.value, scope, evaluator))
    return found


def _field(key: str, at: ast.AST, value: ast.expr, scope: Scope, evaluator: Evaluator) -> Field:
    return Field(key, at, value, evaluator.values(value, scope), scope)
