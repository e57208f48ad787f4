"""Imports modules for received code, also parts of a module whose own import fails.

RustPython lacks modules that CPython has. A module that imports one of them at its top may define
many names that do not need it. When such a name is requested, the statements run that bind or
change it, and those that they need, in order. A name that needs the missing module raises its
ImportError.
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
    """Import a module; on RustPython as a `Partial` if its own import fails.

    Raises:
        ImportError: the module does not exist, or fails and is not one of the caller's own.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if sys.implementation.name == "cpython":  # there is no partial import on CPython
            raise
        parent = name.rpartition(".")[0]
        if parent and parent not in sys.modules:
            import_module(parent)
            return import_module(name)
        found = _partial_module(name, error)
        if found is None:
            error.name = error.name or name  # the error that numpy raises has no name
            raise
        return found


def imported(
    module: str,
    attribute: str | None = None,
    below: Sequence[str] = (),
    uses: Iterable[str] = (),
) -> Any:
    """Import a module, or a name of a module.

    Args:
        module: the module to import.
        attribute: the name to import from it; None for the module itself.
        below: submodules to import too.
        uses: names that code reads from the module as attributes.

    Raises:
        ImportError: the module or the name does not exist.
    """
    found = import_module(module)
    for further in below:
        import_module(further)
    if attribute is None:
        for use in uses:
            getattr(found, use, None)  # defines the name if the module is a `Partial`
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
    """The error for a class or function whose definition needs the module that failed."""
    missing = error.name or ""
    if not missing or module == missing or module.startswith(f"{missing}."):
        return error
    return ImportError(f"the definition of {module}.{name} needs {missing}", name=missing)


def flags_of(features: Sequence[str]) -> int:
    """The compiler flags for features of `from __future__ import`."""
    import __future__

    flags = 0
    for feature in features:
        flags |= getattr(__future__, feature).compiler_flag
    return flags


class Partial(ModuleType):
    """A module that defines its names only when they are requested."""

    def __getattr__(self, name: str) -> Any:
        """Define a name.

        Raises:
            ImportError: the name needs the missing module.
            AttributeError: the source does not define this name.
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
    """Make a `Partial` and enter it in `sys.modules`; None if the module has no source or is not
    one of the caller's own.
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
    """A statement at the top level of a module. An import has one statement for each name."""

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
    """The statements of a module, of which some have run."""

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
        """Names that are changed by functions which a statement may call, such as its
        decorators.
        """
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
        """Run the statements that define a name.

        Raises:
            ImportError: one of them needs a missing module.
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
            if having is None:  # `import *` may bind the name, even if it is also a builtin
                having = [s for s in self._statements if s.is_star]
            for statement in having:
                if statement not in found:
                    found.add(statement)
                    waiting += statement.names.early | statement.names.late
                    yield statement

    def _run(self, statement: _Statement, namespace: dict[str, Any]) -> None:
        if statement.names.by_text:
            raise self._problem  # it computes names, so it may need any name of the module
        statement.has_run = True
        try:
            if statement.is_import and not statement.is_star:
                self._import(statement.node, namespace)
            else:
                self._execute(statement.node, namespace)
        except BaseException:
            statement.has_run = False  # so that the next request fails in the same way
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
    """The statement itself, or an import split into one statement for each of its names."""
    import ast

    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        yield node
        return
    for alias in node.names:
        one: ast.stmt = ast.Import([alias])
        if isinstance(node, ast.ImportFrom):
            one = ast.ImportFrom(node.module, [alias], node.level)
        yield ast.copy_location(one, node)
