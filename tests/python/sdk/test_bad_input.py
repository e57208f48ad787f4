"""Bad input of every kind: one clear error that says what to do, and nothing left running."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e_nodes import BrokenConstructor, BrokenInitialize, Identity, Pid
from processes import children, is_alive, is_zygote, wait_for_children
from remotemedia import (
    AddNode,
    ConfigurationError,
    CycleError,
    GraphError,
    ManifestError,
    NodeError,
    NodeNotFoundError,
    Pipeline,
    RemoteMediaError,
    Runtime,
    VADNode,
    WorkerStartError,
)
from remotemedia_runtime import execute_pipeline_with_input


def is_own(pid: int) -> bool:
    """Whether a child runs, and is no zygote, which those of other runtimes start at any time."""
    return is_alive(pid) and not is_zygote(pid)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """A runtime of the test's own; at its end only idle or ending workers are left, then none."""
    before = children()
    with Runtime() as runtime:
        yield runtime
        workers = runtime.workers()
        assert {worker["state"] for worker in workers} <= {"ready", "draining", "dead"}
        others = {pid for pid in children() - before if is_own(pid)}
        assert others <= {worker["pid"] for worker in workers}
    wait_for_children(before)


def node(node_type: str, node_id: str = "n", **fields: Any) -> dict[str, Any]:
    return {"id": node_id, "node_type": node_type, **fields}


def manifest(*nodes: Any, connections: Any = (), version: str = "v1") -> str:
    edges = [{"from": source, "to": target} for source, target in connections]
    return json.dumps({"version": version, "nodes": nodes, "connections": edges})


ADD = node("AddNode", params={"addend": 1})

# (manifest, class, what the message says; the last part is what to do)
MANIFESTS: list[tuple[str, type[Exception], list[str]]] = [
    ('{"version": "v1", "nodes": [,]}', ManifestError, ["line 1, column ", "JSON"]),
    ("", ManifestError, ["JSON"]),
    (manifest(ADD, version="v9"), ManifestError, ["version", "v9", '"v1"']),
    (json.dumps({"nodes": [ADD]}), ManifestError, ["version", "missing", '"v1"']),
    (manifest(ADD, ADD), ManifestError, ["Duplicate node ID 'n'", "give each node its own"]),
    (
        manifest(ADD, connections=[("n", "m")]),
        GraphError,
        ["connections[0].to", "'m'", "no node has this id"],
    ),
    (
        manifest(ADD, node("AddNode", "m"), connections=[("n", "m"), ("m", "n")]),
        CycleError,
        ["n -> m -> n", "remove one"],
    ),
    (manifest(), ManifestError, ["nodes", "at least one node"]),
    ("{}", ManifestError, ["nodes", "at least one node"]),
    (
        manifest(node("AddNode", params={"addend": "one"})),
        ManifestError,
        ["params.addend", "number", "'one'"],
    ),
    (
        manifest(node("ResampleNode", params={"target_rate": 0})),
        ManifestError,
        ["params.target_rate", "0"],
    ),
    (
        manifest(node("VADNode", params={"threshold": 3})),
        ManifestError,
        ["params.threshold", "-60", "0"],
    ),
    (
        manifest(node("VADNode", params={"treshold": -30})),
        ManifestError,
        ["treshold", "did you mean 'threshold'?"],
    ),
    (manifest(node("VDNode")), NodeNotFoundError, ["VDNode", "did you mean 'VADNode'?"]),
    (manifest(node("CompletelyElse")), NodeNotFoundError, ["package.module:Class"]),
    (manifest(node("AddNode", timeout_ms=0)), ManifestError, ["timeout_ms", "0"]),
    (manifest(node("AddNode", runtime_hint="jython")), ManifestError, ["runtime_hint", "cpython"]),
    (manifest(node("AddNode", isolatd=True)), ManifestError, ["isolatd", "isolated"]),
    (manifest(node("AddNode", instance=0)), ManifestError, ["instance"]),
    (manifest(node("__main__:Mine")), RemoteMediaError, ["main script", "module"]),
    (manifest(node("AddNode", runtime_hint="pypy")), ManifestError, ["pypy", "cpython"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "parts"), MANIFESTS)
def test_bad_manifests(text: str, kind: type[Exception], parts: list[str]) -> None:
    # spec: FFI-07, FFI-08, FFI-14
    before = children()
    with pytest.raises(kind) as caught:
        execute_pipeline_with_input(text, 1)
    assert isinstance(caught.value, ValueError)
    told = str(caught.value)
    assert all(part in told for part in parts), told
    assert {pid for pid in children() if is_own(pid)} <= before


@pytest.mark.parametrize(("text", "kind", "parts"), MANIFESTS[4:15])
def test_the_same_through_a_pipeline(
    runtime: Runtime, text: str, kind: type[Exception], parts: list[str]
) -> None:
    # spec: FFI-14
    def run() -> None:
        pipeline = Pipeline.from_json(text)
        pipeline.runtime = runtime
        pipeline.run(1)

    with pytest.raises(RemoteMediaError) as caught:
        run()
    assert isinstance(caught.value, kind if kind is not GraphError else ManifestError)
    assert parts[0].split(".")[-1] in str(caught.value)


PYTHON_NODES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("no_such_module_here:Node", {}, "import", ["No module named 'no_such_module_here'"]),
    ("e2e_nodes:NoSuchClass", {}, "import", ["NoSuchClass", "e2e_nodes"]),
    ("e2e_nodes:Identty", {}, "import", ["Identty", "Identity"]),
    ("e2e_nodes:WATCHDOG_SECONDS", {}, "construction", ["WATCHDOG_SECONDS", "class"]),
    ("e2e_nodes:Money", {"amount": 1}, "construction", ["Money", "process"]),
    ("e2e_nodes:BrokenConstructor", {}, "construction", ["no microphone is attached"]),
    ("e2e_nodes:Journal", {}, "construction", ["Journal", "path"]),
    ("e2e_nodes:BrokenInitialize", {}, "initialize", ["the model file is missing"]),
]


@pytest.mark.parametrize(("node_type", "params", "operation", "parts"), PYTHON_NODES)
def test_python_classes_that_cannot_be_used(
    runtime: Runtime, node_type: str, params: dict[str, Any], operation: str, parts: list[str]
) -> None:
    # spec: FFI-12, FFI-14
    pipeline = Pipeline(
        [Identity(name="fine"), node(node_type, "mine", params=params)], runtime=runtime
    )
    with pytest.raises(RemoteMediaError) as caught:
        pipeline.run(1)
    error = caught.value
    assert (error.node_id, error.operation) == ("mine", operation)
    told = f"{error}\n{getattr(error, 'remote_traceback', '')}"
    assert all(part in told for part in parts), told
    # The worker is as good as new.
    assert Pipeline([Pid()], runtime=runtime).run(1) in {w["pid"] for w in runtime.workers()}


def test_a_class_that_cannot_be_found_is_told_as_such(runtime: Runtime) -> None:
    # spec: FFI-10
    for node_type in ("no_such_module_here:Node", "e2e_nodes:Identty"):
        with pytest.raises(NodeNotFoundError) as caught:
            Pipeline([node(node_type)], runtime=runtime).run(1)
        assert isinstance(caught.value, KeyError)
        assert isinstance(caught.value, ValueError)


def test_constructors_in_the_callers_process_raise_there() -> None:
    with pytest.raises(RuntimeError, match="no microphone"):
        BrokenConstructor()
    with pytest.raises(ValueError, match="did you mean"):
        VADNode(energy_treshold=0.1)
    with pytest.raises(ValueError, match="output"):
        Pipeline([VADNode(output="nonsense")]).run(1)


def test_an_initialize_that_raises_leaves_nothing(runtime: Runtime) -> None:
    # spec: FFI-12
    with pytest.raises(NodeError, match="the model file is missing") as caught:
        Pipeline([Identity(), BrokenInitialize(), Identity(isolated=True)], runtime=runtime).run(1)
    assert caught.value.remote_type == "OSError"
    assert "raise OSError" in (caught.value.remote_traceback or "")


def test_an_input_iterator_that_raises(runtime: Runtime) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("the microphone is gone")

    with pytest.raises(LookupError, match="the microphone is gone") as caught:
        Pipeline([Identity()], runtime=runtime).run(items())
    assert getattr(caught.value, "partial_results", None) in ([], [1])
    assert Pipeline([AddNode(addend=1), Identity()], runtime=runtime).run(1) == 2


def test_a_missing_interpreter() -> None:
    # spec: FFI-14
    before = children()
    with Runtime('[python]\ninterpreter = "/no/such/python"\n') as runtime:
        with pytest.raises(WorkerStartError, match="/no/such/python") as caught:
            Pipeline([Identity()], runtime=runtime).run(1)
        assert isinstance(caught.value, RuntimeError)
        assert caught.value.python == "/no/such/python"
        assert re.search(r"\[python\]|executable|install", str(caught.value))
        assert Pipeline([AddNode(addend=1)], runtime=runtime).run(1) == 2  # native nodes need none
    wait_for_children(before)


def test_an_interpreter_that_is_none(tmp_path: Path) -> None:
    # spec: FFI-14
    for name, script in (("silent", "exit 0"), ("talks", "echo nonsense; exit 3")):
        fake = tmp_path / name
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        before = children()
        with Runtime(f'[python]\ninterpreter = "{fake}"\n') as runtime:
            with pytest.raises(WorkerStartError, match=str(fake)):
                Pipeline([Identity()], runtime=runtime).run(1)
            assert runtime.workers() == []
        wait_for_children(before)


def test_an_interpreter_without_the_package(tmp_path: Path) -> None:
    # spec: FFI-14
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True
    )
    bare = tmp_path / "bare" / "bin" / "python"
    before = children()
    with Runtime(f'[python]\ninterpreter = "{bare}"\n') as runtime:
        with pytest.raises(WorkerStartError, match="pip install") as caught:
            Pipeline([Identity()], runtime=runtime).run(1)
        assert caught.value.python == str(bare)
        assert "remotemedia" in str(caught.value)
        assert runtime.workers() == []
    wait_for_children(before)


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ("[workers]\nmaxx = 1\n", ["[workers]", "maxx", "did you mean `max`"]),
        ("[workers]\nmax = 0\n", ["[workers] max", "1 to 1024"]),
        ('[workers]\nidle_timeout = "soon"\n', ["idle_timeout", "soon"]),
        ("[workers\n", ["line 1"]),
    ],
)
def test_a_bad_configuration(config: str, parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Runtime(config)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"), [("[workers]\nmaxx = 1\n", "maxx"), (None, "No such file")]
)
def test_a_bad_configuration_file_is_named(tmp_path: Path, text: str | None, part: str) -> None:
    file = tmp_path / "runtime.toml"
    if text is not None:
        file.write_text(text)
    for path in (file, str(file)):
        with pytest.raises(ConfigurationError, match=part) as caught:
            Runtime(path)
        assert str(file) in str(caught.value)
