"""Loads a node class in the interpreter that is measured, as a worker would: what the module
imports and the node does not use may be missing. Becomes the code of a case, so it imports nothing
of the package.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Collection, Sequence
from typing import Any

# Under this name the module finds what stands for an import that fails and is not used.
_PLACE = "_not_imported_"

_TRIED = f"""
try:
    {{one}}
except ImportError:
    {{bound}} = {_PLACE}({{module!r}})
"""


class _NotImported:
    """Stands for a module, or a name of one, that the node does not use."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return self()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ModuleNotFoundError(f"No module named {self._module!r}", name=self._module)

    def __mro_entries__(self, bases: Any) -> Any:
        return self()


class _Without(ast.NodeTransformer):
    """Lets imports fail that the node does not use; functions stay as they are."""

    def __init__(self, unused: Collection[tuple[int, str]]) -> None:
        self._unused = unused

    def visit_FunctionDef(self, node: ast.AST) -> ast.AST:
        """As it is."""
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815
    visit_ClassDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_Import(self, node: Any) -> Any:
        """The aliases that are used, and for each of the others an import that may fail."""
        kept: list[ast.alias] = []
        tried: list[ast.stmt] = []
        for alias in node.names:
            module = getattr(node, "module", None) or alias.name
            bound = alias.asname or alias.name
            if isinstance(node, ast.Import) and not alias.asname:
                bound = bound.partition(".")[0]
            if (node.lineno, bound) in self._unused:
                one = type(node)(**{**dict(ast.iter_fields(node)), "names": [alias]})
                tried += ast.parse(
                    _TRIED.format(one=ast.unparse(one), bound=bound, module=module)
                ).body
            else:
                kept.append(alias)
        node.names = kept
        return [*([node] if kept else []), *tried]

    visit_ImportFrom = visit_Import  # noqa: N815


def _needed(body: list[Any], needs: Collection[int]) -> list[Any]:
    """The imports, and the statements that begin in one of these lines."""
    kept = []
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            inner = [s for part in ("body", "orelse") for s in getattr(statement, part)]
            if _needed(inner, needs):
                kept.append(statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom) or statement.lineno in needs:
            kept.append(statement)
    return kept


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a source file; what it imports and does not use may be missing."""

    unused: Collection[tuple[int, str]] = ()
    needs: Collection[int] | None = None

    def get_code(self, fullname: str) -> Any:
        """The code, never from a cache."""
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        if self.needs is not None:
            tree.body = _needed(tree.body, self.needs)
        tree = ast.fix_missing_locations(_Without(self.unused).visit(tree))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: Any) -> None:
        """Run it, with the placeholders' class at hand."""
        setattr(module, _PLACE, _NotImported)
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Has one module loaded by `_Loader`."""

    def __init__(self, module: str, loader: _Loader) -> None:
        self._module, self._loader = module, loader

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The spec of that module; None for all others."""
        if name != self._module:
            return None
        file = self._loader.path
        return importlib.util.spec_from_file_location(name, file, loader=self._loader)


def load(path: Sequence[str], module: str, file: str, name: str, **slices: Any) -> str:
    """Import `module` from `file` with `path` in front of sys.path, and take the class `name`.

    `unused` names the imports that may fail by their line and the name that they bind, `needs` the
    lines of the statements to run; None for all.
    """
    loader = _Loader(module, file)
    loader.unused, loader.needs = slices["unused"], slices["needs"]
    before, finder = list(sys.path), _Finder(module, loader)
    sys.path[:0] = path
    sys.meta_path.insert(0, finder)
    try:
        found = getattr(importlib.import_module(module), name)
        if not callable(getattr(found, "process", None)):
            raise TypeError(f"{name} has no method process(data)")
        return "loaded"
    finally:
        # Each node is loaded as if it were the only one.
        sys.meta_path.remove(finder)
        sys.path[:] = before
        root = module.partition(".")[0]
        for known in [m for m in sys.modules if m.partition(".")[0] == root]:
            del sys.modules[known]
