"""Imports modules for received code, also without those of their names that cannot be defined.

RustPython lacks modules that CPython has. A module that imports one of them at its top may define
many names that do not need it. Its statements run one by one; those that need what is missing are
left out, and their names raise the ImportError when they are requested.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

    from remotemedia._portable.source import Names

_INSTALLED = ("/site-packages/", "/dist-packages/")
_CONSTANT: tuple[type, ...] = (
    *(bool, int, float, complex, str, bytes, type(None)),
    *(ModuleType, types.FunctionType),
)
_PLAIN = (
    *("Import", "ImportFrom", "Assign", "AnnAssign", "TypeAlias"),
    *("FunctionDef", "AsyncFunctionDef", "ClassDef"),
)
"""Statements that change only what the names stand for which they bind."""


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


def imported(module: str, attribute: str | None, uses: Iterable[str], below: Iterable[str]) -> Any:
    """Import a module, or a name of a module.

    Args:
        module: the module to import.
        attribute: the name to import from it; None for the module itself.
        uses: names that code may read from it as attributes.
        below: submodules to import too.

    Raises:
        ImportError: the module does not exist, or it lacks the name or a used one.
    """
    found = import_module(module)
    for further in below:
        import_module(further)
    if attribute is not None:
        return getattr(found, attribute)
    for use in uses if isinstance(found, Partial) else ():
        getattr(found, use, None)
    return found


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
    """A module without those names that need a missing module.

    Attributes:
        lacking: for each of these names the error.
    """

    lacking: dict[str, ImportError]

    def __getattr__(self, name: str) -> Any:
        """Raise the error because of which the name is not defined."""
        error = vars(self).get("lacking", {}).get(name)
        if error is not None:
            raise error
        message = f"module {self.__name__!r} has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=self)

    def require(self, code: types.CodeType) -> None:
        """Raise the error if code uses a name that the module lacks."""
        for name in code.co_names:
            getattr(self, name, None)
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                self.require(inner)


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
    module = Partial(name)
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    module.__package__ = name if spec.submodule_search_locations is not None else spec.parent
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    sys.modules[name] = module
    try:
        _Parts(module, source, problem).run()
    except BaseException:
        del sys.modules[name]
        raise
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)
    return module


class _Parts:
    """The statements of a module, of which some cannot run."""

    def __init__(self, module: Partial, source: str, problem: ImportError) -> None:
        import ast

        from remotemedia._portable.source import Text, bound_in, names_of

        self._names = vars(module)
        self._problem = problem
        self._text = Text(str(module.__file__), source.splitlines(keepends=True))
        self._lacking = module.lacking = {}
        self._statements = [
            (part, names_of(self._text.place(node).text), bound_in([part]))
            for node in self._text.tree.body
            if not (isinstance(node, ast.If) and "'__name__'" in ast.dump(node.test))
            for part in _split(node)
        ]
        self._bound = {name for _, _, binds in self._statements for name in binds}

    def run(self) -> None:
        """Run all statements but those that need what is missing."""
        for node, names, binds in self._statements:
            error = self._error_of(names)
            try:
                if error is None:
                    self._run(node, names)
            except Exception as problem:  # of what kind does not matter for those that need it
                error = problem if isinstance(problem, ImportError) else self._problem
            if error is not None:
                self._leave_out(node, names, binds, error)
        is_complete = False
        while not is_complete:  # a function may use names that were found missing after it
            is_complete = True
            for node, names, binds in self._statements:
                error = self._error_of(names)
                if error is not None and not binds <= self._lacking.keys():
                    self._leave_out(node, names, binds, error)
                    is_complete = False
        for name in self._lacking:
            self._names.pop(name, None)

    def _error_of(self, names: Names) -> ImportError | None:
        """The error if code needs something that is missing."""
        for name in names.early | names.late:
            if name in self._lacking:
                return self._lacking[name]
            if "*" in self._lacking and name not in self._bound:
                return self._lacking["*"]  # it may bind the name, even if it is also a builtin
            found = self._names.get(name)
            if isinstance(found, Partial):
                for attribute in names.attributes & found.lacking.keys():
                    return found.lacking[attribute]
        return self._problem if names.by_text else None

    def _leave_out(self, node: Any, names: Names, binds: set[str], error: ImportError) -> None:
        """Note as lacking the names that a statement binds, and those whose objects it or a
        definition that it calls may change.
        """
        bases = {getattr(base, "id", None) for base in getattr(node, "bases", ())}
        read = names.early if self._text.has_hooks else names.early - (bases - names.body)
        changed = set() if binds and type(node).__name__ in _PLAIN else set(read)
        waiting = [*(read & self._text.defined)]
        for name in waiting:  # the list grows meanwhile
            used = (n.early | n.late for _, n, bound in self._statements if name in bound)
            new = set[str]().union(*used) - changed
            changed |= new
            waiting += new & self._text.defined
        fixed = _CONSTANT if self._text.has_hooks else (*_CONSTANT, type)
        for name in changed & self._names.keys():
            if not isinstance(self._names[name], fixed) or name in self._text.changed:
                binds = binds | {name}
        self._lacking.update(dict.fromkeys(binds - self._lacking.keys(), error))

    def _run(self, node: Any, names: Names) -> None:
        import ast

        if isinstance(node, (ast.Import, ast.ImportFrom)):
            name = path = node.names[0].name
            if isinstance(node, ast.ImportFrom):
                path = "." * node.level + (node.module or "")
                path = importlib.util.resolve_name(path, self._names["__package__"])
            found = import_module(path)
            if path != name and name != "*" and not hasattr(found, name):
                with contextlib.suppress(ModuleNotFoundError):
                    import_module(f"{path}.{name}")
        features = [*self._text.features]
        if not names.fields or names.fields & self._lacking.keys():
            features.append("annotations")
        tree = ast.Module([node], [])
        flags = flags_of(features)
        exec(compile(tree, self._text.name, "exec", flags, dont_inherit=True), self._names)


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
