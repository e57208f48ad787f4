"""Reads source text: where definitions stand, and which names they look up in their module."""

from __future__ import annotations

import ast
import contextlib
import functools
import linecache
import re
import symtable
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from remotemedia import _sources

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")
_BY_TEXT = (("eval", 1), ("exec", 1), ("globals", 0))
"""Functions that look names up by text, with the number of arguments with which they do so."""


class Place(NamedTuple):
    """Source text with its place: file name, number of the first line, `from __future__` names."""

    filename: str
    first: int
    text: str
    features: Sequence[str]

    def unread(self) -> Place:
        """The same with `from __future__ import annotations`, so that annotations stay text."""
        return self._replace(features=[*self.features, "annotations"])


class Names(NamedTuple):
    """The names that a statement looks up in its module.

    Attributes:
        early: looked up while the statement runs: bases, decorators, defaults, bodies of classes.
        body: those of `early` that are looked up in the body of a class.
        late: looked up when a function in it is called, also as attributes of `__main__`.
        fields: used in annotations, if a class in it annotates fields.
        attributes: all attributes that it reads or sets, of whatever object.
        by_text: the function, such as `eval`, with which the code looks up computed names.
    """

    early: frozenset[str]
    body: frozenset[str]
    late: frozenset[str]
    fields: frozenset[str]
    attributes: frozenset[str]
    by_text: str | None


def names_of(text: str, free: tuple[str, ...] = ()) -> Names:
    """The names that a text looks up which consists of one statement or lambda; `free` are the
    variables that it uses of a function in which it stands.
    """
    return _kept_names(text, free)


def _names_of(text: str, free: tuple[str, ...]) -> Names:
    is_inner = text[:1] in " \t"
    source = f"def _({', '.join(free)}):\n class _:\n{text}" if is_inner else text
    # With this feature, a symbol table has no names that only annotations use.
    table = symtable.symtable(f"from __future__ import annotations\n{source}", "", "exec")
    if is_inner:
        table = table.get_children()[0].get_children()[0]
    found: dict[str, set[str]] = {"top": set(), "class": set(), "function": set()}
    _look_up(table, "top", found)
    nodes = list(ast.walk(ast.parse(source)))
    for name in _comprehended(nodes):  # some versions of Python count them to the scope around
        found["top"].discard(name)
        found["class"].discard(name)
    classes = [n.body for n in nodes if isinstance(n, ast.ClassDef) and n.name != "_"]
    has_fields = any(isinstance(part, ast.AnnAssign) for body in classes for part in body)
    calls = [(n.func, len(n.args)) for n in nodes if isinstance(n, ast.Call)]
    called = [(n.id, count) for n, count in calls if isinstance(n, ast.Name)]
    return Names(
        frozenset(found["top"] | found["class"]),
        frozenset(found["class"]),
        frozenset(found["function"] | (_said_anywhere(nodes) if "__main__" in text else set())),
        frozenset(_annotations(nodes) if has_fields else ()),
        frozenset(n.attr for n in nodes if isinstance(n, ast.Attribute)),
        next((name for name, count in called if (name, count) in _BY_TEXT), None),
    )


_kept_names = functools.lru_cache(maxsize=4096)(_names_of)


def _look_up(table: symtable.SymbolTable, where: str, found: dict[str, set[str]]) -> None:
    """Add the names that a scope and those in it look up in their module."""
    is_class = str(table.get_type()) == "class"
    for symbol in table.get_symbols():
        is_outer = symbol.is_global() or symbol.is_free() or (is_class and where == "class")
        if is_outer and (where == "function" or symbol.is_referenced()):
            found[where].add(symbol.get_name())
    for inner in table.get_children():
        kind = str(inner.get_type())
        is_late = kind == "function" and inner.get_name() not in _COMPREHENSIONS
        is_body = kind == "class" and where == "top"
        _look_up(inner, "function" if is_late else "class" if is_body else where, found)


def _comprehended(nodes: list[Any]) -> set[str]:
    """The names that only comprehensions bind and read."""
    parts = [node for node in nodes if hasattr(node, "generators")]
    names = {n for part in parts for n in ast.walk(part) if isinstance(n, ast.Name)}
    others = {n.id for n in nodes if isinstance(n, ast.Name) and n not in names}
    return {n.id for n in names if isinstance(n.ctx, ast.Store)} - others


def _annotations(nodes: list[Any]) -> set[str]:
    """The names in annotations, also in those that are text."""
    parts = [getattr(node, name, None) for node in nodes for name in ("annotation", "returns")]
    inner = [n for part in parts if part is not None for n in ast.walk(part)]
    texts = [n.value for n in inner if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    names = {n.id for n in inner if isinstance(n, ast.Name)}
    return names.union(*(re.findall(r"[^\W\d]\w*", text) for text in texts))


def _said_anywhere(nodes: list[Any]) -> set[str]:
    """The names of attributes, and texts that may be such names."""
    attributes = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return attributes | texts


def own_nodes(*nodes: ast.AST) -> Iterator[ast.AST]:
    """The nodes and their parts that run in the same namespace; nested scopes are not entered."""
    for node in nodes:
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield from own_nodes(*ast.iter_child_nodes(node))


def bound_in(body: Iterable[ast.AST]) -> set[str]:
    """The names that statements bind in their own namespace."""
    return {name for node in own_nodes(*body) for name in _bound_by(node)}


def _bound_by(node: Any) -> list[str]:
    """The names that a node itself binds, without those that its parts bind."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(a.asname or a.name.partition(".")[0]) for a in node.names]
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, (*DEFINITIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []


def root_name(node: ast.AST) -> str:
    """The `name` of `name.attribute`, `name[key]`, `name(...)` and chains of these; else empty."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


class Text:
    """One file, notebook cell, or other text that `linecache` knows by a name.

    Attributes:
        bindings: for each name the statements at the top level that bind it.
        changed: names of objects of which the code sets a part.
        declared: names that functions bind with `global`.
        features: names that it imports from `__future__`.
        defined: names that definitions at the top level bind.
        has_hooks: whether code may run when a class gets a subclass.
    """

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.tree = ast.parse("".join(lines))
        self.bindings: dict[str, list[ast.stmt]] = {}
        statement = self.tree.body[0] if self.tree.body else ast.Pass()
        for node in own_nodes(*self.tree.body):
            statement = node if isinstance(node, ast.stmt) else statement
            for bound in _bound_by(node):
                self.bindings.setdefault(bound, []).append(statement)
        nodes: list[Any] = list(ast.walk(self.tree))
        stores = [n for n in nodes if isinstance(n, (ast.Attribute, ast.Subscript))]
        self.changed = {root_name(n) for n in stores if not isinstance(n.ctx, ast.Load)}
        self.declared = {name for n in nodes if isinstance(n, ast.Global) for name in n.names}
        imports = [n for n in self.tree.body if isinstance(n, ast.ImportFrom)]
        self.features = [a.name for n in imports if n.module == "__future__" for a in n.names]
        self.defined = {n.name for n in self.tree.body if isinstance(n, DEFINITIONS)}
        self._definitions: dict[str, list[Any]] = {}
        for node in nodes:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                known = getattr(node, "name", "<lambda>")
                self._definitions.setdefault(known, []).append(node)
        metas = [k for n in nodes for k in getattr(n, "keywords", ()) if k.arg == "metaclass"]
        self.has_hooks = bool(metas) or "__init_subclass__" in self._definitions

    def place(self, node: Any) -> Place:
        """A statement or lambda with its place."""
        if isinstance(node, DEFINITIONS):
            first = first_line(node)
            text = "".join(self.lines[first - 1 : node.end_lineno])
            return Place(self.name, first, text, self.features)
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1].encode()[: node.end_col_offset].decode()
        lines[0] = lines[0].encode()[node.col_offset :].decode()
        text = "".join(lines)
        text = f"({text})\n" if isinstance(node, ast.Lambda) else f"{text}\n"
        return Place(self.name, node.lineno, text, self.features)

    def function(self, code: types.CodeType) -> Any:
        """The function or lambda from which a code object was compiled; None if ambiguous."""
        nodes, line = self._definitions.get(code.co_name, []), code.co_firstlineno
        found = [n for n in nodes if isinstance(n, FUNCTIONS) and first_line(n) <= line <= n.lineno]
        if code.co_name != "<lambda>":
            return found[0] if len(found) == 1 else None
        if len(found) > 1 and hasattr(code, "co_positions"):
            spans = [p for p in code.co_positions() if None not in p and p[2] != p[3]]
            found = [node for node in found if _holds(node.body, spans)]
        # The shortest: one lambda may contain another.
        return min(found, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0), default=None)

    def class_of(self, shared: type, lines: list[int]) -> ast.ClassDef | None:
        """The statement of a class, found by line numbers in it or as the only one of its name."""
        nodes = self._definitions.get(shared.__name__, [])
        found = [node for node in nodes if isinstance(node, ast.ClassDef)]
        exact = getattr(shared, "__firstlineno__", None)
        if exact is not None:
            return next((n for n in found if exact in (first_line(n), n.lineno)), None)
        if lines:
            found = [n for n in found if all(n.lineno <= k <= (n.end_lineno or 0) for k in lines)]
            return max(found, key=lambda n: n.lineno, default=None)
        return found[0] if len(found) == 1 else None


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


def functions_of(shared: type) -> Iterator[types.FunctionType]:
    """The functions that the class statement defines, also those wrapped by decorators."""
    waiting: list[Any] = list(vars(shared).values())
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        for wrapping in ("fget", "__func__", "func"):
            value = getattr(value, wrapping, None) or value
        if not isinstance(value, types.FunctionType) or id(value) in seen:
            continue
        seen.add(id(value))
        name = getattr(value.__code__, "co_qualname", value.__qualname__)
        if f".{name}".endswith(f".{shared.__name__}.{value.__code__.co_name}"):
            yield value
        else:
            waiting += [value for _, value in contents_of(value.__closure__ or ())]


def contents_of(cells: Iterable[types.CellType]) -> list[tuple[types.CellType, Any]]:
    """Those variables of functions that have a value, with the values."""
    found = []
    for cell in cells:
        with contextlib.suppress(ValueError):  # it is empty
            found.append((cell, cell.cell_contents))
    return found


def node_of_text(text: str) -> Any:
    """Parse a text that consists of one definition or lambda."""
    found: Any = ast.parse(f"if 1:\n{text}" if text[:1] in " \t" else text).body[0]
    while isinstance(found, ast.If):  # the `if` that was added for the indentation
        found = found.body[0]
    return found.value if isinstance(found, ast.Expr) else found
