"""The functions of `remotemedia_runtime`: the document's examples, results, edges."""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from typing import Any

import numpy as np
import pytest

from remotemedia import RustExecutor
from remotemedia_runtime import (
    execute_pipeline,
    execute_pipeline_with_input,
    get_available_nodes,
)

KEYS = {"success", "result", "metrics", "error"}
EMPTY = '{"version":"v1","nodes":[],"connections":[]}'


def manifest(*nodes: dict[str, Any], connections: list[tuple[str, str]] | None = None) -> str:
    """A manifest of these nodes, a chain unless connections are given."""
    ids = [node["id"] for node in nodes]
    edges = itertools.pairwise(ids) if connections is None else connections
    return json.dumps(
        {
            "version": "v1",
            "nodes": nodes,
            "connections": [{"from": source, "to": target} for source, target in edges],
        }
    )


ADD = {"id": "add", "node_type": "AddNode", "params": {"addend": 1}}
MULTIPLY = {"id": "multiply", "node_type": "MultiplyNode", "params": {"factor": 10}}
NUMBERS = {"id": "numbers", "node_type": "e2e_nodes:Numbers", "is_source": True}


def run_example(source: str, **given: Any) -> dict[str, Any]:
    """The names that an example of the document defines; `given` stands for what it leaves out."""
    names = dict(given)
    exec(compile(textwrap.dedent(source), "001", "exec"), names)
    return names


def test_example_of_execute_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    # spec: FFI-01
    # The document leaves the nodes of its manifest open; everything after that line is verbatim.
    names = run_example(
        """
        from remotemedia_runtime import execute_pipeline

        manifest = given_manifest
        result = execute_pipeline(manifest)

        if result["success"]:
            print(f"Output: {result['result']}")
            print(f"Time: {result['metrics']['total_time_ms']}ms")
        else:
            print(f"Error: {result['error']}")
        """,
        given_manifest=manifest(NUMBERS, MULTIPLY),
    )
    assert set(names["result"]) == KEYS
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Output: [0, 10, 20]"
    assert re.fullmatch(r"Time: \d+\.\d+ms", printed[1])


def test_example_of_execute_pipeline_with_input() -> None:
    # spec: FFI-02
    names = run_example(
        """
        import numpy as np
        from remotemedia_runtime import execute_pipeline_with_input

        audio = np.random.rand(16000).astype(np.float32)
        manifest = '{"version":"v1","nodes":[{"id":"vad","node_type":"VADNode"}],"connections":[]}'

        result = execute_pipeline_with_input(manifest, audio)
        segments = result["result"]
        """
    )
    assert set(names["result"]) == KEYS
    assert names["segments"] == []  # noise is not speech


def test_example_of_validate_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    # spec: FFI-03
    example = """
        from remotemedia_runtime import validate_manifest

        try:
            validate_manifest(manifest_json)
            print("Manifest is valid")
        except ValueError as e:
            print(f"Invalid manifest: {e}")
        """
    run_example(example, manifest_json=manifest(ADD))
    assert capsys.readouterr().out == "Manifest is valid\n"
    run_example(example, manifest_json=EMPTY)
    assert re.match(r"Invalid manifest: .*nodes.*at least one node", capsys.readouterr().out)


def test_example_of_get_available_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    # spec: FFI-04
    names = run_example(
        """
        from remotemedia_runtime import get_available_nodes

        nodes = get_available_nodes()
        print(f"Available nodes: {', '.join(nodes)}")
        """
    )
    assert {"VADNode", "ResampleNode", "FormatConverterNode"} <= set(names["nodes"])
    assert "VADNode" in capsys.readouterr().out


def test_example_of_get_node_metadata(capsys: pytest.CaptureFixture[str]) -> None:
    # spec: FFI-05
    names = run_example(
        """
        from remotemedia_runtime import get_node_metadata

        meta = get_node_metadata("VADNode")
        print(f"Parameters: {meta['parameters']}")
        """
    )
    threshold = names["meta"]["parameters"]["threshold"]
    assert threshold["type"] == "float"
    assert threshold["default"] == -30.0
    assert threshold["range"] == [-60.0, 0.0]
    assert threshold["unit"] == "dBFS"
    assert "'threshold': {" in capsys.readouterr().out


def test_example_of_errors(capsys: pytest.CaptureFixture[str]) -> None:
    # spec: FFI-11
    fails = {"id": "whisper", "node_type": "e2e_nodes:BrokenInitialize"}
    run_example(
        """
        from remotemedia_runtime import execute_pipeline

        try:
            result = execute_pipeline(manifest)
        except RuntimeError as e:
            print(f"Execution failed: {e}")
        """,
        manifest=manifest(NUMBERS, fails),
    )
    printed = capsys.readouterr().out
    assert re.match("Execution failed: .*whisper.*the model file is missing", printed)


def test_example_of_integration() -> None:
    # spec: FFI-22
    names = run_example(
        """
        import json
        from typing import Any
        from remotemedia_runtime import (
            execute_pipeline_with_input,
            validate_manifest,
            get_available_nodes,
        )

        class RustExecutor:
            \"\"\"Wrapper for Rust runtime FFI.\"\"\"

            def execute(self, manifest: dict, input_data: Any) -> dict:
                \"\"\"Execute pipeline using Rust runtime.\"\"\"
                manifest_json = json.dumps(manifest)

                # Validate first
                validate_manifest(manifest_json)

                # Execute
                result = execute_pipeline_with_input(manifest_json, input_data)

                if not result["success"]:
                    raise RuntimeError(result["error"])

                return result

            @staticmethod
            def available_nodes() -> list[str]:
                \"\"\"Get list of available node types.\"\"\"
                return get_available_nodes()
        """
    )
    for executor in (names["RustExecutor"](), RustExecutor()):
        result = executor.execute(json.loads(manifest(ADD)), [1, 2])
        assert set(result) == KEYS
        assert result["result"] == [2, 3]
        assert executor.available_nodes() == get_available_nodes()
        with pytest.raises(ValueError, match="at least one node"):
            executor.execute(json.loads(EMPTY), 1)


def test_example_of_usage() -> None:
    # spec: FFI-22
    names = run_example(
        """
        from remotemedia import Pipeline, AudioResampleNode

        # User code (unchanged)
        p = Pipeline("audio")
        p.add_node(AudioResampleNode(target_rate=16000))
        result = p.run(audio_data)
        """,
        audio_data=(np.zeros((1, 4800), dtype=np.float32), 48000),
    )
    array, sample_rate = names["result"]
    assert (array.shape, array.dtype, sample_rate) == ((1, 1600), np.float32, 16000)


@pytest.mark.parametrize("python_node", [False, True], ids=["native", "python"])
def test_a_result_has_four_keys(python_node: bool) -> None:
    # spec: FFI-01, FFI-02
    scale = {"id": "scale", "node_type": "e2e_nodes:Scale", "params": {"factor": 10}}
    result = execute_pipeline_with_input(manifest(ADD, scale if python_node else MULTIPLY), [1, 2])
    assert isinstance(result, dict)
    assert set(result) == KEYS
    assert result["success"] is True
    assert result["error"] is None
    assert result["result"] == [20, 30]
    metrics = result["metrics"]
    assert metrics["total_time_ms"] > 0
    runtimes = {node["node_id"]: node["runtime"] for node in metrics["nodes"]}
    assert runtimes["add"] == "rust_native"
    if python_node:
        assert runtimes["scale"] == "cpython"


@pytest.mark.parametrize(
    "item",
    [
        7,
        "text",
        b"\x00\xff",
        {"nested": [1, {"deep": (2, None)}]},
        (1, 2.5),
        {1, 2},
        np.arange(6).reshape(2, 3),
    ],
    ids=lambda item: type(item).__name__,
)
def test_any_input_is_taken(item: Any) -> None:
    # spec: FFI-02
    for node_type in ("PassThroughNode", "e2e_nodes:Identity"):
        result = execute_pipeline_with_input(manifest({"id": "n", "node_type": node_type}), item)
        got = result["result"]
        assert type(got) is type(item)
        if isinstance(item, np.ndarray):
            np.testing.assert_array_equal(got, item)
        else:
            assert got == item


def test_a_list_is_several_items_and_none_of_them_is_no_result() -> None:
    # spec: FFI-02, FFI-23
    assert execute_pipeline_with_input(manifest(ADD), [1])["result"] == 2
    assert execute_pipeline_with_input(manifest(ADD), [1, 2])["result"] == [2, 3]
    assert execute_pipeline_with_input(manifest(ADD), [])["result"] is None


def test_several_sinks_give_a_dict_by_node_id() -> None:
    # spec: FFI-02
    three = manifest(ADD, MULTIPLY, {"id": "same", "node_type": "PassThroughNode"}, connections=[
        ("add", "multiply"), ("add", "same")
    ])  # fmt: skip
    assert execute_pipeline_with_input(three, 4)["result"] == {"multiply": 50, "same": 5}


@pytest.mark.parametrize("run", [execute_pipeline, lambda m: execute_pipeline_with_input(m, 1)])
def test_an_empty_manifest_cannot_run(run: Any) -> None:
    # spec: FFI-23
    with pytest.raises(ValueError, match="at least one node"):
        run(EMPTY)


def test_a_single_source_is_a_pipeline() -> None:
    # spec: FFI-23
    assert execute_pipeline(manifest(NUMBERS))["result"] == [0, 1, 2]


def test_a_pipeline_without_a_source_needs_input() -> None:
    # spec: FFI-23
    with pytest.raises(ValueError, match=r"'add'.*source"):
        execute_pipeline(manifest(ADD))
