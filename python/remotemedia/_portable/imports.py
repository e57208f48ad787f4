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


_INSTALLED = ("/site-packages/", "/dist-packages/")
_CONSTANT: tuple[type, ...] = (
    *(bool, int, float, complex, str, bytes, type(None)),
    *(ModuleType, types.FunctionType),
)
_DEFINITIONS = ("FunctionDef", "AsyncFunctionDef", "ClassDef")
_BINDING = ("Import", "ImportFrom", "Assign", "AnnAssign", "TypeAlias", *_DEFINITIONS)
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


class _Part:
    """A statement of a module.

    Attributes:
        node: the statement.
        binds: the names that it binds.
        early: names that it looks up when it runs, without those of a class's bases.
        used: all names that it and the functions in it look up.
        annotated: further names, which only annotations use.
        attributes: all attributes that it reads or sets, of whatever object.
        by_text: whether its code looks names up by text.
    """

    def __init__(self, node: Any) -> None:
        import ast
        import symtable

        from remotemedia._portable.source import UNREAD, by_text, looked_up

        text = ast.unparse(node)
        top = symtable.symtable(UNREAD + text, "", "exec")
        self.node = node
        self.binds = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
        self.binds.discard("annotations")  # bound by what stands before the text
        self.used = {*looked_up(top)} - {"annotations"}
        self.annotated = {*looked_up(symtable.symtable(text, "", "exec"))} - self.used
        bodies = [t for t in top.get_children() if str(t.get_type()) == "class"]
        early = [s for t in (top, *bodies) for s in t.get_symbols() if s.is_referenced()]
        self.early = {symbol.get_name() for symbol in early}
        bases = {getattr(base, "id", None) for base in getattr(node, "bases", ())}
        self.early -= bases - {name for table in bodies for name in looked_up(table)}
        nodes = list(ast.walk(node))
        self.attributes = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
        self.by_text = by_text(nodes) is not None


class _Parts:
    """The statements of a module, of which some cannot run."""

    def __init__(self, module: Partial, source: str, problem: ImportError) -> None:
        import ast

        from remotemedia._portable.source import Text

        self._names = vars(module)
        self._problem = problem
        self._text = Text(str(module.__file__), source.splitlines(keepends=True))
        self._lacking = module.lacking = {}
        self._parts = [
            _Part(part)
            for node in self._text.tree.body
            if not (isinstance(node, ast.If) and "'__name__'" in ast.dump(node.test))
            for part in _split(node)
        ]
        found = (
            n for n in ast.walk(self._text.tree) if isinstance(n, ast.Attribute | ast.Subscript)
        )
        self._changed = {_root_name(n) for n in found if not isinstance(n.ctx, ast.Load)}
        self._has_hooks = "__init_subclass__" in source or "metaclass=" in source

    def run(self) -> None:
        """Run all statements but those that need what is missing."""
        for part in self._parts:
            error = self._error_of(part)
            try:
                if error is None:
                    self._run(part)
            except Exception as problem:  # of what kind does not matter for those that need it
                error = problem if isinstance(problem, ImportError) else self._problem
            if error is not None:
                self._leave_out(part, error)
        is_complete = False
        while not is_complete:  # a function may use names that were found missing after it
            is_complete = True
            for part in self._parts:
                error = self._error_of(part)
                if error is not None and not part.binds <= self._lacking.keys():
                    self._leave_out(part, error)
                    is_complete = False
        for name in self._lacking:
            self._names.pop(name, None)

    def _error_of(self, part: _Part) -> ImportError | None:
        """The error if a statement needs something that is missing."""
        for name in part.used:
            if name in self._lacking:
                return self._lacking[name]
            found = self._names.get(name)
            if isinstance(found, Partial):
                for attribute in part.attributes & found.lacking.keys():
                    return found.lacking[attribute]
        return self._problem if part.by_text else None

    def _leave_out(self, part: _Part, error: ImportError) -> None:
        """Note as lacking the names that a statement binds, and those whose objects it or a
        function that it calls may change.

        Raises:
            ImportError: the statement is an `import *`, which may bind any name.
        """
        if getattr(part.node, "names", None) and part.node.names[0].name == "*":
            raise error
        is_binding = bool(part.binds) and type(part.node).__name__ in _BINDING
        changed = set() if is_binding and not self._has_hooks else set(part.early)
        waiting = [*part.early]
        for name in waiting:  # the list grows
            for other in self._parts:
                if name in other.binds and type(other.node).__name__ in _DEFINITIONS:
                    waiting += other.used - changed
                    changed |= other.used
        fixed = _CONSTANT if self._has_hooks else (*_CONSTANT, type)
        for name in changed & self._names.keys():
            if not isinstance(self._names[name], fixed) or name in self._changed:
                part.binds.add(name)
        self._lacking.update(dict.fromkeys(part.binds - self._lacking.keys(), error))

    def _run(self, part: _Part) -> None:
        import ast

        node: Any = part.node
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            name = path = node.names[0].name
            if isinstance(node, ast.ImportFrom):
                path = "." * node.level + (node.module or "")
                path = importlib.util.resolve_name(path, self._names["__package__"])
            found = import_module(path)
            if path != name and name != "*" and not hasattr(found, name):
                with contextlib.suppress(ModuleNotFoundError):
                    import_module(f"{path}.{name}")
        # Annotations stay text where they name what is missing.
        more = ["annotations"] if part.annotated & self._lacking.keys() else []
        flags = flags_of([*self._text.features, *more])
        code = compile(ast.Module([node], []), self._text.name, "exec", flags, dont_inherit=True)
        exec(code, self._names)


def _root_name(node: Any) -> str:
    """The `name` of `name.attribute`, `name[key]`, `name(...)` and chains of these; else empty."""
    while type(node).__name__ in ("Attribute", "Subscript", "Call"):
        node = getattr(node, "func", None) or node.value
    return getattr(node, "id", "")


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
