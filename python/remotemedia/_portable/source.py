"""Source text of modules, cells and scripts: where a name is bound."""

from __future__ import annotations

import ast
import linecache
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from remotemedia._portable.given import GIVEN, given_lines
from remotemedia._portable.names import SCOPES, Definition, bound_by, is_main_guard, own_nodes


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
        self.bindings: dict[str, list[Binding]] = {}
        for statement in self.tree.body:
            self._note(statement, None)

    def _note(self, statement: ast.stmt, choice: ast.stmt | None) -> None:
        if choice is None and _is_choice(statement):
            choice = statement
        inner = set(map(id, _inner(statement)))
        for node in _without(statement, inner):
            for name in bound_by(node):
                self.bindings.setdefault(name, []).append(Binding(self, statement, choice))
        for part in _inner(statement):
            self._note(part, choice)

    def made(self, codes: list[types.CodeType]) -> bool:
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
        found = [n for n in self.tree.body if isinstance(n, ast.ImportFrom)]
        return [a.name for node in found if node.module == "__future__" for a in node.names]

    def cut(self, node: ast.AST) -> tuple[int, str]:
        """The first line of a node with decorators, from 1, and its text in whole lines where it
        is the only thing on them.
        """
        found: Definition = node  # type: ignore[assignment]  # it has lines, as these have
        first = first_line(found)
        before = self.lines[first - 1].encode()[: found.col_offset]
        if isinstance(node, ast.Lambda):
            text = ast.get_source_segment("".join(self.lines), node)
            return first, f"({text})\n"
        if first == found.lineno and before.strip():  # behind a semicolon or a colon
            text = ast.get_source_segment("".join(self.lines), node)
            return first, f"{text or ''}\n"
        return first, "".join(self.lines[first - 1 : found.end_lineno])

    def registered_with(self, name: str) -> list[ast.stmt]:
        """The functions that a decorator such as `@name.register` hands to what `name` stands for:
        they belong to it, whatever their own name is.
        """
        return [
            node
            for node in self.tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node.name != name
            and name in map(_root, node.decorator_list)
        ]

    def find(self, qualname: str, line: int | None) -> Definition | None:
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


def first_line(node: Definition) -> int:
    """The line of a definition's first decorator, else its own."""
    return min([node.lineno, *(int(d.lineno) for d in getattr(node, "decorator_list", ()))])


def _root(decorator: ast.expr) -> str | None:
    """`name` in `@name.attribute` and `@name.attribute(...)`."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if not isinstance(node, ast.Attribute):
        return None
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else None


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{child.name}", child
            within = "" if isinstance(child, ast.ClassDef) else "<locals>."
            yield from _definitions(child, f"{prefix}{child.name}.{within}")
        else:
            yield from _definitions(child, prefix)


def _inner(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements of a block that run in the same namespace."""
    if isinstance(statement, SCOPES):
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from child.body


def _without(node: ast.AST, left_out: set[int]) -> Iterator[ast.AST]:
    """A statement's own nodes, without the statements inside it."""
    yield node
    if not isinstance(node, SCOPES):
        for child in ast.iter_child_nodes(node):
            if id(child) not in left_out:
                yield from _without(child, left_out)


def _is_choice(statement: ast.stmt) -> bool:
    """A `try` or `if` around imports: what it chooses here need not be right elsewhere."""
    if not isinstance(statement, (ast.Try, ast.If)) or is_main_guard(statement):
        return False
    if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
        return False
    inner = [node for node in own_nodes(statement) if isinstance(node, ast.stmt)]
    assigned = [n.value for n in inner if isinstance(n, (ast.Assign, ast.AnnAssign))]
    plain = (ast.Constant, ast.Name, ast.Attribute, type(None))
    is_plain = all(isinstance(value, plain) for value in assigned)
    return (
        is_plain
        and all(isinstance(node, _CHOOSABLE) for node in inner)
        and any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in inner)
    )


_CHOOSABLE = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.Pass, ast.Raise, ast.Try, ast.If, ast.Assign, ast.AnnAssign),
)

_texts: dict[str, Text | None] = {}


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


def text_of(shared: Any, name: str | None, namespace: dict[str, Any] | None = None) -> Text | None:
    """The text of this name that defines a class or function, None when there is none."""
    text = text_named(name, namespace)
    if text is None or name not in GIVEN or name in linecache.cache:
        return text
    own = list(code_of(shared)) if isinstance(shared, (type, types.FunctionType)) else []
    return text if text.made(own) else None


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
