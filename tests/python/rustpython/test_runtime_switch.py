"""The interpreter of Python nodes: who chooses it, and where nodes go that it cannot run."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remotemedia
from e2e_nodes import run_script
from numpy_optional_nodes import DoesNot
from numpy_required_nodes import Halves, Louder, Spread, Swallows
from remotemedia import (
    AddNode,
    ConfigurationError,
    Node,
    NodeError,
    PassThroughNode,
    Pipeline,
    Runtime,
    WorkerStartError,
)
from switch_nodes import (
    FailsOnRustPython,
    NumpyIfThereIs,
    NumpyInCall,
    NumpyInInitialize,
    Where,
)

PROGRAM = "remotemedia-rustpython"


def rustpython(*nodes: Any, **options: Any) -> Pipeline:
    """A pipeline on RustPython, with a memory of its own."""
    config = options.pop("config", "[workers]\nmax = 4\n")
    return Pipeline(*nodes, runtime=options.pop("where", None) or Runtime(config), **options)


def run(pipeline: Pipeline, **options: Any) -> Any:
    return pipeline.run_sync([[]], runtime="rustpython", **options)


def test_the_environment_switches_every_python_node(tmp_path: Path) -> None:
    # spec: CARD-07, CARD-03, IOP-40
    script = """
        import sys
        from remotemedia import AddNode, Node, Pipeline
        class Where(Node):
            def process(self, data):
                return [data, sys.implementation.name]
        pipeline = Pipeline(AddNode(addend=1), Where())
        print(*pipeline.run(1), *(node.runtime for node in pipeline.explain()))
        """
    for word, wanted in [
        ("cpython", "cpython"),
        ("rustpython", "rustpython"),
        ("RUST", "rustpython"),
    ]:
        printed = run_script(tmp_path, script, REMOTEMEDIA_PYTHON_RUNTIME=word)
        assert printed.split() == ["2", wanted, "rust_native", wanted], word


def test_hint_argument_environment_and_configuration_in_this_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # spec: CARD-07, IOP-40, NRA-17
    def where(config: str | None, environment: str, argument: str | None, hint: str) -> str:
        monkeypatch.setenv("REMOTEMEDIA_PYTHON_RUNTIME", environment)
        node = Where(runtime_hint=hint)
        with Runtime(config) as runtime:
            (placement,) = Pipeline(node, runtime=runtime).explain(runtime=argument)
        return f"{placement.runtime}: {placement.why}"

    light = '[python]\nruntime = "rustpython"\n'
    assert where("", "", None, "auto").startswith("cpython: the default")
    assert where(light, "", None, "auto").startswith("rustpython: [python] runtime")
    assert where(light, "cpython", None, "auto") == "cpython: REMOTEMEDIA_PYTHON_RUNTIME"
    assert where(light, "cpython", "rustpython", "auto") == "rustpython: the argument runtime"
    assert where(light, "cpython", "rustpython", "cpython") == "cpython: its runtime_hint"
    assert where("", "cpython", "auto", "rustpython") == "rustpython: its runtime_hint"


@pytest.mark.parametrize(
    "place", ["argument", "session", "pipeline", "environment", "configuration"]
)
def test_an_unknown_interpreter_is_one_error_that_lists_the_known(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: CARD-07
    def choose() -> None:
        if place == "configuration":
            Runtime('[python]\nruntime = "pypy"')
        if place == "pipeline":
            Pipeline(runtime="pypy")
        if place == "session":
            Pipeline(Where()).session(runtime="pypy")
        if place == "environment":
            monkeypatch.setenv("REMOTEMEDIA_PYTHON_RUNTIME", "pypy")
            Pipeline(Where()).run([[]])
        if place == "argument":
            Pipeline(Where()).run([[]], runtime="pypy")

    with pytest.raises((ConfigurationError, ValueError)) as caught:
        choose()
    for known in ("pypy", "cpython", "rustpython", "auto"):
        assert known in str(caught.value)


def test_a_mixed_pipeline_runs_each_node_where_it_can() -> None:
    # spec: IOP-39, IOP-41, CARD-03
    pipeline = rustpython(
        PassThroughNode(),
        Where(name="light"),
        NumpyInCall(),
        Where(name="after"),
        Where(name="heavy", runtime_hint="cpython"),
    )
    wanted = ["rustpython", "cpython 6", "rustpython", "cpython"]
    before = pipeline.explain(runtime="rustpython")
    assert before["NumpyInCall_2"].runtime == "rustpython"
    assert run(pipeline) == wanted
    told = pipeline.explain(runtime="rustpython")
    assert [node.runtime for node in told] == [
        "rust_native", "rustpython", "cpython", "rustpython", "cpython",
    ]  # fmt: skip
    moved = told["NumpyInCall_2"].fallback
    assert moved is not None
    assert moved["kind"] == "c_extension"
    assert "numpy" in moved["module"]
    assert "numpy" in str(told)
    metrics = pipeline.get_metrics()
    assert metrics is not None
    assert metrics["fallback_count"] == 1
    assert metrics["nodes"][2]["fallback"]["kind"] == "c_extension"
    # The second run knows.
    assert run(pipeline) == wanted


def test_the_input_is_kept_and_comes_once_to_the_node_that_answers() -> None:
    # spec: IOP-39
    node = NumpyInCall()
    pipeline = rustpython(Where(), node)
    with pipeline.session(runtime="rustpython") as session:
        assert session.process([]) == [["rustpython", "cpython 6"]]
        assert session.process(["more"]) == [["more", "rustpython", "cpython 6"]]
    assert node.given == [["rustpython"], ["more", "rustpython"]]


def test_every_move_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    # spec: IOP-39
    pipeline = rustpython(NumpyInInitialize(name="early"))
    with caplog.at_level(logging.INFO):
        assert run(pipeline) == ["cpython"]
        first = [r for r in caplog.records if "moves from RustPython" in r.getMessage()]
        assert run(pipeline) == ["cpython"]
    assert len(first) == 1
    assert first[0].levelno == logging.WARNING
    assert "numpy" in first[0].getMessage()
    assert "early" in first[0].getMessage()
    assert any("runs on CPython, not on RustPython" in r.getMessage() for r in caplog.records)


def test_an_import_that_the_node_does_without_never_moves_it() -> None:
    # spec: IOP-39
    pipeline = rustpython(NumpyIfThereIs(), DoesNot())
    assert run(pipeline) == ["rustpython without", "rustpython"]
    assert all(node.fallback is None for node in pipeline.explain(runtime="rustpython"))


def test_without_fallback_the_error_names_node_module_and_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # spec: IOP-39, IOP-40
    def check(error: NodeError) -> None:
        assert error.node_id == "needs_numpy_0"
        assert error.root_package == "numpy"
        assert error.import_reason == "c_extension"
        assert error.remote_type is not None
        assert "ImportError" in error.remote_type
        for part in (
            "needs_numpy_0",
            "numpy",
            'runtime_hint="cpython"',
            "REMOTEMEDIA_ENABLE_FALLBACK",
        ):
            assert part in str(error)
        assert str(error).count("runtime_hint") == 1

    node = NumpyInCall()
    node.name = "needs_numpy"
    with pytest.raises(NodeError) as caught:
        run(rustpython(node), fallback=False)
    check(caught.value)
    with pytest.raises(NodeError) as caught:
        run(rustpython(node, config="[fallback]\nenabled = false\n"))
    check(caught.value)
    monkeypatch.setenv("REMOTEMEDIA_ENABLE_FALLBACK", "false")
    with pytest.raises(NodeError) as caught:
        run(rustpython(node))
    check(caught.value)
    assert run(rustpython(node), fallback=True) == ["cpython 6"]


def test_a_node_that_fails_three_times_in_a_row_moves() -> None:
    # spec: IOP-39
    pipeline = rustpython(FailsOnRustPython())
    for _ in range(2):
        with pytest.raises(NodeError, match="not here"):
            run(pipeline)
    assert run(pipeline) == ["cpython"]
    (placement,) = pipeline.explain(runtime="rustpython")
    assert placement.fallback is not None
    assert placement.fallback["kind"] == "failures"


def test_a_moved_node_is_not_tried_again_in_the_same_runtime() -> None:
    # spec: IOP-39
    with Runtime() as where:
        assert run(rustpython(NumpyInCall(), where=where)) == ["cpython 6"]
        (same,) = rustpython(NumpyInCall(), where=where).explain(runtime="rustpython")
        (other,) = rustpython(Where(), where=where).explain(runtime="rustpython")
        assert (same.runtime, other.runtime) == ("cpython", "rustpython")
        assert same.fallback is not None
        assert same.fallback["kind"] == "c_extension"
    with Runtime() as fresh:
        (same,) = rustpython(NumpyInCall(), where=fresh).explain(runtime="rustpython")
        assert same.runtime == "rustpython"


CELLS = """
import json
import sys
from remotemedia import Node, Pipeline, Runtime

FIRST = '''
def total(values):
    import numpy
    return int(numpy.sum(values))

class Sums(Node):
    def process(self, data):
        return [sys.implementation.name, total(data)]
'''
# As the cells of a notebook, which have no file: at last one of the two is defined again.
CHANGED = {
    "helper": '''
def total(values):
    return sum(values)
''',
    "class": '''
class Sums(Node):
    def process(self, data):
        return [sys.implementation.name, sum(data)]
''',
}

def where(runtime):
    pipeline = Pipeline(Sums(), runtime=runtime)
    (planned,) = pipeline.explain(runtime="rustpython")
    pipeline.run((1, 2), runtime="rustpython")
    return [planned.runtime, pipeline.get_metrics()["nodes"][0]["runtime"]]

with Runtime() as runtime:
    shown = []
    for cell in (FIRST, FIRST, CHANGED[sys.argv[1]]):
        exec(compile(cell, f"<cell {len(shown)}>", "exec"), globals())
        shown.append(where(runtime))
print(json.dumps(shown))
"""


@pytest.mark.parametrize("changed", ["class", "helper"])
def test_redefined_code_of_a_notebook_is_tried_again(changed: str, tmp_path: Path) -> None:
    # spec: IOP-39
    cells = tmp_path / "cells.py"
    cells.write_text(CELLS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(cells), changed], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, same, redefined = json.loads(done.stdout.splitlines()[-1])
    assert first == ["rustpython", "cpython"]
    assert same == ["cpython", "cpython"]
    assert redefined[0] == "rustpython"


def test_a_node_object_that_cannot_go_there_stays_on_cpython() -> None:
    # spec: IOP-39
    def make() -> Node:
        compiled = compile("def process(self, data): return [*data, 'made']", "<nowhere>", "exec")
        namespace: dict[str, Any] = {}
        exec(compiled, namespace)
        made: Node = type("Made", (Node,), dict(namespace, __module__="__main__"))()
        return made

    assert run(rustpython(Where(), make())) == ["rustpython", "made"]
    with pytest.raises(NodeError, match="Made") as caught:
        run(rustpython(Where(), make()), fallback=False)
    assert "REMOTEMEDIA_ENABLE_FALLBACK" in str(caught.value)


def test_a_missing_rustpython_is_one_error_that_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: CARD-07
    monkeypatch.setenv("REMOTEMEDIA_RUSTPYTHON", str(tmp_path / "nowhere"))
    with pytest.raises(WorkerStartError) as caught:
        run(rustpython(Where()))
    for part in ("pip install", str(tmp_path), "[rustpython] executable", "cpython"):
        assert part in str(caught.value)


def test_the_program_is_found_beside_the_interpreter_and_where_it_is_named(tmp_path: Path) -> None:
    # spec: CARD-07
    beside = Path(sys.executable).with_name(PROGRAM)
    named = tmp_path / "rp"
    shutil.copy(beside, named)
    (placement,) = rustpython(Where()).explain(runtime="rustpython")
    assert placement.program == str(beside)
    with Runtime(f'[rustpython]\nexecutable = "{named}"') as where:
        (placement,) = rustpython(Where(), where=where).explain(runtime="rustpython")
        assert placement.program == str(named)
        assert run(rustpython(Where(), where=where)) == ["rustpython"]


class Passes(Node):
    """Gives back what it gets."""

    def process(self, data: Any, /) -> Any:
        return data


def test_arrays_pass_between_the_interpreters() -> None:
    # spec: IOP-41, CARD-03
    samples = np.arange(20_000, dtype=np.float32)
    nodes = [Passes(runtime_hint=hint) for hint in ("cpython", "rustpython", "cpython")]
    out = rustpython(*nodes).run_sync([samples])
    assert isinstance(out, np.ndarray)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, samples)


def test_workers_of_both_kinds_are_warm_and_bounded_apart() -> None:
    # spec: CARD-03, IOP-09
    with Runtime("[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        pipeline = rustpython(Where(), Where(runtime_hint="cpython"), where=where)
        assert run(pipeline) == ["rustpython", "cpython"]
        before = {worker["runtime"]: worker["pid"] for worker in where.workers()}
        assert set(before) == {"rustpython", "cpython"}
        assert run(pipeline) == ["rustpython", "cpython"]
        assert before == {worker["runtime"]: worker["pid"] for worker in where.workers()}


def test_the_command_line_explains(tmp_path: Path) -> None:
    # spec: IOP-39, IOP-40
    nodes = [
        {"id": "add", "node_type": "AddNode", "params": {"addend": 1}},
        {"id": "own", "node_type": "switch_nodes:Where"},
    ]
    manifest = tmp_path / "m.json"
    edges = [{"from": "add", "to": "own"}]
    manifest.write_text(json.dumps({"version": "v1", "nodes": nodes, "connections": edges}))
    program = Path(sys.executable).with_name("remotemedia")
    told = subprocess.run(
        [program, "explain", manifest, "--runtime", "rustpython", "--json"],
        capture_output=True, check=True, text=True, env={**os.environ},
    )  # fmt: skip
    add, own = json.loads(told.stdout)["nodes"]
    assert (add["runtime"], own["runtime"]) == ("rust_native", "rustpython")
    assert own["why"] == "the argument runtime"
    assert own["program"].endswith(PROGRAM)
    wrong = subprocess.run(
        [program, "explain", manifest, "--runtime", "pypy"], capture_output=True, text=True
    )
    assert wrong.returncode == 2
    assert "known are cpython, python" in wrong.stderr
    assert AddNode.__name__ in told.stdout


def test_a_node_that_computes_with_a_view_stays() -> None:
    # spec: CARD-05, IOP-39
    pipeline = rustpython(Halves())
    result = pipeline.run_sync([np.ones(960, np.float32)], runtime="rustpython")
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.float32
    assert (result == 0.5).all()
    (placement,) = pipeline.explain(runtime="rustpython")
    assert (placement.runtime, placement.fallback) == ("rustpython", None)


class InPlace(Node):
    def process(self, data: Any, /) -> Any:
        data *= 0.5
        return data


def test_operators_in_place_change_the_nodes_own_memory_only() -> None:
    # spec: CARD-05
    pipeline = rustpython(InPlace(), where=Runtime("[fallback]\nenabled = false\n"))
    mine, shared = np.ones(100_000, np.float32), remotemedia.asarray_shared(np.ones(100_000))
    with pipeline.session(runtime="rustpython") as session:
        (result,) = session.process(mine)
        assert (result == 0.5).all()
        # As numpy says it of an array that is read-only.
        with pytest.raises(NodeError, match="read-only") as caught:
            session.process(shared)
    assert caught.value.remote_type == "ValueError"
    assert (mine == 1).all()
    assert (shared == 1).all()


@pytest.mark.parametrize("node", [Spread, Louder])
def test_a_node_that_takes_a_view_for_a_numpy_array_moves_at_once(node: type[Node]) -> None:
    # spec: IOP-39
    pipeline = rustpython(node())
    array = np.linspace(0, 1, 960, dtype=np.float32)
    result = pipeline.run_sync([array], runtime="rustpython")
    assert (result == node().process(array)).all()
    (placement,) = pipeline.explain(runtime="rustpython")
    assert placement.runtime == "cpython"
    assert "numpy" in placement.why


def test_a_node_that_swallows_a_missing_import_gives_no_wrong_result() -> None:
    # spec: IOP-39
    pipeline = rustpython(Swallows())
    assert pipeline.run_sync([np.ones(960, np.float32)], runtime="rustpython") == 960.0
    (placement,) = pipeline.explain(runtime="rustpython")
    assert placement.runtime == "cpython"


class Greets(Node):
    """Imports a module that only the configuration names."""

    def process(self, data: Any, /) -> Any:
        import greetings  # type: ignore[import-not-found]

        return [*data, sys.implementation.name, greetings.TEXT]


class CallsC(Node):
    """Uses what RustPython workers refuse."""

    def process(self, data: Any, /) -> Any:
        import ctypes

        return [*data, ctypes.sizeof(ctypes.c_int)]


def test_the_configuration_names_modules_for_both_interpreters(tmp_path: Path) -> None:
    # spec: IOP-15
    file = tmp_path / "some_file.py"
    file.write_text("TEXT = 'hello'\n")
    config = f'[python]\nmodules = {{ greetings = "{file}" }}\n'
    for interpreter in ("cpython", "rustpython"):
        with Runtime(config) as where:
            pipeline = Pipeline(Greets(), runtime=where)
            result = pipeline.run_sync([[]], runtime=interpreter, fallback=False)
        assert result == [interpreter, "hello"]


def test_the_configuration_allows_what_is_refused() -> None:
    # spec: IOP-28
    with pytest.raises(NodeError) as caught:
        run(rustpython(CallsC()), fallback=False)
    assert caught.value.import_reason == "blocked"
    assert "allow_modules" in str(caught.value)
    allowed = rustpython(CallsC(), config='[rustpython]\nallow_modules = "ctypes"\n')
    assert run(allowed, fallback=False) == [4]
