"""What a node uses of what is imported, in all statements and own modules that it leads to."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from remotemedia._portable.names import bound_by
from remotemedia.compat.modules import Import, Module, Own, flat, imports_of, is_stored

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PACKAGE = "remotemedia"


@dataclass
class Uses:
    """What is reached from a statement.

    Attributes:
        imports: whose names are used.
        reached: the statements, with their modules.
    """

    own: Own
    imports: set[Import] = field(default_factory=set)
    reached: dict[ast.stmt, Module] = field(default_factory=dict)

    def follow(self, module: Module, start: ast.stmt) -> None:
        """Takes in a statement of a module, and what it leads to."""
        waiting = [(module, start)]
        while waiting:
            module, statement = waiting.pop()
            if statement in self.reached:
                continue
            self.reached[statement] = module
            inner = dict(_inner_imports(statement, module.package))
            self.imports.update(inner)
            for path in _paths(statement):
                waiting += self._makers(module, path, inner, set())

    def _makers(
        self,
        module: Module,
        path: tuple[str, ...],
        inner: dict[Import, str],
        seen: set[tuple[int, str]],
    ) -> Iterator[tuple[Module, ast.stmt]]:
        """The statements that make what a dotted name stands for; imports on the way are noted."""
        name = path[0]
        if (id(module), name) in seen:
            return
        seen.add((id(module), name))
        makers = module.makers.get(name, ())
        yield from ((module, maker) for maker in makers)
        found = [i for i, bound in inner.items() if bound == name]
        found += module.imports.get(name, () if makers or found else self._stars(module, name))
        for used in found:
            self.imports.add(used)
            there, further = self._at(used, path)
            if there is not None and further:
                yield from self._makers(there, further, {}, seen)

    def _stars(self, module: Module, name: str) -> list[Import]:
        """The imports of whatever a module has that may bring a name."""
        doubtful = []
        for star in reversed(module.imports.get("*", ())):
            there = self.own.find(star.module)
            if there is None:
                names, is_all = _brought_by(star.module)
            else:
                names, is_all = {*there.makers, *there.imports}, "*" not in there.imports
            if name in names:
                return [star]
            if not is_all:
                doubtful.append(star)
        return [] if hasattr(builtins, name) and not self._is_own(doubtful) else doubtful

    def _is_own(self, stars: list[Import]) -> bool:
        return any(self.own.find(star.module) is not None for star in stars)

    def _at(self, used: Import, path: tuple[str, ...]) -> tuple[Module | None, tuple[str, ...]]:
        """The own module that an import leads to, and the dotted name there."""
        name, rest = used.module, path[1:]
        if used.name == "*":
            rest = path
        elif used.name:
            rest = (used.name, *rest)
        elif used.binds == name.partition(".")[0]:  # `import a.b` binds `a`
            name = used.binds
        while rest and self.own.find(f"{name}.{rest[0]}") is not None:
            name, rest = f"{name}.{rest[0]}", rest[1:]
        return self.own.find(name), rest


@functools.cache
def _brought_by(module: str) -> tuple[set[str], bool]:
    """Names that a star brings from a module, and whether these are all."""
    if module.partition(".")[0] not in (*sys.stdlib_module_names, _PACKAGE):
        return _names_in_source(module), False
    try:
        found = importlib.import_module(module)
    except ImportError:
        return set(), False
    public = (name for name in dir(found) if not name.startswith("_"))
    return set(getattr(found, "__all__", public)), True


def _names_in_source(module: str) -> set[str]:
    """The names that a module seems to offer, as far as there is a text that tells."""
    try:
        spec = None if module.startswith(".") else find_spec(module)
        origin = spec.origin if spec is not None else None
        if origin is None or not origin.endswith(".py"):
            return set()
        return _offered_names(ast.parse(Path(origin).read_bytes()))
    except (ImportError, OSError, SyntaxError, ValueError):
        return set()


def _offered_names(tree: ast.Module) -> set[str]:
    """The names that a module seems to offer to others: what it defines at its top, and what it
    takes from its parts.
    """
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.ImportFrom, *_FUNCTIONS, ast.ClassDef)):
            found.update(bound_by(node))
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)
    return {name for name in found if not name.startswith("_")}


def _inner_imports(statement: ast.stmt, package: str) -> Iterator[tuple[Import, str]]:
    """Imports inside functions and class bodies, with the names that they bind."""
    for inner in ast.walk(statement):
        if isinstance(inner, (*_FUNCTIONS, ast.ClassDef)):
            for part, guarded in flat(_deep(inner.body)):
                if isinstance(part, ast.Import | ast.ImportFrom):
                    for name, _, found in imports_of(part, package, guarded):
                        yield found, name


def _deep(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements with those of loops and matches; `flat` opens the others."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.AsyncWith):
            yield from _deep(statement.body)
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                yield from _deep(case.body)


def _paths(statement: ast.stmt) -> set[tuple[str, ...]]:
    """Dotted names that it reads from around it, as long as they are written."""
    read = _loaded(statement)
    paths: set[tuple[str, ...]] = {(name,) for name in read}
    for node in ast.walk(statement):
        path: list[str] = []
        while isinstance(node, ast.Attribute):
            path.insert(0, node.attr)
            node = node.value
        if path and isinstance(node, ast.Name) and node.id in read:
            paths.add((node.id, *path))
    return paths


def _loaded(statement: ast.AST) -> set[str]:
    """Names that it reads from around it, annotations left out: nobody evaluates those to run a
    node.
    """
    if isinstance(statement, ast.Name):
        return {statement.id} if isinstance(statement.ctx, ast.Load) else set()
    read: set[str] = set()
    for name, value in ast.iter_fields(statement):
        if name not in ("annotation", "returns"):
            parts = value if isinstance(value, list) else [value]
            read.update(*(_loaded(part) for part in parts if isinstance(part, ast.AST)))
    return read - _local(statement)


def _local(statement: ast.AST) -> set[str]:
    """Names that a function binds for itself."""
    if not isinstance(statement, (*_FUNCTIONS, ast.Lambda)):
        return set()
    inner = list(ast.walk(statement))
    bound = {part.arg for part in inner if isinstance(part, ast.arg)}
    bound |= {part.id for part in inner if isinstance(part, ast.Name) and is_stored(part)}
    return bound - {name for part in inner if isinstance(part, ast.Global) for name in part.names}


__all__ = ["Uses"]
