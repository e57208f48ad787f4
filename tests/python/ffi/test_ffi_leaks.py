"""100,000 calls leave nothing behind: no reference, no object, no memory."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from e2e_nodes import Identity, Segment
from remotemedia import Pipeline
from remotemedia_runtime import (
    execute_pipeline_with_input,
    get_available_nodes,
    get_node_metadata,
    validate_manifest,
)

CALLS = 100_000
# Caches and the allocator's slack. One leaked object of 100 bytes a call would be 10 MB.
RSS_SLACK_BYTES = 6_000_000
OBJECT_SLACK = 2_000

ADD = json.dumps(
    {
        "version": "v1",
        "nodes": [
            {"id": "add", "node_type": "AddNode", "params": {"addend": 1}},
            {"id": "same", "node_type": "PassThroughNode"},
        ],
        "connections": [{"from": "add", "to": "same"}],
    }
)
CYCLE = ADD.replace('"connections": [', '"connections": [{"from": "same", "to": "add"}, ')
SAME = '{"version": "v1", "nodes": [{"id": "same", "node_type": "PassThroughNode"}]}'


def resident_bytes() -> int:
    """The memory of this process."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def assert_leaves_nothing(call: Callable[[], object], calls: int) -> None:
    for _ in range(calls // 10):  # fills caches and free lists
        call()
    gc.collect()
    tracked, blocks, resident = len(gc.get_objects()), sys.getallocatedblocks(), resident_bytes()
    for _ in range(calls):
        call()
    gc.collect()
    assert len(gc.get_objects()) - tracked < OBJECT_SLACK
    assert sys.getallocatedblocks() - blocks < OBJECT_SLACK
    assert resident_bytes() - resident < RSS_SLACK_BYTES


def test_validating() -> None:
    # spec: FFI-21
    before = sys.getrefcount(ADD)
    assert_leaves_nothing(lambda: validate_manifest(ADD), CALLS)
    assert sys.getrefcount(ADD) == before


def test_asking_for_nodes() -> None:
    # spec: FFI-21
    assert_leaves_nothing(lambda: get_node_metadata("AddNode"), CALLS)
    assert_leaves_nothing(get_available_nodes, CALLS)


@pytest.mark.parametrize(
    ("item", "calls"),
    [
        ([1, 2.5], CALLS),
        ({"data": [0.5], "nested": {"keys": (1, "two")}}, CALLS // 5),
        (np.ones(64, dtype=np.float32), CALLS // 5),
        (Segment(1, 2), CALLS // 5),
    ],
    ids=["numbers", "containers", "array", "pickled"],
)
def test_running_a_pipeline(item: object, calls: int) -> None:
    # spec: FFI-21
    manifest = ADD if isinstance(item, list) else SAME
    before = sys.getrefcount(item)
    assert_leaves_nothing(lambda: execute_pipeline_with_input(manifest, item), calls)
    assert sys.getrefcount(item) == before


def test_errors() -> None:
    # spec: FFI-21
    def fails() -> None:
        for call in (
            lambda: validate_manifest(CYCLE),
            lambda: get_node_metadata("VDNode"),
            lambda: execute_pipeline_with_input(ADD, "text"),
        ):
            try:
                call()
            except (ValueError, RuntimeError, KeyError):
                continue
            raise AssertionError("it did not fail")

    assert_leaves_nothing(fails, CALLS // 3)


def test_items_through_a_worker() -> None:
    # spec: FFI-21
    array = np.ones(64, dtype=np.float32)
    item = {"array": array, "pickled": Segment(1, 2), "text": "x"}
    before = sys.getrefcount(array)
    with Pipeline([Identity()]).session() as session:
        assert_leaves_nothing(lambda: session.process(item), CALLS // 5)
    assert sys.getrefcount(array) == before


def test_sessions_in_workers() -> None:
    # spec: FFI-21
    pipeline = Pipeline([Identity()])
    assert_leaves_nothing(lambda: pipeline.run(1), 500)


def test_an_item_is_free_after_its_run() -> None:
    # spec: FFI-21
    array = np.ones(1_000, dtype=np.float32)
    before = sys.getrefcount(array)
    result = execute_pipeline_with_input(SAME, {"deep": [array]})
    assert sys.getrefcount(array) == before
    # What came out belongs to the caller alone.
    result["result"]["deep"][0][:] = 7
    assert array.sum() == 1_000
