"""Reads source text: where functions stand, and which names code looks up in its module."""

from __future__ import annotations

import ast
import functools
import linecache
import symtable
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from remotemedia import _sources

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
UNREAD = "from __future__ import annotations\n"
"""Before a text, so that its symbol table has no names that only annotations use."""
_BY_TEXT = (("eval", 1), ("exec", 1), ("globals", 0))
"""Functions that look names up by text, with the number of arguments with which they do so."""


class Place(NamedTuple):
    """Source text with its place: file name, number of the first line, `from __future__` names."""

    filename: str
    first: int
    text: str
    features: Sequence[str]


class Names(NamedTuple):
    """The names that code looks up in its module.

    Attributes:
        used: the names, also those that it looks up as attributes of `__main__`.
        attributes: all attributes that it reads or sets, of whatever object.
        by_text: the function, such as `eval`, with which the code looks up computed names.
    """

    used: frozenset[str]
    attributes: frozenset[str]
    by_text: str | None


@functools.lru_cache(maxsize=4096)
def names_of(text: str, free: tuple[str, ...] = (), *, is_run: bool = False) -> Names:
    """The names that a function or lambda looks up when it is called.

    Args:
        text: its text.
        free: the variables that it uses of a function around it.
        is_run: whether `text` is a statement that runs itself, with the functions in it.
    """
    depth = 0 if is_run else 1
    nodes = list(ast.walk(ast.parse(f"if 1:\n{text}" if text[:1] in " \t" else text)))
    if text[:1] in " \t":
        text, depth = f"def _({', '.join(free)}):\n if 1:\n{text}", 2
    tables = [symtable.symtable(UNREAD + text, "", "exec")]
    for _ in range(depth):
        tables = [inner for table in tables for inner in table.get_children()]
    used = {name for table in tables for name in looked_up(table)}.difference(free)
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    if "__main__" in text:
        used |= attributes | {str(n.value) for n in nodes if isinstance(n, ast.Constant)}
    return Names(frozenset(used), frozenset(attributes), by_text(nodes))


def looked_up(table: symtable.SymbolTable) -> Iterator[str]:
    """The names that a scope and those in it look up in their module."""
    is_function = str(table.get_type()) == "function"
    for symbol in table.get_symbols():
        is_read = symbol.is_referenced() and not symbol.is_free()
        if symbol.is_global() if is_function else is_read:
            yield symbol.get_name()
    for inner in table.get_children():
        yield from looked_up(inner)


def by_text(nodes: Iterable[ast.AST]) -> str | None:
    """The function, if any, with which code looks names up by text."""
    calls = [(n.func, len(n.args)) for n in nodes if isinstance(n, ast.Call)]
    called = [(n.id, count) for n, count in calls if isinstance(n, ast.Name)]
    return next((name for name, count in called if (name, count) in _BY_TEXT), None)


class Text:
    """One file, notebook cell, or other text that `linecache` knows by a name.

    Attributes:
        features: names that it imports from `__future__`.
        imports: for each name of a `from` import the statements that bind it, with the name there.
        assignments: for each qualified name the statements that assign to it.
        stores: for each name the last line that binds it; `sys.maxsize` if functions bind it.
    """

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.tree = ast.parse("".join(lines))
        self.imports: dict[str, list[tuple[ast.ImportFrom, str]]] = {}
        self.assignments: dict[str, list[ast.stmt]] = {}
        definitions = [node for node in self.tree.body if isinstance(node, DEFINITIONS)]
        self.stores = {node.name: node.lineno for node in definitions}
        self._enter(self.tree.body, "")
        self.features: list[str] = []
        self._functions: dict[str, list[Any]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, FUNCTIONS):
                self._functions.setdefault(getattr(node, "name", "<lambda>"), []).append(node)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.stores[node.id] = max(node.lineno, self.stores.get(node.id, 0))
            elif isinstance(node, ast.Global):
                self.stores |= dict.fromkeys(node.names, sys.maxsize)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    bound = self.imports.setdefault(alias.asname or alias.name, [])
                    bound.append((node, alias.name))
                if node.module == "__future__":
                    self.features += [alias.name for alias in node.names]

    def _enter(self, body: Iterable[Any], path: str) -> None:
        for node in body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                for target in getattr(node, "targets", None) or [getattr(node, "target", None)]:
                    if isinstance(target, ast.Name):
                        self.assignments.setdefault(path + target.id, []).append(node)
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            is_scope = is_function or isinstance(node, ast.ClassDef)
            inner = f"{node.name}.{'<locals>.' * is_function}" if is_scope else ""
            for block in ("body", "orelse", "handlers", "finalbody"):
                self._enter(getattr(node, block, ()), path + inner)

    def place(self, node: Any) -> Place:
        """A statement or lambda with its place. Its annotations stay text."""
        if isinstance(node, DEFINITIONS):
            first = first_line(node)
            text = "".join(self.lines[first - 1 : node.end_lineno])
            return Place(self.name, first, text, [*self.features, "annotations"])
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1].encode()[: node.end_col_offset].decode()
        lines[0] = lines[0].encode()[node.col_offset :].decode()
        text = "".join(lines)
        text = f"({text})\n" if isinstance(node, ast.Lambda) else f"{text}\n"
        return Place(self.name, node.lineno, text, [*self.features, "annotations"])

    def function(self, code: types.CodeType) -> Any:
        """The function or lambda from which a code object was compiled; None if ambiguous."""
        nodes, line = self._functions.get(code.co_name, []), code.co_firstlineno
        found = [n for n in nodes if first_line(n) <= line <= n.lineno]
        if code.co_name != "<lambda>":
            return found[0] if len(found) == 1 else None
        if len(found) > 1 and hasattr(code, "co_positions"):
            spans = [p for p in code.co_positions() if None not in p and p[2] != p[3]]
            found = [node for node in found if _holds(node.body, spans)]
        # The shortest: one lambda may contain another.
        return min(found, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0), default=None)


def first_line(node: Any) -> int:
    """The line of a definition's first decorator, or of the definition itself."""
    first: int = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return first


def _holds(body: Any, spans: list[Any]) -> bool:
    """Whether most positions of a code object lie in the body of a lambda."""
    start = (body.lineno, body.col_offset)
    end = (body.end_lineno or 0, body.end_col_offset or 0)
    inside = [s for s in spans if start <= (s[0], s[2]) and (s[1], s[3]) <= end]
    return bool(inside) and len(inside) >= len(spans) // 2


_texts: dict[str, Text | None] = {}


def text_of(code: types.CodeType | str, namespace: dict[str, Any] | None = None) -> Text | None:
    """The parsed text of a file, given by name or by code from it; None without valid source."""
    name = code if isinstance(code, str) else code.co_filename
    lines = linecache.getlines(name, namespace) if name not in _sources.PROGRAM else []
    if not lines and not isinstance(code, str):
        lines = _sources.program_of(code)
    known = _texts.get(name)
    if known is not None and known.lines == lines:
        return known
    try:
        text = Text(name, lines) if lines else None
    except SyntaxError:  # the file has been changed or is not Python
        text = None
    _texts[name] = text
    return text
