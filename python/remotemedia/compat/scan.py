"""What the source of nodes imports, read and not run: for each node what it uses, and what else
its module imports at its top.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PACKAGE = "remotemedia"


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


@dataclass(frozen=True)
class NodeSource:
    """A node class in a file, with the imports that it uses and those beside it in its module.

    `needs`: lines of the statements that it needs, when its file is a script: one that does
    something when it is loaded. None for a module. `parts`: what it uses of imported modules, with
    their full names.
    """

    file: Path
    name: str
    line: int
    uses: tuple[Import, ...]
    beside: tuple[Import, ...]
    needs: tuple[int, ...] | None = None
    parts: frozenset[str] = frozenset()


@dataclass
class _Module:
    """The top level of one file."""

    # What a name at module level was imported as; several lines may bind one name.
    imports: dict[str, list[Import]] = field(default_factory=dict)
    # Where a name imported from another module lies: (module, name there).
    origins: dict[str, tuple[str, str]] = field(default_factory=dict)
    # The statements that make a name of the module, other than imports.
    makers: dict[str, list[ast.stmt]] = field(default_factory=dict)
    # Whether it does something when it is loaded.
    is_script: bool = False


def nodes_in(path: Path) -> tuple[list[NodeSource], list[str]]:
    """The node classes in a file, or in all files below a folder; and what is wrong with files that
    cannot be read or are not Python.
    """
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    trees: dict[Path, ast.Module] = {}
    problems = []
    for file in files:
        try:
            trees[file] = ast.parse(file.read_text(encoding="utf-8"), str(file))
        except (OSError, SyntaxError, ValueError) as error:  # ValueError: no UTF-8, null bytes
            problems.append(f"{file}: {error}")
    modules = {file: _top_level(tree, _package_of(file, path)) for file, tree in trees.items()}
    known = _node_classes(modules)
    found = [
        _node(file, modules[file], statement)
        for file, name in known
        for statement in modules[file].makers[name]
        if isinstance(statement, ast.ClassDef)
    ]
    return found, problems


def _package_of(file: Path, root: Path) -> str:
    """The package that relative imports of `file` start from."""
    if not root.is_dir():
        return ""
    return ".".join((root.resolve().name, *file.relative_to(root).parts[:-1]))


def _top_level(tree: ast.Module, package: str) -> _Module:
    module = _Module()
    for statement, guarded in _flat(tree.body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, origin, imported in _imports(statement, package, guarded):
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


def _flat(body: Iterable[ast.stmt], guarded: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """The statements that run at import, out of `if` and `try`; TYPE_CHECKING is false then, and
    nothing is the main program.
    """
    for statement in body:
        if isinstance(statement, ast.If):
            if "__name__" in ast.unparse(statement.test):
                continue
            if "TYPE_CHECKING" not in ast.unparse(statement.test):
                yield from _flat(statement.body, guarded)
            yield from _flat(statement.orelse, guarded)
        elif isinstance(statement, ast.Try):
            inner = guarded or any(_catches_imports(handler) for handler in statement.handlers)
            yield from _flat(statement.body, inner)
            for handler in statement.handlers:
                yield from _flat(handler.body, guarded)
            yield from _flat([*statement.orelse, *statement.finalbody], guarded)
        elif isinstance(statement, ast.With):
            yield from _flat(statement.body, guarded)
        else:
            yield statement, guarded


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(caught & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def _imports(
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
    return sorted({n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and _is_stored(n)})


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _node_classes(modules: dict[Path, _Module]) -> list[tuple[Path, str]]:
    """Classes that derive from a node of the SDK, directly or through others of these files."""
    found: list[tuple[Path, str]] = []
    names: set[str] = set()
    while True:
        more = [
            (file, name)
            for file, module in modules.items()
            for name, statements in module.makers.items()
            if (file, name) not in found
            and any(isinstance(s, ast.ClassDef) and _is_node(s, module, names) for s in statements)
        ]
        if not more:
            return sorted(found, key=lambda pair: (pair[0], _line(modules[pair[0]], pair[1])))
        found += more
        names |= {name for _, name in more}


def _line(module: _Module, name: str) -> int:
    return module.makers[name][0].lineno


def _is_node(statement: ast.ClassDef, module: _Module, nodes: set[str]) -> bool:
    for base in statement.bases:
        root, _, last = ast.unparse(base).partition("[")[0].partition(".")
        origin, name = module.origins.get(root, ("", ""))
        if not origin and root not in module.makers and "*" in module.origins:
            origin, name = module.origins["*"][0], root
        of_sdk = origin.partition(".")[0] == _PACKAGE
        if of_sdk and (last or name).rpartition(".")[2].endswith(("Node", "Buffer", "Transform")):
            return True
        if (last.rpartition(".")[2] or name or root) in nodes and not of_sdk:
            return True
    return False


def _node(file: Path, module: _Module, statement: ast.ClassDef) -> NodeSource:
    uses, reached = _used(module, statement)
    needs = tuple(sorted(part.lineno for part in reached)) if module.is_script else None
    top = {found for several in module.imports.values() for found in several}
    beside = {found for found in top - uses if found.module != "__future__"}
    sides = tuple(sorted(uses)), tuple(sorted(beside))
    parts = frozenset(_parts(uses, reached))
    return NodeSource(file, statement.name, statement.lineno, *sides, needs, parts)


def _parts(uses: Iterable[Import], reached: Iterable[ast.stmt]) -> Iterator[str]:
    """The full names of what the statements take from modules: by import, or as `module.name`."""
    bound: dict[str, str] = {}
    for used in uses:
        if used.name:
            yield f"{used.module}.{used.name}"
        whole = f"{used.module}.{used.name}" if used.name else used.module
        is_first = not used.name and used.binds == used.module.partition(".")[0]
        bound[used.binds] = used.binds if is_first else whole
    for statement in reached:
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute):
                root, _, rest = ast.unparse(node).partition(".")
                if root in bound:
                    yield f"{bound[root]}.{rest}"


def _used(module: _Module, start: ast.stmt) -> tuple[set[Import], set[ast.stmt]]:
    """Imports inside `start` and inside what it refers to at module level, and the module-level
    imports whose names these use; and those statements.
    """
    # Nobody knows which names a star brings.
    uses: set[Import] = set(module.imports.get("*", ()))
    todo, seen = [start], {start}
    while todo:
        statement = todo.pop()
        uses |= _inner_imports(statement)
        for name in _loaded(statement):
            uses.update(module.imports.get(name, ()))
            for maker in module.makers.get(name, ()):
                if maker not in seen:
                    seen.add(maker)
                    todo.append(maker)
    return uses, seen


def _inner_imports(statement: ast.stmt) -> set[Import]:
    """Imports inside functions and class bodies."""
    found: set[Import] = set()
    for inner in ast.walk(statement):
        if isinstance(inner, (*_FUNCTIONS, ast.ClassDef)):
            for part, guarded in _flat(_deep(inner.body)):
                if isinstance(part, ast.Import | ast.ImportFrom):
                    found |= {i for _, _, i in _imports(part, "", guarded)}
    return found


def _deep(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements with those of loops and matches; `_flat` opens the others."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.AsyncWith):
            yield from _deep(statement.body)
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                yield from _deep(case.body)


def _loaded(statement: ast.AST) -> set[str]:
    """Names that it reads from around it, annotations left out: nobody evaluates those to run a
    node.
    """
    if isinstance(statement, ast.Name):
        is_read = isinstance(statement.ctx, ast.Load) and not hasattr(builtins, statement.id)
        return {statement.id} if is_read else set()
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
    bound |= {part.id for part in inner if isinstance(part, ast.Name) and _is_stored(part)}
    return bound - {name for part in inner if isinstance(part, ast.Global) for name in part.names}


__all__ = ["Import", "NodeSource", "nodes_in"]
