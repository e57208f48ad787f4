"""Imports in the place of the caller's, also of a module whose own import fails here.

RustPython lacks modules that CPython has. A module that imports one at its top may hold much that
does not need it: of a name that is asked for run the statements that bind or change it, with those
that they need, in their order. What needs the missing module raises its ImportError.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

_INSTALLED = ("/site-packages/", "/dist-packages/")


def import_module(name: str) -> ModuleType:
    """A module, or what can be made of it.

    Raises:
        ImportError: it is not there, or its source is not the caller's.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if sys.implementation.name == "cpython":  # its own import says the last word
            raise
        parent = name.rpartition(".")[0]
        if parent and parent not in sys.modules:
            import_module(parent)
            return import_module(name)
        found = _partial_module(name, error)
        if found is None:
            error.name = error.name or name  # numpy's error has none
            raise
        return found


def imported(
    module: str,
    attribute: str | None = None,
    below: Sequence[str] = (),
    uses: Iterable[str] = (),
) -> Any:
    """A module, or a name of one.

    Args:
        module: what to import.
        attribute: the name in it; None for the module itself.
        below: modules below it to import too.
        uses: what code takes from it by a dot.

    Raises:
        ImportError: it is not there.
    """
    found = import_module(module)
    for further in below:
        import_module(further)
    if attribute is None:
        for use in uses:
            getattr(found, use, None)  # of a module that is here in part
        return found
    try:
        return getattr(found, attribute)
    except AttributeError:
        pass
    try:
        return import_module(f"{module}.{attribute}")
    except ModuleNotFoundError as error:
        if error.name != f"{module}.{attribute}":
            raise
        path = getattr(found, "__file__", None)
        message = f"cannot import name {attribute!r} from {module!r} ({path or 'unknown location'})"
        raise ImportError(message, name=module, path=path) from None


def named_as_needed(error: ImportError, module: str, name: str) -> ImportError:
    """The error about a class or function whose definition needs what failed."""
    missing = error.name or ""
    if not missing or module == missing or module.startswith(f"{missing}."):
        return error
    return ImportError(f"{module}.{name} needs {missing} to be defined", name=missing)


def flags_of(features: Sequence[str]) -> int:
    """The compiler's flags for `from __future__ import`."""
    import __future__

    flags = 0
    for feature in features:
        flags |= getattr(__future__, feature).compiler_flag
    return flags


class Partial(ModuleType):
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


def _partial_module(name: str, problem: ImportError) -> Partial | None:
    """The module of this name in part, in its place among the modules; None when its source is
    none of the caller's.
    """
    import importlib.util

    spec = importlib.util.find_spec(name)
    loader: Any = spec.loader if spec is not None and spec.has_location else None
    if spec is None or not hasattr(loader, "get_source"):
        return None
    source = loader.get_source(name)
    is_installed = any(folder in str(spec.origin) for folder in _INSTALLED)
    if source is None or (is_installed and "remotemedia" not in source):
        return None
    module, folders = Partial(name), spec.submodule_search_locations
    package = (name if folders is not None else spec.parent) or ""
    vars(module).update(
        __spec__=spec,
        __loader__=spec.loader,
        __file__=spec.origin,
        __package__=package,
        __outline__=_Outline(source, spec.origin or name, package, problem),
    )
    if folders is not None:
        module.__path__ = folders
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)
    return module


class _Statement:
    """A statement at the top of a module; of an import one name."""

    def __init__(self, node: ast.stmt) -> None:
        import ast

        from remotemedia._portable.source import bound_in, names_of

        self.node: Any = node
        self.names = names_of(node)
        self.has_run = False
        self.is_import = isinstance(node, (ast.Import, ast.ImportFrom))
        self.binds = bound_in([node])
        self.is_star = self.binds == {"*"}
        self.effects = self.binds | self.names.changed
        for decorator in getattr(node, "decorator_list", ()):
            roots = {n.id for n in ast.walk(decorator) if isinstance(n, ast.Name)}
            self.effects |= roots & set(self.names.dotted)
        inner = ast.walk(node) if isinstance(node, ast.ClassDef) else ()
        self.enters_subclasses = any(
            isinstance(n, ast.FunctionDef) and n.name == "__init_subclass__" for n in inner
        )


class _Outline:
    """The source of a module as statements, of which some have run."""

    def __init__(self, source: str, path: str, package: str, problem: ImportError) -> None:
        import ast

        self._path = path
        self._package = package
        self._problem = problem
        self._features: list[str] = []
        self._statements: list[_Statement] = []
        for node in ast.parse(source, path).body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                self._features += [alias.name for alias in node.names]
            elif not (isinstance(node, ast.If) and "'__name__'" in ast.dump(node.test)):
                self._statements += map(_Statement, _split(node))
        self._having: dict[str, list[_Statement]] = {}
        for statement in self._statements:
            for name in statement.effects | self._effects_of_calls(statement):
                self._having.setdefault(name, []).append(statement)

    def has(self, name: str) -> bool:
        """Whether a statement binds or changes the name."""
        return name in self._having

    def _effects_of_calls(self, statement: _Statement) -> set[str]:
        """What the functions change that a statement may call, such as its decorators."""
        found: set[str] = set()
        waiting = list(statement.names.early - statement.binds)
        seen = set(waiting)
        while waiting:
            name = waiting.pop()
            for called in self._statements:
                if name in called.binds and not called.is_import:
                    found |= called.names.changed_late
                    found |= {name} if called.enters_subclasses else set()
                    further = (called.names.early | called.names.late) - seen
                    seen |= further
                    waiting += further
        return found

    def define(self, name: str, module: ModuleType) -> None:
        """Runs what a name needs.

        Raises:
            ImportError: something of it is missing.
        """
        required = set(self._needed({name}))
        wished = set(
            self._needed({n for s in required for n in s.names.annotations | s.names.unsure})
        )
        for statement in self._statements:
            if statement.has_run or statement not in required | wished:
                continue
            try:
                self._run(statement, vars(module))
            except Exception:
                if statement in required:
                    raise
        for statement in required:
            for user, paths in statement.names.dotted.items():
                if isinstance(found := vars(module).get(user), Partial):
                    for path in paths:
                        getattr(found, path.partition(".")[0], None)

    def _needed(self, names: set[str]) -> Iterator[_Statement]:
        waiting, found = list(names), set[_Statement]()
        while waiting:
            having = self._having.get(waiting.pop())
            if having is None:  # what nothing binds may come by a star, also in a builtin's place
                having = [s for s in self._statements if s.is_star]
            for statement in having:
                if statement not in found:
                    found.add(statement)
                    waiting += statement.names.early | statement.names.late
                    yield statement

    def _run(self, statement: _Statement, namespace: dict[str, Any]) -> None:
        if statement.names.by_text:
            raise self._problem  # it may need any name of the module
        statement.has_run = True
        try:
            if statement.is_import and not statement.is_star:
                self._import(statement.node, namespace)
            else:
                self._execute(statement.node, namespace)
        except BaseException:
            statement.has_run = False  # it fails again for the next who asks
            raise

    def _import(self, node: Any, namespace: dict[str, Any]) -> None:
        (alias,) = node.names
        if not hasattr(node, "level"):  # import x
            found: Any = import_module(alias.name)
            root = alias.name.partition(".")[0]
            namespace[alias.asname or root] = found if alias.asname else sys.modules[root]
            return
        name = node.module or ""
        if node.level:
            name = importlib.util.resolve_name("." * node.level + name, self._package)
        namespace[alias.asname or alias.name] = imported(name, alias.name)

    def _execute(self, node: ast.stmt, namespace: dict[str, Any]) -> None:
        import ast

        flags = flags_of(self._features)
        exec(compile(ast.Module([node], []), self._path, "exec", flags, True), namespace)


def _split(node: ast.stmt) -> Iterator[ast.stmt]:
    """A statement; an import as one statement for each of its names."""
    import ast

    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        yield node
        return
    for alias in node.names:
        one: ast.stmt = ast.Import([alias])
        if isinstance(node, ast.ImportFrom):
            one = ast.ImportFrom(node.module, [alias], node.level)
        yield ast.copy_location(one, node)
