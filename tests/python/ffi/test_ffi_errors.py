"""Which exception each failure is, through the functions of `remotemedia_runtime`."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

import remotemedia
from remotemedia import CycleError, GraphError, MarshalingError, NodeError, NodeNotFoundError
from remotemedia_runtime import (
    execute_pipeline,
    execute_pipeline_with_input,
    get_node_metadata,
    validate_manifest,
)


def chain(*types: str, **params: Any) -> str:
    """A manifest with these nodes in a row, `n0`, `n1`, ...; the last one has the parameters."""
    nodes: list[dict[str, Any]] = [
        {"id": f"n{index}", "node_type": node_type} for index, node_type in enumerate(types)
    ]
    nodes[-1]["params"] = params
    edges = [{"from": f"n{i}", "to": f"n{i + 1}"} for i in range(len(types) - 1)]
    return json.dumps({"version": "v1", "nodes": nodes, "connections": edges})


def ring(*ids: str) -> str:
    """A manifest whose nodes form one cycle."""
    return json.dumps(
        {
            "version": "v1",
            "nodes": [{"id": node_id, "node_type": "PassThroughNode"} for node_id in ids],
            "connections": [
                {"from": source, "to": target}
                for source, target in zip(ids, (*ids[1:], ids[0]), strict=True)
            ],
        }
    )


def runs(manifest: str) -> list[Any]:
    """The three ways in which a manifest comes in."""
    return [
        lambda: validate_manifest(manifest),
        lambda: execute_pipeline(manifest),
        lambda: execute_pipeline_with_input(manifest, 1),
    ]


@pytest.mark.parametrize("call", runs("{"))
def test_a_manifest_error_is_a_value_error(call: Any) -> None:
    # spec: FFI-07
    with pytest.raises(ValueError, match="not valid JSON") as caught:
        call()
    assert type(caught.value) is remotemedia.ManifestError


@pytest.mark.parametrize(
    "call",
    runs(
        '{"version":"v1","nodes":[{"id":"a","node_type":"AddNode"}],'
        '"connections":[{"from":"ghost","to":"a"}]}'
    ),
)
def test_a_graph_error_is_a_value_error(call: Any) -> None:
    # spec: FFI-08
    with pytest.raises(ValueError, match="unknown source node 'ghost'") as caught:
        call()
    assert isinstance(caught.value, GraphError)


@pytest.mark.parametrize("call", runs(ring("first", "second", "third")))
def test_a_cycle_error_is_a_value_error_and_names_the_nodes(call: Any) -> None:
    # spec: FFI-09
    with pytest.raises(ValueError, match="first -> second -> third -> first") as caught:
        call()
    assert isinstance(caught.value, CycleError)
    assert isinstance(caught.value, GraphError)
    assert set(caught.value.nodes) == {"first", "second", "third"}


def test_a_node_connected_to_itself_is_a_cycle() -> None:
    # spec: FFI-09
    with pytest.raises(CycleError, match="alone -> alone"):
        validate_manifest(ring("alone"))


@pytest.mark.parametrize("call", [*runs(chain("VDNode")), lambda: get_node_metadata("VDNode")])
def test_an_unknown_node_is_a_key_error_and_a_value_error(call: Any) -> None:
    # spec: FFI-10
    with pytest.raises(KeyError) as caught:
        call()
    error = caught.value
    assert isinstance(error, NodeNotFoundError)
    assert isinstance(error, ValueError)
    assert (error.node_type, error.nearest) == ("VDNode", "VADNode")
    # Not in the quotes in which KeyError shows its message.
    assert "unknown node type 'VDNode'" in str(error)
    assert "did you mean 'VADNode'?" in str(error)


def test_a_failing_native_node_is_a_runtime_error() -> None:
    # spec: FFI-11, FFI-14
    manifest = chain("PassThroughNode", "CalculatorNode", operation="divide", operand=0)
    with pytest.raises(RuntimeError, match=r"'n1'.*process.*Division by zero") as caught:
        execute_pipeline_with_input(manifest, 1)
    error = caught.value
    assert isinstance(error, NodeError)
    assert (error.node_id, error.operation) == ("n1", "process")
    assert error.remote_type == "ZeroDivisionError"


def test_a_failing_python_node_is_a_runtime_error_with_its_traceback() -> None:
    # spec: FFI-12, FFI-14
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero") as caught:
        execute_pipeline_with_input(chain("PassThroughNode", "e2e_nodes:Divide"), 0)
    error = caught.value
    assert isinstance(error, NodeError)
    assert (error.node_id, error.operation) == ("n1", "process")
    assert error.remote_type == "ZeroDivisionError"
    traceback = error.remote_traceback
    assert traceback is not None
    assert traceback.startswith("Traceback (most recent call last):")
    assert "e2e_nodes.py" in traceback
    assert "in process" in traceback
    assert "return divided(1, data)" in traceback
    assert "in divided" in traceback
    assert "return dividend / divisor" in traceback
    assert traceback.rstrip().endswith("ZeroDivisionError: division by zero")
    # Only what the user wrote: not how the worker came there.
    assert "/_guest/" not in traceback


@pytest.mark.parametrize("node_type", ["PassThroughNode", "e2e_nodes:Identity"])
def test_what_cannot_travel_is_a_type_error_with_its_path_and_type(node_type: str) -> None:
    # spec: FFI-13, FFI-14
    item = {"frames": [1, {"guard": threading.Lock()}]}
    with pytest.raises(TypeError) as caught:
        execute_pipeline_with_input(chain(node_type), item)
    error = caught.value
    assert isinstance(error, MarshalingError)
    assert error.path == "input['frames'][1]['guard']"
    assert error.type_name == "_thread.lock"
    assert error.path in str(error)
    assert error.type_name in str(error)


@pytest.mark.parametrize(
    ("call", "node_id"),
    [
        (lambda: validate_manifest("{"), None),
        (lambda: validate_manifest(ring("a", "b")), None),
        (lambda: validate_manifest(chain("AddNode", "VDNode")), "n1"),
        (lambda: validate_manifest(chain("AddNode", "AddNode", addend="x")), "n1"),
        (lambda: get_node_metadata("VDNode"), None),
        (lambda: execute_pipeline(chain("AddNode")), "n0"),
        (lambda: execute_pipeline_with_input(chain("AddNode"), "text"), "n0"),
        (lambda: execute_pipeline_with_input(chain("AddNode"), threading.Lock()), None),
        (lambda: execute_pipeline_with_input(chain("e2e_nodes:Divide"), 0), "n0"),
        (lambda: execute_pipeline_with_input(chain("e2e_nodes:BrokenInitialize"), 0), "n0"),
        (lambda: execute_pipeline_with_input(chain("e2e_nodes:BrokenConstructor"), 0), "n0"),
        (lambda: execute_pipeline_with_input(chain("e2e_nodes:NoSuchClass"), 0), "n0"),
        (lambda: execute_pipeline_with_input(chain("e2e_nodes:Journal"), 0), "n0"),
    ],
)
def test_every_error_says_what_happened_where_in_which_operation(
    call: Any, node_id: str | None
) -> None:
    # spec: FFI-14
    with pytest.raises(remotemedia.RemoteMediaError) as caught:
        call()
    error = caught.value
    assert error.message
    assert error.message in str(error)
    assert error.node_id == node_id
    assert node_id is None or node_id in str(error)
    assert error.operation
