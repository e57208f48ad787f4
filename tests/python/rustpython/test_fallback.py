"""What moves a node from RustPython to CPython, what does not, and what is said of it."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

import numpy_in_body_nodes
import numpy_object_nodes
from remotemedia import MarshalingError, Node, NodeError, Pipeline, Runtime
from remotemedia_runtime import execute_pipeline_with_input
from switch_nodes import GivesThenNeedsNumpy, MissesAModule, Recounts


def rustpython(*nodes: Any) -> Pipeline:
    """A pipeline with a memory of its own."""
    return Pipeline(*nodes, runtime=Runtime("[workers]\nmax = 4\n"))


def run(pipeline: Pipeline, **options: Any) -> Any:
    return pipeline.run_sync([[]], runtime="rustpython", **options)


def placement(pipeline: Pipeline) -> tuple[str, str]:
    (found,) = pipeline.explain(runtime="rustpython")
    return found.runtime, found.why


def test_what_others_in_its_module_lack_never_moves_a_node() -> None:
    # spec: IOP-39
    pipeline = rustpython(numpy_in_body_nodes.Gain())
    assert run(pipeline, fallback=False) == ["rustpython"]
    assert run(pipeline) == ["rustpython"]
    assert placement(pipeline)[0] == "rustpython"
    for node, wanted in [
        (numpy_in_body_nodes.Other(), "cpython 256"),
        (numpy_in_body_nodes.Settles(), "cpython 3"),
        (numpy_in_body_nodes.Turns(), "cpython 6"),
    ]:
        pipeline = rustpython(node)
        assert run(pipeline) == [wanted]
        assert "'numpy' is a C extension" in placement(pipeline)[1]


def test_what_others_in_its_module_lack_never_moves_a_node_of_a_manifest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # spec: IOP-39
    monkeypatch.setenv("REMOTEMEDIA_PYTHON_RUNTIME", "rustpython")
    for name, wanted in [("Gain", "rustpython"), ("Other", "cpython 256")]:
        node = {"id": "own", "node_type": f"numpy_in_body_nodes:{name}"}
        manifest = {"version": "v1", "nodes": [node], "connections": []}
        result = execute_pipeline_with_input(json.dumps(manifest), [[]])
        assert result["result"] == [wanted], result


@pytest.mark.parametrize(
    "node", [numpy_in_body_nodes.Swallows(), numpy_in_body_nodes.RaisesItsOwn()]
)
def test_a_node_that_swallows_a_missing_import_moves_before_its_first_item(node: Node) -> None:
    # spec: IOP-39
    pipeline = rustpython(node)
    assert run(pipeline) == ["cpython 6"]
    assert "'numpy' is a C extension" in placement(pipeline)[1]


@pytest.mark.parametrize(
    ("giver", "named"),
    [
        (numpy_object_nodes.GivesFrame, "numpy_object_nodes.Frame needs numpy"),
        (numpy_object_nodes.GivesLocal, "GivesLocal.process.<locals>.Level"),
    ],
)
def test_a_node_moves_with_a_value_that_cannot_pass(
    giver: type[Node], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    # spec: IOP-39, IOP-41
    pipeline = rustpython(giver(), Recounts())
    result = pipeline.run_sync([[1, 2]], runtime="rustpython")
    assert result == ["cpython", 3, 1], "the input comes once"
    moved = list(pipeline.explain(runtime="rustpython"))[1]
    assert moved.runtime == "cpython"
    assert named in moved.why
    assert any(named in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("giver", "named"),
    [(numpy_object_nodes.GivesFrame, "Frame"), (numpy_object_nodes.GivesLocal, "Level")],
)
def test_without_fallback_a_value_that_cannot_pass_is_named(giver: type[Node], named: str) -> None:
    # spec: IOP-07, IOP-39
    pipeline = rustpython(giver(runtime_hint="cpython"), Recounts(name="takes"))
    with pytest.raises(NodeError) as caught:
        pipeline.run_sync([[1, 2]], runtime="rustpython", fallback=False)
    told = str(caught.value)
    assert caught.value.node_id == "takes_1"
    assert named in told
    assert told.count("runtime_hint") == 1, told
    assert told.count("fallback=True") == 1, told
    assert ".." not in told, told


def test_a_module_that_is_nowhere_fails_once_and_moves_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # spec: IOP-39, IOP-28
    pipeline = rustpython(MissesAModule())
    for _ in range(2):
        with pytest.raises(NodeError) as caught:
            run(pipeline)
        told = str(caught.value)
        assert caught.value.import_reason == "not_installed"
        assert "No module named 'numpi'" in told
        assert "did you mean 'numpy'" in told
        assert "CPython" not in told, told
        assert "RustPython" not in told, told
        assert not caplog.records
        assert placement(pipeline)[0] == "rustpython"
    with pytest.raises(NodeError, match="did you mean 'numpy'") as caught:
        run(pipeline, fallback=False)
    assert "fallback" not in str(caught.value)


def test_a_decision_for_the_next_session_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    # spec: IOP-39, IOP-40
    pipeline = rustpython(GivesThenNeedsNumpy())
    with pytest.raises(NodeError, match="The next session runs it on CPython"):
        pipeline.run_sync([1, 2], runtime="rustpython")
    (told,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "runs on CPython from the next session on: 'numpy' is a C ext" in told.getMessage()
    assert placement(pipeline)[0] == "cpython"
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert metrics["fallback_count"] == 1
    (node,) = metrics["nodes"]
    assert node["fallback"]["kind"] == "c_extension"
    assert pipeline.run_sync([1, 2], runtime="rustpython") == [["cpython", 1], ["cpython", 6]]


class NamesOther(Node):
    """Speaks of a class that RustPython cannot define."""

    other = numpy_in_body_nodes.Other

    def process(self, data: Any, /) -> Any:
        return [*data, sys.implementation.name, self.other.window.size]


def test_a_class_that_cannot_be_defined_there_is_the_reason() -> None:
    # spec: IOP-39
    pipeline = rustpython(NamesOther())
    assert run(pipeline) == ["cpython", 256]
    assert "'numpy' is a C extension" in placement(pipeline)[1]


def local_level(total: int) -> Any:
    """An object that no other interpreter can be told of: its class looks names up by text."""

    class Level:
        level = total

        def doubled(self) -> Any:
            return eval("2 * self.level")

    return Level()


def test_a_node_moves_with_a_value_of_the_callers_that_cannot_pass(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # spec: IOP-39, IOP-41
    pipeline = rustpython(Recounts())
    assert pipeline.run_sync([local_level(7)], runtime="rustpython") == ["cpython", 7, 1]
    (moved,) = pipeline.explain(runtime="rustpython")
    assert moved.runtime == "cpython"
    assert "local_level.<locals>.Level" in moved.why
    assert any("local_level.<locals>.Level" in r.getMessage() for r in caplog.records)
    with rustpython(Recounts()).session(runtime="rustpython") as session:
        assert session.process(local_level(5)) == [["cpython", 5, 1]]


def test_without_fallback_a_value_of_the_callers_that_cannot_pass_is_named() -> None:
    # spec: IOP-07, IOP-39
    with pytest.raises(NodeError) as caught:
        rustpython(Recounts(name="takes")).run_sync(
            [local_level(7)], runtime="rustpython", fallback=False
        )
    told = str(caught.value)
    assert caught.value.node_id == "takes_0"
    assert "local_level.<locals>.Level" in told
    assert told.count("runtime_hint") == 1, told
    assert told.count("fallback=True") == 1, told


def test_what_no_interpreter_can_be_sent_is_the_callers_error_and_moves_nothing() -> None:
    # spec: IOP-07, IOP-39
    pipeline = rustpython(Recounts())
    with pytest.raises(MarshalingError, match=r"_thread\.lock"):
        pipeline.run_sync([threading.Lock()], runtime="rustpython")
    assert placement(pipeline)[0] == "rustpython"


INSTALLED = {
    "__init__.py": "",
    "fast.py": "import numpy as np\ntotal = np.sum\n",
    "sums.py": "try:\n    from .fast import total\nexcept ImportError:\n    total = sum\n",
    "nodes.py": """
import sys
import numpy as np
from remotemedia import Node
from .sums import total
from .fast import total as fast_total

class Plain(Node):
    def process(self, data):
        return [sys.implementation.name, int(total(data))]

class Fast(Node):
    def process(self, data):
        return [sys.implementation.name, int(fast_total(data))]
""",
}


@pytest.mark.parametrize("form", ["installed", "archive"])
def test_nodes_of_packages_and_archives_are_read_as_ones_own(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-26, IOP-28, IOP-39
    name = f"{form}_nodes"
    if form == "archive":
        root = tmp_path / "all.zip"
        with zipfile.ZipFile(root, "w") as archive:
            for file, text in INSTALLED.items():
                archive.writestr(f"{name}/{file}", text)
    else:
        root = tmp_path / "site-packages"
        (root / name).mkdir(parents=True)
        for file, text in INSTALLED.items():
            (root / name / file).write_text(text)
    monkeypatch.syspath_prepend(str(root))
    nodes = importlib.import_module(f"{name}.nodes")
    for kind, wanted in [(nodes.Plain, "rustpython"), (nodes.Fast, "cpython")]:
        pipeline = rustpython(kind())
        assert pipeline.run_sync([[1, 2]], runtime="rustpython") == [wanted, 3]
        assert placement(pipeline)[0] == wanted


def test_what_a_package_says_of_itself_comes_after_the_way_out() -> None:
    # spec: IOP-28
    with pytest.raises(NodeError) as caught:
        run(rustpython(numpy_in_body_nodes.Turns()), fallback=False)
    first = str(caught.value).splitlines()[0]
    for part in ("Turns_0", "numpy needs a C extension", 'runtime_hint="cpython"'):
        assert part in first, caught.value
