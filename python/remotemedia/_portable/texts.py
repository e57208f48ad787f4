"""The source of classes, functions and names, as far as there is one."""

from __future__ import annotations

import ast
import linecache
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from remotemedia._portable.given import GIVEN, given_lines

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(eq=False)
class Binding:
    """A statement that binds a name of its module.

    Attributes:
        text: where it stands.
        node: the statement.
        choice: an enclosing `try` or `if` that chooses between imports or definitions.
    """

    text: Text
    node: ast.stmt
    choice: ast.stmt | None


class Text:
    """One file, notebook cell, or text with a name in `linecache`."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.tree = ast.parse("".join(lines))
        self._codes: set[types.CodeType] | None = None
        self.bindings: dict[str, Binding] = {}
        self._below: dict[str, list[tuple[str, bool]]] = {}
        self.stars: list[Binding] = []
        """Imports of whatever a module has."""
        for statement in self.tree.body:
            self._note(statement, None)

    def _note(self, statement: ast.stmt, choice: ast.stmt | None) -> None:
        from remotemedia._portable.names import bound_by

        if choice is None and _is_choice(statement):
            choice = statement
        if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
            self.stars.append(Binding(self, statement, choice))
            return
        if isinstance(statement, ast.Import):
            for name in (a.name for a in statement.names if not a.asname and "." in a.name):
                self._below.setdefault(name.partition(".")[0], []).append((name, choice is None))
        for node in _shallow(statement):
            for name in bound_by(node):
                self.bindings[name] = Binding(self, statement, choice)
        for inner in _inner_statements(statement):
            self._note(inner, choice)

    def below(self, package: str) -> list[tuple[str, bool]]:
        """The modules that statements such as `import package.module` load below a package, and
        whether they are meant to be there in any case.
        """
        return self._below.get(package, [])

    def made(self, codes: Iterable[types.CodeType]) -> bool:
        """Whether compiling the text gives all of these: others may have its name."""
        if self._codes is None:
            waiting = [compile("".join(self.lines), self.name, "exec", dont_inherit=True)]
            self._codes = set()
            while waiting:
                code = waiting.pop()
                self._codes.add(code)
                waiting += [c for c in code.co_consts if isinstance(c, types.CodeType)]
        return self._codes.issuperset(codes)

    def future(self) -> list[str]:
        """The features that the file asks for by `from __future__ import`."""
        return [
            alias.name
            for node in self.tree.body
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for alias in node.names
        ]

    def cut(self, node: ast.AST) -> tuple[int, str]:
        """The first line of a node with decorators, from 1, and its text in whole lines where it
        is the only thing on them.
        """
        found: Any = node
        first = min([found.lineno, *(d.lineno for d in getattr(found, "decorator_list", []))])
        before = self.lines[first - 1].encode()[: found.col_offset]
        if first == found.lineno and before.strip():  # behind a semicolon or a colon
            text = ast.get_source_segment("".join(self.lines), node)
            return first, f"{text or ''}\n"
        return first, "".join(self.lines[first - 1 : found.end_lineno])

    def decorated_with(self, name: str | None) -> list[ast.stmt]:
        """The functions whose decorator is something of `name`, such as `@name.register`: they
        belong to it, whatever their own name is.
        """

        def root(node: ast.expr) -> ast.expr:
            while isinstance(node, (ast.Attribute, ast.Call)):
                node = node.value if isinstance(node, ast.Attribute) else node.func
            return node

        return [
            node
            for node in self.tree.body
            if name is not None and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for decorator in node.decorator_list
            if isinstance(decorator, (ast.Attribute, ast.Call))
            and isinstance(found := root(decorator), ast.Name)
            and found.id == name
            and node.name != name
            and "." in ast.unparse(decorator)
        ]

    def find(self, qualname: str, line: int | None) -> _Definition | None:
        """The definition with this qualified name, the one around or at `line` if there are
        several.
        """
        found = [node for name, node in _definitions(self.tree, "") if name == qualname]
        if line is not None:
            within = [n for n in found if first_line(n) <= line <= (n.end_lineno or 0)]
            found = within or ([] if len(found) > 1 else found)
        return found[-1] if found else None

    def find_class(self, name: str) -> ast.ClassDef | None:
        """The only class of this name, wherever it stands: a text that has travelled has lost what
        was around it.
        """
        found = [n for n in ast.walk(self.tree) if isinstance(n, ast.ClassDef) and n.name == name]
        return found[0] if len(found) == 1 else None

    def lambdas_at(self, line: int) -> list[ast.Lambda]:
        """The lambdas that begin at a line."""
        nodes = ast.walk(self.tree)
        return [n for n in nodes if isinstance(n, ast.Lambda) and n.lineno == line]


def first_line(node: _Definition) -> int:
    """The line of a definition's first decorator, else its own."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, _Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield f"{prefix}{child.name}", child
            yield from _definitions(child, f"{prefix}{child.name}.")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{child.name}", child
            yield from _definitions(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _definitions(child, prefix)


def _inner_statements(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements of a block that run in the same namespace."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from child.body


def _shallow(statement: ast.stmt) -> Iterator[ast.AST]:
    """A statement's own nodes, without the statements and scopes inside it."""
    yield statement
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    waiting = list(ast.iter_child_nodes(statement))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.stmt, ast.Lambda, ast.ExceptHandler, ast.match_case)):
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def _is_choice(statement: ast.stmt) -> bool:
    """A `try` or `if` around imports: what it chooses here need not be right elsewhere."""
    if not isinstance(statement, (ast.Try, ast.If)):
        return False
    if isinstance(statement, ast.If):
        names = {n.id for n in ast.walk(statement.test) if isinstance(n, ast.Name)}
        if names & {"__name__", "TYPE_CHECKING"} or "TYPE_CHECKING" in ast.dump(statement.test):
            return False
    has_import = False
    for inner in _all_inner(statement):
        has_import |= isinstance(inner, (ast.Import, ast.ImportFrom))
        if isinstance(inner, (ast.Assign, ast.AnnAssign)):
            if not isinstance(inner.value, (ast.Constant, ast.Name, ast.Attribute, type(None))):
                return False
        elif not isinstance(inner, _CHOOSABLE):
            return False
    return has_import


_CHOOSABLE = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Pass,
    ast.Raise,
    ast.Try,
    ast.If,
)


def _all_inner(statement: ast.stmt) -> Iterator[ast.stmt]:
    for inner in _inner_statements(statement):
        yield inner
        yield from _all_inner(inner)


_texts: dict[str, Text | None] = {}


def text_of(shared: Any, name: str | None, namespace: dict[str, Any] | None = None) -> Text | None:
    """The text of this name that defines a class or function, None when there is none."""
    text = text_named(name, namespace)
    if text is None or name not in GIVEN or name in linecache.cache:
        return text
    own = list(code_of(shared)) if isinstance(shared, (type, types.FunctionType)) else []
    return text if text.made(own) else None


def text_named(name: str | None, namespace: dict[str, Any] | None = None) -> Text | None:
    """The text of this name, None when there is none that can be parsed."""
    if not name:
        return None
    lines = linecache.getlines(name, namespace)
    if not lines and name in GIVEN:
        lines = given_lines(name)
    known = _texts.get(name)
    if known is not None and known.lines == lines:
        return known
    try:
        text = Text(name, lines) if lines else None
    except SyntaxError:  # it has changed since, or is no Python
        text = None
    _texts[name] = text
    return text


def code_of(shared: Any) -> Iterator[types.CodeType]:
    """The code objects of a function, or of a class's own methods."""
    if isinstance(shared, types.FunctionType):
        yield shared.__code__
        return
    for value in vars(shared).values():
        inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
        inner = getattr(inner, "func", inner)  # cached_property
        inner = getattr(inner, "__wrapped__", inner)
        # Those that a library made for it, such as a named tuple's, stand in the library.
        if (
            isinstance(inner, types.FunctionType)
            and inner.__module__ == shared.__module__
            and inner.__qualname__.startswith(f"{shared.__qualname__}.")
        ):
            yield inner.__code__
