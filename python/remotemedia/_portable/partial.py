"""Modules of the caller whose import fails here: what is asked of them is defined all the same.

RustPython lacks modules that CPython has. A module that imports one at its top may hold much that
does not need it, so its source is treated as a script's is: of a name that is asked for run the
statements that bind or change it, with those that they need, in their order. What needs the missing
module raises its ImportError.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from typing import Any

from remotemedia._portable.imports import import_module, imported
from remotemedia._portable.names import bound_by, is_main_guard, names_of, own_nodes
from remotemedia._portable.opening import compile_flags

_INSTALLED = ("/site-packages/", "/dist-packages/")
_STAR = "*"


class Partial(types.ModuleType):
    """A module of which only so much is defined as is asked for."""

    def __getattr__(self, name: str) -> Any:
        """Defines the name.

        Raises:
            ImportError: it needs what is missing.
            AttributeError: the source has no such name.
        """
        outline = self.__dict__["__outline__"]
        if not name.startswith("__") or outline.has(name):
            outline.define(name, self)
        try:
            return self.__dict__[name]
        except KeyError:
            message = f"module {self.__name__!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=self) from None


def partial_module(name: str, problem: ImportError) -> Partial | None:
    """The module of this name in part; None when its source is none of the caller's."""
    spec = importlib.util.find_spec(name)
    loader: Any = spec.loader if spec is not None and spec.has_location else None
    if spec is None or not hasattr(loader, "get_source"):
        return None
    source = loader.get_source(name)
    is_installed = any(folder in str(spec.origin) for folder in _INSTALLED)
    if source is None or (is_installed and "remotemedia" not in source):
        return None
    return partial_of(spec, problem)


def partial_of(spec: ModuleSpec, problem: ImportError | None = None) -> Partial:
    """A module in part, which takes its place among the modules; `problem` is why."""
    name, folders = spec.name, spec.submodule_search_locations
    loader: Any = spec.loader
    package = (name if folders is not None else spec.parent) or ""
    module = Partial(name)
    outline = _Outline(loader.get_source(name), spec.origin or name, package, problem)
    vars(module).update(
        __spec__=spec,
        __loader__=loader,
        __file__=spec.origin,
        __package__=package,
        __outline__=outline,
    )
    if folders is not None:
        module.__path__ = folders
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)
    return module


class _Statement:
    """A statement at the top of the module; of an import one name."""

    def __init__(self, node: ast.stmt, alias: ast.alias | None = None) -> None:
        self.node = node
        self.alias = alias
        self.names = names_of(node)
        self.has_run = False
        self.is_star = alias is not None and alias.name == _STAR
        self.binds = {name for part in own_nodes(node) for name in bound_by(part)}
        if alias is not None:
            self.binds = {alias.asname or alias.name.partition(".")[0]}
        self.effects = self.binds | self.names.changed
        for decorator in getattr(node, "decorator_list", ()):
            attributes = {n.id for n in ast.walk(decorator) if isinstance(n, ast.Name)}
            self.effects |= attributes & set(self.names.attributes)
        inner = ast.walk(node) if isinstance(node, ast.ClassDef) else ()
        hooks = (n for n in inner if isinstance(n, ast.FunctionDef))
        self.enters_subclasses = any(n.name == "__init_subclass__" for n in hooks)


class _Outline:
    """The source of a module as statements, of which some have run."""

    def __init__(self, source: str, path: str, package: str, problem: ImportError | None) -> None:
        self._path = path
        self._package = package
        self._problem = problem
        tree = ast.parse(source, path)
        self._features = [
            alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for alias in node.names
        ]
        kept = (node for node in tree.body if not is_main_guard(node))
        self._statements = [made for node in kept for made in _statements(node)]
        self._having: dict[str, list[_Statement]] = {}
        for statement in self._statements:
            for name in statement.effects | self._effects_of_calls(statement):
                self._having.setdefault(name, []).append(statement)

    def has(self, name: str) -> bool:
        """Whether a statement binds or changes the name."""
        return name in self._having

    def _binding(self, name: str) -> Iterator[_Statement]:
        return (s for s in self._statements if name in s.binds and s.alias is None)

    def _effects_of_calls(self, statement: _Statement) -> set[str]:
        """What the functions change that a statement may call, such as its decorators."""
        found: set[str] = set()
        waiting = list(statement.names.early - statement.binds)
        seen = set(waiting)
        while waiting:
            name = waiting.pop()
            for called in self._binding(name):
                found |= called.names.changed_late
                if called.enters_subclasses:
                    found.add(name)
                further = (called.names.early | called.names.late) - seen
                seen |= further
                waiting += further
        return found

    def define(self, name: str, module: types.ModuleType) -> None:
        """Runs what a name needs.

        Raises:
            ImportError: something of it is missing.
        """
        required = self._needed({name})
        wished = self._needed({n for s in required for n in s.names.soft})
        for statement in self._statements:
            if statement.has_run or not (statement in required or statement in wished):
                continue
            try:
                self._run(statement, module)
            except Exception:
                if statement in required:
                    raise
        for statement in required:
            for user, attributes in statement.names.attributes.items():
                if isinstance(found := vars(module).get(user), Partial):
                    for attribute in attributes:
                        getattr(found, attribute, None)

    def _needed(self, names: set[str]) -> set[_Statement]:
        waiting, found = list(names), set[_Statement]()
        while waiting:
            name = waiting.pop()
            having = self._having.get(name)
            if having is None:  # what nothing binds may come by a star, also in a builtin's place
                having = [s for s in self._statements if s.is_star]
            for statement in having:
                if statement not in found:
                    found.add(statement)
                    waiting += statement.names.early | statement.names.late
        return found

    def _run(self, statement: _Statement, module: types.ModuleType) -> None:
        namespace, node, alias = vars(module), statement.node, statement.alias
        if statement.names.by_text and self._problem is not None:
            raise self._problem  # it may need any name of the module
        statement.has_run = True
        try:
            if alias is not None and not statement.is_star:
                self._import(node, alias, namespace)
            else:
                self._execute(node, namespace)
        except BaseException:
            statement.has_run = False  # it fails again for the next who asks
            raise

    def _import(self, node: ast.stmt, alias: ast.alias, namespace: dict[str, Any]) -> None:
        if isinstance(node, ast.Import):
            found: Any = import_module(alias.name)
            root = alias.name.partition(".")[0]
            namespace[alias.asname or root] = found if alias.asname else sys.modules[root]
            return
        level, name = getattr(node, "level", 0), getattr(node, "module", None) or ""
        name = importlib.util.resolve_name("." * level + name, self._package) if level else name
        namespace[alias.asname or alias.name] = imported(name, alias.name)

    def _execute(self, node: ast.stmt, namespace: dict[str, Any]) -> None:
        tree = ast.Module([node], [])
        flags = compile_flags(self._features)
        exec(compile(tree, self._path, "exec", flags, dont_inherit=True), namespace)


def _statements(node: ast.stmt) -> list[_Statement]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        if getattr(node, "module", None) == "__future__":
            return []
        single = (_one(node, alias) for alias in node.names)
        return [_Statement(one, alias) for one, alias in zip(single, node.names, strict=True)]
    return [_Statement(node)]


def _one(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    """The import of one name."""
    if isinstance(node, ast.Import):
        return ast.copy_location(ast.Import([alias]), node)
    return ast.copy_location(ast.ImportFrom(node.module, [alias], node.level), node)
