"""Whose memory it was: private and shared apart, and of each node, also where they run at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from e2e_nodes import Identity, node_metrics
from memory_nodes import (
    MB,
    AsyncStreaming,
    Background,
    Foreground,
    Prepares,
    Streaming,
    Takes,
    Threads,
)
from remotemedia import LimitExceeded, Pipeline, Runtime, WorkerCrashed

ROUNDING = 1.15
"""How much more than the array a block of shared memory may be: it has one of a few sizes."""


def of(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The metrics of each node."""
    return [*node_metrics(pipeline.get_metrics()).values()]


def arrays(metrics: dict[str, Any]) -> int:
    """The memory in arrays of a node, in bytes."""
    return int(metrics["array_private_bytes"] + metrics["array_shared_bytes"])


def is_about(found: int, megabytes: int) -> bool:
    """Whether it is the memory of an array of this size."""
    return megabytes * MB <= found <= ROUNDING * megabytes * MB


@pytest.fixture
def runtime() -> Any:
    """A runtime with one worker."""
    with Runtime("[workers]\nmax = 1\n") as runtime:
        yield runtime


PAIRS: dict[str, tuple[list[Any], Any]] = {
    "tasks": ([Background(), Foreground()], "meet"),
    "threads": ([Threads(200), Threads(20)], "first"),
    "streams in threads": ([Streaming(200), Streaming(20)], 1),
    "streams in tasks": ([AsyncStreaming(200), AsyncStreaming(20)], 1),
}


@pytest.mark.parametrize("name", PAIRS)
def test_nodes_that_run_at_once_are_told_apart(name: str, runtime: Runtime) -> None:
    # spec: CARD-06, NRA-12
    nodes, item = PAIRS[name]
    pipeline = Pipeline([*nodes, Identity()], runtime=runtime)
    pipeline.run(item)
    big, small, none = of(pipeline)
    assert big["worker_pid"] == small["worker_pid"]
    assert is_about(arrays(big), 200), big
    assert is_about(arrays(small), 20), small
    assert arrays(none) < MB


def test_what_is_freed_during_a_call_counts_and_is_gone_in_the_next(runtime: Runtime) -> None:
    # spec: CARD-06, NRA-12
    pipeline = Pipeline([Takes(), Identity()], runtime=runtime)
    for _ in range(3):
        # More than a worker keeps warm for later arrays.
        pipeline.run(("array", 200))
        takes, none = of(pipeline)
        assert is_about(takes["array_shared_bytes"], 200), takes
        assert takes["array_private_bytes"] < MB
        assert takes["delta_private_bytes"] < 20 * MB < 190 * MB < takes["delta_shared_bytes"], (
            takes
        )
        assert arrays(none) < MB
        # Another pipeline in the same worker, whose nodes have the same numbers.
        other = Pipeline([Identity(), Takes()], runtime=runtime)
        other.run(("array", 5))
        none, takes = of(other)
        assert is_about(arrays(takes), 5)
        assert arrays(none) < MB
        # The node of the next session has nothing of the last one.
        with pipeline.session() as session:
            session.process(("nothing", 0))
            assert arrays(of(pipeline)[0]) < MB


def test_each_call_of_a_session_counts_on_its_own(runtime: Runtime) -> None:
    # spec: NRA-12
    pipeline = Pipeline([Takes()], runtime=runtime)
    with pipeline.session() as session:
        for _ in range(40):  # calls above which the kernel is no longer asked at each
            session.process(("array", 1))
        session.process(("small arrays", 30))
        (takes,) = of(pipeline)
    assert is_about(takes["array_private_bytes"], 30), takes
    assert takes["array_shared_bytes"] < 2 * MB


def test_memory_that_the_node_keeps_is_the_nodes(runtime: Runtime) -> None:
    # spec: NRA-12
    pipeline = Pipeline([Takes(), Prepares()], runtime=runtime)
    with pipeline.session() as session:
        session.process(("keep", 30))
        session.process(("array", 30))
        takes, prepares = of(pipeline)
    assert is_about(arrays(takes), 60), takes
    # What is no output does not lie in shared memory.
    assert is_about(prepares["array_private_bytes"], 50), prepares


def test_arrays_that_are_resized_are_counted_as_they_are(runtime: Runtime) -> None:
    # spec: NRA-12
    pipeline = Pipeline([Takes()], runtime=runtime)
    with pipeline.session() as session:
        for _ in range(3):
            session.process(("resize", 20))
        (takes,) = of(pipeline)
        # The new memory is there before the old one goes.
        assert 40 * MB <= arrays(takes) <= ROUNDING * 60 * MB
        session.process(("nothing", 0))
    pipeline.run(("nothing", 0))
    assert arrays(of(pipeline)[0]) < MB


def test_shared_memory_that_a_node_maps_is_not_private(runtime: Runtime) -> None:
    # spec: CARD-06, NRA-12
    pipeline = Pipeline([Takes()], runtime=runtime)
    pipeline.run(("map", 100))
    (takes,) = of(pipeline)
    assert takes["peak_delta_bytes"] >= 95 * MB
    assert takes["delta_shared_bytes"] >= 95 * MB
    assert takes["delta_private_bytes"] < 20 * MB, takes
    assert arrays(takes) < MB


def test_memory_that_is_no_array_is_private(runtime: Runtime) -> None:
    # spec: CARD-06, NRA-12
    pipeline = Pipeline([Takes()], runtime=runtime)
    pipeline.run(("bytes", 100))
    (takes,) = of(pipeline)
    assert takes["delta_private_bytes"] >= 95 * MB
    assert takes["delta_shared_bytes"] < 20 * MB
    assert arrays(takes) < MB


def test_an_input_is_not_an_array_of_the_node(runtime: Runtime) -> None:
    # spec: NRA-12
    pipeline = Pipeline([Identity(), Takes()], runtime=runtime)
    with pipeline.session() as session:
        with pytest.raises(Exception, match="unpack"):
            session.process(np.ones(50 * MB, dtype=np.uint8))
        assert all(arrays(node) < MB for node in of(pipeline))


def test_a_crash_tells_the_arrays_of_its_node(runtime: Runtime) -> None:
    # spec: CARD-06, CARD-08
    with pytest.raises(WorkerCrashed) as caught:
        Pipeline([Prepares(), Takes()], runtime=runtime).run(("die", 40))
    error = caught.value
    assert is_about(error.array_shared_bytes or 0, 40)
    assert (error.array_private_bytes or 0) < MB
    assert "numpy arrays of this node" in "".join(error.__notes__)


def keep_too_much(runtime: Runtime) -> None:
    """Have a node keep an array of 250 MB, until that is noticed: every 100 ms at most."""
    with Pipeline([Takes()], runtime=runtime).session() as session:
        session.process(("keep", 250))
        while True:
            session.process(("nothing", 0))


def test_a_node_above_its_limit_is_told_its_arrays() -> None:
    # spec: CARD-06
    config = '[workers]\nmax = 1\n[limits]\nmemory_hard = "200 MB"\n'
    with Runtime(config) as runtime, pytest.raises(LimitExceeded) as caught:
        keep_too_much(runtime)
    assert is_about(caught.value.array_shared_bytes or 0, 250)
    assert "numpy arrays of this node" in "".join(caught.value.__notes__)


def test_rustpython_tells_only_what_the_kernel_says(runtime: Runtime) -> None:
    # spec: NRA-12
    entry = {"node_type": "stdlib_nodes:Megabytes", "runtime_hint": "rustpython"}
    pipeline = Pipeline(entry, runtime=runtime)
    pipeline.run(50)
    (node,) = of(pipeline)
    assert node["runtime"] == "rustpython"
    assert (node["array_private_bytes"], node["array_shared_bytes"]) == (None, None)
    assert node["delta_private_bytes"] >= 45 * MB
    assert node["delta_shared_bytes"] < 20 * MB
