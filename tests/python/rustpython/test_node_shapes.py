"""Where each shape of node code runs when RustPython is asked for, and what it gives there."""

from __future__ import annotations

import importlib
import linecache
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node_shapes import HELPERS, SHAPES, Shape
from remotemedia import Node, Pipeline, Runtime


@pytest.fixture(scope="module")
def warm() -> Iterator[Runtime]:
    """One worker of each interpreter runs all shapes, each session as if the worker were new."""
    with Runtime("[workers]\nmax = 2\n") as runtime:
        yield runtime


def namespace_of(shape: Shape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that a shape's source makes, where it stands."""
    start = "from remotemedia import Node\n"
    if shape.place in ("script", "notebook"):
        main = types.ModuleType("__main__")
        monkeypatch.setitem(sys.modules, "__main__", main)
        if shape.place == "script":
            path = tmp_path / "script.py"
            path.write_text(start + shape.source)
            main.__file__ = str(path)
            exec(compile(path.read_text(), str(path), "exec"), vars(main))
        else:
            for number, cell in enumerate([start, *shape.source]):
                name = f"/tmp/ipykernel_1/{tmp_path.name}_{number}.py"
                linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
                exec(compile(cell, name, "exec"), vars(main))
        return vars(main)
    name = f"test_{tmp_path.name}" if shape.place == "test file" else f"shape_{tmp_path.name}"
    if shape.place == "package":
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "helpers.py").write_text(HELPERS)
        (folder / "nodes.py").write_text(start + shape.source)
        name = f"{name}.nodes"
    else:
        (tmp_path / f"{name}.py").write_text(start + shape.source)
    monkeypatch.syspath_prepend(str(tmp_path))
    return vars(importlib.import_module(name))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_shape_runs_where_it_can(
    shape: Shape, warm: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-06, IOP-19, IOP-21, IOP-39, IOP-41, CARD-07
    space = namespace_of(shape, tmp_path, monkeypatch)
    pipeline = Pipeline(space["NODE"], runtime=warm)
    result = pipeline.run_sync([space.get("ITEM", shape.item)], runtime="rustpython")
    assert space.get("RESULT", lambda given: given)(result) == shape.wanted
    (placed,) = pipeline.explain(runtime="rustpython")
    assert (placed.runtime, shape.because in placed.why) == (shape.runs_on, True), placed.why


def test_no_shape_is_there_twice() -> None:
    names = [shape.name for shape in SHAPES]
    assert len(names) == len(set(names)) >= 40
    assert all(shape.because for shape in SHAPES if shape.runs_on == "cpython")
    assert issubclass(Node, object)
