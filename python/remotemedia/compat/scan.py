"""What the source of nodes imports, read and not run: for each node what it uses, and what else
its module imports at its top.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from remotemedia.compat.modules import Import, Module, Own, top_level
from remotemedia.compat.uses import Uses

_PACKAGE = "remotemedia"


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
    modules = {file: top_level(tree, _package_of(file, path)) for file, tree in trees.items()}
    known = _node_classes(modules)
    own = Own(path.resolve().parent)
    found = [
        _node(file, modules[file], statement, own)
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


def _node_classes(modules: dict[Path, Module]) -> list[tuple[Path, str]]:
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


def _line(module: Module, name: str) -> int:
    return module.makers[name][0].lineno


def _is_node(statement: ast.ClassDef, module: Module, nodes: set[str]) -> bool:
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


def _node(file: Path, module: Module, statement: ast.ClassDef, own: Own) -> NodeSource:
    uses = Uses(own)
    uses.follow(module, statement)
    here = sorted(part.lineno for part, home in uses.reached.items() if home is module)
    needs = tuple(here) if module.is_script else None
    top = {found for several in module.imports.values() for found in several}
    beside = {found for found in top - uses.imports if found.module != "__future__"}
    sides = tuple(sorted(uses.imports)), tuple(sorted(beside))
    parts = frozenset(_parts(uses.imports, uses.reached))
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


__all__ = ["Import", "NodeSource", "nodes_in"]
