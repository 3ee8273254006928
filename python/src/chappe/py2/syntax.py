"""Python 2 grammar to text that Python 3 can parse, line for line.

The text is parsed with fissix (the kept fork of lib2to3) and rewritten in place. What has no form in Python 3 that keeps its line
(``except E, (a, b)``, tuple parameters, ``exec``) becomes a call to a name of ours (`MARK`), which `semantics` then turns
into the right syntax tree. No rewriting here may add or remove a line: tracebacks rest on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fissix import pygram, pytree
from fissix.pgen2 import driver, token
from fissix.pgen2.parse import ParseError
from fissix.pgen2.tokenize import TokenError, generate_tokens
from fissix.pytree import Leaf, Node

from . import literals
from .source import expand_tabs

MARK = "_chappe_py2_"
"""Begins every name that the translation puts into a program."""

_PRINT_FUNCTION = re.compile(r"^from\s+__future__\s+import\s[^#\n]*(\n[^#\n]*)?\bprint_function\b", re.M)
_UNICODE_LITERALS = re.compile(r"^from\s+__future__\s+import\s[^#\n]*(\n[^#\n]*)?\bunicode_literals\b", re.M)
_RENAMED = {"async", "await"}


def to_python3(text: str, filename: str) -> str:
    """``text`` (decoded, ``\\n`` line ends) in syntax that Python 3 parses, with the same lines.

    Raises `SyntaxError` with the original line for what is no Python 2 either.
    """
    text = expand_tabs(text, _lines_inside_strings(text))
    grammar = pygram.python_grammar_no_print_statement if _PRINT_FUNCTION.search(text) else pygram.python_grammar
    try:
        tree = driver.Driver(grammar, convert=pytree.convert).parse_string(text)
    except ParseError as error:
        line, column = error.context[1] if error.context else (1, 0)
        raise _syntax_error(f"neither Python 2 nor Python 3: unexpected {error.value!r}", text, filename, line, column) from None
    except TokenError as error:
        message, (line, column) = error.args
        raise _syntax_error(f"neither Python 2 nor Python 3: {message}", text, filename, line, column) from None
    except IndentationError as error:
        raise _syntax_error(error.msg, text, filename, error.lineno or 1, 0) from None
    _Rewriter(bool(_UNICODE_LITERALS.search(text)), grammar is pygram.python_grammar).rewrite(tree)
    return str(tree)


def _syntax_error(message: str, text: str, filename: str, line: int, column: int) -> SyntaxError:
    lines = text.split("\n")
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    return SyntaxError(message, (filename, line, column + 1, shown))


def _lines_inside_strings(text: str) -> set[int]:
    inside: set[int] = set()
    if "\t" not in text and "\f" not in text:
        return inside
    lines = iter(text.splitlines(keepends=True))
    try:
        for kind, _, (first, _), (last, _), _ in generate_tokens(lambda: next(lines, "")):
            if kind == token.STRING:
                inside.update(range(first + 1, last + 1))
    except (TokenError, IndentationError):
        pass
    return inside


class _Rewriter:
    def __init__(self, unicode_literals: bool, print_statement: bool) -> None:
        self._print_statement = print_statement
        self._unicode_literals = unicode_literals
        self._count = 0

    def rewrite(self, tree: Node) -> None:
        for node in list(tree.post_order()):
            if isinstance(node, Leaf):
                self._leaf(node)
            else:
                handler = getattr(self, "_" + pytree.type_repr(node.type), None)
                if handler is not None:
                    handler(node)

    def _leaf(self, leaf: Leaf) -> None:
        if leaf.type == token.NUMBER:
            leaf.value = literals.number(leaf.value)
        elif leaf.type == token.STRING:
            leaf.value = literals.string(leaf.value, self._unicode_literals)
        elif leaf.type == token.NOTEQUAL:
            leaf.value = "!="
        elif leaf.type == token.NAME and leaf.value == "print" and self._print_statement:
            if leaf.parent is not None and pytree.type_repr(leaf.parent.type) != "print_stmt":
                leaf.value = MARK + "print()"
        elif leaf.type == token.NAME and leaf.value in _RENAMED:
            leaf.value = MARK + "name_" + leaf.value
        elif leaf.type == token.NAME and leaf.value in ("True", "False", "None"):
            if _is_assigned(leaf):
                leaf.value = MARK + "name_" + leaf.value + "_"

    def _print_stmt(self, node: Node) -> None:
        arguments = node.children[1:]
        options = ""
        if arguments and arguments[0].type == token.RIGHTSHIFT:
            to = arguments[1]
            arguments = arguments[3:]
            options = f"file={str(to).strip()}, " if "\n" not in str(to) else f"file=({to}), "
        comma = bool(arguments) and arguments[-1].type == token.COMMA
        if comma:
            arguments = arguments[:-1]
            options += "comma=True, "
        inner = "".join(str(argument) for argument in arguments).strip(" \t")
        options = options.rstrip(", ")
        both = ", ".join(part for part in (inner, options) if part)
        self._replace(node, f"{MARK}print({both})")

    def _exec_stmt(self, node: Node) -> None:
        parts = [str(child).strip() for child in node.children[1:] if str(child).strip() not in ("in", ",")]
        self._replace(node, f"{MARK}exec({', '.join(parts)})")

    def _atom(self, node: Node) -> None:
        if node.children and node.children[0].type == token.BACKQUOTE:
            inner = "".join(str(child) for child in node.children[1:-1])
            if "," in inner:
                inner = f"({inner})"
            self._replace(node, f"{MARK}repr({inner})")

    def _raise_stmt(self, node: Node) -> None:
        values = [child for child in node.children[1:] if child.type != token.COMMA]
        if any(child.type == token.NAME and child.value == "from" for child in values if isinstance(child, Leaf)):
            return
        if values:
            inner = ", ".join(str(value).strip() for value in values)
            self._replace(node, f"raise {MARK}raise({inner})")

    def _except_clause(self, node: Node) -> None:
        children = node.children
        if len(children) == 4 and (children[2].type == token.COMMA or str(children[2]).strip() == "as"):
            kind, target = str(children[1]).strip(), str(children[3]).strip()
            if children[2].type != token.COMMA and children[3].type == token.NAME:
                target = target.strip()
            self._replace(node, f"except {MARK}except({kind}, {target})")

    def _parameters(self, node: Node) -> None:
        for target in _tuple_parameters(node):
            self._count += 1
            self._replace(target, f"{MARK}tuple_{self._count}: {str(target).strip()}")

    def _lambdef(self, node: Node) -> None:
        self._lambda(node)

    def _old_lambdef(self, node: Node) -> None:
        self._lambda(node)

    def _lambda(self, node: Node) -> None:
        if len(node.children) != 4:
            return
        unpacked = []
        for target in _lambda_tuples(node.children[1]):
            self._count += 1
            name = f"{MARK}tuple_{self._count}"
            unpacked.append(f"({name}, {str(target).strip()})")
            self._replace(target, name)
        if unpacked:
            body = node.children[3]
            self._replace(body, f"{MARK}lambda({str(body).strip()}, {', '.join(unpacked)})")

    def _comp_for(self, node: Node) -> None:
        self._bare_tuple(node)

    def _old_comp_for(self, node: Node) -> None:
        self._bare_tuple(node)

    def _bare_tuple(self, node: Node) -> None:
        for index, child in enumerate(node.children):
            if isinstance(child, Leaf) and child.value == "in" and index + 1 < len(node.children):
                source = node.children[index + 1]
                if isinstance(source, Node) and pytree.type_repr(source.type) in ("testlist_safe", "testlist"):
                    self._replace(source, f"({str(source).strip()})")

    def _replace(self, node: Node | Leaf, text: str) -> None:
        missing = (str(node).count("\n") - node.prefix.count("\n")) - text.count("\n")
        if missing > 0 and text.endswith(")"):
            text = text[:-1] + "\n" * missing + ")"
        node.replace(Leaf(token.NAME, text, prefix=node.prefix))


def _is_assigned(leaf: Leaf) -> bool:
    node: Node | Leaf = leaf
    while node.parent is not None and pytree.type_repr(node.parent.type) in ("testlist_star_expr", "testlist", "exprlist", "testlist_gexp", "atom"):
        node = node.parent
    parent = node.parent
    if parent is None or pytree.type_repr(parent.type) not in ("expr_stmt", "typedargslist", "varargslist", "parameters"):
        return False
    before = node.prev_sibling
    if pytree.type_repr(parent.type) != "expr_stmt" and isinstance(before, Leaf) and before.type == token.EQUAL:
        return False
    after = node.next_sibling
    return isinstance(after, Leaf) and after.type == token.EQUAL


def _tuple_parameters(node: Node) -> Iterator[Node]:
    for child in node.children:
        if isinstance(child, Node):
            name = pytree.type_repr(child.type)
            if name == "tfpdef":
                yield child
            elif name == "typedargslist":
                yield from (each for each in child.children if isinstance(each, Node) and pytree.type_repr(each.type) == "tfpdef")


def _lambda_tuples(node: Node | Leaf) -> list[Node]:
    kinds = ("vfpdef", "tfpdef", "atom")
    if not isinstance(node, Node):
        return []
    if pytree.type_repr(node.type) in kinds:
        return [node]
    found, default = [], False
    for child in node.children:
        if isinstance(child, Node) and pytree.type_repr(child.type) in kinds and not default:
            found.append(child)
        default = isinstance(child, Leaf) and child.type == token.EQUAL
    return found
