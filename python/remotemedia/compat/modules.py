"""The top level of Python files: what each name there was imported as, and which statements make
it. Read, and not run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, order=True)
class Import:
    """An import in the source: the module's name, the line, and the name that it binds there.

    `guarded`: inside a `try` that catches ImportError, so there is a way without it. `name`: what
    is taken from the module; "" for the module itself, "*" for nobody knows what.
    """

    module: str
    line: int
    binds: str
    guarded: bool = False
    name: str = ""


@dataclass
class Module:
    """The top level of one file; relative imports start from `package`."""

    package: str = ""

    # What a name at module level was imported as; several lines may bind one name.
    imports: dict[str, list[Import]] = field(default_factory=dict)
    # Where a name imported from another module lies: (module, name there).
    origins: dict[str, tuple[str, str]] = field(default_factory=dict)
    # The statements that make a name of the module, other than imports.
    makers: dict[str, list[ast.stmt]] = field(default_factory=dict)
    # Whether it does something when it is loaded.
    is_script: bool = False


class Own:
    """The modules below a folder, read when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Module | None] = {}

    def find(self, name: str) -> Module | None:
        """The module of this name; None when it does not lie here, or is not Python."""
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> Module | None:
        place = self._folder.joinpath(*name.split("."))
        package = place / "__init__.py"
        file = package if package.is_file() else place.with_name(f"{place.name}.py")
        if not all(name.split(".")) or not file.is_file():
            return None
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
        except (OSError, SyntaxError, ValueError):
            return None
        return top_level(tree, name if file == package else name.rpartition(".")[0])


def top_level(tree: ast.Module, package: str) -> Module:
    """Reads a file."""
    module = Module(package)
    for statement, guarded in flat(tree.body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, origin, imported in imports_of(statement, package, guarded):
                module.imports.setdefault(name, []).append(imported)
                module.origins[name] = origin
        else:
            module.is_script |= _acts(statement)
            for name in _made_by(statement):
                module.makers.setdefault(name, []).append(statement)
    return module


def _acts(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.For | ast.While | ast.Assert | ast.Raise)


def flat(body: Iterable[ast.stmt], guarded: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements that run at import, out of `if` and `try`; TYPE_CHECKING is false then, and
    nothing is the main program.
    """
    for statement in body:
        if isinstance(statement, ast.If):
            if "__name__" in ast.unparse(statement.test):
                continue
            if "TYPE_CHECKING" not in ast.unparse(statement.test):
                yield from flat(statement.body, guarded)
            yield from flat(statement.orelse, guarded)
        elif isinstance(statement, ast.Try):
            inner = guarded or any(_catches_imports(handler) for handler in statement.handlers)
            yield from flat(statement.body, inner)
            for handler in statement.handlers:
                yield from flat(handler.body, guarded)
            yield from flat([*statement.orelse, *statement.finalbody], guarded)
        elif isinstance(statement, ast.With):
            yield from flat(statement.body, guarded)
        else:
            yield statement, guarded


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(caught & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def imports_of(
    statement: ast.Import | ast.ImportFrom, package: str, guarded: bool
) -> Iterator[tuple[str, tuple[str, str], Import]]:
    """`(name bound, (module, name there), Import)` of one statement."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            bound = alias.asname or alias.name.partition(".")[0]
            yield bound, (alias.name, ""), Import(alias.name, statement.lineno, bound, guarded)
        return
    module = statement.module or ""
    if statement.level:
        base = package.split(".")[: len(package.split(".")) - statement.level + 1]
        module = ".".join([*base, *([module] if module else [])])
    for alias in statement.names:
        bound = alias.asname or alias.name
        found = Import(module, statement.lineno, bound, guarded, alias.name)
        yield bound, (module, alias.name), found


def _made_by(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    return sorted({n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and is_stored(n)})


def is_stored(name: ast.Name) -> bool:
    """Whether the name is bound, not read."""
    return isinstance(name.ctx, ast.Store)


__all__ = ["Import", "Module", "Own", "flat", "imports_of", "is_stored", "top_level"]
