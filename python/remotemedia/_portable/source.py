"""Analyses source text: finds definitions, and the names that code looks up in its module."""

from __future__ import annotations

import ast
import functools
import linecache
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from remotemedia import _sources

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES = (*FUNCTIONS, ast.ClassDef)


@dataclass
class Names:
    """The names that code looks up in its module, and those that it changes.

    Attributes:
        early: looked up while a statement runs: bases, decorators, defaults, bodies of classes.
        late: looked up when a function in it is called.
        annotations: used in annotations only; they may be missing without an error.
        unsure: looked up in the body of a class that also binds them, perhaps later.
        dotted: for each name the dotted attribute paths that are read from it.
        changed: names whose objects a statement changes, by an assignment or a call.
        changed_late: names whose objects functions change when they are called.
        has_fields: whether the body of a class annotates variables.
        by_text: the function, such as `eval`, with which the code looks up computed names.
    """

    early: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    dotted: dict[str, set[str]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    changed_late: set[str] = field(default_factory=set)
    has_fields: bool = False
    by_text: str | None = None

    def add(self, other: Names) -> None:
        """Add the names of another statement, as far as shipping code needs them."""
        self.early |= other.early
        self.late |= other.late
        self.by_text = self.by_text or other.by_text
        for name, paths in other.dotted.items():
            self.dotted.setdefault(name, set()).update(paths)


def names_of(node: ast.AST, *, of_call: bool = False) -> Names:
    """The names that a statement looks up; with `of_call`, those that calling a function does."""
    finder = _Finder()
    if of_call:
        finder.visit_body(node)
    else:
        finder.visit(node)
    names = finder.names
    names.late -= names.early
    names.annotations -= names.early | names.late
    return names


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.names = Names()
        self._is_late = False
        self._locals: list[set[str]] = []
        """For each enclosing function the names that it binds."""
        self._class_locals: set[str] = set()
        """Names that the visited class body binds, perhaps only after it has used them."""

    def _is_local(self, name: str) -> bool:
        return any(name in bound for bound in self._locals)

    def _use(self, name: str) -> None:
        if name in self._class_locals:
            self.names.unsure.add(name)
        elif not self._is_local(name):
            (self.names.late if self._is_late else self.names.early).add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        path, part = node.attr, node.value
        while isinstance(part, ast.Attribute):
            path, part = f"{part.attr}.{path}", part.value
        if isinstance(part, ast.Name) and not self._is_local(part.id):
            self.names.dotted.setdefault(part.id, set()).add(path)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._use(node.target.id)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):  # the result is unused, so it is called for an effect
            for part in (node.value.func, *node.value.args):
                if isinstance(part, (ast.Attribute, ast.Name)):
                    self._change(part)
        self.generic_visit(node)

    def _change(self, node: ast.expr) -> None:
        name = root_name(node)
        if name is not None and not self._is_local(name):
            (self.names.changed_late if self._is_late else self.names.changed).add(name)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == "globals" or (name in ("eval", "exec") and len(node.args) == 1):
            self.names.by_text = name
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.names.late.update(node.names)
        self.names.changed_late.update(node.names)

    def visit_FunctionDef(self, node: Any) -> None:
        for part in getattr(node, "decorator_list", ()):
            self.visit(part)
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for part in ast.walk(node.args):
            if isinstance(part, ast.arg):
                self._annotation(part.annotation)
        self._annotation(getattr(node, "returns", None))
        self.visit_body(node)

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_body(self, node: Any) -> None:
        """Visit the code that runs when a function is called."""
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        outer = self._is_late, self._class_locals
        self._is_late, self._class_locals = True, set()
        arguments = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
        self._locals.append(arguments | bound_in(body))
        for part in body:
            self.visit(part)
        self._locals.pop()
        self._is_late, self._class_locals = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        outer, self._class_locals = self._class_locals, bound_in(node.body)
        for inner in node.body:
            self.visit(inner)
        self._class_locals = outer

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.names.has_fields |= not self._is_late
        self._annotation(node.annotation)
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def _annotation(self, node: ast.expr | None) -> None:
        for part in ast.walk(node) if node is not None else ():
            if isinstance(part, ast.Name):
                self.names.annotations.add(part.id)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    self._annotation(ast.parse(part.value, mode="eval").body)
                except SyntaxError:  # not a type but a string, as in Literal["two words"]
                    continue

    def visit_ListComp(self, node: Any) -> None:
        parts = [part for generator in node.generators for part in ast.walk(generator.target)]
        self._locals.append({part.id for part in parts if isinstance(part, ast.Name)})
        self.generic_visit(node)
        self._locals.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815


def root_name(node: ast.expr) -> str | None:
    """The `name` of `name.attribute`, `name[key]`, `name(...)` and chains of these."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def own_nodes(*nodes: ast.AST) -> Iterator[ast.AST]:
    """The nodes and their parts that run in the same namespace; nested scopes are not entered."""
    for node in nodes:
        yield node
        if not isinstance(node, _SCOPES):
            yield from own_nodes(*ast.iter_child_nodes(node))


def bound_in(body: list[ast.stmt] | list[ast.expr]) -> set[str]:
    """The local names that the body of a function or class binds."""
    nodes = list(own_nodes(*body))
    declared = [n.names for n in nodes if isinstance(n, (ast.Global, ast.Nonlocal))]
    return {name for node in nodes for name in bound_by(node)}.difference(*declared)


def bound_by(node: ast.AST) -> list[str]:
    """The names that a node itself binds, without those that its parts bind."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(a.asname or a.name.partition(".")[0]) for a in node.names]
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar, *_SCOPES)):
        name = getattr(node, "name", None)
        return [name] if name else []
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []


class Text:
    """One file, notebook cell, or other text that `linecache` knows by a name.

    Attributes:
        bindings: for each name the statements at the top level that bind it.
        changed: names whose attributes are set.
        declared: names that functions bind with `global`.
    """

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.tree = ast.parse("".join(lines))
        self.bindings: dict[str, list[ast.stmt]] = {}
        self.changed: set[str | None] = set()
        statement = self.tree.body[0] if self.tree.body else ast.Pass()
        for node in own_nodes(*self.tree.body):
            statement = node if isinstance(node, ast.stmt) else statement
            for name in bound_by(node):
                self.bindings.setdefault(name, []).append(statement)
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                self.changed.add(root_name(node))
        self.declared: set[str] = set()
        self._functions: dict[str, list[Any]] = {}
        self._classes: dict[str, list[ast.ClassDef]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Global):
                self.declared.update(node.names)
            elif isinstance(node, ast.ClassDef):
                self._classes.setdefault(node.name, []).append(node)
            elif isinstance(node, FUNCTIONS):
                self._functions.setdefault(getattr(node, "name", "<lambda>"), []).append(node)

    @functools.cached_property
    def _paths(self) -> dict[ast.AST, str]:
        return dict(_paths(self.tree, ""))

    def features(self) -> list[str]:
        """The names that the file imports from `__future__`."""
        found = [n for n in self.tree.body if isinstance(n, ast.ImportFrom)]
        return [a.name for node in found if node.module == "__future__" for a in node.names]

    def cut(self, node: Any) -> tuple[int, str]:
        """The number of a node's first line, from 1, and its text; both include decorators."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = first_line(node)
            return first, "".join(self.lines[first - 1 : node.end_lineno])
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1].encode()[: node.end_col_offset].decode()
        lines[0] = lines[0].encode()[node.col_offset :].decode()
        text = "".join(lines)
        return node.lineno, f"({text})\n" if isinstance(node, ast.Lambda) else f"{text}\n"

    def registered_with(self, name: str) -> list[ast.stmt]:
        """The functions with a decorator such as `@name.register`. They belong to the object
        `name`, whatever their own name is.
        """
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        return [
            node
            for node in self.tree.body
            if isinstance(node, functions)
            and node.name != name
            and any(
                not isinstance(d, ast.Name) and root_name(d) == name for d in node.decorator_list
            )
        ]

    def function(self, code: types.CodeType) -> ast.AST | None:
        """The function or lambda from which a code object was compiled; None if ambiguous."""
        nodes, line = self._functions.get(code.co_name, []), code.co_firstlineno
        found = [node for node in nodes if first_line(node) <= line <= node.lineno]
        if code.co_name != "<lambda>":
            return found[0] if len(found) == 1 else None
        if len(found) > 1 and hasattr(code, "co_positions"):
            spans = [p for p in code.co_positions() if None not in p and p[2] != p[3]]
            found = [node for node in found if _holds(node.body, spans)]
        # The shortest: one lambda may contain another.
        return min(found, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0), default=None)

    def class_of(self, shared: type, lines: list[int]) -> ast.ClassDef | None:
        """The statement of a class, found by line numbers in it, or else by its qualified name."""
        found = self._classes.get(shared.__name__, [])
        exact = getattr(shared, "__firstlineno__", None)
        if exact is not None:
            return next((n for n in found if exact in (first_line(n), n.lineno)), None)
        if lines:
            found = [n for n in found if all(n.lineno <= k <= (n.end_lineno or 0) for k in lines)]
            return max(found, key=lambda n: n.lineno, default=None)
        found = [node for node in found if self._paths.get(node) == shared.__qualname__]
        return found[0] if len(found) == 1 else None


def first_line(node: Any) -> int:
    """The line of a definition's first decorator, or of the definition itself."""
    first: int = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return first


def _paths(node: ast.AST, prefix: str) -> Iterator[tuple[ast.AST, str]]:
    """The definitions inside a node with their qualified names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child, f"{prefix}{child.name}"
            within = "" if isinstance(child, ast.ClassDef) else "<locals>."
            yield from _paths(child, f"{prefix}{child.name}.{within}")
        else:
            yield from _paths(child, prefix)


def _holds(body: ast.expr, spans: list[Any]) -> bool:
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
            waiting += [c.cell_contents for c in value.__closure__ or () if is_set(c)]


def is_set(cell: types.CellType) -> bool:
    """Whether a variable of a function has a value."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
