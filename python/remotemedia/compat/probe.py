"""A node that loads classes inside a worker, so that they meet the worker's limits."""

from __future__ import annotations

import ast
import importlib
import sys
import types
from collections.abc import Collection
from typing import Any

from remotemedia.core.node import Node


class Probe(Node):
    """A node that loads a class for each item `(module, name, file, statements)`."""

    def process(self, data: tuple[str, str, str, list[int] | None]) -> bool:
        """Load a class.

        Args:
            data: the module and the name of the class; the file of the module; and the indices of
                the statements that the class needs, or None to import the whole module.

        Returns:
            Whether the class is a node.
        """
        module, name, file, statements = data
        if statements is None:
            found = getattr(importlib.import_module(module), name)
        else:
            found = _run(module, file, statements)[name]
        return callable(getattr(found, "process", None))


def _run(name: str, file: str, positions: Collection[int]) -> dict[str, Any]:
    """Run some top-level statements of a file and return the names that they define."""
    with open(file, "rb") as source:  # noqa: PTH123  (workers start without pathlib)
        tree = ast.parse(source.read(), file)
    tree.body = [tree.body[position] for position in sorted(positions)]
    module = types.ModuleType(name)
    module.__file__ = file
    folder, _, last = file.rpartition("/")
    if last == "__init__.py":
        module.__path__, module.__package__ = [folder], name
    else:
        module.__package__ = name.rpartition(".")[0]
    # In `sys.modules` only while the statements run, because others may import the whole module.
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(compile(tree, file, "exec", dont_inherit=True), module.__dict__)
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
    return module.__dict__


__all__ = ["Probe"]
