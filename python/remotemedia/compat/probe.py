"""Loads classes inside a worker, as the worker loads the nodes of a session."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Collection
from pathlib import Path
from typing import Any

from remotemedia._guest import loading
from remotemedia._guest.faults import Fault
from remotemedia.core.node import Node


class Probe(Node):
    """A node whose items are classes to load: `(module, name, file, statements)`."""

    def process(self, data: tuple[str, str, str, list[int] | None]) -> bool:
        """Load a class.

        Args:
            data: the module and the name of the class; the file of the module; and, when the file
                is a script, the positions of the statements that the class needs.

        Returns:
            Whether the class is a node.
        """
        module, name, file, statements = data
        if statements is None:
            found = _find(module, name)
        else:
            found = getattr(_load_statements(module, file, statements), name)
        return callable(getattr(found, "process", None))


def _find(module: str, name: str) -> Any:
    try:
        return loading.find_class("", module, name)
    except Fault as fault:
        # The error of the module itself; the session makes a fault of this node of it.
        raise fault.__context__ or fault from None


def _load_statements(name: str, file: str, positions: Collection[int]) -> types.ModuleType:
    """A module made of some of the statements of a file."""
    tree = ast.parse(Path(file).read_bytes(), file)
    tree.body = [tree.body[position] for position in sorted(positions)]
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = file
    try:
        exec(compile(tree, file, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


__all__ = ["Probe"]
