"""A warm worker serves the next run, unless what it has loaded is no longer what is on disk."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from remotemedia import Node, Pipeline, Runtime

MODULE = """
import os
from remotemedia import Node

class Versioned(Node):
    def process(self, data):
        return {version!r}, os.getpid()
"""


def load(folder: Path, version: str) -> Node:
    """The node of a module that is written anew."""
    (folder / "versioned_module.py").write_text(MODULE.format(version=version))
    importlib.invalidate_caches()
    sys.modules.pop("versioned_module", None)
    node: Node = importlib.import_module("versioned_module").Versioned()
    return node


def test_a_module_that_changed_on_disk_is_loaded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02"""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with Runtime("[workers]\nmax = 2\n") as runtime:
        first = Pipeline(load(tmp_path, "first"), runtime=runtime)
        version, worker = first.run(0)
        assert version == "first"
        assert first.run(0) == ("first", worker)
        second = Pipeline(load(tmp_path, "second, longer"), runtime=runtime)
        version, other = second.run(0)
        assert version == "second, longer"
        assert other != worker
        assert second.run(0) == (version, other)
    sys.modules.pop("versioned_module", None)


class Rebuilt(Node):
    """Replaces one attribute by another."""

    def __init__(self) -> None:
        super().__init__()
        self.draft = [1]

    def process(self, data: object) -> object:
        """Replace."""
        self.final = [*self.draft, data]
        del self.draft
        return data


def test_attributes_that_were_added_and_deleted_are_so_at_the_caller() -> None:
    """spec: IOP-20"""
    node = Rebuilt()
    assert Pipeline(node).run(2) == 2
    assert node.final == [1, 2]
    assert not hasattr(node, "draft")
